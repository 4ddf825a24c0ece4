//! Detects listings that never end.
//!
//! If a server's tokens form a cycle, or if it sends the same page with new tokens, the client would request pages
//! forever, and the sorter of the entries would fill the disk. A correct server never repeats a token, and almost never
//! a page.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

use crate::error::Failure;

/// The maximum number of consecutive empty pages. A server that skips many deleted objects sends some.
const EMPTY: u32 = 1000;

/// The maximum number of consecutive pages that are equal to earlier ones. With pages of one key, there are some if the
/// server repeats the last key of a page at the start of the next one.
const REPEATED: u32 = 8;

/// The maximum number of hashes in a set, which take about half a megabyte. A full set is cleared; a cycle of fewer
/// pages is still detected.
const REMEMBERED: usize = 1 << 15;

/// The state of the detection for one listing.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    hasher: RandomState,
    tokens: Seen,
    pages: Seen,
    empty: u32,
    repeated: u32,
}

/// A bounded set of hashes.
#[derive(Debug, Default)]
struct Seen(HashSet<u64>);

impl Seen {
    /// Adds a hash. Returns true if it was already in the set.
    fn has(&mut self, hash: u64) -> bool {
        if self.0.len() == REMEMBERED {
            self.0.clear();
        }
        !self.0.insert(hash)
    }
}

impl Progress {
    /// Records the items of a page that is not the last, and the start of the next page. Only the number of items, the
    /// first and the last item are compared.
    ///
    /// # Errors
    ///
    /// Returns an error if the listing repeats itself or makes no progress.
    pub(crate) fn turn<I>(&mut self, items: I, next: impl Hash) -> Result<(), Failure>
    where
        I: IntoIterator<Item: Hash, IntoIter: DoubleEndedIterator + ExactSizeIterator>,
    {
        if self.tokens.has(self.hasher.hash_one(next)) {
            return Err(endless("it repeats an earlier next token"));
        }
        let mut items = items.into_iter();
        let ends = (items.len(), items.next(), items.next_back());
        if ends.0 == 0 {
            self.empty += 1;
            return if self.empty > EMPTY { Err(endless("it returns too many empty pages")) } else { Ok(()) };
        }
        self.empty = 0;
        if !self.pages.has(self.hasher.hash_one(ends)) {
            self.repeated = 0;
            return Ok(());
        }
        self.repeated += 1;
        if self.repeated > REPEATED { Err(endless("it repeats the same pages")) } else { Ok(()) }
    }
}

fn endless(why: &str) -> Failure {
    Failure::Contradictory(format!("the listing of the server does not end: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of pages that are read before the listing fails.
    fn pages<'k>(mut page: impl FnMut(usize) -> (Vec<&'k str>, String), most: usize) -> Option<usize> {
        let mut progress = Progress::default();
        (0..most).find(|number| {
            let (items, next) = page(*number);
            progress.turn(&items, next).is_err()
        })
    }

    #[test]
    fn a_circle_of_tokens_is_noticed_when_it_closes() {
        let keys: Vec<String> = (0..100).map(|key| key.to_string()).collect();
        assert_eq!(pages(|number| (vec![&keys[number]], (number % 3).to_string()), 100), Some(3));
    }

    #[test]
    fn pages_that_come_again_under_new_tokens_are_noticed() {
        let names = ["a", "b", "c"];
        let found = pages(|number| (vec![names[number % 3]], number.to_string()), 100);
        assert_eq!(found, Some(3 + REPEATED as usize));
    }

    #[test]
    fn empty_pages_end_at_a_bound_and_a_full_one_between_them_is_progress() {
        assert_eq!(pages(|number| (vec![], number.to_string()), 10_000), Some(EMPTY as usize));
        let keys: Vec<String> = (0..10_000).map(|key| key.to_string()).collect();
        let page = |number: usize| if number.is_multiple_of(500) { vec![keys[number].as_str()] } else { vec![] };
        assert_eq!(pages(|number| (page(number), number.to_string()), 10_000), None);
    }

    #[test]
    fn a_long_listing_is_no_circle_and_takes_bounded_memory() {
        let mut progress = Progress::default();
        for number in 0..3 * REMEMBERED {
            progress.turn([number, number + 1], number).unwrap();
        }
        assert!(progress.tokens.0.len() <= REMEMBERED && progress.pages.0.len() <= REMEMBERED);
    }

    #[test]
    fn a_key_that_is_repeated_at_every_page_of_one_is_no_circle() {
        let keys: Vec<String> = (0..100).map(|key| key.to_string()).collect();
        assert_eq!(pages(|number| (vec![&keys[number / 2]], number.to_string()), 200), None);
    }
}
