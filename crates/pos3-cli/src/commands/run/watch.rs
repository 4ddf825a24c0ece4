//! The time from the start of the program to its end.

use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use pos3::Signal;
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc::UnboundedReceiver;

use super::program::Program;
use super::{GLANCE, say};

/// A time longer than any run.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The signals of this process, in their order.
pub(in crate::commands) struct Arrivals {
    stream: UnboundedReceiver<Signal>,
    first: Option<Signal>,
    count: usize,
}

impl Arrivals {
    pub(in crate::commands) fn new(stream: UnboundedReceiver<Signal>) -> Self {
        Self { stream, first: None, count: 0 }
    }

    /// Waits for a signal.
    pub(in crate::commands) async fn next(&mut self) -> Signal {
        match self.stream.recv().await {
            Some(signal) => {
                self.first.get_or_insert(signal);
                self.count += 1;
                signal
            }
            None => std::future::pending().await,
        }
    }

    /// Returns the first signal, if one came.
    pub(in crate::commands) fn first(&self) -> Option<Signal> {
        self.first
    }

    /// Returns the number of signals so far.
    pub(in crate::commands) fn count(&self) -> usize {
        self.count
    }
}

/// Waits for the end of the program. After the first signal, which is passed on, the program and the processes that it
/// started have this grace period to end. A second signal kills them.
pub(in crate::commands) async fn watch(
    program: &mut Program,
    arrivals: &mut Arrivals,
    notices: &mut UnboundedReceiver<SignalKind>,
    grace: Duration,
) -> Option<ExitStatus> {
    let mut patience = pin!(tokio::time::sleep(FOREVER));
    let (mut ended, mut killed) = (None, false);
    loop {
        if let Some(status) = ended
            && (killed || arrivals.first.is_none() || !program.has_group())
        {
            return status;
        }
        tokio::select! {
            biased;
            status = program.wait(), if ended.is_none() => ended = Some(status.ok()),
            signal = arrivals.next() => {
                if arrivals.count > 1 {
                    program.kill();
                    killed = true;
                } else {
                    program.pass_on(signal);
                    patience.set(tokio::time::sleep(grace));
                }
            }
            Some(signal) = notices.recv() => program.notify(signal),
            () = &mut patience, if !killed => {
                let what = if ended.is_some() { "what the program started" } else { "the program" };
                say(&format!("{what} did not end in time and is killed"));
                program.kill();
                killed = true;
            }
            () = tokio::time::sleep(GLANCE), if ended.is_some() => {}
        }
    }
}
