//! The database file: its tables, its header, and the handling of files that cannot be used.
//!
//! A file that is damaged or out of date is replaced by a new one. A file of a newer version is left alone, because
//! that version can still use it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::directory::OpenDirectory;
use super::disks::Disks;
use super::pair::{Pair, Place};
use super::record;
use super::unflushed::Unflushed;
use crate::error::StateError;

/// A table of bytes. Keys are stored as bytes too, because the database panics if damaged text is not UTF-8.
type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The header. Its name and its `format` field are the same in all versions of the format.
pub(super) const HEADER: Table = TableDefinition::new("header");
const FORMAT: &[u8] = b"format";
const LEFT: &[u8] = b"left";
const RIGHT: &[u8] = b"right";
const CREATED: &[u8] = b"created";
const LAST_USED: &[u8] = b"last used";
pub(super) const DISKS: &[u8] = b"disks";

/// The manifest rows, by key.
pub(super) const ROWS: Table = TableDefinition::new("rows");

/// The writes that were started and whose result was not recorded, by key.
pub(super) const STARTED: Table = TableDefinition::new("started writes");

/// The notes on unfinished writes at one of the two places, by the key in its store.
const LEFT_NOTES: Table = TableDefinition::new("unfinished puts at left");
const RIGHT_NOTES: Table = TableDefinition::new("unfinished puts at right");

/// The version of all tables except the header.
const CURRENT: u32 = 1;

/// Memory for pages, in bytes. Rows are read in order and each page once, so a larger cache would not help.
const CACHE: usize = 8 << 20;

/// An open database with a valid header.
#[derive(Debug)]
pub(super) struct Database {
    database: redb::Database,
    created: SystemTime,
    last_used: Option<SystemTime>,
}

/// The reason why a file cannot be used.
enum Fault {
    /// The file can be replaced.
    Useless(String),
    Newer(u32),
    InUse,
    Io(io::Error),
    /// The file cannot be opened.
    Closed(StateError),
}

/// Returns the table of notes on writes at a place.
pub(super) fn notes(place: Place) -> Table {
    match place {
        Place::Left => LEFT_NOTES,
        Place::Right => RIGHT_NOTES,
    }
}

/// Returns the field of the header with the mount points of a place.
pub(super) fn mount_points(place: Place) -> &'static [u8] {
    match place {
        Place::Left => b"mount points at left",
        Place::Right => b"mount points at right",
    }
}

/// Returns the field of the header with what was mounted at the mount points of a place. Earlier versions have none.
pub(super) fn mounted(place: Place) -> &'static [u8] {
    match place {
        Place::Left => b"mounted at left",
        Place::Right => b"mounted at right",
    }
}

impl Database {
    /// Opens the database of a pair. If it cannot be used, replaces it and also returns a warning with the reason.
    pub(super) fn open_or_replace(
        directory: &OpenDirectory,
        path: &Path,
        pair: &Pair,
    ) -> Result<(Self, Option<String>), StateError> {
        let why = match Self::open(directory, path, pair) {
            Ok(database) => return Ok((database, None)),
            Err(Fault::Useless(why)) => why,
            Err(fault) => return Err(fault.at(path)),
        };
        directory.remove_file(path)?;
        let database = Self::open(directory, path, pair).map_err(|fault| fault.at(path))?;
        let warning =
            format!("'{}' cannot be used and is replaced, so this run compares more files: {why}", path.display());
        Ok((database, Some(warning)))
    }

    /// Opens the database of a pair, and leaves it alone if it cannot be used.
    pub(super) fn open_unchanged(directory: &OpenDirectory, path: &Path, pair: &Pair) -> Option<Self> {
        Self::open(directory, path, pair).ok()
    }

    /// Opens a file and checks all its pages. A damaged page could not only lose rows, but also make a reader loop.
    fn open(directory: &OpenDirectory, path: &Path, pair: &Pair) -> Result<Self, Fault> {
        let opening = || {
            let mut builder = redb::Database::builder();
            builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
            let file = directory.open_file(path).map_err(Fault::Closed)?;
            let file = Unflushed::new(file).map_err(redb::Error::from)?;
            let database = builder.create_with_backend(file).map_err(redb::Error::from)?;
            Self::with_header(database, pair)
        };
        catch_unwind(AssertUnwindSafe(opening)).unwrap_or_else(|_| Err(Fault::Useless("it is damaged".to_owned())))
    }

