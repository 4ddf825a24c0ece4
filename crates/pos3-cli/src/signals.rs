//! Ctrl-C, SIGTERM, SIGHUP, SIGQUIT and the signals of timers and limits. The first signal asks the run to end in good order,
//! the second ends the process.
//!
//! Without this, a signal would end a run without a report.

use std::sync::{Arc, OnceLock};

use pos3::{CancellationToken, Signal, on_each_signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::exit::Exit;
use crate::output;

/// SIGXFSZ, which the kernel sends for a write beyond the limit of the size of files (`ulimit -f`).
const FILE_SIZE_LIMIT: i32 = 25;

/// The signals of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    cancel: CancellationToken,
    first: Arc<OnceLock<Exit>>,
}

impl Signals {
    /// Starts to listen. If the system does not allow it, signals keep their default action and end the process.
    pub(crate) fn listen() -> Self {
        let signals = Self::default();
        let receiver = signals.clone();
        on_each_signal(&Signal::ALL, move |signal| receiver.received(Exit::Signal(signal)));
        signals
    }

    /// Returns the token that the first signal cancels.
    pub(crate) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Waits for the first signal.
    pub(crate) async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Waits for a future that may take any time and changes nothing, such as a source of credentials. Returns `None`
    /// if a signal comes first.
    pub(crate) async fn unless_signalled<T>(&self, opening: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.cancelled() => None,
            opened = opening => Some(opened),
        }
    }

    /// Returns the exit code of the first signal, if one came.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.first.get().copied()
    }

    fn received(&self, exit: Exit) {
        if self.first.set(exit).is_err() {
            std::process::exit(exit.code().into());
        }
        // The terminal has shown the key on a line of its own.
        output::note("");
        output::note("ending: waiting for the transfers in flight; send the signal again to end immediately");
        self.cancel.cancel();
    }
}

/// Returns every signal as it comes, for a command that decides itself what each one means.
pub(crate) fn each() -> UnboundedReceiver<Signal> {
    let (arrived, arrivals) = unbounded_channel();
    on_each_signal(&Signal::ALL, move |signal| {
        // The receiver is gone only if the command has ended.
        let _ended = arrived.send(signal);
    });
    arrivals
}

/// Returns each SIGUSR1 and SIGUSR2 as it comes. They no longer end this process.
pub(crate) fn user_defined() -> UnboundedReceiver<SignalKind> {
    let (arrived, arrivals) = unbounded_channel();
    for kind in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
        let (Ok(mut stream), arrived) = (signal(kind), arrived.clone()) else { continue };
        tokio::spawn(async move { while stream.recv().await.is_some() && arrived.send(kind).is_ok() {} });
    }
    arrivals
}

/// Makes a write beyond the limit of the size of files an ordinary error. Programs that this one starts get the default
/// action of the signal again, because a handler, unlike an ignored signal, ends with `exec`.
pub(crate) fn survive_the_limit_of_file_sizes() {
    // If the handler cannot be installed, the signal ends the process as before.
    let _handler = signal(SignalKind::from_raw(FILE_SIZE_LIMIT));
}
