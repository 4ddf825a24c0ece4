//! Signals that end a session.
//!
//! An interrupt is an error: outputs are half-made, so nothing is deleted, and only what was asked for is uploaded. The
//! program's own handlers are called as well; the process does not end by the signal, its end is the program's matter.

use pos3_core::CancellationToken;

/// What a session does about signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signals {
    Ignored,
    End,
}

impl Signals {
    /// Waits for a signal that is to end the session, and returns its name.
    pub(super) async fn next(self) -> &'static str {
        match self {
            Self::Ignored => std::future::pending().await,
            Self::End => received().await,
        }
    }

    /// Makes the next signal end what is still in flight at once.
    pub(super) fn abort_on_next(self, abort: CancellationToken) -> tokio_util::task::AbortOnDropHandle<()> {
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            self.next().await;
            abort.cancel();
        }))
    }
}

#[cfg(unix)]
async fn received() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

#[cfg(not(unix))]
async fn received() -> &'static str {
    match tokio::signal::ctrl_c().await {
        Ok(()) => "Ctrl-C",
        Err(_) => std::future::pending().await,
    }
}
