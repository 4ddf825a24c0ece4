//! The signals that end a process in an orderly way: [`Signal`], [`on_each_signal`].
//!
//! If `nohup` made this process ignore SIGHUP, it must stay ignored, and installing a handler would undo that. Systems
//! also send SIGHUP together with another signal, so it must never be treated as a second request to stop. Neither may
//! a signal that arrives twice: `timeout` signals its child and then the child's process group.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::signal::unix::{self, SignalKind};
use tokio::task::JoinHandle;

/// A signal that arrives again within this time is treated as the same signal.
const REPEAT: Duration = Duration::from_secs(1);

/// A signal that asks a process to end, or that ends it by default.
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
    /// SIGALRM: a timer of `alarm` or `setitimer` ran out.
    Alarm,
    /// SIGVTALRM: a timer of CPU time ran out.
    VirtualAlarm,
    /// SIGPROF: a profiling timer ran out.
    Profiling,
    /// SIGXCPU: the soft limit of CPU time is reached. The kernel repeats it every second.
    CpuLimit,
}

impl Signal {
    /// The signals with which users and systems ask a process to end.
    pub const REQUESTS: [Self; 4] = [Self::Interrupt, Self::Terminate, Self::Hangup, Self::Quit];

    /// All of these signals.
    pub const ALL: [Self; 8] = [
        Self::Interrupt,
        Self::Terminate,
        Self::Hangup,
        Self::Quit,
        Self::Alarm,
        Self::VirtualAlarm,
        Self::Profiling,
        Self::CpuLimit,
    ];

    /// Returns the signal's name, such as `SIGTERM`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
            Self::Quit => "SIGQUIT",
            Self::Alarm => "SIGALRM",
            Self::VirtualAlarm => "SIGVTALRM",
            Self::Profiling => "SIGPROF",
            Self::CpuLimit => "SIGXCPU",
        }
    }

    /// Returns the signal's number.
    pub fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Alarm => 14,
            Self::Terminate => 15,
            Self::CpuLimit => 24,
            Self::VirtualAlarm => 26,
            Self::Profiling => 27,
        }
    }

    /// Returns true for SIGINT and SIGTERM. It returns false for the other signals if this process ignores them, as it
    /// does SIGHUP under `nohup`, or if that is unknown.
    fn is_listened_to(self) -> bool {
        match self {
            Self::Interrupt | Self::Terminate => true,
            _ => ignored().is_some_and(|ignored| ignored & (1 << (self.number() - 1)) == 0),
        }
    }

    /// Returns true if this signal after another one is a second request to stop. Timers and limits repeat their
    /// signals, and systems send SIGHUP together with other signals.
    fn may_be_second(self) -> bool {
        matches!(self, Self::Interrupt | Self::Terminate | Self::Quit)
    }

    fn kind(self) -> SignalKind {
        SignalKind::from_raw(self.number().into())
    }
}

/// Calls `arrived` for each of these signals until the returned task is aborted. From then on, they no longer end the
/// process by themselves.
///
/// A signal that arrives again within a second is treated as the same signal, because wrappers such as `timeout` send
/// it to the process and to its process group. After the first signal, only SIGINT, SIGTERM and SIGQUIT are reported.
///
/// Signals other than SIGINT and SIGTERM are left alone if this process ignores them (`nohup`), and on systems other
/// than Linux, which do not report that.
///
/// # Panics
///
/// Panics if it is called outside a tokio runtime.
pub fn on_each_signal(signals: &[Signal], arrived: impl Fn(Signal) + Send + 'static) -> JoinHandle<()> {
    let signals = signals.iter().copied().filter(|signal| signal.is_listened_to());
    let mut streams: Vec<_> = signals.filter_map(|signal| Some((signal, unix::signal(signal.kind()).ok()?))).collect();
    tokio::spawn(async move {
        let mut reported = Reported::default();
        loop {
            let next = poll_fn(|context| {
                let ready = streams.iter_mut().find_map(|(signal, stream)| match stream.poll_recv(context) {
                    Poll::Ready(Some(())) => Some(*signal),
                    Poll::Ready(None) | Poll::Pending => None,
                });
                ready.map_or(Poll::Pending, Poll::Ready)
            });
            let signal = next.await;
            if reported.is_new(signal, Instant::now()) {
                arrived(signal);
            }
        }
    })
}

/// The signals that were reported, with their times.
#[derive(Debug, Default)]
struct Reported(Vec<(Signal, Instant)>);

impl Reported {
    /// Returns true if this signal is to be reported, and remembers it.
    fn is_new(&mut self, signal: Signal, now: Instant) -> bool {
        let is_repeat = self.0.iter().any(|(old, at)| *old == signal && now.duration_since(*at) < REPEAT);
        let is_new = self.0.is_empty() || (signal.may_be_second() && !is_repeat);
        if is_new {
            self.0.push((signal, now));
        }
        is_new
    }
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

    #[test]
    fn a_repeat_within_a_second_and_a_signal_that_repeats_by_itself_are_not_second_signals() {
        let begin = Instant::now();
        let after = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut reported = Reported::default();
        assert!(reported.is_new(Signal::Terminate, begin));
        assert!(![0, 1, 10, 999].iter().any(|time| reported.is_new(Signal::Terminate, after(*time))));
        assert!(!reported.is_new(Signal::Hangup, after(2000)));
        assert!(!reported.is_new(Signal::CpuLimit, after(2000)));
        assert!(reported.is_new(Signal::Interrupt, after(10)), "another signal");
        assert!(reported.is_new(Signal::Terminate, after(1000)));
        let mut reported = Reported::default();
        assert!(reported.is_new(Signal::CpuLimit, begin));
        assert!(!reported.is_new(Signal::CpuLimit, after(1500)), "the kernel repeats it every second");
    }
}
