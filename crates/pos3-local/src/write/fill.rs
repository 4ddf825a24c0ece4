//! Large content: its ranges are read and written side by side, as far as the run's budget goes.
//!
//! The first range goes on the slot that the caller holds, so a put always advances; more are read only while slots are
//! free. Each range holds a small buffer, whatever its length.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use pos3_core::{Content, Entry, ErrorKind, Key, PutOptions, Result, Slot, StoreError};
use tokio::sync::Mutex;

use super::partial::Partial;
use super::place::Place;
use crate::blocking::blocking;
use crate::error::failed;
use crate::root::Root;

/// What one request reads of content that costs requests.
const RANGE: u64 = 8 << 20;

/// What is gathered before it is written.
const BUFFER: u64 = 512 << 10;

/// Memory of one range: what is gathered, and what has arrived beyond it.
const MEMORY: u64 = 2 * BUFFER;

/// Stores content that is too large to be held in memory.
pub(super) async fn put(root: Arc<Root>, key: Key, content: Content, options: PutOptions) -> Result<Entry> {
    let (named, opening) = (key.clone(), options.clone());
    let (place, partial) = blocking("write", move |_| {
        let place = Place::open(&root, key, &opening)?;
        let partial = place.make_partial()?;
        Ok((place, Arc::new(partial)))
    })
    .await?;
    let fill = Fill { content: &content, partial: &partial, key: &named, options: &options, writing: Mutex::new(()) };
    fill.run().await?;
    let size = content.size();
    blocking("write", move |waited| place.put(&partial, size, waited)).await
}

struct Fill<'a> {
    content: &'a Content,
    partial: &'a Arc<Partial>,
    key: &'a Key,
    options: &'a PutOptions,
    /// One write at a time: the system takes one per file anyway, and others would spin on its lock.
    writing: Mutex<()>,
}

/// Whose slot a range is read on.
enum Right {
    /// The one the caller of the put holds.
    Callers,
    /// A further one, given back afterwards.
    Further(Slot),
}

impl Fill<'_> {
    /// Reads and writes all ranges.
    async fn run(&self) -> Result<()> {
        let size = self.content.size();
        let step = if self.costs_requests() { RANGE } else { size };
        let mut ranges = (0..size)
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
            .map(|start| start..size.min(start + step))
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

    /// True for content from afar: more requests at once are faster. What is on this machine is one stream.
    fn costs_requests(&self) -> bool {
        self.content.origin().is_some_and(|(store, _)| !store.capabilities().local_reads)
    }

    /// Reads one range and writes it as it comes.
    async fn range(&self, range: Range<u64>, right: Right) -> Result<Right> {
        let _reservation = self.options.budget.reserve(MEMORY.min(range.end - range.start)).await;
        let mut body = self.content.read(range.clone()).await?;
        let mut offset = range.start;
        let mut gathered = Gathered::default();
        while let Some(chunk) = body.try_next().await? {
            gathered.push(chunk);
            if offset + gathered.size > range.end {
                return Err(self.wrong_length(&range));
            }
            if gathered.size >= BUFFER {
                offset = self.write(offset, &mut gathered).await?;
            }
        }
        offset = self.write(offset, &mut gathered).await?;
        if offset == range.end { Ok(right) } else { Err(self.wrong_length(&range)) }
    }

    /// Writes what was gathered and returns the offset after it.
    async fn write(&self, offset: u64, gathered: &mut Gathered) -> Result<u64> {
        let Gathered { pieces, size } = std::mem::take(gathered);
        if size > 0 {
            let (partial, key) = (self.partial.clone(), self.key.clone());
            let _turn = self.writing.lock().await;
            blocking("write", move |_| partial.write_at(offset, &pieces).map_err(|errno| failed("write", &key, errno)))
                .await?;
        }
        Ok(offset + size)
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
