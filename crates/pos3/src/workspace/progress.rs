//! The progress of a pull or a push, in few events: [`WorkspaceProgress`].

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pos3_core::{Action, Event, Observer};

/// The number of events of a long phase. Each further event would only cost time.
const EVENTS: u64 = 20;

/// What a pull or a push is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It fetches objects.
    Download,
    /// It stores files.
    Upload,
    /// It deletes what the other side does not have any more.
    Cleanup,
}

impl Phase {
    /// Returns `download`, `upload` or `cleanup`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Cleanup => "cleanup",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far one phase of a pull or a push is. A phase of many files has about twenty events; the last event of a phase
/// always has 100 percent. The first ones can have a total that still grows, because files are transferred while others
/// are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkspaceProgress {
    /// The phase.
    pub phase: Phase,
    /// The number of files that are done or have failed.
    pub current: u64,
    /// The number of files of the phase.
    pub total: u64,
    /// The percentage, rounded.
    pub percentage: u8,
    /// The file that was done last, if one was.
    pub current_file: Option<String>,
}

/// Receives the progress, on any thread.
pub(super) type Receiver = Arc<dyn Fn(&WorkspaceProgress) + Send + Sync>;

/// Turns the events of the transfers of one pull or push into progress.
pub(super) struct Steps {
    copies: Mutex<Count>,
    deletes: Mutex<Count>,
    /// Whether the totals of the transfer that runs are final.
    is_planned: AtomicBool,
    receiver: Receiver,
}

#[derive(Debug)]
struct Count {
    phase: Phase,
    current: u64,
    total: u64,
    told: Option<u64>,
}

impl Steps {
    pub(super) fn new(copying: Phase, receiver: Receiver) -> Self {
        let count = |phase| Mutex::new(Count { phase, current: 0, total: 0, told: None });
        Self { copies: count(copying), deletes: count(Phase::Cleanup), is_planned: AtomicBool::new(false), receiver }
    }

    /// Reports the end of both phases, unless that was done.
    pub(super) fn end(&self) {
        for count in [&self.copies, &self.deletes] {
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            if count.told != Some(count.total) {
                count.current = count.total;
                self.tell(&mut count, None);
            }
        }
    }

    fn count(&self, action: &Action) -> Option<&Mutex<Count>> {
        match action {
            Action::Copy { .. } | Action::Replace { .. } => Some(&self.copies),
            Action::Delete { .. } => Some(&self.deletes),
            Action::Skip { .. } => None,
        }
    }

    fn tell(&self, count: &mut Count, file: Option<&str>) {
        count.told = Some(count.current);
        (self.receiver)(&WorkspaceProgress {
            phase: count.phase,
            current: count.current,
            total: count.total,
            percentage: percentage(count.current, count.total),
            current_file: file.map(str::to_owned),
        });
    }
}

impl Observer for Steps {
    fn event(&self, event: &Event<'_>) {
        let (action, is_done) = match event {
            Event::Decided(action) => (action, false),
            Event::Done(action) | Event::Failed(action, _) => (action, true),
            Event::Begun(..) => return self.is_planned.store(false, Ordering::Relaxed),
            Event::PlanComplete => return self.is_planned.store(true, Ordering::Relaxed),
            _ => return,
        };
        let Some(count) = self.count(action) else { return };
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_done {
            count.total += 1;
            return;
        }
        count.current += 1;
        if count.is_due(self.is_planned.load(Ordering::Relaxed)) {
            self.tell(&mut count, Some(action.key().as_str()));
        }
    }
}

impl Count {
    /// Returns true if an event is due. While the total still grows, each of its shares would soon be due, so there are
    /// events at powers of two only, and none that claims to be the last.
    fn is_due(&self, is_planned: bool) -> bool {
        if is_planned {
            self.current == self.total || self.current.is_multiple_of((self.total / EVENTS).max(1))
        } else {
            self.current < self.total && self.current.is_power_of_two()
        }
    }
}

fn percentage(current: u64, total: u64) -> u8 {
    if total == 0 {
        return 100;
    }
    let hundredths = (u128::from(current) * 200 + u128::from(total)) / (u128::from(total) * 2);
    u8::try_from(hundredths.min(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use pos3_core::{Change, Entry};

    use super::*;

    /// Returns the progress of these files, each of which is planned right before it is done or before all others are.
    fn told(files: u64, is_planned_first: bool) -> Vec<WorkspaceProgress> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let receiver = {
            let told = told.clone();
            Arc::new(move |progress: &WorkspaceProgress| told.lock().unwrap().push(progress.clone()))
        };
        let steps = Steps::new(Phase::Download, receiver);
        let copy =
            |number| Action::Copy { source: Entry::file(format!("f{number}"), 1), target: None, why: Change::New };
        let ahead = if is_planned_first { files } else { files.min(2) };
        (0..ahead).for_each(|number| steps.event(&Event::Decided(&copy(number))));
        for number in 0..files {
            if number + ahead == files {
                steps.event(&Event::PlanComplete);
            }
            steps.event(&Event::Done(&copy(number)));
            if number + ahead < files {
                steps.event(&Event::Decided(&copy(number + ahead)));
            }
        }
        steps.end();
        told.lock().unwrap().clone()
    }

    #[test]
    fn a_phase_has_about_twenty_events_and_the_last_one_has_100_percent() {
        for (files, is_planned_first) in
            [0, 1, 19, 20, 101, 119, 2116].into_iter().flat_map(|files| [(files, true), (files, false)])
        {
            let told = told(files, is_planned_first);
            let downloads: Vec<_> = told.iter().filter(|progress| progress.phase == Phase::Download).collect();
            let last = downloads.last().unwrap();
            assert_eq!((last.current, last.total, last.percentage), (files, files, 100), "{files}");
            assert!(downloads.len() <= 41, "{files}: {}", downloads.len());
            assert!(downloads.is_sorted_by(|one, next| one.current < next.current), "{files}");
            let cleanup: Vec<_> = told.iter().filter(|progress| progress.phase == Phase::Cleanup).collect();
            assert_eq!(cleanup.iter().map(|progress| progress.percentage).collect::<Vec<_>>(), [100], "{files}");
        }
    }

    #[test]
    fn a_percentage_is_rounded() {
        let table =
            [(0, 0, 100), (0, 3, 0), (1, 3, 33), (2, 3, 67), (199, 200, 100), (1, 400, 0), (u64::MAX, u64::MAX, 100)];
        for (current, total, expected) in table {
            assert_eq!(percentage(current, total), expected, "{current}/{total}");
        }
    }
}
