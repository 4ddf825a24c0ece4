//! The exit codes. Scripts decide by them, so each code has one meaning.

use std::process::ExitCode;

use pos3::{Report, Signal, Stop};

/// The number that shells add to the number of the signal that ended a program.
pub(crate) const BY_SIGNAL: u8 = 128;

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command did everything.
    Done,
    /// Something failed, was skipped or does not exist.
    Failed,
    /// The arguments, the environment or a profile are invalid.
    Usage,
    /// The two locations differ. Only `check` returns this.
    Differs,
    /// pos3 refused the run for safety, and nothing has changed.
    Refused,
    /// The command did everything, but the result could not be written to stdout.
    Unwritten,
    /// A signal ended the command.
    Signal(Signal),
    /// The exit code of the program that `run` ran.
    Program(u8),
}

impl Exit {
    /// Returns the code of a report. `signal` is the code of the signal that ended the run, if one did.
    pub(crate) fn of_report(report: &Report, signal: Option<Exit>) -> Self {
        match &report.stopped {
            Some(stop) => Self::of_stop(stop, signal),
            None if report.is_clean() => Self::Done,
            None => Self::Failed,
        }
    }

    /// Returns the code of a run that ended early. `signal` is the code of the signal that ended it, if one did.
    pub(crate) fn of_stop(stop: &Stop, signal: Option<Exit>) -> Self {
        match stop {
            Stop::Cancelled => signal.unwrap_or(Self::Signal(Signal::Interrupt)),
            Stop::Refused(_) => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// Returns the number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Differs => 3,
            Self::Refused => 4,
            Self::Unwritten => 5,
            Self::Signal(signal) => BY_SIGNAL + signal.number(),
            Self::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use pos3::{
        ErrorKind, FailedAction, Failure, FailureKind, Key, Operation, Protection, Refusal, Side, SkipReason,
        StoreError,
    };

    use super::*;

    fn stopped(stop: Stop) -> Report {
        let mut report = Report::default();
        report.stopped = Some(stop);
        report
    }

    fn skipped(why: SkipReason) -> Report {
        let mut report = Report::default();
        report.skipped.push((Key::from("k"), why));
        report
    }

    fn listing(side: Side, kind: ErrorKind) -> Report {
        stopped(Stop::Listing { side, place: "s3://b/".into(), error: StoreError::new(kind, Operation::List) })
    }

    #[test]
    fn a_report_has_one_code() {
        let mut failed = Report::default();
        let error = StoreError::new(ErrorKind::Denied, Operation::Write);
        let kind = FailureKind::Error;
        failed.failed.push(Failure { key: Key::from("k"), action: FailedAction::Copy, kind, error });
        for (report, signal, expected) in [
            (Report::default(), None, Exit::Done),
            (skipped(SkipReason::Source(Protection::Symlink)), None, Exit::Done),
            (skipped(SkipReason::Target(Protection::Symlink)), None, Exit::Failed),
            (skipped(SkipReason::Source(Protection::NotUtf8)), None, Exit::Failed),
            (skipped(SkipReason::Vanished), None, Exit::Failed),
            (failed, None, Exit::Failed),
            (stopped(Stop::Refused(Refusal::SourceEmpty { files: 3 })), None, Exit::Refused),
            (listing(Side::Source, ErrorKind::NotFound), None, Exit::Failed),
            (listing(Side::Target, ErrorKind::NotFound), None, Exit::Failed),
            (listing(Side::Source, ErrorKind::Denied), None, Exit::Failed),
            (stopped(Stop::Cancelled), Some(Exit::Signal(Signal::Quit)), Exit::Signal(Signal::Quit)),
            (stopped(Stop::Cancelled), Some(Exit::Signal(Signal::Terminate)), Exit::Signal(Signal::Terminate)),
            (Report::default(), Some(Exit::Signal(Signal::Interrupt)), Exit::Done),
        ] {
            let shown = format!("{report:?}");
            assert_eq!(Exit::of_report(&report, signal), expected, "{shown}");
        }
    }

    #[test]
    fn a_signal_has_the_code_that_shells_give_it() {
        let codes = Signal::ALL.map(|signal| Exit::Signal(signal).code());
        assert_eq!(codes, [130, 143, 129, 131, 142, 154, 155, 152]);
    }
}
