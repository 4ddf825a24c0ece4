use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::iter::successors;

use pos3_core::{
    ErrorKind, FailedAction, Failure, FailureKind, Key, Operation, Refusal, Report, Side, Spill, StoreError,
};

use super::*;
use crate::session::{Ending, ScopeError};

const CAUSE: &str = "the disk is on fire";

fn store_error() -> StoreError {
    let cause = io::Error::other(CAUSE);
    StoreError::new(ErrorKind::Unavailable, Operation::List).with_message("no answer").with_source(cause)
}

fn of_report(change: impl FnOnce(&mut Report)) -> SessionError {
    let mut report = Report::default();
    change(&mut report);
    let report = Arc::new(Incomplete(Box::new(report)));
    SessionError::Transfer { location: "s3://b/x".to_owned(), report, conflicts: Vec::new() }
}

fn failure() -> Failure {
    let (action, kind) = (FailedAction::Copy, FailureKind::Error);
    Failure { key: Key::from("a"), action, kind, error: store_error() }
}

/// Returns the text that a program prints which prints the whole chain of an error, such as `{:#}` of `anyhow`.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let texts: Vec<_> = successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    texts.join(": ")
}

#[test]
fn each_session_error_prints_its_cause_once() {
    let location = || "s3://b/x".to_owned();
    let opened = SessionError::from(Error::Store { location: location(), source: store_error() });
    let errors = [
        SessionError::Conflicts(vec![opened.clone(), SessionError::Closed]),
        SessionError::Several(vec![opened.clone()]),
        SessionError::Several(vec![SessionError::Closed, opened.clone()]),
        opened,
        SessionError::LocalPath { path: "out".into(), cause: CAUSE.to_owned() },
        SessionError::NoThreads(CAUSE.to_owned()),
        SessionError::Deadline { location: location(), missing: Some(1), cause: Some(CAUSE.to_owned()) },
        of_report(|report| {
            let (side, place) = (Side::Source, "s3://b/x".to_owned());
            report.stopped = Some(Stop::Listing { side, place, error: store_error() });
        }),
        of_report(|report| report.stopped = Some(Stop::Fatal(failure()))),
        of_report(|report| report.failed.push(failure())),
    ];
    for error in errors {
        for text in [error.to_string(), chain(&error), one_line(&error)] {
            assert_eq!(text.matches(CAUSE).count(), 1, "{error:?}: {text}");
        }
        let scope: ScopeError<String> = ScopeError::Ending(error);
        assert_eq!(chain(&scope).matches(CAUSE).count(), 1, "{scope}");
    }
}

#[test]
fn a_refused_transfer_names_the_reason() {
    let error = of_report(|report| report.stopped = Some(Stop::Refused(Refusal::SourceEmpty { files: 3 })));
    assert_eq!(chain(&error), error.to_string());
    assert!(error.to_string().starts_with("'s3://b/x': refused: "), "{error}");
}

/// A record that cannot be encoded, so that a plan with it cannot be stored.
#[derive(serde::Deserialize)]
struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(CAUSE))
    }
}

#[test]
fn a_plan_that_cannot_be_stored_names_the_reason() {
    let unstored = Spill::with_limit(1).push(&Unencodable).unwrap_err();
    let cause = one_line(&unstored);
    let error = of_report(|report| report.stopped = Some(Stop::Spill(unstored)));
    assert!(error.to_string().ends_with(&cause), "{error}: {cause}");
    assert_eq!(chain(&error), error.to_string());
}

/// An error that prints its causes only in the alternate form, as `anyhow::Error` does.
#[derive(Debug)]
struct Layered;

impl fmt::Display for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the work failed")?;
        if f.alternate() { write!(f, ": {CAUSE}") } else { Ok(()) }
    }
}

#[test]
fn the_error_of_the_work_is_printed_with_its_causes() {
    let scope = ScopeError::Body { error: Layered, ending: Ending::default() };
    assert_eq!(scope.to_string(), format!("the work failed: {CAUSE}"));
}
