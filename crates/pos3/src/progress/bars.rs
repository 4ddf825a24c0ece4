//! The bars on the terminal.

use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::counters::ProgressCounts;
use super::line;

const TEMPLATE: &str = "{spinner} [{bar:24}] {wide_msg}";

/// One bar for each run that is shown.
pub(super) struct Bars {
    all: MultiProgress,
    /// The bars in the order of the runs, or `None` once no bar may be drawn any more.
    shown: Mutex<Option<Vec<Slot>>>,
}

/// The place of the bar of a run.
#[derive(Default)]
struct Slot {
    bar: Option<ProgressBar>,
    /// Whether the bar has shown that the run is done.
    is_done: bool,
}

impl Bars {
    pub(super) fn on(target: ProgressDrawTarget) -> Self {
        Self { all: MultiProgress::with_draw_target(target), shown: Mutex::new(Some(Vec::new())) }
    }

    /// Draws a bar for each run, with the location of its registration. The bar of a registration is removed once it has
    /// been drawn as done.
    pub(super) fn draw(&self, runs: &[(Option<String>, ProgressCounts)]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slots) = shown.as_mut() else { return };
        if slots.len() < runs.len() {
            slots.resize_with(runs.len(), Slot::default);
        }
        for (slot, (location, counts)) in slots.iter_mut().zip(runs) {
            let is_done = location.is_some() && counts.is_done();
            if is_done && slot.is_done {
                slot.remove(&self.all);
                continue;
            }
            slot.is_done = is_done;
            let bar = slot.bar.get_or_insert_with(|| self.all.add(new_bar()));
            bar.set_length(counts.bytes_total);
            bar.set_position(counts.bytes);
            bar.set_message(line(location.as_deref(), counts));
        }
    }

    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.all.suspend(print)
    }

    /// Removes all bars.
    pub(super) fn end(&self) {
        let slots = self.shown.lock().unwrap_or_else(PoisonError::into_inner).take();
        slots.into_iter().flatten().for_each(|mut slot| slot.remove(&self.all));
    }
}

impl Slot {
    fn remove(&mut self, all: &MultiProgress) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            all.remove(&bar);
        }
    }
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template(TEMPLATE) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use pos3_core::{Action, Change, Entry, Event};

    use super::super::counters::Counters;
    use super::*;

    fn with_bar(bars: &Bars) -> Vec<bool> {
        bars.shown.lock().unwrap().iter().flatten().map(|slot| slot.bar.is_some()).collect()
    }

    #[test]
    fn the_bar_of_a_registration_goes_once_it_was_drawn_as_done_and_comes_back_with_the_next_transfer() {
        let bars = Bars::on(ProgressDrawTarget::hidden());
        let copy = Action::Copy { source: Entry::file("a", 4096), target: None, why: Change::New };
        let counters = Counters::default();
        let draw = |counters: &Counters| {
            bars.draw(&[(Some("memory://b/a".to_owned()), counters.now()), (None, counters.now())]);
            with_bar(&bars)
        };
        assert_eq!(draw(&counters), [true, true]);
        for event in [Event::Decided(&copy), Event::PlanComplete, Event::Done(&copy)] {
            counters.count(&event);
        }
        assert_eq!(draw(&counters), [true, true], "its last state is drawn");
        assert_eq!(draw(&counters), [false, true], "a sync keeps its bar until the end");
        assert_eq!(draw(&Counters::default()), [true, true]);
        bars.end();
        assert_eq!(draw(&counters), [false; 0], "nothing is drawn after the end");
    }
}
