//! The differences that a plan contains.

use std::collections::BTreeMap;

use pos3::{Action, Change, Key, Plan, SkipReason, Skips, Sorted, Sorter, SpillError, Tally, Usage};
use serde::{Deserialize, Serialize};

use crate::args::CheckArgs;
use crate::exit::Exit;

/// How a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Sign {
    #[serde(rename = "-")]
    TargetOnly,
    #[serde(rename = "+")]
    SourceOnly,
    #[serde(rename = "*")]
    Differs,
    #[serde(rename = "!")]
    Unknown,
}

/// A path that differs, or that could not be compared. Differences are ordered by their paths.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Difference {
    pub(super) path: Key,
    pub(super) sign: Sign,
    pub(super) reason: Option<String>,
}

/// All differences.
pub(super) struct Found {
    differences: Sorted<Difference>,
    counts: BTreeMap<Sign, u64>,
    /// Keys that are skipped by policy, such as symbolic links.
    pub(super) left_out: Skips,
    pub(super) tally: Tally,
    pub(super) warnings: Vec<String>,
    pub(super) usage: Usage,
}

impl Found {
    /// Reads the differences from a plan.
    pub(super) fn new(plan: &Plan, usage: Usage, args: &CheckArgs) -> Result<Self, SpillError> {
        let mut differences = Sorter::new();
        let (mut counts, mut left_out) = (BTreeMap::new(), Skips::default());
        for action in plan.actions() {
            let action = action?;
            match judge(&action, args) {
                Judgement::Difference(difference) => {
                    *counts.entry(difference.sign).or_default() += 1;
                    differences.push(difference)?;
                }
                Judgement::LeftOut(key, why) => left_out.push((key, why)),
                Judgement::NoDifference => {}
            }
        }
        let (tally, warnings) = (plan.tally, plan.warnings.clone());
        Ok(Self { differences: differences.finish()?, counts, left_out, tally, warnings, usage })
    }

    /// Returns the differences in the order of their paths.
    pub(super) fn differences(&self) -> impl Iterator<Item = Result<Difference, SpillError>> {
        self.differences.iter()
    }

    pub(super) fn count(&self, sign: Sign) -> u64 {
        self.counts.get(&sign).copied().unwrap_or_default()
    }

    pub(super) fn exit(&self) -> Exit {
        match (self.count(Sign::Unknown), self.counts.is_empty()) {
            (0, true) => Exit::Done,
            (0, false) => Exit::Differs,
            _ => Exit::Failed,
        }
    }
}

/// The difference that an action shows at its path, if any.
enum Judgement {
    Difference(Difference),
    /// The key is skipped by policy, such as a symbolic link.
    LeftOut(Key, SkipReason),
    NoDifference,
}

fn judge(action: &Action, args: &CheckArgs) -> Judgement {
    let (sign, reason) = match action {
        Action::Copy { target: None, .. } | Action::Replace { .. } => (Sign::SourceOnly, None),
        Action::Copy { why: Change::Incomparable, .. } => (Sign::Unknown, Some(incomparable(args))),
        Action::Copy { .. } => (Sign::Differs, None),
        Action::Delete { target } if target.has_content() => (Sign::TargetOnly, None),
        // The files in a directory are differences of their own.
        Action::Delete { .. } => return Judgement::NoDifference,
        Action::Skip { key, why } if why.is_policy() => return Judgement::LeftOut(key.clone(), why.clone()),
        Action::Skip { why: SkipReason::Unsafe(_), .. } => (Sign::SourceOnly, None),
        Action::Skip { why, .. } => (Sign::Unknown, Some(why.to_string())),
    };
    Judgement::Difference(Difference { path: action.key().clone(), sign, reason })
}

fn incomparable(args: &CheckArgs) -> String {
    if args.download {
        "the target could not be read".to_owned()
    } else {
        "no digest on both sides that can be compared; use --download to compare the content".to_owned()
    }
}

impl Sign {
    pub(super) fn as_char(self) -> char {
        match self {
            Self::TargetOnly => '-',
            Self::SourceOnly => '+',
            Self::Differs => '*',
            Self::Unknown => '!',
        }
    }
}
