//! The hints for runs that ended early, and for files that failed or were skipped.

use pos3::{Archived, Protection, Refusal, Report, SkipReason, Stop};

use super::{EMPTY_SOURCE, LINK, OTHER_CACHE, RESTORE, for_spill, for_store};
use crate::name;
use crate::shell::quoted;

/// Returns true if a key is skipped because the target has a symbolic link there, or above it.
pub(crate) fn is_behind_link(why: &SkipReason) -> bool {
    matches!(why, SkipReason::Target(Protection::Symlink) | SkipReason::Shielded { why: Protection::Symlink, .. })
}

/// The hint about a bucket that has a name both as a file and as a directory.
const OTHER_SHAPE: &str =
    "all copies were made; delete the old objects in the bucket (--delete does this for a directory, not for one file)";

/// The hint about an excluded entry of the target in the way of others.
const IN_THE_WAY: &str = "move the excluded entry away, or exclude also what the source has at its path";

/// Returns the hint for a run that ended early.
pub(crate) fn for_stop(stop: &Stop) -> Option<String> {
    match stop {
        Stop::Listing { error, .. } => for_store(error),
        Stop::Fatal(failure) => for_store(&failure.error),
        Stop::Refused(Refusal::SourceEmpty { .. } | Refusal::NoSourceFile { .. }) => Some(EMPTY_SOURCE.to_owned()),
        Stop::Spill(error) => Some(for_spill(error)),
        Stop::Refused(Refusal::Unreliable { .. }) => Some(format!(
            "list the location with '{} ls --recursive', and report the faulty listing to the operator of the server",
            name::name()
        )),
        Stop::Refused(Refusal::UnmatchedPattern { pattern, .. }) => Some(format!(
            "to exclude the contents of the directory, write --exclude {}; if they may be deleted, remove the pattern",
            quoted(&format!("{pattern}/*"))
        )),
        Stop::Refused(Refusal::SamePlace { .. } | Refusal::WroteIntoSource { .. }) => {
            Some("use one name for the server in both locations".to_owned())
        }
        Stop::Refused(Refusal::LeadsToOtherSide { .. }) => {
            Some("exclude that directory on both sides: --exclude 'DIRECTORY/*'".to_owned())
        }
        Stop::Refused(Refusal::TooManyDeletes { deletes, .. }) => Some(format!(
            "check the plan with --dry-run --max-delete {deletes}; if it is right, run it with --max-delete {deletes}"
        )),
        _ => None,
    }
}

/// What the hints of a command can advise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advice {
    /// The option that excludes archived objects.
    leave_out: &'static str,
    /// How to repeat what was not done because a side has changed.
    repeat: &'static str,
}

impl Advice {
    /// The advice of commands that make or execute plans.
    pub(crate) const OF_PLANS: Self =
        Self { leave_out: "--skip-archived", repeat: "check the changed files, then sync again, or make a new plan" };

    /// The advice of commands that use a session.
    pub(crate) const OF_SESSIONS: Self =
        Self { leave_out: "--exclude", repeat: "check the changed files, then repeat the command" };
}

/// Returns the hint for the failures and skips of a report.
pub(crate) fn for_report(report: &Report, Advice { leave_out, repeat }: Advice) -> Option<String> {
    let failed = report.failed.head().iter().find_map(|failure| for_store(&failure.error));
    failed.or_else(|| {
        if report.skipped.any(|why| matches!(why, SkipReason::Archived(Archived::Missing))) {
            return Some(format!("{RESTORE}; or leave archived objects out with {leave_out}"));
        }
        if report.skipped.any(|why| matches!(why, SkipReason::OtherShape(_))) {
            return Some(OTHER_SHAPE.to_owned());
        }
        if report.skipped.any(|why| matches!(why, SkipReason::RemovedOutput)) {
            return Some(format!("repeat the command once that session has ended, or {OTHER_CACHE}"));
        }
        if report.skipped.any(is_behind_link) {
            return Some(LINK.to_owned());
        }
        let clash = report.skipped.any(|why| matches!(why, SkipReason::Clash(_)));
        if report.skipped.any(|why| matches!(why, SkipReason::Excluded(_))) {
            return Some(IN_THE_WAY.to_owned());
        }
        let stale = report.failed.stale() > 0;
        let conflict = report.skipped.any(SkipReason::is_conflict);
        let advice = match (conflict, clash, stale) {
            (true, ..) => {
                "compare the two; to use the object, delete the local file; to use the local file, upload only this file"
            }
            (false, true, _) => {
                "a disk cannot hold a file and a directory of one name; use --exclude to choose one, or --delete where \
                 only the target has the other"
            }
            (false, false, true) => repeat,
            (false, false, false) => return None,
        };
        Some(advice.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use pos3::{ErrorKind, FailedAction, Failure, FailureKind, Operation, Side, StoreError};

    use super::*;

    /// A record that cannot be encoded.
    #[derive(serde::Deserialize)]
    struct Unencodable;

    impl serde::Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("a fault"))
        }
    }

    #[test]
    fn a_record_that_cannot_be_encoded_is_no_fault_of_a_temporary_file() {
        let error = pos3::Spill::with_limit(1).push(&Unencodable).unwrap_err();
        let message = pos3::one_line(&error);
        assert!(message.contains("a fault of pos3") && !message.contains("temporary file"), "{message}");
        let hint = for_stop(&Stop::Spill(error)).unwrap();
        assert!(hint.contains("report this message") && !hint.contains("TMPDIR"), "{hint}");
    }

    #[test]
    fn the_hint_about_a_clash_names_both_solutions() {
        let mut report = Report::default();
        report.skipped.push(("a".into(), SkipReason::Clash("a/".into())));
        let hint = for_report(&report, Advice::OF_PLANS).unwrap();
        assert!(hint.contains("--exclude") && hint.contains("--delete"), "{hint}");
    }

    #[test]
    fn a_hint_about_changed_files_names_a_plan_only_where_there_is_one() {
        let mut report = Report::default();
        let error = StoreError::new(ErrorKind::Precondition, Operation::Write);
        let kind = FailureKind::Stale(Side::Target);
        report.failed.push(Failure { key: "a".into(), action: FailedAction::Copy, kind, error });
        let names_plan = |advice| for_report(&report, advice).unwrap().contains("plan");
        assert!(names_plan(Advice::OF_PLANS) && !names_plan(Advice::OF_SESSIONS));
    }
}
