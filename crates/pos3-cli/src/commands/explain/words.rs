//! The outcome of an explanation in words.

use pos3::{Action, Change, Deletion, Explanation, Key, Outcome, SkipReason};

use super::lines::rule;
use crate::args::ExplainArgs;
use crate::lines::Lines;

/// The action of a sync and the reason for it, as text.
pub(super) struct Words {
    /// One word for programs.
    pub(super) outcome: &'static str,
    pub(super) would: String,
    pub(super) reason: String,
}

impl Words {
    pub(super) fn new(args: &ExplainArgs, explanation: &Explanation, deletion: Deletion) -> Self {
        let nothing = |outcome, reason: &str| Self { outcome, would: "nothing".to_owned(), reason: reason.to_owned() };
        match &explanation.outcome {
            Outcome::Absent | Outcome::Nothing if explanation.inside.is_some() => {
                let inside = explanation.inside.as_ref().map(Key::to_string).unwrap_or_default();
                nothing(
                    "nothing",
                    &format!("it is a directory that exists because of its contents, such as '{inside}'"),
                )
            }
            Outcome::Absent => nothing("absent", "it exists on neither side"),
            Outcome::Excluded => {
                let rule = explanation.rule.as_ref().map(rule).unwrap_or_default();
                nothing("excluded", &format!("excluded by {rule}; it is neither copied nor deleted"))
            }
            Outcome::Unchanged(evidence) => nothing("unchanged", evidence.as_str()),
            Outcome::Kept => nothing("kept", "only the target has it; it would be deleted with --delete"),
            Outcome::Shielded { by, why } => nothing(
                "protected",
                &format!("in the source it would be below '{by}', and {why}; so it is not treated as absent"),
            ),
            Outcome::Act(action) => Self::of_action(args, action, deletion),
            _ => {
                nothing("nothing", "directories exist because of their contents, and protected entries are not changed")
            }
        }
    }

    fn of_action(args: &ExplainArgs, action: &Action, deletion: Deletion) -> Self {
        let lines = Lines::new(&args.job.from, &args.job.to);
        let would = lines.line(action).unwrap_or_else(|| "skip and report it".to_owned());
        let (outcome, reason) = match action {
            Action::Copy { why: Change::New, .. } => ("copy", "the target does not have it".to_owned()),
            Action::Copy { why: Change::Incomparable, .. } => {
                ("copy", "the sides cannot be compared, because no digest is known for both".to_owned())
            }
            Action::Copy { why, .. } => ("copy", why.as_str().to_owned()),
            Action::Delete { .. } => {
                let guards =
                    "after everything else has succeeded, and if --max-delete and --allow-empty permit the whole plan";
                ("delete", format!("only the target has it; --delete deletes it {guards}"))
            }
            Action::Replace { obstacle, .. } => {
                ("replace", format!("'{obstacle}' has the same path; --delete deletes it first"))
            }
            Action::Skip { why: why @ SkipReason::Clash(_), .. } if deletion == Deletion::Keep => {
                ("skip", format!("{why}; --delete may free the path"))
            }
            Action::Skip { why, .. } => ("skip", why.to_string()),
        };
        Self { outcome, would, reason }
    }
}
