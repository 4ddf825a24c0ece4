//! The sync state of two locations, which is kept between runs: [`State`].
//!
//! Without it, each sync compares everything again, and an upload that was killed starts from the beginning. One
//! database contains the manifest rows and the notes on unfinished writes of one pair of locations, for syncs in both
//! directions.
//!
//! The database may be deleted at any time, also during a run. Later runs then compare more files: a row states that two
//! fingerprints had equal content, which stays true. An old row can be useless, but never wrong.

mod database;
mod directory;
mod disks;
mod lock;
mod notes;
mod opening;
mod pair;
mod record;
mod rows;
mod turned;
mod unflushed;
mod uses;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use futures::TryStreamExt;
use pos3_core::{Journal, Key, Manifest, ManifestError, RowChange, Side, run_blocking};
use tokio::task::JoinError;

use crate::error::{Error, StateError};
use crate::hidden::MountPoints;
use crate::location::Location;
use crate::registry::Registry;

pub use directory::StateDirectory;
pub use lock::Wait;
pub use opening::{Patience, StateHome, SyncState};
pub(crate) use uses::{Named, Use, Uses};

pub(crate) use turned::Turned;

use database::Database;
use lock::Lock;
use notes::Notes;
use pair::{Pair, Place};
use rows::Rows;
use uses::InUse;
use writer::{Change, Writer};

/// The scheme of stores that do not outlive the process; see [`StateError::Fleeting`].
const FLEETING: &str = "memory";

/// The number of rows that are deleted in one batch.
const BATCH: usize = 4096;

/// The sync state of one pair of locations. It stays open and locked for this process until the last clone is dropped.
///
/// A sync from A to B and one from B to A share it. [`PreparedSync::with_state`](crate::PreparedSync::with_state) makes a sync use it.
#[derive(Clone, Debug)]
pub struct State {
    pair: Pair,
    store: Arc<Store>,
}

/// The open database. The fields are dropped in this order: the writer completes its queue, the database is closed,
/// the end is recorded, and then the lock is released.
#[derive(Debug)]
struct Store {
    writer: Writer,
    database: Arc<Database>,
    path: PathBuf,
    warning: Option<String>,
    in_use: InUse,
    _lock: Lock,
}

impl State {
    /// Opens the sync state of two locations, and creates it if there is none.
    ///
    /// A file that is damaged or has an older format is replaced, and [`warning`](Self::warning) reports that.
    ///
    /// # Errors
    ///
    /// Returns an error if no provider knows a location or a location does not outlive the process, if another run uses
    /// the pair, if the file was written by a newer version, or if a file cannot be written in the directory.
    pub async fn open(
        directory: &StateDirectory,
        registry: &Registry,
        from: &Location,
        to: &Location,
        wait: Wait,
    ) -> Result<Self, Error> {
        let used = use_of(registry, from, to)?;
        Ok(Self::of_use(directory, used, wait).await?)
    }

    /// Opens the sync state of two locations, if there is one.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`open`](Self::open).
    pub async fn open_existing(
        directory: &StateDirectory,
        registry: &Registry,
        from: &Location,
        to: &Location,
        wait: Wait,
    ) -> Result<Option<Self>, Error> {
        let used = use_of(registry, from, to)?;
        if !directory.database(&used.pair()).exists() {
            return Ok(None);
        }
        Ok(Some(Self::of_use(directory, used, wait).await?))
    }

    async fn of_use(directory: &StateDirectory, used: Use, wait: Wait) -> Result<Self, StateError> {
        let pair = used.pair();
        let path = directory.database(&pair);
        let made = directory.clone();
        let opened = run_blocking(move || made.open()).await?;
        let lock = Lock::take(&opened, &directory.lock(&pair), &path, wait).await?;
        let opening = {
            let (pair, path, uses) = (pair.clone(), path.clone(), Uses::of(directory.clone()));
            tokio::task::spawn_blocking(move || {
                let in_use = uses.begin(opened, used)?;
                Store::open(in_use, &pair, path, lock)
            })
        };
        let ended = |error: JoinError| Err(StateError::Database { path, message: error.to_string() });
        let store = opening.await.unwrap_or_else(ended)?;
        Ok(Self { pair, store: Arc::new(store) })
    }

    /// Returns the same sync state for a sync in the opposite direction.
    pub(crate) fn reversed(&self) -> Self {
        Self { pair: self.pair.clone().reversed(), store: self.store.clone() }
    }

    /// Returns the path of the database.
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// Returns a warning for the user if an earlier file could not be used.
    pub fn warning(&self) -> Option<&str> {
        self.store.warning.as_deref()
    }

    /// Returns the time when the database was created.
    pub fn created(&self) -> SystemTime {
        self.store.database.created()
    }

    /// Returns the time when the database was last opened before now.
    pub fn last_used(&self) -> Option<SystemTime> {
        self.store.database.last_used()
    }

    /// Returns the mount points of one side that earlier runs recorded, in either direction, or `None` if no run has
    /// recorded any.
    pub(crate) async fn mount_points(&self, side: Side) -> Option<MountPoints> {
        let (store, fields) = (self.store.clone(), self.mount_fields(side));
        let read = rows::blocking(move || {
            let header = store.database.read()?.open_table(database::HEADER)?;
            let [points, mounted] = [header.get(fields[0])?, header.get(fields[1])?];
            let values = [&points, &mounted].map(|value| value.as_ref().map(redb::AccessGuard::value));
            Ok(record::read_mount_points(fields, values))
        });
        read.await.ok().flatten()
    }

