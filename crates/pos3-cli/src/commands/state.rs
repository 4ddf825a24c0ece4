//! The sync state of a command: where it is, and what a command does while another run uses it.

use pos3::{Error, Location, Registry, State, StateDirectory, StateError, Sync, Wait, one_line};

use crate::args::SyncManifestArgs;
use crate::output;
use crate::signals::Signals;
use crate::warnings::Warnings;

/// The sync state that a sync uses.
#[derive(Debug)]
pub(super) enum SyncState {
    /// None: the user does not want one, or the locations end with the process.
    Unused,
    /// None yet, or none that can be read. The sync compares as with an empty one.
    Empty,
    Open(State),
}

/// Returns the directory that the environment names.
pub(super) fn directory() -> Result<StateDirectory, &'static str> {
    StateDirectory::from_env().ok_or("none of POS3_STATE_DIR, XDG_STATE_HOME and HOME is set")
}

/// Opens a sync state. If another run uses it, reports that once and waits.
pub(super) async fn patiently<T>(wait: Wait, open: impl AsyncFn(Wait) -> Result<T, Error>) -> Result<T, Error> {
    match (open(Wait::Fail).await, wait) {
        (Err(Error::State(locked @ StateError::Locked { .. })), Wait::For(time)) => {
            output::note(&format!("waiting up to {} s: {locked}", time.as_secs()));
            open(wait).await
        }
        (opened, _) => opened,
    }
}

/// Returns the warning of a run that cannot use the sync state.
pub(super) fn unusable(why: &str) -> String {
    format!("this run uses and remembers nothing of other runs: {why}")
}

/// Opens the sync state for a run. Only a lock and a newer version are errors, because the user must decide about them. In
/// all other cases, the run warns and compares more files.
pub(super) async fn for_run(
    args: SyncManifestArgs,
    registry: &Registry,
    (from, to): (&Location, &Location),
    signals: &Signals,
    warnings: &Warnings,
) -> Result<SyncState, Error> {
    if args.no_manifest {
        return Ok(SyncState::Unused);
    }
    let directory = match directory() {
        Ok(directory) => directory,
        Err(why) => return Ok(SyncState::without(why, warnings)),
    };
    let opening = patiently(args.lock.wait(), async |wait| State::open(&directory, registry, from, to, wait).await);
    let cancel = signals.cancel();
    let opened = tokio::select! {
        opened = opening => opened,
        () = cancel.cancelled() => return Ok(SyncState::Unused),
    };
    match opened {
        Err(error @ Error::State(StateError::Locked { .. } | StateError::Newer { .. })) => Err(error),
        opened => Ok(SyncState::new(opened.map(Some), warnings)),
    }
}

/// Opens the sync state for a command that only reads it, so the command does not wait for the lock.
pub(super) async fn for_reading(
    args: SyncManifestArgs,
    registry: &Registry,
    (from, to): (&Location, &Location),
    warnings: &Warnings,
) -> SyncState {
    if args.no_manifest {
        return SyncState::Unused;
    }
    match directory() {
        Ok(directory) => {
            SyncState::new(State::open_existing(&directory, registry, from, to, Wait::Fail).await, warnings)
        }
        Err(why) => SyncState::without(why, warnings),
    }
}

impl SyncState {
    /// Adds it to a sync.
    pub(super) fn add_to(&self, sync: Sync) -> Sync {
        match self {
            Self::Open(state) => sync.with_state(state),
            Self::Empty => sync.with_empty_memory(),
            Self::Unused => sync,
        }
    }

    fn new(opened: Result<Option<State>, Error>, warnings: &Warnings) -> Self {
        match opened {
            Ok(Some(state)) => {
                state.warning().into_iter().for_each(|warning| warnings.warn(warning));
                Self::Open(state)
            }
            Ok(None) => Self::Empty,
            Err(Error::State(StateError::Fleeting { .. })) => Self::Unused,
            Err(error) => Self::without(&one_line(&error), warnings),
        }
    }

    fn without(why: &str, warnings: &Warnings) -> Self {
        warnings.warn(&unusable(why));
        Self::Empty
    }
}
