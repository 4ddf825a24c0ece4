//! Signals that end a session.
//!
//! An interrupt is an error: outputs are half-made, so nothing is deleted, and only what was asked for is uploaded. The
//! program's own handlers are called as well; the process does not end by the signal, its end is the program's matter.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use super::inner::Inner;
use crate::signal::{Signal, on_each_signal};

/// How long an end waits before it begins, so that signals that came while the work kept the thread busy arrive first.
const SETTLING: Duration = Duration::from_millis(5);

/// What a session does about signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signals {
    Ignored,
    End,
}

/// The signals since somebody began to listen; none is lost.
#[derive(Debug)]
pub(crate) struct Arrivals {
    signals: UnboundedReceiver<Signal>,
    first: Arc<OnceLock<&'static str>>,
    listening: Option<AbortOnDropHandle<()>>,
}

/// What was made of the signals that came during an end, for as long as this lives.
pub(super) struct Attending {
    first: Arc<OnceLock<&'static str>>,
    _task: AbortOnDropHandle<()>,
}

impl Signals {
    /// Begins to listen, if signals are to end the session.
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
    /// Waits for the next signal, and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        match self.signals.recv().await {
            Some(signal) => signal.name(),
            None => std::future::pending().await,
        }
    }

    /// Returns where the name of the first signal is noted when it comes.
    #[cfg(feature = "blocking")]
    pub(crate) fn noted(&self) -> Arc<OnceLock<&'static str>> {
        self.first.clone()
    }

    /// Treats the signals that came before the end as one, which hurries the end. The first signal after that does the
    /// same if there was none before; the next one abandons what is still in flight.
    pub(super) async fn attend(mut self, inner: Arc<Inner>) -> Attending {
        if self.listening.is_some() {
            tokio::time::sleep(SETTLING).await;
        }
        let first = self.first.clone();
        let came_before = first.get().is_some();
        while came_before && self.signals.try_recv().is_ok() {}
        if came_before {
            inner.hurry.cancel();
        }
        let task = tokio::spawn(async move {
            if !came_before {
                self.next().await;
                inner.hurry.cancel();
            }
            self.next().await;
            inner.abandon();
            // It goes on to listen, or a further signal would be nobody's.
            std::future::pending::<()>().await;
        });
        Attending { first, _task: AbortOnDropHandle::new(task) }
    }
}

impl Attending {
    /// Returns the name of the first signal, if one came.
    pub(super) fn first(&self) -> Option<&'static str> {
        self.first.get().copied()
    }
}
