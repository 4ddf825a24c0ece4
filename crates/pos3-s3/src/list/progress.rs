//! Notices that a listing does not end.
//!
//! A server whose tokens go in a circle, or that sends one page under ever new tokens, would be asked for ever, and what
//! sorts its answers would fill the disk. A long listing of an honest server names no page twice and repeats none.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

use crate::error::Failure;

/// Pages in a row that may be empty: a server that steps over many deleted objects sends some.
const EMPTY: u32 = 1000;

/// Pages in a row that may be like earlier ones: on pages of one key, a server that repeats the last key of a page at the
/// beginning of the next sends some.
const REPEATED: u32 = 8;

/// Hashes that are kept, some half a megabyte. Then the memory begins anew, which a circle of fewer pages does not survive.
const REMEMBERED: usize = 1 << 15;

/// What was seen of the pages of one listing.
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
    /// Adds a hash and returns true if it was there.
    fn has(&mut self, hash: u64) -> bool {
        if self.0.len() == REMEMBERED {
            self.0.clear();
        }
        !self.0.insert(hash)
    }
}

impl Progress {
    /// Takes note of a page that is not the last: of its items and of where the next one starts.
    ///
    /// # Errors
    ///
    /// A listing that goes round in circles, or on without getting anywhere.
    pub(crate) fn turn<I>(&mut self, items: I, next: impl Hash) -> Result<(), Failure>
    where
        I: IntoIterator<Item: Hash, IntoIter: DoubleEndedIterator + ExactSizeIterator>,
    {
        if self.tokens.has(self.hasher.hash_one(next)) {
            return Err(endless("it names a page as the next that it has named before"));
        }
        let mut items = items.into_iter();
        let ends = (items.len(), items.next(), items.next_back());
        if ends.0 == 0 {
            self.empty += 1;
            return if self.empty > EMPTY { Err(endless("it sends one empty page after the other")) } else { Ok(()) };
        }
        self.empty = 0;
        if !self.pages.has(self.hasher.hash_one(ends)) {
            self.repeated = 0;
            return Ok(());
        }
        self.repeated += 1;
        if self.repeated > REPEATED { Err(endless("it sends the same pages again and again")) } else { Ok(()) }
    }
}

fn endless(why: &str) -> Failure {
    Failure::Contradictory(format!("the listing of the server does not end: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many pages are read before the listing is given up.
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
