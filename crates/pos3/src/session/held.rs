//! The sync state of a registration during a transfer.
//!
//! A database on disk survives the process. It is locked while a transfer runs, so that several processes of a machine
//! download a location once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::TryStreamExt;
use pos3_core::{CancellationToken, Event, Manifest, SyncOptions};

use super::error::SessionError;
use super::inner::Inner;
use super::known::{Noting, Way};
use super::memory::{Memory, Remembers};
use super::registration::Registration;
use crate::error::{Error, StateError};
use crate::location::Location;
use crate::state::{Patience, State, SyncState, Turned, Wait};

/// How long a transfer waits for another process before it reports this.
const SOON: Duration = Duration::from_secs(1);

/// How long a transfer waits for another process that has locked the same pair.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The sync state of a transfer, which is locked while the transfer runs.
#[derive(Default)]
pub(super) struct Held {
    state: Option<State>,
    pub(super) warnings: Vec<Warning>,
}

/// A warning about the sync state or the marks of unsaved output.
pub(super) struct Warning {
    pub(super) text: String,
    /// The subject of the warning. Each subject is reported once: an unusable directory is one problem, however many
    /// databases it would contain.
    pub(super) about: String,
}

impl From<String> for Warning {
    fn from(text: String) -> Self {
        Self { about: text.clone(), text }
    }
}

impl Held {
    /// Opens the database of a pair. Waits for another process until the transfer is cancelled or until the end of the
    /// session has no more time to wait. Even then, it opens a database that no process has locked.
    ///
    /// # Errors
    ///
    /// Fails if the transfer is cancelled while it waits for another process.
    pub(super) async fn open(
        inner: &Inner,
        registration: &Registration,
        from: &Location,
        to: &Location,
        cancel: &CancellationToken,
    ) -> Result<Self, SessionError> {
        let location = registration.location.to_string();
        // The process that this transfer waits for.
        let awaited = OnceLock::new();
        let is_waiting = CancellationToken::new();
        let waiting = |locked: &StateError| {
            let holder = locked.holder();
            tracing::info!(location, holder, "waiting for another process");
            inner.tell(Some(registration), &Event::Waiting(&location, holder));
            awaited.get_or_init(|| holder);
            is_waiting.cancel();
        };
        let home = inner.remembers.home();
        let quietly = if inner.course.has_deadline() { Duration::ZERO } else { SOON };
        let patience = Patience::from(Wait::For(PATIENCE)).quietly_for(quietly);
        let overdue = async {
            is_waiting.cancelled().await;
            inner.course.locks().cancelled().await;
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => match awaited.get() {
                None => Ok(Self::default()),
                Some(holder) => Err(SessionError::Waiting { location: location.clone(), holder: *holder }),
            },
            state = home.open(&inner.registry, (from, to), patience, waiting) => Ok(Self::of(state, &inner.remembers)),
            () = overdue => Ok(Self::without(registration, awaited.get().copied().flatten())),
        }
    }

    /// Returns no sync state, because another transfer did not release it before the end of the session needed it.
    fn without(registration: &Registration, holder: Option<u32>) -> Self {
        let holder = match holder {
            Some(own) if own == std::process::id() => "another transfer of this process".to_owned(),
            Some(holder) => format!("another process ({holder})"),
            None => "another process".to_owned(),
        };
        let warning = format!(
            "'{}' was uploaded without its sync state, because {holder} did not release it in time",
            registration.location
        );
        Self { state: None, warnings: vec![warning.into()] }
    }

    /// Opens the database of a pair if it exists and is not locked. A plan never waits and writes nothing.
    pub(super) async fn peek(inner: &Inner, from: &Location, to: &Location) -> Self {
        let home = inner.remembers.home();
        Self::of(home.open_existing(&inner.registry, (from, to), Wait::Fail, |_| {}).await, &inner.remembers)
    }

    fn of(opened: SyncState, remembers: &Remembers) -> Self {
        let why = opened.why_unusable();
        match opened.into_open() {
            Ok(state) => {
                let text = state.as_ref().and_then(State::warning).map(str::to_owned);
                Self { warnings: text.map(Warning::from).into_iter().collect(), state }
            }
            Err(error) => {
                let is_of_all = matches!(error, Error::State(StateError::Io { .. } | StateError::Database { .. }));
                let directory = remembers.for_marks().filter(|_| is_of_all);
                let directory = directory.map(|directory| directory.path().display().to_string());
                Self { state: None, warnings: why.map(|why| Warning::alone(&why, directory)).into_iter().collect() }
            }
        }
    }

    /// Copies the rows of an upload to the pairs that the session itself knows, so that it knows them even if the
    /// database is lost while it runs.
    pub(super) async fn learn(&self, memory: &Memory) {
        let Some(state) = &self.state else { return };
        let mut rows = state.manifest().rows();
        // The pair of a row that cannot be read is unknown.
        while let Ok(Some(row)) = rows.try_next().await {
            memory.known.note(&row, Way::Up);
        }
    }

    /// Returns the open sync state, which has the mount points of earlier runs.
    pub(super) fn state(&self) -> Option<State> {
        self.state.clone()
    }

    /// Adds the sync state to the options of a download.
    pub(super) fn remember_download(&self, options: SyncOptions, memory: &Memory) -> SyncOptions {
        self.remember(options, memory, Arc::new(Turned(memory.manifest.clone())), Way::Down)
    }

    /// Adds the sync state to the options of an upload.
    pub(super) fn remember_upload(&self, options: SyncOptions, memory: &Memory) -> SyncOptions {
        self.remember(options, memory, memory.manifest.clone(), Way::Up)
    }

    fn remember(&self, options: SyncOptions, memory: &Memory, rows: Arc<dyn Manifest>, way: Way) -> SyncOptions {
        let (rows, options) = match &self.state {
            Some(state) => (state.manifest(), options.with_journal(state.journal())),
            None => (rows, options.with_journal(memory.journal.clone())),
        };
        options.with_manifest(Arc::new(Noting { rows, known: memory.known.clone(), way }))
    }
}

impl Warning {
    fn alone(why: &str, about: Option<String>) -> Self {
        let text = format!("the sync state is kept in memory and not shared with other processes: {why}");
        Self { about: about.unwrap_or_else(|| text.clone()), text }
    }
}
