//! Sorts with bounded memory. Runs of records are sorted in memory and written to a temporary file, then merged.
//! Without this, a store that cannot list in order would need memory for its whole listing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Iter, PAGE, Scratch, Spill, SpillError};

/// The records in memory before a run is written to the file: about 16 MiB of entries.
const RUN: usize = 65_536;

/// Sorts records that are added in any order.
#[derive(Debug)]
pub struct Sorter<T> {
    runs: Runs<T>,
    buffer: Vec<T>,
    run_length: usize,
}

/// Records in ascending order, readable any number of times.
#[derive(Debug)]
pub struct Sorted<T>(Runs<T>);

struct Runs<T> {
    scratch: Scratch,
    runs: Vec<Spill<T>>,
}

impl<T: Ord + Serialize + DeserializeOwned> Sorter<T> {
    /// Returns an empty sorter.
    pub fn new() -> Self {
        Self::with_runs_of(RUN)
    }

    /// Returns a sorter that writes a run each time it holds this many records.
    pub(crate) fn with_runs_of(run_length: usize) -> Self {
        let runs = Runs { scratch: Scratch::default(), runs: Vec::new() };
        Self { runs, buffer: Vec::new(), run_length }
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// Fails if the temporary file cannot be written.
    pub fn push(&mut self, record: T) -> Result<(), SpillError> {
        self.buffer.push(record);
        if self.buffer.len() == self.run_length {
            let mut run = self.end_run()?;
            run.seal()?;
            self.runs.runs.push(run);
        }
        Ok(())
    }

    /// Returns the records in ascending order. Equal records stay in the order in which they were added.
    ///
    /// # Errors
    ///
    /// Fails if the temporary file cannot be written.
    pub fn finish(mut self) -> Result<Sorted<T>, SpillError> {
        // The last run stays in memory. It is encoded, so it takes less memory than the buffer did.
        let run = self.end_run()?;
        self.runs.runs.push(run);
        Ok(Sorted(self.runs))
    }

    fn end_run(&mut self) -> Result<Spill<T>, SpillError> {
        self.buffer.sort();
        let mut run = Spill::sharing(&self.runs.scratch, usize::MAX, PAGE);
        self.buffer.drain(..).try_for_each(|record| run.push(&record))?;
        Ok(run)
    }
}

impl<T: Ord + Serialize + DeserializeOwned> Default for Sorter<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Ord + Serialize + DeserializeOwned> Sorted<T> {
    /// Returns the records in ascending order. An error is the last item.
    pub fn iter(&self) -> Merge<T> {
        Merge::new(self.0.runs.iter().map(Spill::iter).collect())
    }
}

/// Merges sorted runs. The heap contains the next record of each run, ordered by record and then by run: runs were
/// filled in order, so equal records are returned in the order in which they were added.
#[derive(Debug)]
pub struct Merge<T> {
    runs: Vec<Iter<T>>,
    heads: BinaryHeap<Reverse<Head<T>>>,
    failure: Option<SpillError>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head<T> {
    record: T,
    run: usize,
}

impl<T: Ord + Serialize + DeserializeOwned> Merge<T> {
    fn new(runs: Vec<Iter<T>>) -> Self {
        let mut merge = Self { heads: BinaryHeap::with_capacity(runs.len()), runs, failure: None };
        (0..merge.runs.len()).for_each(|run| merge.refill(run));
        merge
    }

    fn refill(&mut self, run: usize) {
        match self.runs[run].next() {
            Some(Ok(record)) => self.heads.push(Reverse(Head { record, run })),
            Some(Err(error)) => self.failure = Some(error),
            None => {}
        }
    }
}

impl<T: Ord + Serialize + DeserializeOwned> Iterator for Merge<T> {
    type Item = Result<T, SpillError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failure.take() {
            // A record that the failed run did not return could come before all others, so nothing after it is in
            // order.
            self.heads.clear();
            return Some(Err(error));
        }
        let Reverse(head) = self.heads.pop()?;
        self.refill(head.run);
        Some(Ok(head.record))
    }
}

impl<T> fmt::Debug for Runs<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs", self.runs.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_records_keep_their_order_across_runs() {
        for run_length in [1, 7, RUN] {
            let mut sorter = Sorter::with_runs_of(run_length);
            let records = (0..100_u32).rev().map(|number| (number % 10, number));
            let mut expected: Vec<_> = records.clone().collect();
            expected.sort();
            records.for_each(|record| sorter.push(record).unwrap());
            let sorted = sorter.finish().unwrap();
            for _ in 0..2 {
                assert_eq!(sorted.iter().collect::<Result<Vec<_>, _>>().unwrap(), expected);
            }
        }
    }
}
