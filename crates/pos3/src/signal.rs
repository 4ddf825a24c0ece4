//! The signals that end a process in an orderly way: [`Signal`], [`on_each_signal`].
//!
//! If `nohup` made this process ignore SIGHUP, it must stay ignored, and installing a handler would undo that. Systems
//! also send SIGHUP together with another signal, so it must never be treated as a second request to stop.

use std::future::poll_fn;
use std::task::Poll;

use tokio::signal::unix::{self, SignalKind};
use tokio::task::JoinHandle;

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal or the connection is gone.
    Hangup,
    /// SIGQUIT: Ctrl-\.
    Quit,
}

impl Signal {
    /// All of these signals.
    pub const ALL: [Self; 4] = [Self::Interrupt, Self::Terminate, Self::Hangup, Self::Quit];

    /// Returns the signal's name, such as `SIGTERM`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
            Self::Quit => "SIGQUIT",
        }
    }

    /// Returns the signal's number.
    pub fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Terminate => 15,
        }
    }

    /// Returns false for SIGHUP and SIGQUIT if this process ignores them, as under `nohup`, or if that is unknown.
    fn is_listened_to(self) -> bool {
        match self {
            Self::Interrupt | Self::Terminate => true,
            Self::Hangup | Self::Quit => ignored().is_some_and(|ignored| ignored & (1 << (self.number() - 1)) == 0),
        }
    }

    fn kind(self) -> SignalKind {
        SignalKind::from_raw(self.number().into())
    }
}

/// Calls `arrived` for each signal until the returned task is aborted. From then on, these signals no longer end the
/// process by themselves.
///
/// SIGHUP and SIGQUIT are left alone if this process ignores them (`nohup`), and on systems other than Linux, which do
/// not report that. A SIGHUP after another signal is dropped, because systems send it together with the first one.
///
/// # Panics
///
/// Panics if it is called outside a tokio runtime.
pub fn on_each_signal(arrived: impl Fn(Signal) + Send + 'static) -> JoinHandle<()> {
    let signals = Signal::ALL.into_iter().filter(|signal| signal.is_listened_to());
    let mut streams: Vec<_> = signals.filter_map(|signal| Some((signal, unix::signal(signal.kind()).ok()?))).collect();
    tokio::spawn(async move {
        let mut is_first = true;
        loop {
            let next = poll_fn(|context| {
                let ready = streams.iter_mut().find_map(|(signal, stream)| match stream.poll_recv(context) {
                    Poll::Ready(Some(())) => Some(*signal),
                    Poll::Ready(None) | Poll::Pending => None,
                });
                ready.map_or(Poll::Pending, Poll::Ready)
            });
            let signal = next.await;
            if is_first || signal != Signal::Hangup {
                arrived(signal);
            }
            is_first = false;
        }
    })
}

/// Returns the signals that this process ignores as a bit mask, if the system reports it.
fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_listened_to_unless_it_is_ignored() {
        // Rust programs ignore SIGPIPE (13) by default.
        assert_ne!(ignored().unwrap() & (1 << 12), 0);
        assert!(Signal::Interrupt.is_listened_to() && Signal::Terminate.is_listened_to());
    }
}
