//! Workspaces on real directories, and on a server that checks signatures and executes conditions.

mod agent;
mod cut_off;
mod hostile;
mod original;
mod race;
mod requests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pos3::{Guards, MaxDelete, Workspace, WorkspaceBuilder};
use pos3_s3::{Credentials, S3Client, S3Config};
use pos3_tests::server::S3Server;

const BUCKET: &str = "bucket";
const PREFIX: &str = "tenant/ws/";

/// The contents of files or objects, by path.
type Contents = BTreeMap<String, String>;

/// A server with one bucket, and a disk for the directories of workspaces.
struct World {
    server: S3Server,
    disk: tempfile::TempDir,
    attempts: u32,
}

impl World {
    fn new() -> Self {
        let server = S3Server::builder().bucket(BUCKET).start().unwrap();
        Self { server, disk: tempfile::tempdir().unwrap(), attempts: 2 }
    }

    fn with(objects: &[(&str, &str)]) -> Self {
        let world = Self::new();
        objects.iter().for_each(|(key, content)| world.put(key, content));
        world
    }

    fn put(&self, key: &str, content: &str) {
        self.server.put(BUCKET, &format!("{PREFIX}{key}"), content.to_owned());
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.disk.path()).unwrap().join(name)
    }

    /// Returns the workspace of the location in a directory. Its client is new, and it repeats requests without a pause.
    fn builder(&self, directory: impl Into<PathBuf>) -> WorkspaceBuilder {
        let config = S3Config::new()
            .with_endpoint(self.server.endpoint())
            .with_credentials(Credentials::fixed(self.server.access_key(), self.server.secret_key(), None))
            .with_attempts(self.attempts)
            .with_longest_pause(Duration::from_millis(1));
        let store = S3Client::new(config).unwrap().bucket(BUCKET).unwrap();
        let all = Guards::default().with_max_delete(MaxDelete::Count(u64::MAX));
        Workspace::builder(format!("s3://{BUCKET}/{PREFIX}"), directory).store(Arc::new(store)).guards(all)
    }

    fn workspace(&self, name: &str) -> Workspace {
        self.builder(self.path(name)).open().unwrap()
    }

    fn objects(&self) -> Contents {
        let content = |key: &String| {
            let bytes = self.server.object(BUCKET, key).unwrap().bytes;
            (key[PREFIX.len()..].to_owned(), String::from_utf8(bytes.to_vec()).unwrap())
        };
        self.server.keys(BUCKET).iter().filter(|key| key.starts_with(PREFIX)).map(content).collect()
    }
}

/// Returns the files of a workspace with their contents, without its records.
fn files(directory: &Path) -> Contents {
    let mut files = everything(directory);
    files.retain(|path, _| !path.starts_with(".pos3/"));
    files
}

/// Returns the contents of the files that were moved aside.
fn set_aside(directory: &Path) -> Vec<String> {
    everything(&directory.join(".pos3/never-pushed")).into_values().collect()
}

/// Returns all regular files below a directory. Links are not followed.
fn everything(directory: &Path) -> Contents {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
        let (name, kind) = (entry.file_name().into_string().unwrap(), entry.file_type().unwrap());
        if kind.is_dir() {
            let below = everything(&entry.path()).into_iter();
            found.extend(below.map(|(path, content)| (format!("{name}/{path}"), content)));
        } else if kind.is_file() {
            let content = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
            found.insert(name, content);
        }
    }
    found
}

fn write(directory: &Path, name: &str, content: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn pairs(pairs: &[(&str, &str)]) -> Contents {
    pairs.iter().map(|(key, content)| ((*key).to_owned(), (*content).to_owned())).collect()
}
