//! Opens the sync state of a transfer: [`StateHome`] and [`SyncState`].
//!
//! A transfer is correct without its sync state, only slower. So a sync state that cannot be opened is a value and not an
//! error, and each caller decides what it means.

use std::sync::Arc;
use std::time::Duration;

use pos3_core::{MemoryManifest, SyncOptions, one_line};

use super::{State, StateDirectory, Wait};
use crate::error::{Error, StateError};
use crate::location::Location;
use crate::registry::Registry;

/// Where the sync state is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateHome {
    /// In the directory that the environment [selects](StateDirectory::from_env), which is determined when the sync state
    /// is opened.
    #[default]
    Environment,
    /// In this directory.
    Directory(StateDirectory),
    /// Nowhere: the transfer neither uses nor records anything of other runs.
    Nowhere,
}

/// How long to wait for another run that uses the sync state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    wait: Wait,
    quietly: Duration,
}

/// The sync state of one transfer, which stays locked for it until it is dropped.
#[derive(Debug, Default)]
pub enum SyncState {
    /// The transfer uses none.
    #[default]
    Unused,
    /// There is none yet.
    Missing,
    /// It cannot be opened, or a location [does not outlive](StateError::Fleeting) the process.
    Unusable(Box<Error>),
    /// It is open.
    Open(State),
}

impl StateHome {
    /// Opens the sync state of a transfer between two locations, and creates it if there is none. If another run uses it,
    /// calls `waiting` before the transfer waits.
    ///
    /// ```
    /// use pos3::{Patience, Registry, StateDirectory, StateHome, PreparedSync, SyncOptions, Wait};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let disk = tempfile::tempdir()?;
    /// # std::fs::create_dir(disk.path().join("from"))?;
    /// # std::fs::write(disk.path().join("from/a"), "hello")?;
    /// let (from, to) = (disk.path().join("from"), disk.path().join("to"));
    /// let (from, to) = (from.to_str().unwrap().parse()?, to.to_str().unwrap().parse()?);
    /// let registry = Registry::default();
    /// let home = StateHome::Directory(StateDirectory::new(disk.path().join("state")));
    ///
    /// let state = home.open(&registry, (&from, &to), Wait::Fail, |locked| eprintln!("{locked}")).await;
    /// let sync = PreparedSync::open(&registry, &from, &to, SyncOptions::default()).await?.with_state(state);
    /// assert_eq!(sync.run().await?.copied, 1);
    /// # Ok(()) }
    /// ```
    pub async fn open(
        &self,
        registry: &Registry,
        locations: (&Location, &Location),
        patience: impl Into<Patience>,
        waiting: impl FnOnce(&StateError),
    ) -> SyncState {
        let database = Database { registry, locations, if_missing: IfMissing::Create };
        self.opened(&database, patience.into(), waiting).await
    }

    /// Opens the sync state of a transfer between two locations, if there is one.
    pub async fn open_existing(
        &self,
        registry: &Registry,
        locations: (&Location, &Location),
        patience: impl Into<Patience>,
        waiting: impl FnOnce(&StateError),
    ) -> SyncState {
        let database = Database { registry, locations, if_missing: IfMissing::Leave };
        self.opened(&database, patience.into(), waiting).await
    }

    async fn opened(
        &self,
        database: &Database<'_>,
        patience: Patience,
        waiting: impl FnOnce(&StateError),
    ) -> SyncState {
        let directory = match self {
            Self::Environment => StateDirectory::required_from_env(),
            Self::Directory(directory) => Ok(directory.clone()),
            Self::Nowhere => return SyncState::Unused,
        };
        let directory = match directory {
            Ok(directory) => directory,
            Err(error) => return SyncState::Unusable(Box::new(error.into())),
        };
        let opened = match database.open(&directory, Wait::For(patience.quietly)).await {
            Err(Error::State(locked @ StateError::Locked { .. })) if patience.wait != Wait::Fail => {
                waiting(&locked);
                database.open(&directory, patience.wait).await
            }
            opened => opened,
        };
        match opened {
            Ok(Some(state)) => SyncState::Open(state),
            Ok(None) => SyncState::Missing,
            Err(error) => SyncState::Unusable(Box::new(error)),
        }
    }
}

/// The database of two locations.
struct Database<'a> {
    registry: &'a Registry,
    locations: (&'a Location, &'a Location),
    if_missing: IfMissing,
}

/// Whether to create the database if there is none yet.
enum IfMissing {
    Create,
    Leave,
}

impl Database<'_> {
    async fn open(&self, directory: &StateDirectory, wait: Wait) -> Result<Option<State>, Error> {
        let (from, to) = self.locations;
        match self.if_missing {
            IfMissing::Create => State::open(directory, self.registry, from, to, wait).await.map(Some),
            IfMissing::Leave => State::open_existing(directory, self.registry, from, to, wait).await,
        }
    }
}

impl Patience {
    /// Makes the transfer wait this long before it reports that it waits.
    #[must_use]
    pub fn quietly_for(mut self, quietly: Duration) -> Self {
        self.quietly = quietly;
        self
    }
}

impl From<Wait> for Patience {
    fn from(wait: Wait) -> Self {
        Self { wait, quietly: Duration::ZERO }
    }
}

