//! Sends the parts of an upload. One uses the caller's slot of the budget, and others run in parallel while slots are
//! free.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pos3_core::{Checksum, Content, Operation, PutOptions, Reservation, Result, Slot};

use super::{PartSource, Upload};
use crate::client::habits::Manner;
use crate::client::habits::lack::{Trial, is_unknown};
use crate::client::{Answer, stream};
use crate::copy_source::CopySource;
use crate::error::Failure;
use crate::headers::header;
use crate::operation::S3Operation;
use crate::write::carry::Evidence;

/// A part that the server has.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The ETag in the response.
    pub(super) etag: String,
    /// The size in bytes.
    pub(super) size: u64,
    /// The checksum of the bytes that were sent, if it was computed.
    pub(super) sum: Option<Checksum>,
    /// The response was evidence that the server received the bytes that were sent.
    pub(super) proven: bool,
    /// The ETag looks like the MD5 of other bytes, even after the part was sent again.
    pub(super) contradicted: bool,
}

/// A part that has just been sent.
struct Sent {
    index: usize,
    part: Part,
    slot: PartSlot,
}

/// The slot of the budget that a part uses.
enum PartSlot {
    /// The slot that the caller holds for the whole put.
    Callers,
    /// A slot of its own. It is freed when this is dropped.
    Own(#[expect(dead_code, reason = "it is held, not read")] Slot),
}

/// Returns the byte ranges of an object's parts.
pub(super) fn ranges(size: u64, part_size: u64) -> Vec<Range<u64>> {
    (0..size.div_ceil(part_size)).map(|part| part * part_size..((part + 1) * part_size).min(size)).collect()
}

impl Upload {
    /// Sends the parts that the server does not have yet, and returns all parts in order.
    pub(super) async fn send(
        &self,
        source: &PartSource<'_>,
        size: u64,
        part_size: u64,
        options: &PutOptions,
    ) -> Result<Vec<Part>> {
        let ranges = ranges(size, part_size);
        let mut parts: Vec<Option<Part>> = vec![None; ranges.len()];
        for (index, part) in &self.there {
            parts[*index] = Some(part.clone());
        }
        let mut missing: VecDeque<usize> = (0..ranges.len()).filter(|index| parts[*index].is_none()).collect();
        let mut running = FuturesUnordered::new();
        let mut callers_slot = Some(PartSlot::Callers);
        loop {
            let slot = if missing.is_empty() {
                None
            } else {
                callers_slot.take().or_else(|| options.budget.try_slot().map(PartSlot::Own))
            };
            let Some(slot) = slot else {
                let Some(sent) = running.next().await else { break };
                self.record(sent?, &mut parts, &mut callers_slot).await;
                continue;
            };
            let Some(index) = missing.pop_front() else { continue };
            let reservation = options.budget.reserve(self.bytes_in_memory(source, &ranges[index]));
            futures::pin_mut!(reservation);
            // Parts that complete in the meantime free the memory that this reservation waits for, so they must make
            // progress here too. Waiting for the reservation alone could block forever.
            let reservation = loop {
                tokio::select! {
                    reservation = &mut reservation => break reservation,
                    Some(sent) = running.next() => self.record(sent?, &mut parts, &mut callers_slot).await,
                }
            };
            running.push(self.part(source, index, ranges[index].clone(), slot, reservation));
        }
        Ok(parts.into_iter().flatten().collect())
    }

    async fn record(&self, sent: Sent, parts: &mut [Option<Part>], callers_slot: &mut Option<PartSlot>) {
        if let PartSlot::Callers = sent.slot {
            *callers_slot = Some(PartSlot::Callers);
        }
        if let Some(note) = &self.note {
            note.add(sent.index, &sent.part).await;
        }
        parts[sent.index] = Some(sent.part);
    }

    async fn part(
        &self,
        source: &PartSource<'_>,
        index: usize,
        range: Range<u64>,
        slot: PartSlot,
        _held: Reservation,
    ) -> Result<Sent> {
        let number = (index + 1).to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", self.id.as_str())];
        let part = match source {
            PartSource::Content(content) => self.upload_part(&query, content, range).await,
            PartSource::Copy(source) => self.copy_part(&query, source, range).await,
        };
        let part = part.map_err(|failure| self.bucket.error(Operation::Write, &self.key, failure))?;
        Ok(Sent { index, part, slot })
    }

    /// Returns the number of bytes of a part that are in memory while it is sent.
    fn bytes_in_memory(&self, source: &PartSource<'_>, range: &Range<u64>) -> u64 {
        let size = range.end - range.start;
        match source {
            PartSource::Content(content) if self.bucket.streams(content, self.protection) => size.min(stream::MEMORY),
            PartSource::Content(_) => size,
            PartSource::Copy(_) => 0,
        }
    }

    async fn upload_part(&self, query: &[(&str, &str)], content: &Content, range: Range<u64>) -> Result<Part, Failure> {
        let size = range.end - range.start;
        let request = self.bucket.object_request(S3Operation::UploadPart, &self.key, query)?;
        let (request, proof) = self.bucket.carry_range(request, content, range, self.protection).await?;
        // A wrong MD5 ETag may come from damage, which does not happen again when the part is resent. If it is wrong
        // again, the server's ETags are not MD5s, and the part is accepted as contradicted.
        let was_contradicted = AtomicBool::new(!self.bucket.client.has_digests());
        let read = |answer: &Answer| {
            // The completion of the upload checks the ETags, so a response with a body needs no further check.
            answer.is_bare()?;
            let etag = header(&answer.headers, "etag").to_owned();
            if etag.is_empty() {
                return Err(Failure::Garbled("the response has no ETag of a part".into()));
            }
            let evidence = proof.check(&answer.headers)?;
            if evidence == Evidence::Contradicted && !was_contradicted.swap(true, Ordering::Relaxed) {
                return Err(Failure::Garbled("the MD5 of a stored part differs from that of the sent part".into()));
            }
            let proven = evidence == Evidence::Proven;
            let contradicted = evidence == Evidence::Contradicted && self.bucket.client.has_digests();
            Ok(Part { etag, size, sum: proof.checksum(), proven, contradicted })
        };
        let mut trial = Trial::new();
        loop {
            match self.bucket.exchange(&request, read).await {
                Err(failure) if self.has_plainer() && is_unknown(&failure) => {
                    if !trial.repeats(&failure, self.bucket.client.config().longest_pause).await {
                        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(trial.evidence(self.key.as_str()));
                        return Err(failure);
                    }
                }
                sent => return sent,
            }
        }
    }

    /// Returns true if the content can be sent to a server that does not support the usual checksums.
    fn has_plainer(&self) -> bool {
        let usual = Manner { protection: self.protection, condition: None };
        !self.bucket.client.plainer(usual).is_empty()
    }

    async fn copy_part(
        &self,
        query: &[(&str, &str)],
        source: &CopySource<'_>,
        range: Range<u64>,
    ) -> Result<Part, Failure> {
        let request = self.bucket.object_request(S3Operation::UploadPartCopy, &self.key, query)?;
        let request = source.part_of(request, &range)?;
        self.bucket
            .exchange(&request, |answer| {
                let [etag] = answer.result("CopyPartResult", ["ETag"])?;
                if etag.is_empty() {
                    return Err(Failure::Garbled("a copied part has no ETag".into()));
                }
                Ok(Part { etag, size: range.end - range.start, sum: None, proven: false, contradicted: false })
            })
            .await
    }
}
