//! What a registration remembers between its transfers.
//!
//! A database on disk outlives the program and keeps others out while a transfer runs, so that many processes of one
//! node download a place once. Where there is none, the session itself remembers.

use std::sync::Arc;
use std::time::Duration;

use pos3_core::{CancellationToken, Manifest, MemoryJournal, MemoryManifest, SyncOptions};

use crate::error::Error;
use crate::location::Location;
use crate::registry::Registry;
use crate::state::{State, StateDirectory, StateError, Wait};

/// How long a transfer waits for another process that has the same pair in hand.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The memory of one registration while there is no database.
#[derive(Debug, Default)]
pub(super) struct Memory {
    manifest: Arc<MemoryManifest>,
    journal: Arc<MemoryJournal>,
}

/// What a transfer remembers by, held while it runs.
#[derive(Default)]
pub(super) struct Held {
    state: Option<State>,
    pub(super) warning: Option<String>,
}

impl Held {
    /// Opens the database of a pair, waiting for others who use it until `abort`.
    pub(super) async fn open(
        directory: Option<&StateDirectory>,
        registry: &Registry,
        from: &Location,
        to: &Location,
        abort: &CancellationToken,
    ) -> Self {
        let Some(directory) = directory else { return Self::default() };
        tokio::select! {
            biased;
            () = abort.cancelled() => Self::default(),
            opened = State::open(directory, registry, from, to, Wait::For(PATIENCE)) => Self::of(opened.map(Some)),
        }
    }

    /// Opens the database of a pair if there is one that nobody uses: a plan writes nothing and waits for nobody.
    pub(super) async fn peek(
        directory: Option<&StateDirectory>,
        registry: &Registry,
        from: &Location,
        to: &Location,
    ) -> Self {
        let Some(directory) = directory else { return Self::default() };
        Self::of(State::open_existing(directory, registry, from, to, Wait::Fail).await)
    }

    fn of(opened: Result<Option<State>, Error>) -> Self {
        match opened {
            Ok(state) => {
                let warning = state.as_ref().and_then(State::warning).map(str::to_owned);
                Self { state, warning }
            }
            Err(Error::State(StateError::Fleeting { .. })) => Self::default(),
            Err(error) => Self { state: None, warning: Some(format!("{error}; this session remembers by itself")) },
        }
    }

    /// Returns options that remember.
    pub(super) fn remember(&self, options: SyncOptions, memory: &Memory) -> SyncOptions {
        match &self.state {
            Some(state) => options.with_manifest(state.manifest()).with_journal(state.journal()),
            None => {
                let manifest: Arc<dyn Manifest> = memory.manifest.clone();
                options.with_manifest(manifest).with_journal(memory.journal.clone())
            }
        }
    }
}
