//! Where a command finds what is remembered, and what it does while another run uses it.

use pos3::{Error, Location, Registry, State, StateDirectory, StateError, Sync, Wait, one_line};

use crate::args::SyncManifestArgs;
use crate::output;
use crate::signals::Signals;

/// What a sync works with.
#[derive(Debug, Default)]
pub(super) struct Memory {
    state: Known,
    /// Why it works without, or begins anew.
    pub(super) warning: Option<String>,
}

/// What is known of earlier runs.
#[derive(Debug, Default)]
enum Known {
    /// Nothing, because a person wants it so, or because there is nothing to remember.
    #[default]
    Unwanted,
    /// Nothing yet, or nothing that can be read: what is not known is compared, as if it had been deleted.
    Nothing,
    /// This.
    All(State),
}

/// Returns the directory that the environment names.
pub(super) fn directory() -> Result<StateDirectory, &'static str> {
    StateDirectory::from_env().ok_or("none of POS3_STATE_DIR, XDG_STATE_HOME and HOME is set")
}

/// Waits for what another run uses, and says so once.
pub(super) async fn patiently<T>(wait: Wait, open: impl AsyncFn(Wait) -> Result<T, Error>) -> Result<T, Error> {
    match (open(Wait::Fail).await, wait) {
        (Err(Error::State(locked @ StateError::Locked { .. })), Wait::For(time)) => {
            output::note(&format!("waiting up to {} s: {locked}", time.as_secs()));
            open(wait).await
        }
        (opened, _) => opened,
    }
}

impl Memory {
    /// Lets a sync use it.
    pub(super) fn with(&self, sync: Sync) -> Sync {
        match &self.state {
            Known::All(state) => sync.with_state(state),
            Known::Nothing => sync.with_empty_memory(),
            Known::Unwanted => sync,
        }
    }
}

/// Opens what is remembered for a run. Only what a person must decide is an error: everything else costs a comparison.
pub(super) async fn for_run(
    args: SyncManifestArgs,
    registry: &Registry,
    from: &Location,
    to: &Location,
    signals: &Signals,
) -> Result<Memory, Error> {
    if args.no_manifest {
        return Ok(Memory::default());
    }
    let directory = match directory() {
        Ok(directory) => directory,
        Err(why) => return Ok(without(why)),
    };
    let opening = patiently(args.lock.wait(), async |wait| State::open(&directory, registry, from, to, wait).await);
    let cancel = signals.cancel();
    let opened = tokio::select! {
        opened = opening => opened,
        () = cancel.cancelled() => return Ok(Memory::default()),
    };
    match opened {
        Ok(state) => Ok(with(state)),
        Err(Error::State(StateError::Fleeting { .. })) => Ok(Memory::default()),
        Err(error @ Error::State(StateError::Locked { .. } | StateError::Newer { .. })) => Err(error),
        Err(Error::State(error)) => Ok(without(&one_line(&error))),
        Err(error) => Err(error),
    }
}

/// Opens what there is, for who only looks: he writes nothing, so he waits for nobody.
pub(super) async fn for_look(args: SyncManifestArgs, registry: &Registry, from: &Location, to: &Location) -> Memory {
    if args.no_manifest {
        return Memory::default();
    }
    match directory() {
        Ok(directory) => for_plan(&directory, registry, from, to).await,
        Err(why) => without(why),
    }
}

async fn for_plan(directory: &StateDirectory, registry: &Registry, from: &Location, to: &Location) -> Memory {
    match State::open_existing(directory, registry, from, to, Wait::Fail).await {
        Ok(Some(state)) => with(state),
        Ok(None) => Memory { state: Known::Nothing, warning: None },
        Err(Error::State(StateError::Fleeting { .. })) => Memory::default(),
        Err(error) => without(&one_line(&error)),
    }
}

fn with(state: State) -> Memory {
    let warning = state.warning().map(str::to_owned);
    Memory { state: Known::All(state), warning }
}

fn without(why: &str) -> Memory {
    Memory { state: Known::Nothing, warning: Some(no_memory(why)) }
}

/// Returns what a person is told of a run that cannot use its memory.
pub(super) fn no_memory(why: &str) -> String {
    format!("this run uses and remembers nothing of other runs: {why}")
}
