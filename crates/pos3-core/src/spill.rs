//! Sequences of records with bounded memory; further records go to a temporary file.
//!
//! A plan has one action per difference, and a report one row per problem. If they were held in memory, a tree with
//! millions of differences would exhaust it, and the process could be killed between two deletes.

mod scratch;
mod sorter;
mod streamed;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blocking::run_blocking;

pub(crate) use scratch::Scratch;
use scratch::Span;
pub use scratch::SpillError;
pub use sorter::{Sorted, Sorter};
pub(crate) use streamed::{BATCH, streamed};

/// The encoded bytes that one sequence holds in memory by default.
pub(crate) const HELD: usize = 2 << 20;

/// The encoded bytes of a page, the unit that is read from the file and decoded at once.
const PAGE: usize = 32 << 10;

/// Records in the order in which they were added. They can be read forwards and backwards, any number of times.
///
/// Records are encoded when they are added. Records beyond the limit are written to an anonymous temporary file, which
/// disappears with the process. A clone shares the records that were added so far; later additions are separate.
pub struct Spill<T> {
    scratch: Scratch,
    pages: Vec<Page>,
    open: Vec<u8>,
    records_in_open: usize,
    held: usize,
    limit: usize,
    page: usize,
    length: u64,
    record: PhantomData<fn() -> T>,
}

#[derive(Clone)]
struct Page {
    place: Place,
    records: usize,
}

#[derive(Clone)]
enum Place {
    Memory(Arc<[u8]>),
    File(Span),
}

impl<T: Serialize + DeserializeOwned> Spill<T> {
    /// Returns an empty sequence that holds about this many encoded bytes in memory.
    pub fn with_limit(limit: usize) -> Self {
        Self::sharing(&Scratch::default(), limit, PAGE.min(limit))
    }

    /// Returns an empty sequence that spills to the same file as others.
    fn sharing(scratch: &Scratch, limit: usize, page: usize) -> Self {
        Self {
            scratch: scratch.clone(),
            pages: Vec::new(),
            open: Vec::new(),
            records_in_open: 0,
            held: 0,
            limit,
            page,
            length: 0,
            record: PhantomData,
        }
    }

    /// Adds a record at the end.
    ///
    /// # Errors
    ///
    /// Fails if the temporary file cannot be written. The sequence must not be used after that.
    pub fn push(&mut self, record: &T) -> Result<(), SpillError> {
        postcard::to_io(record, &mut self.open).map_err(SpillError::encoding)?;
        self.records_in_open += 1;
        self.length += 1;
        if self.open.len() >= self.page { self.close_page() } else { Ok(()) }
    }

    fn close_page(&mut self) -> Result<(), SpillError> {
        let bytes = Arc::from(self.open.as_slice());
        self.held += self.open.len();
        self.pages.push(Page { place: Place::Memory(bytes), records: self.records_in_open });
        self.open.clear();
        self.records_in_open = 0;
        if self.held > self.limit { self.write_out() } else { Ok(()) }
    }

    /// Writes all records to the file. Call it when the sequence is complete.
    fn seal(&mut self) -> Result<(), SpillError> {
        if self.records_in_open > 0 {
            self.close_page()?;
        }
        self.open = Vec::new();
        self.write_out()
    }

    /// Writes records to the file before [`push`](Self::push) has to. Asynchronous code calls it after each `push`, so that
    /// no file is written on a thread of its runtime.
    pub(crate) async fn relieve(&mut self) -> Result<(), SpillError> {
        if self.held <= self.limit / 2 {
            return Ok(());
        }
        let (scratch, pages) = (self.scratch.clone(), self.held_pages());
        let spans = run_blocking(move || append(&scratch, &pages)).await?;
        self.note_written(&spans);
        Ok(())
    }

    /// Writes all full pages that are still in memory.
    fn write_out(&mut self) -> Result<(), SpillError> {
        let spans = append(&self.scratch, &self.held_pages())?;
        self.note_written(&spans);
        Ok(())
    }

