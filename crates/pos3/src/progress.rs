//! The progress of runs, ready to be shown: [`Progress`].
//!
//! Events come from many threads, up to thousands per second. So an event only updates counters, and the display reads
//! them at intervals.

mod bars;
mod counters;
mod repeating;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::ProgressDrawTarget;
use pos3_core::{Event, Observer, ServerPause, printable};

use crate::session::{Registered, SessionObserver};
use bars::Bars;
use counters::Counters;
use repeating::Repeating;

pub use counters::ProgressCounts;

/// The interval at which bars are redrawn.
const DRAW: Duration = Duration::from_millis(100);

/// The interval between the lines of [`Progress::stderr`].
const LINES: Duration = Duration::from_secs(10);

/// Shows the progress of a sync or of a session until it is dropped.
///
/// A sync has one bar or line. A session has one for each registration that has a transfer, with its location. If there
/// is a tokio runtime, a task of it shows the progress, otherwise a thread.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use pos3::{Progress, Registry, SyncOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # std::fs::write(directory.path().join("a.txt"), "hello")?;
/// # let from = pos3::Location::Local(directory.path().to_owned());
/// # let to = "memory://example/backup".parse()?;
/// // Draws a bar on a terminal; otherwise, writes a line to stderr every ten seconds.
/// let progress = Progress::stderr();
/// let options = SyncOptions::default().with_observer(progress.observer());
/// pos3::sync(&Registry::default(), &from, &to, options).await?.into_result()?;
///
/// let counts = progress.counts();
/// assert_eq!((counts.files, counts.files_total, counts.bytes), (1, 1, 5));
/// assert!(counts.to_string().starts_with("1/1 files, 5 B of 5 B"));
/// progress.finish();
/// # Ok(()) }
/// ```
///
/// For a session, pass it to [`SessionBuilder::session_observer`](crate::SessionBuilder::session_observer):
///
/// ```
/// use pos3::{Progress, Session, UploadOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cache = tempfile::tempdir()?;
/// let progress = Progress::stderr();
/// let session = Session::builder().cache_root(cache.path()).session_observer(progress.observer()).open()?;
/// let out = session.upload("memory://bucket/run", UploadOptions::default()).await?;
/// std::fs::write(out.join("log"), "12345")?;
/// session.close().await.into_result()?;
/// assert_eq!(progress.counts().files, 1);
/// # Ok(()) }
/// ```
pub struct Progress {
    observer: ProgressObserver,
    _shown: Option<Repeating>,
}

/// Counts the events of runs for a [`Progress`]. A clone counts for the same one.
#[derive(Clone)]
pub struct ProgressObserver(Arc<Shared>);

struct Shared {
    /// The counts of all runs together.
    total: Counters,
    /// The registrations that have had a transfer.
    parts: Mutex<Vec<Part>>,
    bars: Option<Bars>,
    /// Returns the pause that requests to a server make now.
    pauses: OnceLock<Box<dyn Fn() -> Option<ServerPause> + Send + Sync>>,
}

/// The last transfer of a registration.
struct Part {
    registration: Registered,
    counters: Counters,
}

impl Progress {
    /// Draws bars on stderr if it is a terminal. Otherwise, writes lines to stderr, one every ten seconds.
    #[must_use]
    pub fn stderr() -> Self {
        if io::stderr().is_terminal() { Self::bars() } else { Self::lines(LINES, write_line) }
    }

    /// Draws bars on stderr if it is a terminal. Otherwise, shows nothing. While the bars are drawn, print only in
    /// [`ProgressObserver::suspend`].
    #[must_use]
    pub fn bars() -> Self {
        let observer = ProgressObserver::with(Some(Bars::on(ProgressDrawTarget::stderr())));
        let shared = observer.0.clone();
        Self { _shown: Some(Repeating::start(DRAW, move || shared.draw())), observer }
    }

    /// Passes lines without a line end to `write`, one for each run in progress, at this interval. Control characters in
    /// them are escaped.
    #[must_use]
    pub fn lines(interval: Duration, mut write: impl FnMut(&str) + Send + 'static) -> Self {
        let observer = ProgressObserver::with(None);
        let shared = observer.0.clone();
        let shown = Repeating::start(interval, move || shared.lines().iter().for_each(|line| write(line)));
        Self { _shown: Some(shown), observer }
    }

    /// Shows nothing. The [counts](Self::counts) are available.
    #[must_use]
    pub fn hidden() -> Self {
        Self { observer: ProgressObserver::with(None), _shown: None }
    }

