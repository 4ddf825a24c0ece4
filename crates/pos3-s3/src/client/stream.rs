//! Content that is read while it is sent, and read again for each attempt.
//!
//! Without this, each part would be completely in memory. Parts grow with the object, to a gibibyte for the largest.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::client::{HttpError, HttpErrorKind};
use pos3_core::{ByteStream, Checksum, Checksummer, Content, ErrorKind, Operation, StoreError};

use crate::error::Failure;

/// The maximum amount of content in memory while it is sent, in bytes: read ahead, being processed, and waiting for the
/// connection.
pub(crate) const MEMORY: u64 = 1536 << 10;

/// A range of content to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Streamable {
    content: Content,
    range: Range<u64>,
    /// The part of the range that has been reported to the content's meter. A retry does not report it again.
    told: Arc<AtomicU64>,
    summed: bool,
    /// The checksum of the bytes that the last attempt sent. It is set when all of them have been sent.
    sum: Arc<Mutex<Option<Checksum>>>,
}

impl Streamable {
    pub(crate) fn new(content: Content, range: Range<u64>) -> Self {
        Self { content, range, told: Arc::default(), summed: false, sum: Arc::default() }
    }

    /// Returns the same content. Its CRC-64/NVME is computed while it is sent.
    pub(crate) fn summed(mut self) -> Self {
        self.summed = true;
        self
    }

    /// Returns the checksum of the last complete attempt.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_checksum(&self, checksum: Option<Checksum>) {
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) = checksum;
    }

    /// Returns the length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Opens the content for one attempt.
    pub(crate) async fn open(&self) -> Result<Streamed, Failure> {
        self.set_checksum(None);
        let body = self.content.without_meter().read(self.range.clone()).await?;
        Ok(Streamed(Arc::new(Opened {
            size: self.size(),
            body: Mutex::new(Some(body)),
            source: self.clone(),
            failure: Mutex::new(None),
        })))
    }

    fn tell(&self, position: u64) {
        let before = self.told.fetch_max(position, Ordering::Relaxed);
        self.content.count(position.saturating_sub(before));
    }
}

/// The body of one attempt. It is passed as a request extension, because the transport's own body type must be in
/// memory.
#[derive(Clone)]
pub(crate) struct Streamed(Arc<Opened>);

struct Opened {
    size: u64,
    body: Mutex<Option<ByteStream>>,
    source: Streamable,
    failure: Mutex<Option<StoreError>>,
}

impl Streamed {
    /// Returns the length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.0.size
    }

    /// Returns and removes the error if the attempt failed because the content could not be read.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns the content in pieces. If the content does not have exactly the expected length, the stream fails before
    /// the last piece, so that no server receives a complete body of truncated content. It can be called once; after
    /// that it returns an empty stream.
    pub(crate) fn pieces(&self) -> BoxStream<'static, Result<Bytes, HttpError>> {
        let body = self.0.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        let body = body.unwrap_or_else(|| stream::empty().boxed());
        let sum = self.0.source.summed.then(Checksummer::crc64_nvme);
        stream::try_unfold((body, self.clone(), 0, sum), |(mut body, streamed, sent, mut sum)| async move {
            match streamed.next(&mut body, sent).await {
                Ok(None) => Ok(None),
                Ok(Some(piece)) => {
                    let sent = sent + piece.len() as u64;
                    streamed.0.source.tell(sent);
                    if let Some(sum) = &mut sum {
                        sum.update(&piece);
                        if sent == streamed.size() {
                            streamed.0.source.set_checksum(Some(sum.finish()));
                        }
                    }
                    Ok(Some((piece, (body, streamed, sent, sum))))
                }
                Err(error) => {
                    let told = std::io::Error::other(error.to_string());
                    *streamed.0.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Err(HttpError::new(HttpErrorKind::Unknown, told))
                }
            }
        })
        .boxed()
    }

    /// Returns the next piece. The last piece is held back until the end of the content has been checked.
    async fn next(&self, body: &mut ByteStream, sent: u64) -> Result<Option<Bytes>, StoreError> {
        let size = self.size();
        while let Some(piece) = body.try_next().await? {
            let end = sent + piece.len() as u64;
            if end == size {
                while let Some(more) = body.try_next().await? {
                    self.check_length(end + more.len() as u64)?;
                }
            }
            if end > size {
                self.check_length(end)?;
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        self.check_length(sent)?;
        Ok(None)
    }

    fn check_length(&self, length: u64) -> Result<(), StoreError> {
        if length == self.size() {
            return Ok(());
        }
        Err(StoreError::new(ErrorKind::Integrity, Operation::Read)
            .with_message(format!("the content was not {} bytes long", self.size()))
            .temporary())
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Streamed").field(&self.0.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(size: u64, pieces: Vec<&'static str>) -> (Vec<Bytes>, Option<StoreError>) {
        let body = stream::iter(pieces).map(|piece| Ok(Bytes::from(piece))).boxed();
        let streamed = Streamed(Arc::new(Opened {
            size,
            body: Mutex::new(Some(body)),
            source: Streamable::new(Content::from(Bytes::new()), 0..size),
            failure: Mutex::new(None),
        }));
        let sent = streamed.pieces().take_while(|piece| std::future::ready(piece.is_ok()));
        (sent.try_collect().await.unwrap(), streamed.failure())
    }

    #[tokio::test]
    async fn a_body_is_never_whole_unless_it_has_its_length() {
        for (pieces, expected, fails) in [
            (vec!["ab", "", "cd"], "abcd", false),
            (vec!["abcd", ""], "abcd", false),
            (vec!["ab", "c"], "abc", true),
            (vec![], "", true),
            (vec!["ab", "cd", "e"], "ab", true),
            (vec!["ab", "cde"], "ab", true),
        ] {
            let (sent, failure) = sent(4, pieces.clone()).await;
            assert_eq!((sent.concat(), failure.is_some()), (expected.as_bytes().to_vec(), fails), "{pieces:?}");
        }
    }
}
