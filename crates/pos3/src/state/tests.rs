mod directory;
mod file;
mod rows;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use pos3_core::{Checksum, Digest, Fingerprint, RemoteStore, Row, Side, StartedWrite, Unfinished};
use redb::ReadableDatabase;
use tempfile::TempDir;

use super::*;

/// Two directories and a state directory.
struct World {
    root: TempDir,
    directory: StateDirectory,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::create_dir(root.path().join("b")).unwrap();
        let directory = StateDirectory::new(root.path().join("state/of/mine"));
        Self { root, directory }
    }

    fn location(&self, name: &str) -> Location {
        Location::Local(self.root.path().join(name))
    }

    async fn try_open(&self, from: &str, to: &str) -> Result<State, Error> {
        let (from, to) = (self.location(from), self.location(to));
        State::open(&self.directory, &Registry::default(), &from, &to, Wait::Fail).await
    }

    async fn open(&self, from: &str, to: &str) -> State {
        self.try_open(from, to).await.unwrap()
    }
}

fn row(key: &str) -> Row {
    let source = Fingerprint::new(format!("here {key} \u{0}").into_bytes());
    Row {
        key: key.into(),
        source,
        target: "there".into(),
        digest: Some(Digest::Md5OfParts { digest: [3; 16], parts: 2 }),
    }
}

async fn rows(state: &State) -> Result<Vec<Row>, ManifestError> {
    state.manifest().rows().try_collect().await
}

async fn set(state: &State, keys: impl IntoIterator<Item = String>) {
    let changes = keys.into_iter().map(|key| RowChange::Equal(row(&key))).collect();
    state.manifest().apply(changes).await.unwrap();
}

fn unfinished(id: &str) -> Unfinished {
    Unfinished { id: id.into(), since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7)), state: vec![1, 2, 3] }
}
