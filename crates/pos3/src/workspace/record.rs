//! What a workspace records about itself beside the sync state: its location, and what its last pull could not fetch.
//!
//! The records are in the directory of the workspace. So they are lost together with the files, and a new disk cannot
//! be mistaken for one whose files were deleted.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pos3_core::Key;
use serde::{Deserialize, Serialize};

use super::error::WorkspaceError;
use super::scope::{RECORDS, Scope};
use crate::small_file::read_small_text;

const NAME: &str = "workspace.json";

const VERSION: u32 = 1;

/// The largest number of keys that a record names. If a pull could not fetch more, the record says that any key may
/// lack.
const MOST_KEYS: usize = 10_000;

/// The records of one workspace.
#[derive(Clone, Debug)]
pub(super) struct Record {
    directory: PathBuf,
    content: Content,
    /// When the record was written, by the clock of the file system. `None` if there is none yet.
    written: Option<SystemTime>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Content {
    version: u32,
    location: String,
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    lacks: Lacks,
}

/// What the directory lacks after the last pull.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lacks {
    /// Whether any key may lack, because the listing was not complete.
    any: bool,
    /// The keys that could not be fetched.
    keys: BTreeSet<String>,
    /// The keys that can be here only in another form, such as a file whose name is that of a directory here.
    #[serde(default)]
    refused: BTreeSet<String>,
}

impl Lacks {
    /// Returns the state after a pull that could not fetch the `failed` keys, and that refused others. `earlier` is
    /// what lacks outside its scope.
    pub(super) fn after(failed: BTreeSet<Key>, refused: BTreeSet<Key>, earlier: Self) -> Self {
        let names = |keys: BTreeSet<Key>| keys.into_iter().map(|key| key.as_str().to_owned());
        let keys: BTreeSet<_> = earlier.keys.into_iter().chain(names(failed)).collect();
        let refused: BTreeSet<_> = earlier.refused.into_iter().chain(names(refused)).collect();
        if keys.len() + refused.len() > MOST_KEYS {
            return Self { any: true, ..Self::default() };
        }
        Self { any: earlier.any, keys, refused }
    }

    /// Returns true if the last pull fetched everything that can be here.
    pub(super) fn is_nothing(&self) -> bool {
        !self.any && self.keys.is_empty()
    }

    /// Returns true if the directory may lack the object of a key. `is_known` states whether both sides were equal
    /// there once.
    pub(super) fn has(&self, key: &str, is_known: bool) -> bool {
        self.keys.contains(key) || self.refused.contains(key) || self.any && !is_known
    }

    /// Returns the keys that could not be fetched.
    pub(super) fn keys(&self) -> &BTreeSet<String> {
        &self.keys
    }

    /// Returns what lacks outside a scope.
    fn outside(&self, scope: &Scope) -> Self {
        let outside = |keys: &BTreeSet<String>| keys.iter().filter(|key| !scope.has(key)).cloned().collect();
        Self { any: self.any && !scope.is_everything(), keys: outside(&self.keys), refused: outside(&self.refused) }
    }
}

