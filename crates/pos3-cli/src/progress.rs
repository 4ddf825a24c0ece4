//! Shows the progress of a run on stderr: as a bar on a terminal, and otherwise as a line every few seconds.
//!
//! Events come from many threads, up to thousands per second. So an event only updates counters, and a separate task
//! displays them.

mod counters;
mod standstill;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pos3::{Event, Observer, printable};
use tokio::task::JoinHandle;

use crate::args::{Detail, Show};
use crate::lines::Lines;
use crate::output;
use counters::Counters;

pub(crate) use watch::{Terminal, Watch};

/// The interval at which the bar is redrawn.
const DRAW: Duration = Duration::from_millis(100);

/// The interval between lines if stderr is not a terminal.
const SAY: Duration = Duration::from_secs(10);

const TEMPLATE: &str = "{spinner} [{bar:24}] {wide_msg}";

/// The progress of one run.
#[derive(Debug)]
pub(crate) struct Progress {
    counters: Arc<Counters>,
    bar: Option<ProgressBar>,
    drawing: Option<JoinHandle<()>>,
    detail: Detail,
}

/// Counts events, reports the process that a run waits for, and prints completed actions if that is requested.
#[derive(Debug)]
pub(crate) struct Watcher {
    counters: Arc<Counters>,
    lines: Option<Lines>,
    detail: Detail,
}

impl Progress {
    /// Starts to show progress as requested.
    pub(crate) fn start(show: Show) -> Self {
        let counters = Arc::new(Counters::default());
        let terminal = output::is_watched();
        let (bar, drawing) = match (show.progress, terminal) {
            (false, _) => (None, None),
            (true, true) => {
                let bar = bar();
                output::set_bar(Some(bar.clone()));
                (Some(bar.clone()), Some(tokio::spawn(draw(bar, counters.clone()))))
            }
            (true, false) => (None, Some(tokio::spawn(say(counters.clone())))),
        };
        watch::show(Some(counters.clone()));
        Self { counters, bar, drawing, detail: show.detail }
    }

    /// Returns an observer for this progress. It also prints completed actions if `show` requests that.
    pub(crate) fn watcher(&self, lines: &Lines, show: Show) -> Watcher {
        Watcher { counters: self.counters.clone(), lines: Some(lines.clone()), detail: show.detail }
    }

    /// Returns an observer that updates this progress and does not print completed actions.
    pub(crate) fn counter(&self) -> Watcher {
        Watcher { counters: self.counters.clone(), lines: None, detail: self.detail }
    }

    /// Stops the display and removes the bar.
    pub(crate) fn end(self) {
        watch::show(None);
        if let Some(drawing) = self.drawing {
            drawing.abort();
        }
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
            output::set_bar(None);
        }
    }
}

impl Observer for Watcher {
    fn event(&self, event: &Event<'_>) {
        self.counters.count(event);
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

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), output::draw_target());
    match ProgressStyle::with_template(TEMPLATE) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

async fn draw(bar: ProgressBar, counters: Arc<Counters>) {
    loop {
        tokio::time::sleep(DRAW).await;
        let now = counters.now();
        bar.set_length(now.bytes_total);
        bar.set_position(now.bytes);
        bar.set_message(printable(&now.to_string()).to_string());
    }
}

async fn say(counters: Arc<Counters>) {
    loop {
        tokio::time::sleep(SAY).await;
        output::note(&counters.now().to_string());
    }
}
