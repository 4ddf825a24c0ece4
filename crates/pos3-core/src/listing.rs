//! A listing that is checked while it is read. A type marks the listings that completed without error.
//!
//! Deletes are decided from keys that a listing does *not* contain. So an early end, a wrong order, a repeated key or a
//! foreign key would delete good data. A [`Listing`] detects all four. Only a listing that was read to its end without
//! error becomes a [`Complete`], and a plan can make deletes only from two of those without serious doubts.

mod entries;
mod sort;

use futures::{StreamExt, stream};

use crate::entry::{Entry, Kind};
use crate::error::{ErrorKind, Operation, StoreError};
use crate::filter::Filter;
use crate::key::Key;
use crate::store::{Doubts, ListOptions};
use crate::tree::Tree;

pub use entries::Entries;

/// The entries below a tree's prefix, ordered, filtered and checked, with relative keys.
pub struct Listing {
    entries: Entries,
    filter: Filter,
    last: Option<Key>,
    count: u64,
    ended: bool,
}

/// Where the order of a listing comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The order of the store; disorder is an error.
    Trusted,
    /// Sorted by pos3, with bounded memory and temporary files.
    Sorted,
}

/// Evidence that a listing was read to its end, in order.
#[derive(Debug)]
pub struct Complete {
    count: u64,
    doubts: Doubts,
}

impl Complete {
    /// Returns the number of entries that were listed, after the filter.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the defects that the listing has nevertheless.
    pub fn doubts(&self) -> &Doubts {
        &self.doubts
    }
}

impl Listing {
    /// Starts listing a tree.
    pub fn open(tree: &Tree, filter: &Filter, order: Order) -> Self {
        let options = ListOptions::default().with_prune(filter.clone());
        let doubts = options.doubts.clone();
        let listed = tree.list(options);
        let listed = if order == Order::Sorted { sort::sorted(listed) } else { listed };
        Self::over(Entries::over(tree, listed).noting(doubts), filter)
    }

    /// Returns the listing of a tree that contains exactly these entries, which have relative keys.
    pub(crate) fn of_entries(tree: &Tree, entries: Vec<Entry>, filter: &Filter) -> Self {
        let whole = |entry: Entry| Entry { key: tree.key(&entry.key), ..entry };
        let listed: Vec<_> = entries.into_iter().map(|entry| Ok(whole(entry))).collect();
        Self::over(Entries::over(tree, stream::iter(listed).boxed()), filter)
    }

    fn over(entries: Entries, filter: &Filter) -> Self {
        Self { entries, filter: filter.clone(), last: None, count: 0, ended: false }
    }

