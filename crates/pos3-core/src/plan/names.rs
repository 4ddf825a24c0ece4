//! Handles names that would have to be a file and a directory at once.
//!
//! An object store can have both `a` and `a/x`; a disk cannot. In byte order, other names (`a-b`) may come between the
//! two. So this module remembers each file until its directory can no longer come, and holds back copies of new files
//! meanwhile. Only a few names are remembered at a time.

use crate::action::{Action, SkipReason};
use crate::diff::Diff;
use crate::entry::{Entry, Kind};
use crate::key::Key;
use crate::options::Deletion;
use crate::store::Namespace;

/// The files whose names later keys may still use as directories.
#[derive(Debug)]
pub(super) struct Names {
    on_disk: bool,
    deletion: Deletion,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    name: Key,
    holder: Holder,
}

/// The sides that have a file of this name.
#[derive(Debug)]
enum Holder {
    /// One of the sides has a protected entry there.
    Protected { in_source: bool },
    /// The source has a file. Its copy is held back if the target has no such file.
    Source { held: Option<Box<Entry>> },
    /// Only the target has a file.
    Target,
    /// Only the target has a file, and it must not be deleted.
    Kept,
}

impl Names {
    /// Returns an empty set of names, for a target with this namespace.
    pub(super) fn new(namespace: Namespace, deletion: Deletion) -> Self {
        Self { on_disk: namespace == Namespace::Hierarchical, deletion, open: Vec::new() }
    }

    /// Forgets the names whose directory can no longer come, and returns the copies that were held back for them.
    pub(super) fn pass(&mut self, key: &Key) -> Vec<Entry> {
        self.close(|open| {
            // A key that continues the name with a byte above '/' (`a0`) sorts after everything below `a/`.
            let rest = key.as_str().as_bytes().strip_prefix(open.name.as_str().as_bytes());
            rest.is_none_or(|rest| rest.first().is_some_and(|next| *next > b'/'))
        })
    }

    /// Forgets all names and returns the copies that were held back.
    pub(super) fn end(&mut self) -> Vec<Entry> {
        self.close(|_| true)
    }

    fn close(&mut self, is_over: impl Fn(&Open) -> bool) -> Vec<Entry> {
        let over = self.open.extract_if(.., |open| is_over(open));
        over.filter_map(|open| match open.holder {
            Holder::Source { held } => held.map(|entry| *entry),
            Holder::Protected { .. } | Holder::Target | Holder::Kept => None,
        })
        .collect()
    }

    /// Returns the action for a difference whose key clashes with a remembered file, or `None` if there is no clash.
    pub(super) fn clash(&self, diff: &Diff) -> Option<Action> {
        let (Diff::SourceOnly(source) | Diff::Both { source, .. }) = diff else { return None };
        if !self.on_disk || !source.has_content() {
            return None;
        }
        let mut above = self.open.iter().filter(|open| source.key.is_inside(open.name.as_str()));
        let first = above.next()?;
        // If several names clash, a file of the source decides: it takes the path itself, so deleting another obstacle
        // would not make the copy possible.
        let above = above.find(|open| matches!(open.holder, Holder::Source { .. })).unwrap_or(first);
        match above.holder {
            Holder::Protected { .. } => None,
            Holder::Target => Some(self.replace(source.clone(), above.name.clone())),
            Holder::Source { .. } | Holder::Kept => Some(clashes(source.key.clone(), above.name.clone())),
        }
    }

    /// Returns the action for a held copy if the target turns out to have a directory of its name.
    pub(super) fn directory_found(&mut self, diff: &Diff) -> Option<Action> {
        let (target, source_inside) = match diff {
            Diff::TargetOnly { target, source_inside } => (target, *source_inside),
            Diff::Both { target, .. } => (target, true),
            Diff::SourceOnly(_) | Diff::Shielded { .. } | Diff::Hidden { .. } => return None,
        };
        let is_in_the_way = |open: &Open| {
            matches!(open.holder, Holder::Source { held: Some(_) }) && target.key.is_inside(open.name.as_str())
        };
        let at = self.open.iter().position(is_in_the_way)?;
        let Holder::Source { held } = &mut self.open[at].holder else { return None };
        let source = *held.take()?;
        let name = self.open[at].name.clone();
        let directory = Key::from(format!("{}/", name.as_str()));
        if source_inside {
            // The source has a file and a directory of this name. The target already has the directory, so the
            // directory stays.
            self.open.remove(at);
            return Some(clashes(name, directory));
        }
        Some(self.replace(source, directory))
    }

    fn replace(&self, source: Entry, obstacle: Key) -> Action {
        match self.deletion {
            Deletion::Extra => Action::Replace { source, obstacle },
            Deletion::Keep => clashes(source.key, obstacle),
        }
    }

    /// Remembers the file of a difference, before any decision about it.
    pub(super) fn remember(&mut self, diff: &Diff) {
        let (entry, holder) = match diff {
            Diff::Both { source, target } if is_protected(source) || is_protected(target) => {
                (source, Holder::Protected { in_source: is_protected(source) })
            }
            Diff::SourceOnly(entry) if is_protected(entry) => (entry, Holder::Protected { in_source: true }),
            Diff::TargetOnly { target, .. } if is_protected(target) => (target, Holder::Protected { in_source: false }),
            Diff::Both { source, .. } => (source, Holder::Source { held: None }),
            Diff::TargetOnly { target, .. } => (target, Holder::Target),
            Diff::SourceOnly(_) | Diff::Shielded { .. } | Diff::Hidden { .. } => return,
        };
        let is_name =
            !entry.key.is_marker() && (matches!(holder, Holder::Protected { .. }) || entry.kind == Kind::File);
        if is_name && (self.on_disk || matches!(holder, Holder::Protected { .. })) {
            self.open.push(Open { name: entry.key.clone(), holder });
        }
    }

