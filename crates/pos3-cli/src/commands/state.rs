//! The sync state of a command: what a command does while another run uses it, and what it reports.

use pos3::{Error, Location, Registry, StateError, StateHome, SyncState, Wait};

use crate::args::SyncManifestArgs;
use crate::output;
use crate::progress::watch_wait;
use crate::signals::Signals;
use crate::warnings::Warnings;

/// Returns how to report that this run waits for another run that uses the sync state of the same locations.
pub(super) fn note_wait(wait: Wait, to: &Location) -> impl FnOnce(&StateError) {
    move |locked| {
        if let Wait::For(time) = wait {
            output::note(&format!("waiting up to {} s: {locked}", time.as_secs()));
        }
        if let StateError::Locked { holder, .. } = locked {
            watch_wait(&to.to_string(), *holder);
        }
    }
}

/// Returns the warning of a run that cannot use the sync state.
pub(super) fn unusable(why: &str) -> String {
    format!("this run does not use the sync state: {why}")
}

/// Opens the sync state for a run. Only a lock and a newer version are errors, because the user must decide about them. In
/// all other cases, the run warns and compares more files.
pub(super) async fn for_run(
    args: SyncManifestArgs,
    registry: &Registry,
    locations: (&Location, &Location),
    signals: &Signals,
    warnings: &Warnings,
) -> Result<SyncState, Error> {
    let (home, wait) = (home(args), args.lock.wait());
    let opening = home.open(registry, locations, wait, note_wait(wait, locations.1));
    let Some(state) = signals.unless_signalled(opening).await else { return Ok(SyncState::Unused) };
    let state = state.unless_in_use()?;
    warn(&state, warnings);
    Ok(state)
}

/// Opens the sync state for a command that only reads it, so the command does not wait for the lock.
pub(super) async fn for_reading(
    args: SyncManifestArgs,
    registry: &Registry,
    locations: (&Location, &Location),
    warnings: &Warnings,
) -> SyncState {
    let state = home(args).open_existing(registry, locations, Wait::Fail, |_| {}).await;
    warn(&state, warnings);
    state
}

fn home(args: SyncManifestArgs) -> StateHome {
    if args.no_manifest { StateHome::Nowhere } else { StateHome::Environment }
}

fn warn(state: &SyncState, warnings: &Warnings) {
    if let SyncState::Open(state) = state {
        state.warning().into_iter().for_each(|warning| warnings.warn(warning));
    }
    state.why_unusable().into_iter().for_each(|why| warnings.warn(&unusable(&why)));
}
