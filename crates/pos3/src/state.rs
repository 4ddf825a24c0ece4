//! What is remembered of two places between runs: [`State`].
//!
//! Without it a sync knows nothing of the one before: what was equal is compared again, and an upload that was killed
//! begins again. One database holds the rows and notes of one pair of places, whichever way a sync between them runs.
//!
//! All of it may be deleted at any moment, also while a run goes on: that costs time, never data. A row says that two
//! fingerprints stood for one content, which stays true; so a row that is old can be useless, but never wrong.

mod database;
mod directory;
mod error;
mod lock;
mod notes;
mod pair;
mod record;
mod rows;
mod unflushed;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use futures::TryStreamExt;
use pos3_core::{Journal, Key, Manifest, ManifestError, RowChange};
use tokio::task::JoinError;

use crate::error::Error;
use crate::location::Location;
use crate::registry::Registry;

pub use directory::StateDirectory;
pub use error::StateError;
pub use lock::Wait;

use database::Database;
use directory::OpenDirectory;
use lock::Lock;
use notes::Notes;
use pair::Pair;
use rows::Rows;
use writer::{Change, Writer};

/// The scheme of stores that end with the process; see [`StateError::Fleeting`].
const FLEETING: &str = "memory";

/// Rows that are forgotten at once.
const BATCH: usize = 4096;

/// The memory of one pair of places, open and locked for this process until the last clone is dropped.
///
/// A sync from A to B and one from B to A share it. [`Sync::with_state`](crate::Sync::with_state) makes a sync use it.
#[derive(Clone, Debug)]
pub struct State {
    pair: Pair,
    store: Arc<Store>,
}

/// The open file. The order of the fields is the order of the end: what was asked for is written, the database is
/// closed, and then others may open it.
#[derive(Debug)]
struct Store {
    writer: Writer,
    database: Arc<Database>,
    path: PathBuf,
    warning: Option<String>,
    _lock: Lock,
}

impl State {
    /// Opens the memory of a sync from one location to another, and makes it where there is none.
    ///
    /// A file that is damaged or of an older format is thrown away; [`warning`](Self::warning) tells of it.
    ///
    /// # Errors
    ///
    /// Locations that no provider knows or that end with the process, a pair that another run uses, a file of a newer
    /// version of this program, and whatever keeps a file from being written in the directory.
    pub async fn open(
        directory: &StateDirectory,
        registry: &Registry,
        from: &Location,
        to: &Location,
        wait: Wait,
    ) -> Result<Self, Error> {
        let pair = pair_of(registry, from, to)?;
        Ok(Self::of_pair(directory, pair, wait).await?)
    }

    /// Opens the memory of a sync from one location to another, if there is one.
    ///
    /// # Errors
    ///
    /// The same as of [`open`](Self::open).
    pub async fn open_existing(
        directory: &StateDirectory,
        registry: &Registry,
        from: &Location,
        to: &Location,
        wait: Wait,
    ) -> Result<Option<Self>, Error> {
        let pair = pair_of(registry, from, to)?;
        if !directory.database(&pair).exists() {
            return Ok(None);
        }
        Ok(Some(Self::of_pair(directory, pair, wait).await?))
    }

    async fn of_pair(directory: &StateDirectory, pair: Pair, wait: Wait) -> Result<Self, StateError> {
        let path = directory.database(&pair);
        let opened = directory.open()?;
        let lock = Lock::take(&opened, &directory.lock(&pair), &path, wait).await?;
        let opening = {
            let (pair, path) = (pair.clone(), path.clone());
            tokio::task::spawn_blocking(move || Store::open(&opened, &pair, path, lock))
        };
        let ended = |error: JoinError| Err(StateError::Database { path, message: error.to_string() });
        let store = opening.await.unwrap_or_else(ended)?;
        Ok(Self { pair, store: Arc::new(store) })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// Returns what people should be told: that an earlier file could not be used.
    pub fn warning(&self) -> Option<&str> {
        self.store.warning.as_deref()
    }

    /// Returns when the file was made.
    pub fn created(&self) -> SystemTime {
        self.store.database.created()
    }

    /// Returns when the file was opened before this time, if it was.
    pub fn last_used(&self) -> Option<SystemTime> {
        self.store.database.last_used()
    }

    /// Returns the rows, as the sync sees them for which this was opened.
    pub fn manifest(&self) -> Arc<dyn Manifest> {
        Arc::new(self.rows())
    }

    /// Returns the notes on unfinished puts at the target of that sync.
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(Notes::new(self.store.clone(), self.pair.target()))
    }

    /// Forgets the row of a key and of everything below it, and returns how many those were.
    ///
    /// # Errors
    ///
    /// What kept the rows from being read or written.
    pub async fn forget(&self, path: &str) -> Result<u64, ManifestError> {
        let path = path.trim_end_matches('/');
        let meant = |key: &Key| key.as_str() == path || key.is_inside(path);
        let rows = self.rows();
        let keys = rows.rows().try_filter_map(async |row| Ok(meant(&row.key).then_some(row.key)));
        let mut batches = std::pin::pin!(keys.try_chunks(BATCH));
        let mut forgotten = 0;
        while let Some(batch) = batches.try_next().await.map_err(|error| error.1)? {
            forgotten += batch.len() as u64;
            rows.apply(batch.into_iter().map(RowChange::Forget).collect()).await?;
        }
        Ok(forgotten)
    }

    /// Forgets every row, and returns how many there were. Notes on unfinished puts stay: without them parts that were
    /// sent would be paid for and never found.
    ///
    /// # Errors
    ///
    /// What kept the rows from being written.
    pub async fn forget_all(&self) -> Result<u64, ManifestError> {
        let forgotten = self.rows().len().await?;
        self.store.writer.write(vec![Change::RemoveRows]).await?;
        Ok(forgotten)
    }

    fn rows(&self) -> Rows {
        Rows::new(self.store.clone(), self.pair.direction())
    }
}

impl Store {
    fn open(directory: &OpenDirectory, pair: &Pair, path: PathBuf, lock: Lock) -> Result<Self, StateError> {
        let (database, warning) = Database::open_or_replace(directory, &path, pair)?;
        let database = Arc::new(database);
        let writer = Writer::start(database.clone(), path.clone())
            .map_err(|source| StateError::Io { path: path.clone(), source })?;
        Ok(Self { writer, database, path, warning, _lock: lock })
    }
}

/// Returns the pair of two locations that outlive the process.
fn pair_of(registry: &Registry, from: &Location, to: &Location) -> Result<Pair, Error> {
    match ends_with_the_process(from, to) {
        Some(location) => Err(StateError::Fleeting { location: location.to_string() }.into()),
        None => {
            let name = |location| Ok::<_, Error>(registry.place(location)?.name().to_owned());
            Ok(Pair::new(name(from)?, name(to)?))
        }
    }
}

/// Returns the one of two locations that ends with the process, if one does.
pub(crate) fn ends_with_the_process<'a>(from: &'a Location, to: &'a Location) -> Option<&'a Location> {
    [from, to].into_iter().find(|location| location.scheme() == FLEETING)
}

#[cfg(test)]
mod tests;