    fn with_header(database: redb::Database, pair: &Pair) -> Result<Self, Fault> {
        let now = SystemTime::now();
        let transaction = database.begin_write().map_err(redb::Error::from)?;
        let mut times = (now, None);
        let mut is_on_other_disk = false;
        {
            let mut header = transaction.open_table(HEADER).map_err(redb::Error::from)?;
            if let Some(format) = header.get(FORMAT)? {
                check_format(format.value())?;
                check_place(header.get(LEFT)?.as_ref().map(redb::AccessGuard::value), pair.left())?;
                check_place(header.get(RIGHT)?.as_ref().map(redb::AccessGuard::value), pair.right())?;
                let time =
                    |value: Option<redb::AccessGuard<'_, &'static [u8]>>| value.and_then(|at| read_time(at.value()));
                times = (time(header.get(CREATED)?).unwrap_or(now), time(header.get(LAST_USED)?));
                let recorded = header.get(DISKS)?.and_then(|disks| record::read_disks(DISKS, disks.value()));
                is_on_other_disk = recorded.is_some_and(|recorded| Disks::of(pair).differ_from(&recorded));
            }
            header.insert(FORMAT, &CURRENT.to_le_bytes()[..])?;
            header.insert(LEFT, pair.left().as_bytes())?;
            header.insert(RIGHT, pair.right().as_bytes())?;
            header.insert(CREATED, &time(times.0)[..])?;
            header.insert(LAST_USED, &time(now)[..])?;
        }
        if is_on_other_disk {
            for table in [ROWS, STARTED] {
                transaction.delete_table(table).map_err(redb::Error::from)?;
            }
        }
        // Creates the missing tables, so that readers find all of them in a new file too.
        for table in [ROWS, STARTED, LEFT_NOTES, RIGHT_NOTES] {
            transaction.open_table(table).map_err(redb::Error::from)?;
        }
        transaction.commit().map_err(redb::Error::from)?;
        Ok(Self { database, created: times.0, last_used: times.1 })
    }

    pub(super) fn read(&self) -> Result<ReadTransaction, redb::Error> {
        Ok(self.database.begin_read()?)
    }

    pub(super) fn write(&self) -> Result<WriteTransaction, redb::Error> {
        Ok(self.database.begin_write()?)
    }

    pub(super) fn created(&self) -> SystemTime {
        self.created
    }

    pub(super) fn last_used(&self) -> Option<SystemTime> {
        self.last_used
    }
}

fn check_format(found: &[u8]) -> Result<(), Fault> {
    match found.try_into().map(u32::from_le_bytes) {
        Ok(CURRENT) => Ok(()),
        Ok(newer) if newer > CURRENT => Err(Fault::Newer(newer)),
        Ok(older) => Err(Fault::Useless(format!("its format is {older}, and this version writes {CURRENT}"))),
        Err(_) => Err(Fault::Useless("its header is damaged".to_owned())),
    }
}

fn check_place(found: Option<&[u8]>, place: &str) -> Result<(), Fault> {
    if found == Some(place.as_bytes()) {
        Ok(())
    } else {
        Err(Fault::Useless("it belongs to other locations".to_owned()))
    }
}

/// Returns a time as seconds since 1970; an earlier time becomes 0.
fn time(time: SystemTime) -> [u8; 8] {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).to_le_bytes()
}

fn read_time(seconds: &[u8]) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_le_bytes(seconds.try_into().ok()?)))
}

impl Fault {
    fn at(self, path: &Path) -> StateError {
        let path = path.to_owned();
        match self {
            Self::Useless(message) => StateError::Database { path, message },
            Self::Newer(found) => StateError::Newer { path, found, known: CURRENT },
            Self::InUse => StateError::Locked { path, holder: None },
            Self::Io(source) => StateError::Io { path, source },
            Self::Closed(error) => error,
        }
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse,
            // An error of the operating system says nothing about the content. A file that is too short or not a
            // database also has this variant, but without an error code.
            redb::Error::Io(error) if error.raw_os_error().is_some() => Self::Io(error),
            error => Self::Useless(error.to_string()),
        }
    }
}

impl From<redb::StorageError> for Fault {
    fn from(error: redb::StorageError) -> Self {
        redb::Error::from(error).into()
    }
}
