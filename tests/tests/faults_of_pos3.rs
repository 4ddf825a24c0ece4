//! The faults of the Python program whose interface the session preserves: this implementation does not have them.
//!
//! `docs/FAULTS.md` numbers the faults and names the tests for each of them. A docs test checks these names. All tests
//! use real directories and a server that checks signatures.

mod cost;
mod deletes;
mod ending;
mod exclusion;
mod kinds;
mod names;
mod processes;
mod servers;
mod sides;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pos3::{
    DownloadOptions, Registry, RemoteDelete, S3Provider, S3Settings, Session, SessionBuilder, StateDirectory,
    UploadOptions,
};
use pos3_tests::server::S3Server;

const BUCKET: &str = "bucket";

/// A server with one bucket, and a disk with nothing on it.
struct World {
    server: S3Server,
    disk: tempfile::TempDir,
}

impl World {
    fn with(objects: &[(&str, &'static str)]) -> Self {
        let world =
            Self { server: S3Server::builder().bucket(BUCKET).start().unwrap(), disk: tempfile::tempdir().unwrap() };
        objects.iter().for_each(|(key, content)| world.put(key, content));
        world
    }

    fn put(&self, key: &str, content: &'static str) {
        self.server.put(BUCKET, key, content);
    }

    fn keys(&self) -> Vec<String> {
        self.server.keys(BUCKET)
    }

    fn object(&self, key: &str) -> Option<String> {
        let object = self.server.object(BUCKET, key)?;
        Some(String::from_utf8(object.bytes.to_vec()).unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.disk.path()).unwrap().join(name)
    }

    fn registry(&self) -> Registry {
        let settings = S3Settings::default().with_endpoint(self.server.endpoint()).with_credentials(
            self.server.access_key(),
            self.server.secret_key(),
            None,
        );
        Registry::default().with("s3", S3Provider::new(settings))
    }

    fn builder(&self) -> SessionBuilder {
        let state = StateDirectory::new(self.path("state"));
        Session::builder().registry(self.registry()).cache_root(self.path("cache")).state(state)
    }

    fn session(&self) -> Session {
        self.builder().open().unwrap()
    }

    /// Makes a session record the server of the local copies. The first session that uses them sends a request for that.
    async fn record_server(&self) {
        self.session().download("s3://bucket/none/", download().with_allow_missing(true)).await.unwrap();
        self.server.reset_requests();
    }
}

fn download() -> DownloadOptions {
    DownloadOptions::default()
}

/// Returns options of a download that makes the directory like the remote place.
fn mirror_down() -> DownloadOptions {
    download().with_delete(true)
}

fn upload() -> UploadOptions {
    UploadOptions::default().with_interval(None)
}

/// Returns options of an upload that deletes what the program removed.
fn deleting() -> UploadOptions {
    upload().with_delete(RemoteDelete::Seen)
}

/// Returns options of an upload that makes the remote place like the directory.
fn mirror_up() -> UploadOptions {
    upload().with_delete(RemoteDelete::Extra)
}

fn patterns(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

fn write(directory: &Path, name: &str, content: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Returns everything below a directory, directories with a `/` at their end and links with an `@`.
fn tree(directory: &Path) -> Vec<String> {
    contents(directory).into_keys().collect()
}

fn contents(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.insert(format!("{name}/"), String::new());
            found
                .extend(contents(&entry.path()).into_iter().map(|(path, content)| (format!("{name}/{path}"), content)));
        } else if kind.is_symlink() {
            found.insert(format!("{name}@"), String::new());
        } else {
            found.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    found
}
