//! Records of which pairs of locations are used: [`Uses`].
//!
//! A session must recognize the files that transfers of other pairs write to its output. The names of databases do not
//! show their locations, and opening each database would cost too much. So each transfer first writes a small record, and
//! every transfer writes a new one: as long as a record is the same, so are the rows of its pair.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pos3_core::{Row, Side, StartedWrite};
use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::database::{Database, ROWS, STARTED};
use super::directory::{OpenDirectory, StateDirectory};
use super::lock::Lock;
use super::pair::{LOCAL, Pair};
use super::record;
use super::rows::{current_row, current_write};
use crate::error::StateError;
use crate::place::Place;

/// The end of the name of a record.
const EXTENSION: &str = ".use";

/// A lock that is taken only to read the rows is released soon, so it is tried again this often.
const ATTEMPTS: u32 = 10;
const AGAIN: Duration = Duration::from_millis(20);

/// File systems record times with the granularity of a tick.
const TICK: Duration = Duration::from_secs(2);

/// The records in a state directory.
#[derive(Clone, Debug)]
pub(crate) struct Uses(StateDirectory);

/// The last use of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Use {
    /// Another one for each transfer.
    run: String,
    /// Whether the transfer has ended. One that was killed may lack rows.
    has_ended: bool,
    /// The last time at which a transfer of the pair removed rows, as it does for each file that it deletes.
    removed_rows: Option<SystemTime>,
    from: Named,
    to: Named,
}

/// A pair while a transfer uses it. The transfer must hold its lock.
#[derive(Debug)]
pub(super) struct InUse {
    uses: Uses,
    pub(super) directory: OpenDirectory,
    used: Use,
    has_removed_rows: AtomicBool,
    process: u32,
}

impl InUse {
    /// Notes that the transfer removes rows.
    pub(super) fn removes_rows(&self) {
        self.has_removed_rows.store(true, Ordering::Relaxed);
    }
}

impl Drop for InUse {
    /// Records the end, unless this is a copy of the process, made by a fork.
    fn drop(&mut self) {
        if self.process == process::id() {
            self.used.has_ended = true;
            if *self.has_removed_rows.get_mut() {
                self.used.removed_rows = Some(SystemTime::now());
            }
            // Without the record, the transfer is treated as killed.
            let _not_recorded = self.uses.record(&self.directory, &self.used);
        }
    }
}

/// The two names of a [`Place`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) identity: String,
}

/// The rows of a pair, as a download to the local place has them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) started: Vec<StartedWrite>,
    /// The time of the last change of the rows; `None` if there are none, or if nothing has changed since a given time.
    pub(crate) changed: Option<SystemTime>,
}

impl Use {
    pub(super) fn new(from: &Place, to: &Place) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let named = |place: &Place| Named { name: place.name().to_owned(), identity: place.identity().to_owned() };
        let run = format!("{}-{}", process::id(), since.as_nanos());
        Self { run, has_ended: false, removed_rows: None, from: named(from), to: named(to) }
    }

    /// Returns the local place and the names of the other one, if one of the two is local.
    pub(crate) fn sides(&self) -> Option<(Place, &Named)> {
        let (own, other) = match (self.is_upload(), self.is_download()) {
            (false, true) => (&self.to, &self.from),
            (true, false) => (&self.from, &self.to),
            (true, true) | (false, false) => return None,
        };
        let path = Path::new(own.identity.strip_prefix(LOCAL)?);
        Some((Place::local(own.name.clone(), path), other))
    }

    /// Returns true if the transfer has ended, so that its rows are complete.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the last time at which a transfer of the pair removed rows. One that was killed may have done so.
    pub(crate) fn removed_rows(&self) -> Option<SystemTime> {
        self.removed_rows
    }

    /// Returns true if the transfer writes to the local place.
    pub(crate) fn is_download(&self) -> bool {
        self.to.identity.starts_with(LOCAL)
    }

    fn is_upload(&self) -> bool {
        self.from.identity.starts_with(LOCAL)
    }

    pub(super) fn pair(&self) -> Pair {
        Pair::new(self.from.identity.clone(), self.to.identity.clone())
    }

    /// Returns the pair in the direction of a download.
    fn downloading(&self) -> Pair {
        let (from, to) = if self.is_upload() { (&self.to, &self.from) } else { (&self.from, &self.to) };
        Pair::new(from.identity.clone(), to.identity.clone())
    }
}

