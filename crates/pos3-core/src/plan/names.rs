//! Names that would have to be a file and a directory at once.
//!
//! In an object store `a` and `a/x` are two objects; on a disk `a` cannot be both. In byte order other names (`a-b`)
//! may stand between the two, so the files whose directory may still come are remembered: a handful at any time.

use super::decide::Policy;
use crate::diff::Diff;
use crate::entry::Kind;
use crate::key::Key;
use crate::store::KeyRule;

/// The files seen whose names later keys may use as directories.
#[derive(Debug, Default)]
pub(super) struct Names {
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    name: Key,
    protected: bool,
}

impl Names {
    /// Returns the file that the source's key of this difference clashes with, and remembers the key.
    pub(super) fn clash(&mut self, diff: &Diff, policy: &Policy) -> Option<Key> {
        let (Diff::SourceOnly(entry) | Diff::TargetOnly { target: entry, .. } | Diff::Both { source: entry, .. }) =
            diff
        else {
            return None;
        };
        self.close(&entry.key);
        let on_disk = policy.target.keys == KeyRule::FilePath;
        let clash = match diff {
            Diff::SourceOnly(source) if on_disk && source.has_content() => self.file_above(&entry.key),
            Diff::Both { source, .. } if on_disk && source.has_content() => self.file_above(&entry.key),
            _ => None,
        };
        let can_be_file = entry.kind == Kind::File && policy.target.keys.check(entry).is_ok();
        let protected = matches!(entry.kind, Kind::Protected(_)) && !entry.key.is_marker();
        if clash.is_none() && ((on_disk && can_be_file) || protected) {
            self.open.push(Open { name: entry.key.clone(), protected });
        }
        clash
    }

    /// Returns true for `link/` when `link` was protected as well: one thing, listed under both names it may go by.
    pub(super) fn is_second_name(&self, key: &Key) -> bool {
        key.is_marker()
            && self.open.iter().any(|open| open.protected && key.as_str() == format!("{}/", open.name.as_str()))
    }

    fn file_above(&self, key: &Key) -> Option<Key> {
        self.open.iter().find(|open| !open.protected && key.is_inside(open.name.as_str())).map(|open| open.name.clone())
    }

    /// Forgets the names whose directory cannot come any more: everything below `a/` sorts before `a0`.
    fn close(&mut self, key: &Key) {
        let still_open = |open: &Open| {
            let rest = key.as_str().as_bytes().strip_prefix(open.name.as_str().as_bytes());
            rest.is_some_and(|rest| rest.first().is_none_or(|next| *next <= b'/'))
        };
        self.open.retain(still_open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Compare;
    use crate::entry::Entry;
    use crate::store::Capabilities;

    #[test]
    fn a_file_and_its_own_directory_clash_across_what_sorts_between() {
        let target = Capabilities::new().with_keys(KeyRule::FilePath);
        let policy = Policy { compare: Compare::Auto, source: Capabilities::new(), target };
        let mut names = Names::default();
        let mut clashes = Vec::new();
        for key in ["a", "a-b", "a-b/y", "a.txt", "a/", "a/x", "a0", "b/x", "b/x/y", "c/d"] {
            let entry = if key.ends_with('/') { Entry::marker(key, 0) } else { Entry::file(key, 1) };
            if let Some(file) = names.clash(&Diff::SourceOnly(entry), &policy) {
                clashes.push((key, file.as_str().to_owned()));
            }
            assert!(names.open.len() <= 3, "{key}: {names:?}");
        }
        let expected =
            [("a-b/y", "a-b"), ("a/", "a"), ("a/x", "a"), ("b/x/y", "b/x")].map(|(key, file)| (key, file.to_owned()));
        assert_eq!(clashes, expected);
    }

    #[test]
    fn an_object_store_holds_both() {
        let policy = Policy { compare: Compare::Auto, source: Capabilities::new(), target: Capabilities::new() };
        let mut names = Names::default();
        for key in ["a", "a/x"] {
            assert_eq!(names.clash(&Diff::SourceOnly(Entry::file(key, 1)), &policy), None);
        }
    }
}
