//! The signals that end a session.
//!
//! An interrupt is treated as an error: outputs may be incomplete, so pos3 deletes nothing and uploads only outputs
//! with `sync_on_error`. Handlers of the program are called, too. The signal does not terminate the process; the
//! program must exit by itself.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use super::inner::Inner;
use super::urgency::Urgency;
use crate::signal::{Signal, on_each_signal};

/// How long an end waits before it begins, to receive signals that arrived while the work kept the thread busy.
const SETTLING: Duration = Duration::from_millis(5);

/// Whether signals end the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signals {
    Ignored,
    End,
}

/// All signals since listening began.
#[derive(Debug)]
pub(crate) struct Arrivals {
    signals: UnboundedReceiver<Signal>,
    first: Arc<OnceLock<&'static str>>,
    listening: Option<AbortOnDropHandle<()>>,
}

/// Handles the signals during an end until it is dropped.
pub(super) struct Attending {
    first: Arc<OnceLock<&'static str>>,
    _task: AbortOnDropHandle<()>,
}

impl Signals {
    /// Starts to listen, if signals end the session.
    pub(super) fn listen(self) -> Arrivals {
        let (arrived, signals) = unbounded_channel();
        let first = Arc::new(OnceLock::new());
        let noted = first.clone();
        let forward = move |signal: Signal| {
            let _second = noted.set(signal.name());
            let _nobody_listens = arrived.send(signal);
        };
        let listening = match self {
            Self::Ignored => None,
            Self::End => Some(AbortOnDropHandle::new(on_each_signal(&Signal::REQUESTS, forward))),
        };
        Arrivals { signals, first, listening }
    }
}

impl Arrivals {
    /// Waits for the next signal and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        match self.signals.recv().await {
            Some(signal) => signal.name(),
            None => std::future::pending().await,
        }
    }

    /// Returns the cell that receives the name of the first signal.
    #[cfg(feature = "blocking")]
    pub(crate) fn noted(&self) -> Arc<OnceLock<&'static str>> {
        self.first.clone()
    }

    /// Treats all signals that arrived before the end as one, which hurries the end. If there was none, the first
    /// signal during the end hurries it. The next signal abandons the transfers in flight.
    pub(super) async fn attend(mut self, inner: Arc<Inner>) -> Attending {
        if self.listening.is_some() {
            tokio::time::sleep(SETTLING).await;
        }
        let first = self.first.clone();
        let came_before = first.get().is_some();
        while came_before && self.signals.try_recv().is_ok() {}
        if came_before {
            inner.course.urge(Urgency::Hurry);
        }
        let task = tokio::spawn(async move {
            if !came_before {
                self.next().await;
                inner.course.urge(Urgency::Hurry);
            }
            self.next().await;
            inner.course.urge(Urgency::Abandon);
            // Continues to listen, so that a further signal does not terminate the process.
            std::future::pending::<()>().await;
        });
        Attending { first, _task: AbortOnDropHandle::new(task) }
    }
}

impl Attending {
    /// Returns the name of the first signal, if there was one.
    pub(super) fn first(&self) -> Option<&'static str> {
        self.first.get().copied()
    }
}