impl Uses {
    pub(crate) fn of(state: StateDirectory) -> Self {
        Self(state)
    }

    /// Records that a transfer, which has locked the pair, uses it until the result is dropped.
    pub(super) fn begin(self, directory: OpenDirectory, mut used: Use) -> Result<InUse, StateError> {
        used.removed_rows = self.read(&used.pair().file_stem()).and_then(|earlier| earlier.removed_rows);
        self.record(&directory, &used)?;
        Ok(InUse { uses: self, directory, used, has_removed_rows: AtomicBool::new(false), process: process::id() })
    }

    /// Writes the record of a pair. A pair without exactly one local side has no record.
    fn record(&self, directory: &OpenDirectory, used: &Use) -> Result<(), StateError> {
        if used.is_upload() == used.is_download() {
            return Ok(());
        }
        let path = self.path(&used.pair().file_stem());
        let io = |source: std::io::Error| StateError::Io { path: path.clone(), source };
        let written = path.with_added_extension("new");
        let mut file = directory.open_file(&written)?;
        file.set_len(0).map_err(io)?;
        let text = serde_json::to_vec(used).map_err(|error| io(error.into()))?;
        file.write_all(&text).map_err(io)?;
        directory.rename(&written, &path)
    }

    /// Returns the time at which the state directory was last changed, or `None` if there is none.
    pub(crate) fn changed(&self) -> Option<SystemTime> {
        fs::metadata(self.0.path()).and_then(|found| found.modified()).ok()
    }

    /// Returns the names of all records.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(EXTENSION).map(str::to_owned)).collect()
    }

    /// Returns a record, unless it cannot be read.
    pub(crate) fn read(&self, name: &str) -> Option<Use> {
        let directory = self.0.open().ok()?;
        let mut text = Vec::new();
        directory.open_existing(&self.path(name)).ok()?.read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}{EXTENSION}"))
    }

    /// Reads the rows of a pair if they have changed since a time. Returns `None` if a transfer uses the pair, or if the
    /// rows cannot be read. `may_wait` allows a moment for another reader.
    pub(crate) fn rows(&self, used: &Use, since: SystemTime, may_wait: bool, note: impl FnMut(Row)) -> Option<Seen> {
        let pair = used.downloading();
        let directory = self.0.open().ok()?;
        let _lock = self.lock(&pair, if may_wait { ATTEMPTS } else { 1 })?;
        let path = self.0.database(&pair);
        let Ok(facts) = fs::metadata(&path) else { return Some(Seen::default()) };
        let changed = facts.modified().ok()?;
        if changed + TICK < since {
            return Some(Seen::default());
        }
        let database = Database::open_unchanged(&directory, &path, &pair)?;
        let started = read(&database, &pair, note).ok()?;
        Some(Seen { started, changed: Some(changed) })
    }

    fn lock(&self, pair: &Pair, attempts: u32) -> Option<Lock> {
        let directory = self.0.open().ok()?;
        for _ in 0..attempts {
            match Lock::try_take(&directory, &self.0.lock(pair)) {
                Ok(Some(lock)) => return Some(lock),
                Ok(None) => thread::sleep(AGAIN),
                Err(_) => return None,
            }
        }
        None
    }
}

/// Passes all rows to `note` and returns the started writes. A damaged row is treated as missing.
fn read(database: &Database, pair: &Pair, mut note: impl FnMut(Row)) -> Result<Vec<StartedWrite>, redb::Error> {
    let (transaction, direction) = (database.read()?, pair.direction());
    for stored in transaction.open_table(ROWS)?.iter()? {
        let (key, value) = stored?;
        if let Some(row) = record::read_row(key.value(), value.value(), direction) {
            note(current_row(pair, row));
        }
    }
    let mut started = Vec::new();
    for stored in transaction.open_table(STARTED)?.iter()? {
        let (key, value) = stored?;
        let Some(name) = record::read_key(key.value()) else { continue };
        let writes = record::read_started(key.value(), value.value()).unwrap_or_default();
        let writes = writes.into_iter().map(|write| current_write(pair, write.at(name.clone(), direction)));
        started.extend(writes.filter(|write| write.written == Side::Target));
    }
    Ok(started)
}
