//! Decides whether an empty last page shows that a listing is complete.
//!
//! If a server loses the position that a token stands for, it may answer the request for the next page with an empty last
//! page. All further keys would then look deleted. S3 may also send such a page, so it is not an error. A listing that
//! starts after the last key does not need the lost position.

use pos3_core::{Entry, Key, Kind};

/// The course of a listing. Its pages are one or more runs: each run starts at a key, and tokens connect its pages.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The last key in byte order. Names that are not UTF-8 are left out, because no request can contain them.
    last: Option<Key>,
    is_disordered: bool,
    run: Run,
}

#[derive(Debug, Default)]
struct Run {
    is_repeated: bool,
    has_entries: bool,
    has_new_keys: bool,
}

/// What an empty last page means.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// The listing is complete.
    Verified,
    /// A listing that starts after this key will show it. If there is no key, the listing starts again from its beginning.
    After(Option<Key>),
    /// The server does not list in byte order, or it ignores the start of a listing.
    Unverifiable,
}

impl Course {
    /// Records the entries of a page.
    pub(super) fn record(&mut self, entries: &[Entry]) {
        self.run.has_entries |= !entries.is_empty();
        for entry in entries.iter().filter(|entry| !matches!(entry.kind, Kind::Protected(_))) {
            match &self.last {
                Some(last) if entry.key < *last => self.is_disordered = true,
                Some(last) if entry.key == *last => {}
                _ => {
                    self.last = Some(entry.key.clone());
                    self.run.has_new_keys = true;
                }
            }
        }
    }

    /// Returns true if the listing started again after its last key, but the server returned earlier keys. So it has another
    /// order, or it ignores the start.
    pub(super) fn has_lost_its_place(&self) -> bool {
        self.run.is_repeated && self.is_disordered
    }

    /// Ends a run whose last page, which is not its first one, is empty.
    pub(super) fn end(&mut self) -> End {
        if self.is_disordered {
            return End::Unverifiable;
        }
        let run = std::mem::replace(&mut self.run, Run { is_repeated: true, ..Run::default() });
        match run {
            Run { is_repeated: true, has_new_keys: false, has_entries: false } => End::Verified,
            Run { is_repeated: true, has_new_keys: false, has_entries: true } => End::Unverifiable,
            Run { .. } => End::After(self.last.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the ends of runs with these keys, until one of them is final.
    fn ends(runs: &[&[&str]]) -> Vec<End> {
        let mut course = Course::default();
        let mut ends = Vec::new();
        for run in runs {
            let entries: Vec<Entry> = run.iter().map(|key| Entry::file(*key, 1)).collect();
            course.record(&entries);
            ends.push(course.end());
        }
        ends
    }

    fn after(key: &str) -> End {
        End::After(Some(Key::from(key)))
    }

    #[test]
    fn an_empty_last_page_is_verified_by_an_empty_listing_after_the_last_key() {
        assert_eq!(ends(&[&["a", "b"], &[]]), [after("b"), End::Verified]);
        assert_eq!(ends(&[&["a", "b"], &["c"], &[]]), [after("b"), after("c"), End::Verified]);
        assert_eq!(ends(&[&[], &[]]), [End::After(None), End::Verified]);
    }

    #[test]
    fn a_listing_without_an_order_or_a_start_has_no_verified_end() {
        assert_eq!(ends(&[&["b", "a"]]), [End::Unverifiable]);
        assert_eq!(ends(&[&["a", "b"], &["a", "b"]]), [after("b"), End::Unverifiable]);
        assert_eq!(ends(&[&["a", "b"], &["b"]]), [after("b"), End::Unverifiable]);
        assert_eq!(ends(&[&["a", "b"], &["c"], &["a", "d"]]), [after("b"), after("c"), End::Unverifiable]);
    }
}