impl Record {
    /// Reads the record of a directory.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read, or if a later version wrote it.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, WorkspaceError> {
        let records = directory.join(RECORDS);
        refuse_link(&records)?;
        let path = records.join(NAME);
        let text = match read_small_text(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| failed(&path, &error))?,
        };
        let damaged = "it is damaged: remove this file and pull again, with the location";
        let content: Content = serde_json::from_str(&text)
            .map_err(|_| WorkspaceError::Record { path: path.clone(), why: damaged.into() })?;
        if content.version > VERSION {
            let why = "a later version of pos3 wrote it; use that version".to_owned();
            return Err(WorkspaceError::Record { path, why });
        }
        let written = Some(changed(&path).map_err(|error| failed(&path, &error))?);
        Ok(Some(Self { directory: directory.to_owned(), content, written }))
    }

    /// Returns the record of a directory for a location, or a new one if there is none. Writes nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`read`](Self::read), or an error if the directory belongs to another location or server.
    pub(super) fn of(directory: &Path, location: &str, server: Option<&str>) -> Result<Self, WorkspaceError> {
        let given = Content {
            version: VERSION,
            location: location.to_owned(),
            server: server.map(str::to_owned),
            lacks: Lacks::default(),
        };
        let Some(known) = Self::read(directory)? else {
            // Beside a sync state, the record was removed, and what it said is not known.
            let lacks = Lacks { any: has_state(&directory.join(RECORDS)), ..Lacks::default() };
            return Ok(Self { directory: directory.to_owned(), content: Content { lacks, ..given }, written: None });
        };
        if (&known.content.location, &known.content.server) == (&given.location, &given.server) {
            return Ok(known);
        }
        let is_server = known.content.location == given.location;
        let name = |content: &Content| match &content.server {
            Some(server) if is_server => format!("{} on {server}", content.location),
            _ => content.location.clone(),
        };
        Err(WorkspaceError::OtherLocation {
            directory: directory.to_owned(),
            known: name(&known.content),
            given: name(&given),
            record: directory.join(RECORDS).join(NAME),
        })
    }

    /// Returns the location.
    pub(super) fn location(&self) -> &str {
        &self.content.location
    }

    /// Returns what the directory lacks.
    pub(super) fn lacks(&self) -> &Lacks {
        &self.content.lacks
    }

    /// Returns when the record was written, by the clock of the file system.
    pub(super) fn written(&self) -> Option<SystemTime> {
        self.written
    }

    /// Writes the record if there is none yet.
    pub(super) fn keep(&mut self) -> Result<(), WorkspaceError> {
        if self.written.is_none() { self.write() } else { Ok(()) }
    }

    /// Records that a pull has begun, so that a kill leaves no record that claims a complete one. Returns what lacks
    /// outside the scope of the pull.
    pub(super) fn begin(&mut self, scope: &Scope) -> Result<Lacks, WorkspaceError> {
        let outside = self.content.lacks.outside(scope);
        self.content.lacks.any = true;
        self.write()?;
        Ok(outside)
    }

    /// Records the end of a pull.
    pub(super) fn end(&mut self, lacks: Lacks) -> Result<(), WorkspaceError> {
        self.content.lacks = lacks;
        self.write()
    }

    fn write(&mut self) -> Result<(), WorkspaceError> {
        let records = self.directory.join(RECORDS);
        let path = records.join(NAME);
        let written = replace(&records, &path, &self.content);
        self.written = Some(written.map_err(|error| failed(&path, &error))?);
        Ok(())
    }
}

/// Returns true if the directory of the records has a sync state.
fn has_state(records: &Path) -> bool {
    let entries = fs::read_dir(records).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|entry| Path::new(&entry.file_name()).extension().is_some_and(|extension| extension == "redb"))
}

/// Replaces the file in one step, and returns the time of its last change.
fn replace(records: &Path, path: &Path, content: &Content) -> io::Result<SystemTime> {
    let mut new = tempfile::Builder::new().prefix(".new").tempfile_in(records)?;
    serde_json::to_writer_pretty(&mut new, content)?;
    new.write_all(b"\n")?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    File::open(records)?.sync_all()?;
    changed(path)
}

/// Returns the time of the last change of a file, by the clock of the file system.
fn changed(path: &Path) -> io::Result<SystemTime> {
    let facts = fs::symlink_metadata(path)?;
    let (seconds, nanos) = (facts.ctime(), facts.ctime_nsec());
    let since = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
    Ok(UNIX_EPOCH + since)
}