    /// Notes that an entry that only the target has must not be deleted, so no other entry can take its path.
    pub(super) fn note_kept(&mut self, key: &Key) {
        let only_there = |open: &&mut Open| open.name == *key && matches!(open.holder, Holder::Target);
        if let Some(open) = self.open.iter_mut().find(only_there) {
            open.holder = Holder::Kept;
        }
    }

    /// Remembers a file that replaces a deleted entry. Keys below it clash with it.
    pub(super) fn remember_replacement(&mut self, source: &Entry) {
        if source.kind == Kind::File {
            self.open.push(Open { name: source.key.clone(), holder: Holder::Source { held: None } });
        }
    }

    /// Holds back the copy of a new file until it is known whether the target has a directory of its name. Returns the
    /// entry instead if that cannot matter: it is a marker, or the target is an object store.
    pub(super) fn hold(&mut self, source: Entry) -> Option<Entry> {
        if !self.on_disk || source.kind != Kind::File {
            return Some(source);
        }
        self.open.push(Open { name: source.key.clone(), holder: Holder::Source { held: Some(Box::new(source)) } });
        None
    }

    /// Returns true for `link/` if the source's `link` is protected too: it is one entry, listed under both of its possible
    /// names.
    pub(super) fn is_second_name(&self, key: &Key) -> bool {
        key.is_marker()
            && self.open.iter().any(|open| {
                matches!(open.holder, Holder::Protected { in_source: true })
                    && key.as_str().strip_suffix('/') == Some(open.name.as_str())
            })
    }
}

fn is_protected(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Protected(_))
}

fn clashes(key: Key, with: Key) -> Action {
    Action::Skip { key, why: SkipReason::Clash(with) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the copies and clashes for a source with these keys and an empty target.
    fn walk(names: &mut Names, keys: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
        let (mut copies, mut clashing) = (Vec::new(), Vec::new());
        let mut copy = |entries: Vec<Entry>| copies.extend(entries.iter().map(|entry| entry.key.as_str().to_owned()));
        for key in keys {
            let entry = if key.ends_with('/') { Entry::marker(*key, 0) } else { Entry::file(*key, 1) };
            copy(names.pass(&entry.key));
            match names.clash(&Diff::SourceOnly(entry.clone())) {
                Some(Action::Skip { key, why: SkipReason::Clash(file) }) => {
                    clashing.push((key.as_str().to_owned(), file.as_str().to_owned()));
                }
                Some(other) => unreachable!("{other:?}"),
                None => copy(names.hold(entry).into_iter().collect()),
            }
            assert!(names.open.len() <= 3, "{key}: {names:?}");
        }
        copy(names.end());
        copies.sort();
        (copies, clashing)
    }

    #[test]
    fn a_file_and_its_own_directory_clash_across_what_sorts_between() {
        let mut names = Names::new(Namespace::Hierarchical, Deletion::Extra);
        let keys = ["a", "a-b", "a-b/y", "a.txt", "a/", "a/x", "a0", "b/x", "b/x/y", "c/d"];
        let (copies, clashing) = walk(&mut names, &keys);
        let expected = [("a-b/y", "a-b"), ("a/", "a"), ("a/x", "a"), ("b/x/y", "b/x")]
            .map(|(key, file)| (key.into(), file.into()));
        assert_eq!(clashing, expected);
        assert_eq!(copies, ["a", "a-b", "a.txt", "a0", "b/x", "c/d"]);
    }

    #[test]
    fn an_object_store_holds_both() {
        let (copies, clashing) = walk(&mut Names::new(Namespace::Flat, Deletion::Extra), &["a", "a/x"]);
        assert_eq!((copies.len(), clashing.len()), (2, 0));
    }

    #[test]
    fn a_kind_is_replaced_only_where_deleting_is_allowed() {
        for deletion in [Deletion::Extra, Deletion::Keep] {
            let mut names = Names::new(Namespace::Hierarchical, deletion);
            let kind = |action: Action| match action {
                Action::Replace { obstacle, .. } => format!("replaces {obstacle}"),
                Action::Skip { why, .. } => why.to_string(),
                other => format!("{other:?}"),
            };
            // A directory in the place of a file.
            assert_eq!(names.hold(Entry::file("f", 1)), None);
            let directory = Diff::TargetOnly { target: Entry::directory("f/"), source_inside: false };
            let found = names.directory_found(&directory).map(kind).unwrap();
            // A file in the place of a directory.
            names.remember(&Diff::TargetOnly { target: Entry::file("d", 1), source_inside: false });
            let below = names.clash(&Diff::SourceOnly(Entry::file("d/x", 1))).map(kind).unwrap();
            match deletion {
                Deletion::Extra => assert_eq!((found.as_str(), below.as_str()), ("replaces f/", "replaces d")),
                Deletion::Keep => assert!(found.contains("'f/' exists") && below.contains("'d' exists")),
            }
            if deletion == Deletion::Extra {
                // The replaced file would have to be a directory too, and no delete can make that possible.
                names.remember_replacement(&Entry::file("d/x", 1));
                let clashing = names.clash(&Diff::SourceOnly(Entry::file("d/x/y", 1))).map(kind).unwrap();
                assert!(clashing.contains("'d/x' exists"), "{clashing}");
            }
            assert_eq!(names.end(), [], "nothing is copied a second time");
        }
    }
}