    /// Returns the full pages in memory. They follow the pages in the file, because each write writes all of them.
    fn held_pages(&self) -> Vec<Arc<[u8]>> {
        let held = self.pages.iter().rev().map_while(|page| match &page.place {
            Place::Memory(bytes) => Some(bytes.clone()),
            Place::File(_) => None,
        });
        let mut pages: Vec<_> = held.collect();
        pages.reverse();
        pages
    }

    fn note_written(&mut self, spans: &[Span]) {
        let first = self.pages.len() - spans.len();
        for (page, span) in self.pages[first..].iter_mut().zip(spans) {
            page.place = Place::File(*span);
        }
        self.held = 0;
    }

    /// Returns the number of records.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Returns true if there are no records.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the records in order, or from the last to the first with `rev`. An error is the last item.
    pub fn iter(&self) -> Iter<T> {
        self.clone().into_iter()
    }

    fn read(&self, page: &Page) -> Result<Vec<T>, SpillError> {
        match &page.place {
            Place::Memory(bytes) => decode(bytes, page.records),
            Place::File(span) => decode(&self.scratch.read(*span)?, page.records),
        }
    }
}

impl<T: Serialize + DeserializeOwned> IntoIterator for Spill<T> {
    type Item = Result<T, SpillError>;
    type IntoIter = Iter<T>;

    fn into_iter(mut self) -> Iter<T> {
        if self.records_in_open > 0 {
            let place = Place::Memory(Arc::from(std::mem::take(&mut self.open)));
            self.pages.push(Page { place, records: self.records_in_open });
        }
        Iter {
            ahead: 0,
            behind: self.pages.len(),
            front: Vec::new().into_iter(),
            back: Vec::new().into_iter(),
            of: self,
        }
    }
}

fn append(scratch: &Scratch, pages: &[Arc<[u8]>]) -> Result<Vec<Span>, SpillError> {
    pages.iter().map(|bytes| scratch.append(bytes)).collect()
}

fn decode<T: DeserializeOwned>(mut bytes: &[u8], records: usize) -> Result<Vec<T>, SpillError> {
    let mut decoded = Vec::with_capacity(records);
    for _ in 0..records {
        let (record, rest) = postcard::take_from_bytes(bytes).map_err(SpillError::decoding)?;
        decoded.push(record);
        bytes = rest;
    }
    Ok(decoded)
}

/// An iterator over the records of a sequence, with one page per end in memory.
pub struct Iter<T> {
    of: Spill<T>,
    front: std::vec::IntoIter<T>,
    back: std::vec::IntoIter<T>,
    /// The range of pages that neither end has read yet: from `ahead` to before `behind`.
    ahead: usize,
    behind: usize,
}

impl<T: Serialize + DeserializeOwned> Iterator for Iter<T> {
    type Item = Result<T, SpillError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.front.next() {
                return Some(Ok(record));
            }
            if self.ahead == self.behind {
                return self.back.next().map(Ok);
            }
            match self.of.read(&self.of.pages[self.ahead]) {
                Ok(records) => self.front = records.into_iter(),
                Err(error) => return Some(Err(self.end_with(error))),
            }
            self.ahead += 1;
        }
    }
}

impl<T: Serialize + DeserializeOwned> DoubleEndedIterator for Iter<T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.back.next_back() {
                return Some(Ok(record));
            }
            if self.ahead == self.behind {
                return self.front.next_back().map(Ok);
            }
            match self.of.read(&self.of.pages[self.behind - 1]) {
                Ok(records) => self.back = records.into_iter(),
                Err(error) => return Some(Err(self.end_with(error))),
            }
            self.behind -= 1;
        }
    }
}

impl<T> Iter<T> {
    /// Ends the iterator: after a page that cannot be read, further records would be out of sequence.
    fn end_with(&mut self, error: SpillError) -> SpillError {
        self.ahead = self.behind;
        self.front = Vec::new().into_iter();
        self.back = Vec::new().into_iter();
        error
    }
}

impl<T: Serialize + DeserializeOwned> Default for Spill<T> {
    fn default() -> Self {
        Self::with_limit(HELD)
    }
}

