//! The entries of a tree, each key once and none from outside the tree.
//!
//! Servers repeat keys at page boundaries and ignore prefixes. A reader that trusted them would delete the only object
//! of a repeated key, or strip a prefix from a foreign key and so name another file.

use std::pin::Pin;

use futures::stream::Peekable;
use futures::{StreamExt, TryStreamExt};

use crate::entry::{Entry, Kind, Protection};
use crate::key::Key;
use crate::store::{Doubts, EntryStream, ListOptions, Result};
use crate::tree::Tree;

/// The entries of a tree, with their relative keys.
///
/// Adjacent entries with the same key become one. If they differ, the result is a protected entry, because it is
/// unknown which of them is correct. Repetitions that are not adjacent remain; a caller that must detect them checks
/// the order, as [`Listing`](super::Listing) does.
pub struct Entries {
    tree: Tree,
    listed: Peekable<EntryStream>,
    doubts: Doubts,
}

impl Entries {
    /// Starts listing a tree.
    pub fn open(tree: &Tree, options: ListOptions) -> Self {
        let doubts = options.doubts.clone();
        Self::over(tree, tree.list(options)).noting(doubts)
    }

    /// Sets where defects are counted. The store counts the defects that it finds itself in the same place.
    pub(super) fn noting(mut self, doubts: Doubts) -> Self {
        self.doubts = doubts;
        self
    }

    pub(super) fn over(tree: &Tree, listed: EntryStream) -> Self {
        Self { tree: tree.clone(), listed: listed.peekable(), doubts: Doubts::default() }
    }

    /// Returns the defects of the listing found so far.
    pub fn doubts(&self) -> &Doubts {
        &self.doubts
    }

    /// Returns the next relative key and its entry, which has the full key; `None` at the end. The marker of the tree
    /// itself has an empty relative key.
    ///
    /// # Errors
    ///
    /// Returns the error of the store.
    pub async fn next(&mut self) -> Result<Option<(Key, Entry)>> {
        while let Some(entry) = self.listed.try_next().await? {
            let entry = self.once(entry).await;
            match self.tree.relative(&entry.key) {
                Some(relative) => return Ok(Some((relative, entry))),
                None => self.doubts.add_foreign(&entry.key),
            }
        }
        Ok(None)
    }

    /// Returns one entry in place of this one and all following entries with the same key.
    async fn once(&mut self, mut entry: Entry) -> Entry {
        loop {
            let is_again = |next: &Result<Entry>| matches!(next, Ok(next) if next.key == entry.key);
            match Pin::new(&mut self.listed).next_if(is_again).await {
                Some(Ok(again)) => entry = self.one_of(entry, again),
                _ => return entry,
            }
        }
    }

    fn one_of(&self, first: Entry, second: Entry) -> Entry {
        match (&first.kind, &second.kind) {
            (Kind::Protected(_), _) => first,
            (_, Kind::Protected(_)) => second,
            // A listing of one level may contain both a directory and the marker that represents it.
            (Kind::Marker, Kind::Directory) => first,
            (Kind::Directory, Kind::Marker) => second,
            _ if is_same(&first, &second) => {
                self.doubts.add_repeated(&first.key);
                first
            }
            _ => {
                self.doubts.add_conflicting(&first.key);
                Entry::protected(first.key, Protection::Ambiguous)
            }
        }
    }
}

/// Returns true if two entries with the same key describe the same content. Times are compared only if there is no
/// fingerprint.
fn is_same(first: &Entry, second: &Entry) -> bool {
    let facts = |entry: &Entry| (entry.kind.clone(), entry.size, entry.fingerprint.clone(), entry.digest);
    facts(first) == facts(second) && (first.fingerprint.is_some() || first.modified == second.modified)
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("tree", &self.tree).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use futures::stream;

    use super::*;
    use crate::entry::Fingerprint;
    use crate::store::memory::MemoryStore;

    fn tree(prefix: &str) -> Tree {
        Tree::new(Arc::new(MemoryStore::new())).at(prefix)
    }

    fn file(key: &str, content: &str) -> Entry {
        Entry::file(key, 1).with_fingerprint(Fingerprint::from(content))
    }

    async fn read(tree: &Tree, listed: Vec<Entry>) -> (Vec<(String, Kind)>, Doubts) {
        let mut entries = Entries::over(tree, stream::iter(listed.into_iter().map(Ok)).boxed());
        let mut found = Vec::new();
        while let Some((relative, entry)) = entries.next().await.unwrap() {
            found.push((relative.as_str().to_owned(), entry.kind));
        }
        (found, entries.doubts().clone())
    }

    fn names(found: &[(String, Kind)]) -> Vec<&str> {
        found.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[tokio::test]
    async fn equal_entries_of_one_key_are_one_and_told_once() {
        let listed = ["a", "a", "a", "b", "c", "c"].map(|key| file(key, "x")).to_vec();
        let (found, doubts) = read(&tree(""), listed).await;
        assert_eq!(names(&found), ["a", "b", "c"]);
        assert_eq!(doubts.warnings("'x'").len(), 1);
        assert!(doubts.warnings("'x'")[0].contains("2 keys, such as 'a'"), "{:?}", doubts.warnings("'x'"));
        assert_eq!(doubts.against_deletes(), None);
    }

    #[tokio::test]
    async fn different_entries_of_one_key_are_protected_and_forbid_deletes() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (first, second) in [
            (file("a", "x"), file("a", "y")),
            (file("a", "x"), Entry { size: 2, ..file("a", "x") }),
            (Entry::file("a", 1).with_modified(at(1)), Entry::file("a", 1).with_modified(at(2))),
        ] {
            let (found, doubts) = read(&tree(""), vec![first.clone(), second, first, file("b", "z")]).await;
            let expected = [("a", Kind::Protected(Protection::Ambiguous)), ("b", Kind::File)];
            assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)));
            assert!(doubts.against_deletes().unwrap().contains("'a'"));
        }
    }

    #[tokio::test]
    async fn times_do_not_make_equal_contents_different() {
        let at = |seconds| file("a", "x").with_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(read(&tree(""), vec![at(1), at(2)]).await.1.against_deletes(), None);
    }

    #[tokio::test]
    async fn a_directory_and_its_marker_are_one_and_no_doubt() {
        for listed in
            [vec![Entry::directory("d/"), Entry::marker("d/", 0)], vec![Entry::marker("d/", 0), Entry::directory("d/")]]
        {
            let (found, doubts) = read(&tree(""), listed).await;
            assert_eq!(found, [("d/".to_owned(), Kind::Marker)]);
            assert!(doubts.warnings("").is_empty());
        }
    }

    #[tokio::test]
    async fn keys_from_outside_are_left_out_whatever_their_length() {
        let listed = ["", "1", "1/", "1/a", "100/x", "\u{e9}", "1\u{e9}/a"].map(|key| file(key, "x")).to_vec();
        let (found, doubts) = read(&tree("1/"), listed).await;
        assert_eq!(names(&found), ["", "a"]);
        assert!(doubts.warnings("'x'")[0].contains("5 keys"), "{:?}", doubts.warnings("'x'"));
        assert!(doubts.against_deletes().is_some());
    }
}