impl SyncState {
    /// Returns the open sync state.
    ///
    /// # Errors
    ///
    /// Returns the reason why it cannot be opened.
    pub fn into_open(self) -> Result<Option<State>, Error> {
        match self {
            Self::Open(state) => Ok(Some(state)),
            Self::Unused | Self::Missing => Ok(None),
            Self::Unusable(error) => Err(*error),
        }
    }

    /// Returns this value, unless another run uses the sync state or a newer version wrote it. A run that writes should
    /// not continue then without a decision of the user: it would transfer more than necessary, and the other run may
    /// transfer the same files.
    ///
    /// # Errors
    ///
    /// Returns [`StateError::Locked`] or [`StateError::Newer`].
    pub fn unless_in_use(self) -> Result<Self, Error> {
        match self {
            Self::Unusable(error)
                if matches!(*error, Error::State(StateError::Locked { .. } | StateError::Newer { .. })) =>
            {
                Err(*error)
            }
            state => Ok(state),
        }
    }

    /// Returns the reason why the sync state cannot be opened, as one line. A location that does not outlive the process
    /// needs no sync state, so that is not a reason.
    pub fn why_unusable(&self) -> Option<String> {
        match self {
            Self::Unusable(error) if !is_fleeting(error) => Some(one_line(&**error)),
            Self::Unusable(_) | Self::Unused | Self::Missing | Self::Open(_) => None,
        }
    }

    /// Adds the sync state to the options of a transfer.
    ///
    /// If there should be one and is none, the transfer compares as with an empty one: where a digest can decide, equal
    /// times are not evidence of equal content. Otherwise, it could miss differences that a transfer with a sync state
    /// finds.
    pub(crate) fn add_to(&self, options: SyncOptions) -> SyncOptions {
        match self {
            Self::Open(state) => options.with_manifest(state.manifest()).with_journal(state.journal()),
            Self::Unusable(error) if is_fleeting(error) => options,
            Self::Missing | Self::Unusable(_) => options.with_manifest(Arc::new(MemoryManifest::default())),
            Self::Unused => options,
        }
    }

    pub(crate) fn state(&self) -> Option<&State> {
        match self {
            Self::Open(state) => Some(state),
            Self::Unused | Self::Missing | Self::Unusable(_) => None,
        }
    }
}

impl From<State> for SyncState {
    fn from(state: State) -> Self {
        Self::Open(state)
    }
}

fn is_fleeting(error: &Error) -> bool {
    matches!(error, Error::State(StateError::Fleeting { .. }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct World {
        disk: tempfile::TempDir,
        registry: Registry,
    }

    impl World {
        fn new() -> Self {
            Self { disk: tempfile::tempdir().unwrap(), registry: Registry::default() }
        }

        fn home(&self) -> StateHome {
            StateHome::Directory(StateDirectory::new(self.disk.path().join("state")))
        }

        fn locations(&self) -> (Location, Location) {
            (Location::Local(self.disk.path().join("a")), Location::Local(self.disk.path().join("b")))
        }

        /// Returns the result of opening, and how often it was reported that the transfer waits.
        async fn open(&self, patience: impl Into<Patience>) -> (SyncState, u32) {
            let (from, to) = self.locations();
            let told = AtomicU32::new(0);
            let waiting = |_: &StateError| _ = told.fetch_add(1, Ordering::Relaxed);
            let state = self.home().open(&self.registry, (&from, &to), patience, waiting).await;
            (state, told.load(Ordering::Relaxed))
        }
    }

    #[tokio::test]
    async fn a_transfer_that_waits_for_another_one_reports_it_once() {
        let world = World::new();
        let (holder, told) = world.open(Wait::Fail).await;
        assert!(matches!(holder, SyncState::Open(_)) && told == 0);

        let (state, told) = world.open(Wait::Fail).await;
        assert_eq!(told, 0, "it does not wait");
        assert!(state.why_unusable().is_some_and(|why| why.contains("is running")), "{state:?}");
        assert!(matches!(state.unless_in_use(), Err(Error::State(StateError::Locked { .. }))));

        let long = Patience::from(Wait::For(Duration::from_secs(60)));
        let release = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(holder);
        };
        let ((state, told), ()) = tokio::join!(world.open(long), release);
        assert!(matches!(state, SyncState::Open(_)) && told == 1, "{state:?} {told}");

        let release = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(state);
        };
        let ((state, told), ()) = tokio::join!(world.open(long.quietly_for(Duration::from_secs(60))), release);
        assert!(matches!(state, SyncState::Open(_)) && told == 0, "a short wait is not reported: {state:?} {told}");
    }

    #[tokio::test]
    async fn reading_creates_nothing_and_a_location_in_memory_needs_no_state() {
        let world = World::new();
        let (from, to) = world.locations();
        let open = async |home: StateHome, from: &Location| {
            home.open_existing(&world.registry, (from, &to), Wait::Fail, |_| {}).await
        };
        assert!(matches!(open(world.home(), &from).await, SyncState::Missing));
        assert!(!world.disk.path().join("state").exists());
        assert!(matches!(open(StateHome::Nowhere, &from).await, SyncState::Unused));
        let fleeting = open(world.home(), &"memory://m".parse().unwrap()).await;
        assert_eq!(fleeting.why_unusable(), None);
        assert!(matches!(fleeting.into_open(), Err(Error::State(StateError::Fleeting { .. }))));
    }
}
