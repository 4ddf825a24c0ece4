//! Large content: its ranges are read and written side by side, as far as the run's budget goes.
//!
//! The first range goes on the slot that the caller holds, so a put always advances; more are read only while slots are
//! free. Each range holds a small buffer, whatever its length.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use pos3_core::{Checksummer, Content, ErrorKind, Key, PutOptions, Result, Slot, StoreError};
use tokio::sync::Mutex;

use super::partial::Partial;
use super::ranges::Arrived;
use super::resume::Resumable;
use crate::blocking::blocking;
use crate::error::failed;

/// What is gathered before it is written.
const BUFFER: u64 = 512 << 10;

/// Memory of one range: what is gathered, and what has arrived beyond it.
const MEMORY: u64 = 2 * BUFFER;

/// One content on its way into one file.
pub(super) struct Fill<'a> {
    pub(super) content: &'a Content,
    pub(super) partial: &'a Arc<Partial>,
    pub(super) key: &'a Key,
    pub(super) options: &'a PutOptions,
    /// What need not be fetched, and what has been.
    pub(super) arrived: &'a Arrived,
    /// What computes the checksum of each range, if one is needed.
    pub(super) sum: Option<Checksummer>,
    pub(super) resumable: Option<&'a Resumable>,
    /// What is read at once.
    pub(super) step: u64,
    /// One write at a time: the system takes one per file anyway, and others would spin on its lock. A write that was
    /// begun holds it to its end, whether or not anybody waits for it.
    pub(super) writing: &'a Arc<Mutex<()>>,
}

/// Whose slot a range is read on.
enum Right {
    /// The one the caller of the put holds.
    Callers,
    /// A further one, given back afterwards.
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

    /// Reads one range and writes it as it comes.
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

    /// Writes what was gathered. Returns the offset after it, and the checksum with it.
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
        blocking("write", move |_| {
            // The turn ends last: who has it next may count on nobody else having the file.
            let _turn = turn;
            let (partial, mut sum) = (partial, sum);
            if let Some(sum) = &mut sum {
                pieces.iter().for_each(|piece| sum.update(piece));
            }
            partial.write_at(offset, &pieces).map_err(|errno| failed("write", &key, errno))?;
            Ok((offset + size, sum))
        })
        .await
    }

    fn wrong_length(&self, range: &Range<u64>) -> StoreError {
        StoreError::new(ErrorKind::Integrity, "write")
            .with_key(self.key)
            .with_message(format!("bytes {} to {} did not arrive whole", range.start, range.end))
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