    /// Also shows the pauses that this function returns. Only the first call of this method has an effect.
    ///
    /// ```
    /// use pos3::{Progress, Registry};
    ///
    /// let registry = Registry::default();
    /// let pauses = registry.clone();
    /// let progress = Progress::hidden().with_pauses(move || pauses.pause());
    /// assert_eq!(progress.counts().waiting, None);
    /// ```
    #[must_use]
    pub fn with_pauses(self, pauses: impl Fn() -> Option<ServerPause> + Send + Sync + 'static) -> Self {
        let _has_one = self.observer.0.pauses.set(Box::new(pauses));
        self
    }

    /// Returns an observer for the runs whose progress is shown.
    pub fn observer(&self) -> ProgressObserver {
        self.observer.clone()
    }

    /// Returns the counts of all runs together.
    pub fn counts(&self) -> ProgressCounts {
        self.observer.counts()
    }

    /// Removes the bars and shows nothing more. Dropping the progress does the same.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bars) = &self.observer.0.bars {
            bars.end();
        }
    }
}

impl ProgressObserver {
    fn with(bars: Option<Bars>) -> Self {
        let (parts, pauses) = (Mutex::default(), OnceLock::new());
        Self(Arc::new(Shared { total: Counters::default(), parts, bars, pauses }))
    }

    /// Returns the counts of all runs together.
    pub fn counts(&self) -> ProgressCounts {
        self.0.all()
    }

    /// Hides the bars while `print` runs, so that the bars and its output do not overwrite each other.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

impl Observer for ProgressObserver {
    fn event(&self, event: &Event<'_>) {
        self.0.total.count(event);
    }
}

impl SessionObserver for ProgressObserver {
    fn session_event(&self, registration: Option<&Registered>, event: &Event<'_>) {
        self.0.total.count(event);
        if let Some(registration) = registration {
            self.0.count_of(registration, event);
        }
    }
}

impl Shared {
    fn parts(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_of(&self, registration: &Registered, event: &Event<'_>) {
        let mut parts = self.parts();
        let part = parts.iter_mut().find(|part| part.registration == *registration);
        match (part, event) {
            // Each transfer of a registration is counted from its beginning.
            (Some(part), Event::Begun(..)) => part.counters = Counters::default(),
            (Some(part), event) => part.counters.count(event),
            (None, Event::Begun(..) | Event::Waiting(..)) => {
                let counters = Counters::default();
                counters.count(event);
                parts.push(Part { registration: registration.clone(), counters });
            }
            // A plan without a run, or a warning.
            (None, _) => {}
        }
    }

    /// Returns the counts to show, each with the location of its registration.
    fn shown(&self) -> Vec<(Option<String>, ProgressCounts)> {
        let parts = self.parts();
        if parts.is_empty() {
            return vec![(None, self.with_pause(self.total.now()))];
        }
        let shown = |part: &Part| (Some(part.registration.location.clone()), self.with_pause(part.counters.now()));
        parts.iter().map(shown).collect()
    }

    /// Returns the counts of all runs together. The events of one registration do not end the wait of another.
    fn all(&self) -> ProgressCounts {
        let counts = self.total.now();
        let waiting = self.parts().iter().find_map(|part| part.counters.waiting()).or(counts.waiting.clone());
        self.with_pause(ProgressCounts { waiting, ..counts })
    }

    /// Adds the pause of the requests, unless everything is done or another process is waited for.
    fn with_pause(&self, counts: ProgressCounts) -> ProgressCounts {
        if counts.is_done() || counts.waiting.is_some() {
            return counts;
        }
        let pause = self.pauses.get().and_then(|pause| pause());
        ProgressCounts { waiting: pause.map(|pause| pause.to_string()), ..counts }
    }

    fn draw(&self) {
        if let Some(bars) = &self.bars {
            bars.draw(&self.shown());
        }
    }

    fn lines(&self) -> Vec<String> {
        let shown = self.shown().into_iter().filter(|(location, counts)| location.is_none() || !counts.is_done());
        shown.map(|(location, counts)| line(location.as_deref(), &counts)).collect()
    }
}

/// Returns the text about a run.
fn line(location: Option<&str>, counts: &ProgressCounts) -> String {
    let text = match location {
        Some(location) => format!("{location}: {counts}"),
        None => counts.to_string(),
    };
    printable(&text).to_string()
}

/// Writes a line to stderr. An error is ignored, because there is no other place to report it.
fn write_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.counts()).finish()
    }
}

impl fmt::Debug for ProgressObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProgressObserver").field(&self.counts()).finish()
    }
}

#[cfg(test)]
mod tests;