impl<T> Clone for Spill<T> {
    fn clone(&self) -> Self {
        Self {
            scratch: self.scratch.clone(),
            pages: self.pages.clone(),
            open: self.open.clone(),
            records_in_open: self.records_in_open,
            held: self.held,
            limit: self.limit,
            page: self.page,
            length: self.length,
            record: PhantomData,
        }
    }
}

/// Formats only the first 100 records, because a whole sequence can be larger than memory.
impl<T: Serialize + DeserializeOwned + fmt::Debug> fmt::Debug for Spill<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 100;
        let mut list = f.debug_list();
        list.entries(self.iter().take(SHOWN).map(|record| record.map_err(|error| error.to_string())));
        if self.length > SHOWN as u64 { list.finish_non_exhaustive() } else { list.finish() }
    }
}

impl<T> fmt::Debug for Iter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("pages", &(self.ahead..self.behind)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    fn filled(limit: usize, records: u64) -> Spill<(u64, String)> {
        let mut spill = Spill::with_limit(limit);
        (0..records).for_each(|number| spill.push(&record(number)).unwrap());
        spill
    }

    fn record(number: u64) -> (u64, String) {
        (number, format!("a name with {number}"))
    }

    #[test]
    fn records_come_forwards_and_backwards_whatever_is_held() {
        for (limit, records) in [(0, 100), (1000, 9999), (PAGE, 9999), (HELD, 9999), (HELD, 0)] {
            let spill = filled(limit, records);
            assert_eq!(spill.len(), records);
            let expected: Vec<_> = (0..records).map(record).collect();
            assert_eq!(spill.iter().collect::<Result<Vec<_>, _>>().unwrap(), expected);
            let mut backwards = spill.iter().rev().collect::<Result<Vec<_>, _>>().unwrap();
            backwards.reverse();
            assert_eq!(backwards, expected, "{limit}");
            let mut both = spill.iter();
            let mut taken = 0;
            while let (Some(Ok(first)), Some(Ok(last))) = (both.next(), both.next_back()) {
                assert_eq!((first.0, last.0), (taken, records - 1 - taken));
                taken += 1;
            }
            assert_eq!(taken, records / 2, "the ends meet once");
        }
    }

    #[test]
    fn a_clone_grows_on_its_own() {
        let mut one = filled(100, 1000);
        let mut other = one.clone();
        for number in 1000..2000 {
            one.push(&record(number)).unwrap();
            other.push(&record(number + 5000)).unwrap();
        }
        let numbers = |spill: &Spill<(u64, String)>| -> Vec<u64> { spill.iter().map(|item| item.unwrap().0).collect() };
        assert_eq!(numbers(&one), (0..2000).collect::<Vec<_>>());
        assert_eq!(numbers(&other), (0..1000).chain(6000..7000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_sequence_that_is_relieved_never_writes_when_a_record_is_added() {
        let in_memory = |spill: &Spill<(u64, String)>| spill.held_pages().len();
        let mut spill = Spill::with_limit(100_000);
        for number in 0..20_000 {
            let before = in_memory(&spill);
            spill.push(&record(number)).unwrap();
            assert!(in_memory(&spill) >= before, "push wrote to the file");
            spill.relieve().await.unwrap();
        }
        assert!(in_memory(&spill) < spill.pages.len() / 2, "most records are in the file");
        let expected: Vec<_> = (0..20_000).map(record).collect();
        assert_eq!(spill.iter().collect::<Result<Vec<_>, _>>().unwrap(), expected);
        let streamed: Vec<_> = streamed(spill.iter()).collect().await;
        assert_eq!(streamed.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), expected);
    }

    #[test]
    fn memory_is_bounded_by_bytes() {
        let spill = filled(100_000, 100_000);
        let held: usize = spill
            .pages
            .iter()
            .map(|page| match &page.place {
                Place::Memory(bytes) => bytes.len(),
                Place::File(_) => 0,
            })
            .sum();
        assert!(held <= 100_000 + PAGE, "{held}");
        assert!(spill.open.len() < PAGE);
    }
}