    /// Returns the next entry, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns the error of the store, or `Disorder` with both keys if they are not in order.
    pub async fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        while let Some((relative, entry)) = self.entries.next().await? {
            self.check_order(&entry.key)?;
            // The marker of the prefix is the tree itself.
            if !relative.as_str().is_empty() && self.exists(relative.as_str(), &entry.kind) {
                self.count += 1;
                return Ok(Some(Entry { key: relative, ..entry }));
            }
        }
        self.ended = true;
        Ok(None)
    }

    /// Returns the evidence that the listing was read to its end, or `None` if it was not.
    pub fn finish(self) -> Option<Complete> {
        self.ended.then(|| Complete { count: self.count, doubts: self.entries.doubts().clone() })
    }

    /// Returns true if the run includes the key. This also holds for a protected directory whose own name is excluded
    /// but whose contents may be admitted: if it were excluded, it would not protect them.
    fn exists(&self, relative: &str, kind: &Kind) -> bool {
        let protects_below = matches!(kind, Kind::Protected(_)) && relative.ends_with('/');
        self.filter.admits(relative) || (protects_below && !self.filter.prunes(relative))
    }

    fn check_order(&mut self, key: &Key) -> Result<(), StoreError> {
        match &self.last {
            Some(last) if last >= key => {
                let message = format!("the listing is out of order: '{key}' came after '{last}'");
                return Err(StoreError::new(ErrorKind::Disorder, Operation::List).with_message(message));
            }
            _ => self.last = Some(key.clone()),
        }
        Ok(())
    }
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing").field("entries", &self.entries).field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entry::Protection;
    use crate::store::memory::MemoryStore;
    use crate::store::{RemoteStore, RemoteStoreExt};

    async fn tree(keys: &[&str]) -> Tree {
        let store = Arc::new(MemoryStore::new());
        for key in keys {
            store.write(&Key::from(*key), "x".into()).await.unwrap();
        }
        Tree::new(store as Arc<dyn RemoteStore>)
    }

    async fn keys(mut listing: Listing) -> (Vec<String>, Option<Complete>) {
        let mut keys = Vec::new();
        while let Some(entry) = listing.next().await.unwrap() {
            keys.push(entry.key.as_str().to_owned());
        }
        (keys, listing.finish())
    }

    #[tokio::test]
    async fn keys_are_relative_and_the_prefix_itself_is_no_entry() {
        let tree = tree(&["a", "p/", "p/x", "p/y/z", "pq"]).await.at("p/");
        let (keys, end) = keys(Listing::open(&tree, &Filter::default(), Order::Trusted)).await;
        assert_eq!(keys, ["x", "y/z"]);
        assert_eq!(end.unwrap().count(), 2);
    }

    #[tokio::test]
    async fn excluded_keys_do_not_exist() {
        let filter = Filter::builder().exclude("y/*").unwrap().build().unwrap();
        let (keys, _) = keys(Listing::open(&tree(&["x", "y/z"]).await, &filter, Order::Trusted)).await;
        assert_eq!(keys, ["x"]);
    }

    #[tokio::test]
    async fn a_protected_directory_is_left_out_only_with_all_that_may_lie_below_it() {
        let filter = |exclude, include| Filter::builder().exclude(exclude).unwrap().include(include).unwrap();
        for (exclude, include, shown) in
            [("*", "*.txt", true), ("d[/]", "e/f", true), ("*", "e/f", false), ("d/*", "e/f", false)]
        {
            let mut listing =
                Listing::open(&tree(&[]).await, &filter(exclude, include).build().unwrap(), Order::Trusted);
            let locked = Entry::protected("d/", Protection::Unreadable("permission denied".into()));
            listing.entries = Entries::over(&tree(&[]).await, stream::iter([Ok(locked)]).boxed());
            assert_eq!(listing.next().await.unwrap().is_some(), shown, "-{exclude} +{include}");
        }
    }

    #[tokio::test]
    async fn an_unfinished_listing_proves_nothing() {
        let mut listing = Listing::open(&tree(&["x", "y"]).await, &Filter::default(), Order::Trusted);
        listing.next().await.unwrap();
        assert!(listing.finish().is_none());
    }

    #[tokio::test]
    async fn a_key_that_comes_again_later_is_disorder_and_sorting_makes_it_one() {
        let file = |key: &str| Entry::file(key, 1).with_fingerprint("x".into());
        let listed = || stream::iter(["a", "b", "a", "b", "c"].map(|key| Ok(file(key)))).boxed();
        let tree = tree(&[]).await;
        let mut trusted = Listing::over(Entries::over(&tree, listed()), &Filter::default());
        trusted.next().await.unwrap();
        trusted.next().await.unwrap();
        assert_eq!(trusted.next().await.unwrap_err().kind(), ErrorKind::Disorder);

        let sorted = Listing::over(Entries::over(&tree, sort::sorted(listed())), &Filter::default());
        let (keys, end) = keys(sorted).await;
        assert_eq!(keys, ["a", "b", "c"]);
        let end = end.unwrap();
        assert_eq!((end.count(), end.doubts().warnings("it").len()), (3, 1));
    }
}
