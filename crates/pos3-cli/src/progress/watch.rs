//! Reports that nothing moves, in every command: a command that waits for a server must not look as if it hangs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use pos3::{Event, Observer, Progress, ProgressCounts, ProgressObserver, Registry, ServerPause};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::announcement::Announcement;
use super::standstill::Standstill;
use crate::args::{Detail, Show};
use crate::output;

/// The interval between checks for a lack of progress.
const LOOK: Duration = Duration::from_secs(1);

/// The progress that is shown now. It is global because there is one terminal.
static SHOWN: Mutex<Option<ProgressObserver>> = Mutex::new(None);

/// The progress of a command while it shows none.
static NOTHING: LazyLock<Progress> = LazyLock::new(|| Progress::hidden().with_pauses(pause));

/// The registry of the command, whose servers may ask for pauses.
static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// How often progress began or ended.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Whether a command uses the terminal alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// From its start to its end.
    Own,
    /// Only while it shows progress. In between, another program uses it.
    Shared,
}

/// A watch, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(Option<JoinHandle<()>>);

impl Watch {
    /// Starts to watch, unless only errors are to be printed.
    pub(crate) fn start(show: Show, terminal: Terminal) -> Self {
        Self((show.detail != Detail::Quiet).then(|| tokio::spawn(watch(terminal))))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Sets or removes the progress that is watched.
pub(super) fn show(progress: Option<ProgressObserver>) {
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    CHANGES.fetch_add(1, Relaxed);
}

/// Sets the registry of the command.
pub(crate) fn watch_registry(registry: &Registry) {
    *REGISTRY.lock().unwrap_or_else(PoisonError::into_inner) = Some(registry.clone());
}

/// Records that the command waits for another process that uses a location, until its run begins.
pub(crate) fn watch_wait(place: &str, process: Option<u32>) {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    shown.unwrap_or_else(|| NOTHING.observer()).event(&Event::Waiting(place, process));
}

/// Returns the pause that requests make now.
pub(super) fn pause() -> Option<ServerPause> {
    let registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).clone();
    registry.and_then(|registry| registry.pause())
}

async fn watch(terminal: Terminal) {
    let mut standstill = Standstill::new(Instant::now());
    let mut announcement = Announcement::default();
    loop {
        tokio::time::sleep(LOOK).await;
        match now(terminal) {
            None => standstill = Standstill::new(Instant::now()),
            Some(now) => {
                if !output::has_bars()
                    && let Some(told) = announcement.look(pause(), Instant::now())
                {
                    output::note(&told);
                }
                if let Some(told) = standstill.look(&now, Instant::now()) {
                    output::note(&told);
                }
            }
        }
    }
}

/// Returns the counts, or `None` if a lack of progress must not be reported: another program uses the terminal, or the
/// reader of stdout is slow. Output counts as activity, because commands such as `ls` have no events.
fn now(terminal: Terminal) -> Option<ProgressCounts> {
    if output::is_writing() {
        return None;
    }
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut now = match (shown, terminal) {
        (Some(progress), _) => progress.counts(),
        (None, Terminal::Own) => NOTHING.counts(),
        (None, Terminal::Shared) => return None,
    };
    now.activity = now.activity.wrapping_add(output::writes()).wrapping_add(CHANGES.load(Relaxed) << 32);
    Some(now)
}
