//! The outcome of an explanation in words.

use pos3::{Action, Change, Deletion, Explanation, Key, Outcome, SkipReason};

use super::lines::rule;
use crate::args::ExplainArgs;
use crate::lines::Lines;

/// What a sync would do, and why.
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
                nothing("nothing", &format!("it is a directory, which follows from what is in it, such as '{inside}'"))
            }
            Outcome::Absent => nothing("absent", "it is on neither side"),
            Outcome::Excluded => {
                let rule = explanation.rule.as_ref().map(rule).unwrap_or_default();
                nothing("excluded", &format!("left out by {rule}; it is neither copied nor deleted"))
            }
            Outcome::Unchanged(evidence) => nothing("unchanged", evidence.as_str()),
            Outcome::Kept => {
                nothing("kept", "only the target has it, and --delete, which would delete it, was not given")
            }
            Outcome::Shielded { by, why } => nothing(
                "protected",
                &format!("in the source it would lie below '{by}', and {why}; so it is not taken for absent"),
            ),
            Outcome::Act(action) => Self::of_action(args, action, deletion),
            _ => nothing("nothing", "a directory follows from what is in it; what is protected is left alone"),
        }
    }

    fn of_action(args: &ExplainArgs, action: &Action, deletion: Deletion) -> Self {
        let lines = Lines::new(&args.job.from, &args.job.to);
        let would = lines.line(action).unwrap_or_else(|| "skip it, and say so".to_owned());
        let (outcome, reason) = match action {
            Action::Copy { why: Change::New, .. } => ("copy", "the target does not have it".to_owned()),
            Action::Copy { why: Change::Incomparable, .. } => {
                ("copy", "nothing shows that both sides are equal: there is no digest that both know".to_owned())
            }
            Action::Copy { why, .. } => ("copy", why.as_str().to_owned()),
            Action::Delete { .. } => {
                let guards = "if everything else goes well and --max-delete and --allow-empty let the whole plan pass";
                ("delete", format!("only the target has it, and --delete was given; {guards}"))
            }
            Action::Replace { obstacle, .. } => {
                ("replace", format!("'{obstacle}' stands in the way, and is deleted first, as --delete allows"))
            }
            Action::Skip { why: why @ SkipReason::Clash(_), .. } if deletion == Deletion::Keep => {
                ("skip", format!("{why}; --delete may make room for it"))
            }
            Action::Skip { why, .. } => ("skip", why.to_string()),
        };
        Self { outcome, would, reason }
    }
}