    /// Records the mount points of one side.
    pub(crate) async fn remember_mount_points(&self, side: Side, points: &MountPoints) -> Result<(), ManifestError> {
        self.store.writer.write(self.set_mount_points(side, Some(points))).await
    }

    /// Records the mount points of one side, on a thread that may block. They are stored before this returns.
    pub(crate) fn remember_mount_points_blocking(&self, side: Side, points: &MountPoints) -> Result<(), ManifestError> {
        self.store.writer.write_blocking(self.set_mount_points(side, Some(points)))
    }

    fn set_mount_points(&self, side: Side, points: Option<&MountPoints>) -> Vec<Change> {
        let fields = self.mount_fields(side);
        let values = points.map_or([None, None], |points| record::mount_points(fields, points));
        fields.into_iter().zip(values).map(|(field, value)| Change::SetField { field, value }).collect()
    }

    fn mount_fields(&self, side: Side) -> [&'static [u8]; 2] {
        let place = self.place(side);
        [database::mount_points(place), database::mounted(place)]
    }

    fn place(&self, side: Side) -> Place {
        self.pair.direction().place(side)
    }

    /// Removes the mount points of one side at a path and below it. Returns whether there was one.
    async fn forget_mount_points(&self, side: Side, path: &str) -> Result<bool, ManifestError> {
        let Some(mut points) = self.mount_points(side).await else { return Ok(false) };
        let before = points.len();
        points.retain(|point, _| point.strip_suffix('/') != Some(path) && !Key::from(point.as_str()).is_inside(path));
        if points.len() == before {
            return Ok(false);
        }
        self.remember_mount_points(side, &points).await?;
        Ok(true)
    }

    /// Returns the manifest for the sync that this state was opened for.
    pub fn manifest(&self) -> Arc<dyn Manifest> {
        Arc::new(self.rows())
    }

    /// Returns the journal of unfinished writes at the target of that sync.
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(Notes::new(self.store.clone(), self.place(Side::Target)))
    }

    /// Deletes the rows of a key and of all keys below it, removes the mount points there on both sides, and returns
    /// the number of rows. Returns `None` if there was neither a row nor a mount point.
    ///
    /// # Errors
    ///
    /// Returns an error if the rows cannot be read or written.
    pub async fn forget(&self, path: &str) -> Result<Option<u64>, ManifestError> {
        let path = path.trim_end_matches('/');
        let mut is_known = false;
        for side in [Side::Source, Side::Target] {
            is_known |= self.forget_mount_points(side, path).await?;
        }
        let meant = |key: &Key| key.as_str() == path || key.is_inside(path);
        let rows = self.rows();
        let keys = rows.rows().try_filter_map(async |row| Ok(meant(&row.key).then_some(row.key)));
        let mut batches = std::pin::pin!(keys.try_chunks(BATCH));
        let mut forgotten = 0;
        while let Some(batch) = batches.try_next().await.map_err(|error| error.1)? {
            forgotten += batch.len() as u64;
            rows.apply(batch.into_iter().map(RowChange::Forget).collect()).await?;
        }
        Ok((is_known || forgotten > 0).then_some(forgotten))
    }

    /// Deletes all rows and the mount points of both sides, and returns the number of rows. The notes on unfinished writes are kept. Without them, pos3 could not
    /// find the parts that were already uploaded, and these would stay billed.
    ///
    /// # Errors
    ///
    /// Returns an error if the rows cannot be written.
    pub async fn forget_all(&self) -> Result<u64, ManifestError> {
        let forgotten = self.rows().len().await?;
        let points = [Side::Source, Side::Target].into_iter().flat_map(|side| self.set_mount_points(side, None));
        self.store.writer.write([Change::RemoveRows].into_iter().chain(points).collect()).await?;
        Ok(forgotten)
    }

    fn rows(&self) -> Rows {
        Rows::new(self.store.clone(), self.pair.clone())
    }
}

impl Store {
    fn open(in_use: InUse, pair: &Pair, path: PathBuf, lock: Lock) -> Result<Self, StateError> {
        let (database, warning) = Database::open_or_replace(&in_use.directory, &path, pair)?;
        let database = Arc::new(database);
        let writer = Writer::start(database.clone(), path.clone())
            .map_err(|source| StateError::Io { path: path.clone(), source })?;
        Ok(Self { writer, database, path, warning, in_use, _lock: lock })
    }
}

/// Returns the name of the pair of two locations, by which its record is found.
pub(crate) fn name_of_pair(registry: &Registry, from: &Location, to: &Location) -> Result<String, Error> {
    Ok(use_of(registry, from, to)?.pair().file_stem())
}

/// Returns the use of the pair of two locations. Both must outlive the process.
fn use_of(registry: &Registry, from: &Location, to: &Location) -> Result<Use, Error> {
    match ends_with_the_process(from, to) {
        Some(location) => Err(StateError::Fleeting { location: location.to_string() }.into()),
        None => Ok(Use::new(&registry.place(from)?, &registry.place(to)?)),
    }
}

/// Returns the first of the two locations that does not outlive the process.
pub(crate) fn ends_with_the_process<'a>(from: &'a Location, to: &'a Location) -> Option<&'a Location> {
    [from, to].into_iter().find(|location| location.scheme() == FLEETING)
}

#[cfg(test)]
mod tests;
