use super::*;
use crate::error::{ErrorKind, Operation};

fn failure(action: FailedAction, kind: FailureKind, error: ErrorKind) -> Failure {
    Failure { key: Key::from("k"), action, kind, error: StoreError::new(error, Operation::Delete) }
}

fn report(failures: &[(FailedAction, FailureKind)], stopped: Option<Stop>) -> Report {
    let mut report = Report { stopped, withheld: 1, ..Report::default() };
    failures.iter().for_each(|(action, kind)| report.failed.push(failure(*action, *kind, ErrorKind::Denied)));
    report
}

#[test]
fn a_run_whose_deletes_alone_failed_has_made_every_copy() {
    let delete = (FailedAction::Delete, FailureKind::Error);
    let copy = (FailedAction::Copy, FailureKind::Error);
    let is_back = (FailedAction::Delete, FailureKind::Stale(Side::Source));
    let is_changed = (FailedAction::Delete, FailureKind::Stale(Side::Target));
    let fatal = |action, error| Some(Stop::Fatal(failure(action, FailureKind::Error, error)));
    let refused = || Some(Stop::Refused(Refusal::SourceEmpty { files: 1 }));
    for (failures, stopped, expected) in [
        (&[delete, is_changed][..], None, true),
        (&[delete, copy], None, false),
        // The source has a file again that was not copied.
        (&[delete, is_back], None, false),
        (&[(FailedAction::Delete, FailureKind::Displaced)], None, false),
        (&[delete], fatal(FailedAction::Delete, ErrorKind::Denied), true),
        (&[delete], fatal(FailedAction::Copy, ErrorKind::Denied), false),
        // The bucket is gone, with what was copied.
        (&[delete], fatal(FailedAction::Delete, ErrorKind::NotFound), false),
        (&[], refused(), true),
        (&[copy], refused(), false),
        (&[delete], Some(Stop::Cancelled), false),
        (&[], None, false),
    ] {
        let report = report(failures, stopped);
        assert_eq!(report.lacks_only_deletes(), expected, "{report:?}");
    }
    let mut skips = report(&[delete], None);
    skips.skipped.push((Key::from("a"), crate::action::SkipReason::Vanished));
    assert!(!skips.lacks_only_deletes(), "{skips:?}");
}

#[test]
fn failures_are_counted_by_their_action() {
    let delete = (FailedAction::Delete, FailureKind::Error);
    let report = report(&[delete, (FailedAction::Copy, FailureKind::Error), delete], None);
    assert_eq!((report.failed.len(), report.not_deleted()), (3, 3), "one delete was withheld");
    assert_eq!(Incomplete(Box::new(report)).to_string(), "1 failed, 2 not deleted");
}
