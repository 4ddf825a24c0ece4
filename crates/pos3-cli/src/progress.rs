//! Shows the progress of a run on stderr: as bars on a terminal, and otherwise as lines every few seconds.

mod announcement;
mod standstill;
mod watch;

use std::time::Duration;

use pos3::{Event, Observer, ProgressObserver, Registered, SessionObserver};

use crate::args::{Detail, Show};
use crate::lines::Lines;
use crate::output;

pub(crate) use watch::{Terminal, Watch, watch_registry, watch_wait};

/// The interval between lines if stderr is not a terminal.
const SAY: Duration = Duration::from_secs(10);

/// The progress of one run.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: pos3::Progress,
    detail: Detail,
}

/// Counts events, reports the process that a run waits for, and prints completed actions if that is requested.
#[derive(Debug)]
pub(crate) struct Watcher {
    counter: ProgressObserver,
    lines: Option<Lines>,
    detail: Detail,
}

impl Progress {
    /// Starts to show progress as requested.
    pub(crate) fn start(show: Show) -> Self {
        let shown = match (show.progress, output::is_watched()) {
            (false, _) => pos3::Progress::hidden(),
            (true, true) => pos3::Progress::bars(),
            (true, false) => pos3::Progress::lines(SAY, output::note),
        };
        let shown = shown.with_pauses(watch::pause);
        output::set_bars(Some(shown.observer()));
        watch::show(Some(shown.observer()));
        Self { shown, detail: show.detail }
    }

    /// Returns an observer for this progress. It also prints completed actions if `show` requests that.
    pub(crate) fn watcher(&self, lines: &Lines, show: Show) -> Watcher {
        Watcher { counter: self.shown.observer(), lines: Some(lines.clone()), detail: show.detail }
    }

    /// Returns an observer that updates this progress and does not print completed actions.
    pub(crate) fn counter(&self) -> Watcher {
        Watcher { counter: self.shown.observer(), lines: None, detail: self.detail }
    }

    /// Stops the display and removes the bars.
    pub(crate) fn end(self) {
        watch::show(None);
        self.shown.finish();
        output::set_bars(None);
    }
}

impl Watcher {
    fn print(&self, event: &Event<'_>) {
        if let (Event::Begun(from, to), Some(lines)) = (event, &self.lines) {
            lines.note(from, to);
        }
        if let (Event::Done(action), Some(lines), Detail::Verbose) = (event, &self.lines, self.detail)
            && let Some(line) = lines.line(action)
        {
            output::note(&line);
        }
        if let Event::Waiting(place, process) = event
            && self.detail != Detail::Quiet
        {
            let process = process.map(|id| format!(" ({id})")).unwrap_or_default();
            output::note(&format!("waiting for another process{process} that uses '{place}'"));
        }
    }
}

impl Observer for Watcher {
    fn event(&self, event: &Event<'_>) {
        self.counter.event(event);
        self.print(event);
    }
}

impl SessionObserver for Watcher {
    fn session_event(&self, registration: Option<&Registered>, event: &Event<'_>) {
        self.counter.session_event(registration, event);
        self.print(event);
    }
}
