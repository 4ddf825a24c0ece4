//! Reads and writes the ranges of large content concurrently, within the budget of the run.
//!
//! The first range uses the slot of the caller, so a put always progresses. Further ranges start only while slots are
//! free. Each range needs a small buffer, whatever its size.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use pos3_core::{Checksummer, Content, ErrorKind, Key, Operation, PutOptions, Result, Slot, StoreError};
use tokio::sync::Mutex;

use super::partial::Partial;
use super::ranges::Arrived;
use super::resume::Resumable;
use crate::blocking::blocking;
use crate::error::failed;

/// The number of bytes collected for one write.
const BUFFER: u64 = 512 << 10;

/// The memory of one range: the collected bytes and those that arrived beyond them.
const MEMORY: u64 = 2 * BUFFER;

/// The transfer of one content into one file.
pub(super) struct Fill<'a> {
    pub(super) content: &'a Content,
    pub(super) partial: &'a Arc<Partial>,
    pub(super) key: &'a Key,
    pub(super) options: &'a PutOptions,
    /// The ranges that have arrived. They are not fetched again.
    pub(super) arrived: &'a Arrived,
    /// Computes the checksum of each range, if one is needed.
    pub(super) sum: Option<Checksummer>,
    pub(super) resumable: Option<&'a Resumable>,
    /// The size of one range.
    pub(super) step: u64,
    /// Allows one write at a time. The system serializes the writes of a file anyway, and further ones would busy-wait.
    /// A write that has started holds the lock until it ends, even if nothing waits for it.
    pub(super) writing: &'a Arc<Mutex<()>>,
}

/// The slot that a range uses.
enum Right {
    /// The slot of the caller of the put.
    Callers,
    /// An additional slot, which is released afterwards.
    Further(Slot),
}

impl Fill<'_> {
    /// Reads and writes all ranges that have not arrived.
    pub(super) async fn run(&self) -> Result<()> {
        let size = self.content.size();
        let arrived = self.arrived.now();
        let mut ranges = (0..size)
            .step_by(usize::try_from(self.step).unwrap_or(usize::MAX))
            .map(|start| start..size.min(start.saturating_add(self.step)))
            .filter(|range| !arrived.hold(range))
            .peekable();
        let mut running = FuturesUnordered::new();
        let mut callers = Some(Right::Callers);
        loop {
            while ranges.peek().is_some() {
                let further = || self.options.budget.try_slot().map(Right::Further);
                let Some(right) = callers.take().or_else(further) else { break };
                if let Some(range) = ranges.next() {
                    running.push(self.range(range, right));
                }
            }
            match running.try_next().await? {
                Some(Right::Callers) => callers = Some(Right::Callers),
                Some(Right::Further(slot)) => drop(slot),
                None => return Ok(()),
            }
        }
    }

    /// Reads one range and writes it as it arrives.
    async fn range(&self, range: Range<u64>, right: Right) -> Result<Right> {
        let _reservation = self.options.budget.reserve(MEMORY.min(range.end - range.start)).await;
        let mut body = self.content.read(range.clone()).await?;
        let mut offset = range.start;
        let mut gathered = Gathered::default();
        let mut sum = self.sum.clone();
        while let Some(chunk) = body.try_next().await? {
            gathered.push(chunk);
            if offset + gathered.size > range.end {
                return Err(self.wrong_length(&range));
            }
            if gathered.size >= BUFFER {
                (offset, sum) = self.write(offset, &mut gathered, sum).await?;
            }
        }
        (offset, sum) = self.write(offset, &mut gathered, sum).await?;
        if offset != range.end {
            return Err(self.wrong_length(&range));
        }
        if let Some(sum) = sum {
            self.arrived.add(range, sum.finish());
        }
        if let Some(resumable) = self.resumable {
            self.partial.keep();
            resumable.save_if_due().await;
        }
        Ok(right)
    }

    /// Writes the collected bytes. Returns the offset after them, and the updated checksum.
    async fn write(
        &self,
        offset: u64,
        gathered: &mut Gathered,
        sum: Option<Checksummer>,
    ) -> Result<(u64, Option<Checksummer>)> {
        let Gathered { pieces, size } = std::mem::take(gathered);
        if size == 0 {
            return Ok((offset, sum));
        }
        let (partial, key) = (self.partial.clone(), self.key.clone());
        let turn = self.writing.clone().lock_owned().await;
        blocking(Operation::Write, move |_| {
            // The lock must be released last: its next holder relies on having the file alone.
            let _turn = turn;
            let (partial, mut sum) = (partial, sum);
            if let Some(sum) = &mut sum {
                pieces.iter().for_each(|piece| sum.update(piece));
            }
            partial.write_at(offset, &pieces).map_err(|errno| failed(Operation::Write, &key, errno))?;
            Ok((offset + size, sum))
        })
        .await
    }

    fn wrong_length(&self, range: &Range<u64>) -> StoreError {
        StoreError::new(ErrorKind::Integrity, Operation::Write)
            .with_key(self.key)
            .with_message(format!("bytes {} to {} arrived incomplete", range.start, range.end))
            .temporary()
    }
}

#[derive(Default)]
struct Gathered {
    pieces: Vec<Bytes>,
    size: u64,
}

impl Gathered {
    fn push(&mut self, piece: Bytes) {
        self.size += piece.len() as u64;
        self.pieces.push(piece);
    }
}
