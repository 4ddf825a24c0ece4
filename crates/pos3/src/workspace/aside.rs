//! Moves files aside that exist only in the directory of a workspace, so that a pull loses none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use jiff::Timestamp;
use pos3_core::{ErrorKind, Key, Tree};

use super::report::SetAside;
use super::scope::RECORDS;

/// The directory of the files that were moved aside, in that of the records.
const NEVER_PUSHED: &str = "never-pushed";

/// The files that one pull has moved aside.
#[derive(Debug)]
pub(super) struct Aside {
    directory: String,
    moved: BTreeMap<Key, Key>,
}

impl Aside {
    /// Returns the files of a pull that begins now: none yet.
    pub(super) fn new() -> Self {
        let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let now = now.strftime("%Y-%m-%dT%H-%M-%S%.3fZ");
        Self { directory: format!("{RECORDS}/{NEVER_PUSHED}/{now}"), moved: BTreeMap::new() }
    }

    /// Moves a file aside. A file that no longer exists needs no move.
    ///
    /// # Errors
    ///
    /// Returns why the file stays where it is, as one line.
    pub(super) async fn move_file(&mut self, local: &Tree, key: &Key) -> Result<(), String> {
        let aside = key.under(&format!("{}/", self.directory));
        match local.store().rename(&local.key(key), &local.key(&aside)).await {
            Ok(_) => {
                self.moved.insert(key.clone(), aside);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("'{key}' was never pushed and cannot be moved aside: {}", error.cause())),
        }
    }

    /// Moves those files back whose place is free, because the pull could not fetch what belongs there.
    pub(super) async fn move_back(&mut self, local: &Tree, keys: &BTreeSet<Key>) {
        let (back, stays) = std::mem::take(&mut self.moved).into_iter().partition(|(key, _)| keys.contains(key));
        self.moved = stays;
        self.restore(local, back).await;
    }

    /// Moves all files back whose place is free, because the pull has failed.
    pub(super) async fn move_all_back(&mut self, local: &Tree) {
        let all = std::mem::take(&mut self.moved);
        self.restore(local, all).await;
    }

    async fn restore(&mut self, local: &Tree, files: BTreeMap<Key, Key>) {
        for (key, aside) in files {
            if local.store().rename(&local.key(&aside), &local.key(&key)).await.is_err() {
                self.moved.insert(key, aside);
            }
        }
    }

    /// Returns the files that are aside now.
    pub(super) fn into_report(self) -> Vec<SetAside> {
        let moved = self.moved.into_iter();
        moved.map(|(path, now)| SetAside { path: path.as_str().to_owned(), now: now.as_str().to_owned() }).collect()
    }
}
