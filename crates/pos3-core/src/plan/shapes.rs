//! Finds names that are a file on one side and a directory on the other, in an upload from a disk to an object store.
//!
//! The object store can hold both `m` and `m/w`, so the copy succeeds. But a later download cannot create both, and would
//! fail. Without this module, an upload would report success for a location that nobody can download.

use futures::future::join_all;
use futures::{StreamExt, join};

use crate::action::{Action, SkipReason};
use crate::entry::{Entry, Kind};
use crate::key::Key;
use crate::options::OtherShapes;
use crate::side::Side;
use crate::store::{ListOptions, Namespace};
use crate::tree::Tree;

/// The files whose names later keys may still use as directories.
#[derive(Debug)]
pub(super) struct Shapes {
    are_reported: bool,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    name: Key,
    side: Side,
    /// Whether the clash of this name has been reported. One entry below it is enough.
    is_reported: bool,
}

impl Shapes {
    /// Returns an empty set of names. Nothing is reported unless only the target can hold both.
    pub(super) fn new(source: Namespace, target: Namespace, other_shapes: OtherShapes) -> Self {
        let can_differ = source == Namespace::Hierarchical && target != Namespace::Hierarchical;
        Self { are_reported: can_differ && other_shapes == OtherShapes::Reported, open: Vec::new() }
    }

    /// Returns true if entries must be passed to [`meet`](Self::meet).
    pub(super) fn are_reported(&self) -> bool {
        self.are_reported
    }

    /// Takes note of an entry that the target will have after the run, from the source or only there. Returns an action
    /// that reports the target's entry if it clashes with one of the source. Entries come in the order of their keys.
    pub(super) fn meet(&mut self, entry: &Entry, side: Side) -> Option<Action> {
        if !self.are_reported || !entry.has_content() {
            return None;
        }
        self.open.retain(|open| {
            let rest = entry.key.as_str().as_bytes().strip_prefix(open.name.as_str().as_bytes());
            // A key that continues the name with a byte above '/' (`m0`) sorts after everything below `m/`.
            rest.is_some_and(|rest| rest.first().is_none_or(|next| *next <= b'/'))
        });
        let clashes =
            |open: &&mut Open| open.side != side && !open.is_reported && entry.key.is_inside(open.name.as_str());
        let found = self.open.iter_mut().find(clashes).map(|open| {
            open.is_reported = true;
            match side {
                Side::Source => other_shape(open.name.clone(), entry.key.clone()),
                Side::Target => other_shape(entry.key.clone(), open.name.clone()),
            }
        });
        if entry.kind == Kind::File {
            self.open.push(Open { name: entry.key.clone(), side, is_reported: false });
        }
        found
    }
}

/// Returns a report of an object that clashes with the only one of this tree: one below its name, or one whose name would
/// have to be a directory above it. It takes one listing, and one look-up for each directory in the name, all at once. What
/// may not be looked at is not reported.
pub(super) async fn around_single(target: &Tree) -> Option<Action> {
    let single = Key::from(target.single()?.as_str().trim_end_matches('/'));
    let below = async {
        let options = ListOptions::default().with_shallow(true);
        let mut listed = target.store().list(&format!("{single}/"), options);
        while let Some(Ok(entry)) = listed.next().await {
            if entry.key.is_inside(single.as_str()) && entry.key.as_str() != format!("{single}/") {
                return Some(entry.key);
            }
        }
        None
    };
    let above = single
        .as_str()
        .match_indices('/')
        .filter(|(end, _)| *end > 0)
        .map(|(end, _)| Key::from(&single.as_str()[..end]));
    let above = join_all(above.map(async |key| {
        let found = target.store().head(&key).await;
        found.is_ok_and(|entry| entry.kind == Kind::File).then_some(key)
    }));
    let (below, above) = join!(below, above);
    let old = above.into_iter().flatten().next().or(below)?;
    Some(other_shape(old, single.clone()))
}

fn other_shape(old: Key, new: Key) -> Action {
    Action::Skip { key: old, why: SkipReason::OtherShape(new) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the clashes of entries of the source (`<`) and entries that only the target has (`>`).
    fn reported(shapes: &mut Shapes, entries: &[&str]) -> Vec<(String, String)> {
        let meet = |text: &&str| {
            let (side, key) = text.split_at(1);
            let side = if side == "<" { Side::Source } else { Side::Target };
            let entry = if key.ends_with('/') { Entry::marker(key, 0) } else { Entry::file(key, 1) };
            match shapes.meet(&entry, side)? {
                Action::Skip { key, why: SkipReason::OtherShape(new) } => Some((key.to_string(), new.to_string())),
                other => unreachable!("{other:?}"),
            }
        };
        entries.iter().filter_map(meet).collect()
    }

    #[test]
    fn a_name_that_is_a_file_on_one_side_and_a_directory_on_the_other_is_reported_once() {
        for (entries, expected) in [
            (&[">m", ">m-b", ">m.txt", "<m/w", "<m/x", "<m0"][..], &[("m", "m/w")][..]),
            (&["<m", "<m-b", ">m/", ">m/w", ">m/x"], &[("m/", "m")]),
            (&["<a", ">a/x", ">b", "<b/x/y"], &[("a/x", "a"), ("b", "b/x/y")]),
            // The target alone may hold both, and so may names that only begin alike.
            (&[">m", ">m/w", "<n", "<n-b/x", ">n0/x"], &[]),
        ] {
            let mut shapes = Shapes::new(Namespace::Hierarchical, Namespace::Flat, OtherShapes::Reported);
            let found = reported(&mut shapes, entries);
            let found: Vec<_> = found.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
            assert_eq!(found, expected, "{entries:?}");
        }
    }

    #[test]
    fn nothing_is_reported_where_both_sides_are_of_one_kind_or_where_nobody_asks() {
        for (source, target, other_shapes) in [
            (Namespace::Flat, Namespace::Flat, OtherShapes::Reported),
            (Namespace::Hierarchical, Namespace::Hierarchical, OtherShapes::Reported),
            (Namespace::Hierarchical, Namespace::Flat, OtherShapes::Ignored),
        ] {
            assert_eq!(reported(&mut Shapes::new(source, target, other_shapes), &[">m", "<m/w"]), []);
        }
    }
}