/// The program of a workspace can write in its directory. Records behind a link could be files of the user.
fn refuse_link(records: &Path) -> Result<(), WorkspaceError> {
    match fs::symlink_metadata(records) {
        Ok(facts) if !facts.is_dir() => {
            let why = "it is not a directory; remove it".to_owned();
            Err(WorkspaceError::Record { path: records.to_owned(), why })
        }
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &io::Error) -> WorkspaceError {
    WorkspaceError::Record { path: path.to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys<K: From<&'static str> + Ord>(names: &[&'static str]) -> BTreeSet<K> {
        names.iter().map(|&name| K::from(name)).collect()
    }

    #[test]
    fn a_pull_that_is_killed_leaves_a_record_that_any_key_may_lack() {
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir(disk.path().join(RECORDS)).unwrap();
        let mut record = Record::of(disk.path(), "s3://b/p", None).unwrap();
        assert!(Record::read(disk.path()).unwrap().is_none() && record.written().is_none());
        let before = record.begin(&Scope::default()).unwrap();
        assert!(before.is_nothing());
        let killed = Record::read(disk.path()).unwrap().unwrap();
        assert!(killed.lacks().has("x", false) && !killed.lacks().has("x", true));
        record.end(Lacks::after(keys(&["a"]), keys(&["b/c"]), before)).unwrap();
        let ended = Record::read(disk.path()).unwrap().unwrap();
        assert_eq!((ended.location(), ended.written()), ("s3://b/p", record.written()));
        assert!(ended.lacks().has("a", true) && ended.lacks().has("b/c", true) && !ended.lacks().has("b", false));
    }

    #[test]
    fn a_partial_pull_keeps_what_lacks_elsewhere() {
        let part = Scope::of(["a".to_owned()]);
        let earlier = Lacks { keys: keys(&["a/x", "b/y"]), ..Lacks::default() };
        let after = Lacks::after(keys(&["a/z"]), BTreeSet::new(), earlier.outside(&part));
        assert_eq!(after, Lacks { keys: keys(&["a/z", "b/y"]), ..Lacks::default() });
        let any = Lacks { any: true, keys: keys(&["b/y"]), ..Lacks::default() };
        assert!(Lacks::after(BTreeSet::new(), BTreeSet::new(), any.outside(&part)).has("c", false));
        assert!(Lacks::after(BTreeSet::new(), BTreeSet::new(), any.outside(&Scope::default())).is_nothing());
        let many: BTreeSet<_> = (0..=MOST_KEYS).map(|number| Key::from(number.to_string())).collect();
        assert!(Lacks::after(many, BTreeSet::new(), Lacks::default()).has("c", false), "a long list is not kept");
    }

    #[test]
    fn another_location_or_server_is_refused_and_names_what_to_do() {
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir(disk.path().join(RECORDS)).unwrap();
        Record::of(disk.path(), "s3://b/p", Some("one")).unwrap().keep().unwrap();
        for (location, server, expected) in [
            ("s3://b/q", Some("one"), "is the workspace of 's3://b/p', not of 's3://b/q'"),
            ("s3://b/p", Some("two"), "is the workspace of 's3://b/p on one', not of 's3://b/p on two'"),
        ] {
            let error = Record::of(disk.path(), location, server).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("remove '"), "{error}");
        }
        assert!(Record::of(disk.path(), "s3://b/p", Some("one")).is_ok());
    }

    #[test]
    fn a_damaged_record_a_later_one_and_a_link_are_errors() {
        let disk = tempfile::tempdir().unwrap();
        let records = disk.path().join(RECORDS);
        fs::create_dir(&records).unwrap();
        for (text, expected) in [("{", "damaged"), (r#"{"version":2,"location":"s3://b/p"}"#, "a later version")] {
            fs::write(records.join(NAME), text).unwrap();
            let error = Record::read(disk.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        fs::remove_dir_all(&records).unwrap();
        std::os::unix::fs::symlink("/tmp", &records).unwrap();
        assert!(Record::read(disk.path()).unwrap_err().to_string().contains("is not a directory"));
    }
}
