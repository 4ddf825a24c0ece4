//! Signals that end a session.
//!
//! An interrupt is an error: outputs are half-made, so nothing is deleted, and only what was asked for is uploaded. The
//! program's own handlers are called as well; the process does not end by the signal, its end is the program's matter.

use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use super::inner::Inner;

/// What a session does about signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signals {
    Ignored,
    End,
}

/// The signals since somebody began to listen; none is lost.
#[derive(Debug)]
pub(crate) struct Arrivals {
    names: UnboundedReceiver<&'static str>,
    first: Arc<OnceLock<&'static str>>,
    _listening: Option<AbortOnDropHandle<()>>,
}

/// What was made of the signals that came during an end, for as long as this lives.
pub(super) struct Attending {
    first: Arc<OnceLock<&'static str>>,
    _task: AbortOnDropHandle<()>,
}

impl Signals {
    /// Begins to listen, if signals are to end the session.
    pub(super) fn listen(self) -> Arrivals {
        let (arrived, names) = unbounded_channel();
        let first = Arc::new(OnceLock::new());
        let noted = first.clone();
        let forward = move |name| {
            let _second = noted.set(name);
            let _nobody_listens = arrived.send(name);
        };
        let listening = match self {
            Self::Ignored => None,
            Self::End => listen(forward).map(AbortOnDropHandle::new),
        };
        Arrivals { names, first, _listening: listening }
    }
}

impl Arrivals {
    /// Waits for the next signal, and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        match self.names.recv().await {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }

    /// Returns where the name of the first signal is noted when it comes.
    #[cfg(feature = "blocking")]
    pub(crate) fn noted(&self) -> Arc<OnceLock<&'static str>> {
        self.first.clone()
    }

    /// Lets the first signal from now on hurry the end, unless one came before; the next abandons what is still in flight.
    pub(super) fn attend(mut self, inner: Arc<Inner>, came_before: bool) -> Attending {
        let first = self.first.clone();
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

#[cfg(unix)]
fn listen(arrived: impl Fn(&'static str) + Send + 'static) -> Option<tokio::task::JoinHandle<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?);
    Some(tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => arrived("SIGINT"),
                Some(()) = terminate.recv() => arrived("SIGTERM"),
                else => return,
            }
        }
    }))
}

#[cfg(not(unix))]
fn listen(arrived: impl Fn(&'static str) + Send + 'static) -> Option<tokio::task::JoinHandle<()>> {
    Some(tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            arrived("Ctrl-C");
        }
    }))
}
