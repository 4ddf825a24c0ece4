//! Records which ranges of a content have arrived, with the checksum of each.
//!
//! Ranges arrive in any order. Separate records would be a million for a large object, and with a single record one
//! damaged block would invalidate everything. So neighbouring ranges are joined, but only within one unit of the
//! content.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pos3_core::Checksum;
use serde::{Deserialize, Serialize};

/// The largest number of units of a content.
const UNITS: u64 = 4096;

/// Ranges of one content, without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ranges {
    size: u64,
    finished: BTreeMap<u64, (u64, Checksum)>,
}

impl Ranges {
    /// Returns an empty record for a content of `size` bytes.
    pub(super) fn of(size: u64) -> Self {
        Self { size, finished: BTreeMap::new() }
    }

    /// Adds a range and joins it with its neighbours.
    pub(super) fn add(&mut self, range: Range<u64>, checksum: Checksum) {
        let (mut start, mut end, mut joined) = (range.start, range.end, checksum);
        if let Some((&before, &(until, first))) = self.finished.range(..start).next_back()
            && until == start
            && self.unit(before) == self.unit(start)
            && let Some(both) = first.combine(joined, end - start)
        {
            (start, joined) = (before, both);
        }
        if let Some(&(until, second)) = self.finished.get(&end)
            && self.unit(start) == self.unit(end)
            && let Some(both) = joined.combine(second, until - end)
        {
            self.finished.remove(&end);
            (end, joined) = (until, both);
        }
        self.finished.insert(start, (end, joined));
    }

    /// Returns true if the whole `range` has arrived.
    pub(super) fn hold(&self, range: &Range<u64>) -> bool {
        let mut reached = range.start;
        while reached < range.end {
            match self.finished.range(..=reached).next_back() {
                Some((_, &(end, _))) if end > reached => reached = end,
                _ => return false,
            }
        }
        true
    }

    /// Returns the checksum of the content if all of it has arrived.
    pub(super) fn whole(&self) -> Option<Checksum> {
        let mut ranges = self.iter();
        let (first, mut whole) = ranges.next().filter(|(range, _)| range.start == 0)?;
        let mut reached = first.end;
        for (range, checksum) in ranges {
            if range.start != reached {
                return None;
            }
            whole = whole.combine(checksum, range.end - range.start)?;
            reached = range.end;
        }
        (reached == self.size).then_some(whole)
    }

    /// Returns the size of the content in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the ranges in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Range<u64>, Checksum)> + '_ {
        self.finished.iter().map(|(&start, &(end, checksum))| (start..end, checksum))
    }

    /// Returns true if these ranges are valid for a content of `size` bytes. A note may be damaged.
    pub(super) fn are_sound(&self, size: u64) -> bool {
        let mut reached = 0;
        self.size == size
            && self.iter().all(|(range, _)| {
                let is_next = reached <= range.start && range.start < range.end && range.end <= size;
                reached = range.end;
                is_next
            })
    }

    fn unit(&self, offset: u64) -> u64 {
        offset / self.size.div_ceil(UNITS).max(1)
    }
}

/// The ranges of one content that have arrived so far. Clones share the record.
#[derive(Clone, Debug)]
pub(super) struct Arrived(Arc<Mutex<Ranges>>);

impl Arrived {
    /// Returns an empty record for a content of `size` bytes.
    pub(super) fn of(size: u64) -> Self {
        Self(Arc::new(Mutex::new(Ranges::of(size))))
    }

    /// Adds a range.
    pub(super) fn add(&self, range: Range<u64>, checksum: Checksum) {
        self.ranges().add(range, checksum);
    }

    /// Returns the number of bytes that have arrived.
    pub(super) fn bytes(&self) -> u64 {
        self.ranges().iter().map(|(range, _)| range.end - range.start).sum()
    }

    /// Returns the ranges that have arrived.
    pub(super) fn now(&self) -> Ranges {
        self.ranges().clone()
    }

    fn ranges(&self) -> MutexGuard<'_, Ranges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pos3_core::Checksummer;

    use super::*;

    fn sum(bytes: &[u8]) -> Checksum {
        let mut sum = Checksummer::crc64_nvme();
        sum.update(bytes);
        sum.finish()
    }

    #[test]
    fn ranges_in_any_order_make_the_whole_and_neighbours_are_joined() {
        let content: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).collect();
        let pieces: Vec<Range<u64>> = (0..40_000).step_by(7).map(|start| start..40_000.min(start + 7)).collect();
        for stride in [1, 7, 1999] {
            let mut ranges = Ranges::of(40_000);
            assert_eq!(ranges.whole(), None);
            for piece in (0..pieces.len()).map(|n| pieces[n * stride % pieces.len()].clone()) {
                assert!(!ranges.hold(&piece));
                ranges.add(piece.clone(), sum(&content[piece.start as usize..piece.end as usize]));
                assert!(ranges.hold(&piece));
            }
            assert_eq!(ranges.whole(), Some(sum(&content)));
            assert!(ranges.are_sound(40_000));
            assert!(ranges.hold(&(0..40_000)) && !ranges.hold(&(0..40_001)));
            assert!(ranges.iter().count() <= 4096, "{} of {}", ranges.iter().count(), pieces.len());
        }
        let mut ranges = Ranges::of(40_000);
        ranges.add(0..39_999, sum(&content[..39_999]));
        assert_eq!(ranges.whole(), None);
    }

    #[test]
    fn what_overlaps_or_lies_outside_is_not_sound() {
        let table = [
            (10, vec![(0, 5), (5, 10)], true),
            (10, vec![(0, 6), (5, 10)], false),
            (10, vec![(3, 3)], false),
            (10, vec![(5, 11)], false),
            (9, vec![(0, 5)], false),
        ];
        for (size, finished, is_sound) in table {
            let finished = finished.into_iter().map(|(start, end)| (start, (end, sum(b"")))).collect();
            assert_eq!(Ranges { size: 10, finished }.are_sound(size), is_sound);
        }
    }
}
