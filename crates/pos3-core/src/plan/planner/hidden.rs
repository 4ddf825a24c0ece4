//! Reports entries of the target that a comparison cannot compare, because a protected entry of the source hides them.

use crate::action::{Action, SkipReason};
use crate::diff::Diff;
use crate::entry::{Entry, Kind, Protection};

/// Returns the report of an entry of the target that a protected entry of the source hides. If both sides have a symbolic
/// link, neither side has content, so nothing is hidden.
pub(super) fn report(diff: &Diff) -> Option<Action> {
    let (target, by, why) = match diff {
        Diff::Hidden { target, by, why } if target.has_content() => (target, by, why),
        Diff::Both { source: Entry { key, kind: Kind::Protected(why), .. }, target }
            if *why != Protection::Vanished && !is_left_out(target) =>
        {
            (target, key, why)
        }
        _ => return None,
    };
    Some(Action::Skip { key: target.key.clone(), why: SkipReason::Hidden { by: by.clone(), why: why.clone() } })
}

fn is_left_out(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Protected(Protection::Symlink | Protection::Own))
}
