//! Multipart uploads: an object is sent in parts, or copied in parts inside the server.
//!
//! Parts of an upload that is neither completed nor aborted stay on the server and are billed. So a failed upload is
//! aborted, even if its caller no longer waits for it. The exception is an upload that a journal has a note of and that
//! can be resumed.

mod complete;
mod confirm;
mod note;
mod parts;
mod resume;

use std::sync::{Arc, Mutex, PoisonError};

use pos3_core::{Checksum, Content, Entry, ErrorKind, Key, Operation, PutOptions, Result, StoreError, Stored};

use super::{Misstored, ObjectHeaders, REPEATS};
use crate::bucket::Bucket;
use crate::checksum::{ALGORITHM, FULL_OBJECT, KIND};
use crate::client::config::LARGEST_PART;
use crate::client::habits::lack::Evidence;
use crate::client::habits::{Manner, Protection, Unverified};
use crate::client::retry::Attempts;
use crate::copy_source::CopySource;
use crate::error::Failure;
use crate::operation::S3Operation;
use note::{Note, Origin};
use parts::Part;

/// The maximum number of parts of an object.
const MOST_PARTS: u64 = 10_000;

/// The maximum number of attempts to abort an upload. It is small, because the caller is already waiting to get an
/// error.
const ABORT_ATTEMPTS: u32 = 3;

/// Returns the size of a part in bytes. The configured size is doubled until the object has at most the allowed number
/// of parts.
///
/// # Errors
///
/// Returns an error if the content is too large even for the largest parts.
pub(crate) fn part_size_for(size: u64, part_size: u64) -> Result<u64, Failure> {
    let mut part_size = part_size.max(1);
    while size.div_ceil(part_size) > MOST_PARTS {
        if part_size >= LARGEST_PART {
            return Err(Failure::TooLarge(size));
        }
        part_size = (part_size * 2).min(LARGEST_PART);
    }
    Ok(part_size)
}

/// The source of the parts.
pub(crate) enum PartSource<'s> {
    /// The client reads and sends them.
    Content(Content),
    /// The server copies them from an existing object.
    Copy(CopySource<'s>),
}

/// An upload that has been created on the server.
pub(crate) struct Upload {
    bucket: Arc<Bucket>,
    key: Key,
    id: String,
    protection: Protection,
    state: State,
    /// The parts that the server already has, by index.
    there: Vec<(usize, Part)>,
    note: Option<Note>,
    /// Set when the server refuses a part, maybe because of a header that it does not support.
    rejected: Mutex<Option<Evidence>>,
    /// Set when the completion succeeded, but the object does not have the content that was sent.
    misstored: Mutex<Option<Misstored>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Closed,
}

/// The completed object.
pub(crate) struct Finished {
    pub(crate) entry: Entry,
    /// Its checksum, if the server returned it.
    pub(crate) sum: Option<Checksum>,
    /// A checksum verified the content. False for a copy, which the caller verifies.
    verified: bool,
}

impl Finished {
    fn stored(self) -> Stored {
        Stored::new(self.entry).with_verified(self.verified)
    }
}

/// The response to the creation of an upload.
struct Created {
    id: String,
    /// The response repeats the requested checksum algorithm.
    knows_checksums: bool,
}

impl Bucket {
    /// Stores content in parts. It resumes an earlier upload of the same content if the journal has a note of one. If
    /// the server turns out not to have stored it, it is sent again.
    pub(crate) async fn put_in_parts(
        self: &Arc<Self>,
        key: &Key,
        content: Content,
        options: &PutOptions,
        headers: ObjectHeaders,
    ) -> Result<Stored> {
        let mut options = options.clone();
        for _ in 0..REPEATS {
            match self.put_parts_once(key, &content, &options, &headers).await? {
                Ok(stored) => return Ok(stored),
                Err(misstored) => {
                    options.expect =
                        misstored.next(&options.expect).ok_or_else(|| misstored.error(Operation::Write, key))?;
                }
            }
        }
        let stored = self.put_parts_once(key, &content, &options, &headers).await?;
        stored.map_err(|misstored| misstored.error(Operation::Write, key))
    }

    async fn put_parts_once(
        self: &Arc<Self>,
        key: &Key,
        content: &Content,
        options: &PutOptions,
        headers: &ObjectHeaders,
    ) -> Result<Result<Stored, Misstored>> {
        let size = content.size();
        let part_size = part_size_for(size, self.client.config().part_size);
        let part_size = part_size.map_err(|failure| self.error(Operation::Write, key, failure))?;
        let protection = self.client.protection();
        let origin = Origin::new(key, content, options, part_size, headers);
        let resumed = match &origin {
            Some(origin) => self.resume(origin, content, protection).await?,
            None => None,
        };
        let mut upload = match resumed {
            Some(upload) => upload,
            None => self.begin(key, headers, protection, origin.clone()).await?,
        };
        let source = PartSource::Content(content.clone());
        let failed = match upload.finish(&source, size, part_size, options).await {
            Ok(finished) => return Ok(Ok(finished.stored())),
            Err(error) => error,
        };
        if let Some(misstored) = upload.misstored() {
            return Ok(Err(misstored));
        }
        let usual = Manner { protection, condition: None };
        match (self.client.plainer(usual).first(), upload.rejected()) {
            // The checksum type is fixed when an upload is created, so fewer features need a new upload.
            (Some(plainer), Some(evidence)) => {
                let mut upload = self.begin(key, headers, plainer.protection, origin).await?;
                let finished = upload.finish(&source, size, part_size, options).await;
                if let Some(misstored) = upload.misstored() {
                    return Ok(Err(misstored));
                }
                let finished = finished?;
                self.client.learn(key, usual, *plainer, evidence);
                Ok(Ok(finished.stored()))
            }
            _ => Err(failed),
        }
    }

    async fn begin(
        self: &Arc<Self>,
        key: &Key,
        headers: &ObjectHeaders,
        protection: Protection,
        origin: Option<Origin>,
    ) -> Result<Upload> {
        let usual = Manner { protection, condition: None };
        let mut manners = self.client.manners(key, usual);
        let created = loop {
            let created = self.create_upload(key, headers, manners.current().protection).await;
            if let Some(created) = manners.judge(created).await {
                break created;
            }
        };
        let Created { id, knows_checksums } = created.map_err(|failure| self.error(Operation::Write, key, failure))?;
        let mut protection = manners.current().protection;
        if protection == Protection::Crc64Nvme && !knows_checksums {
            self.client.lacks_verification(Unverified::Ignores, key);
            protection = self.client.protection_without_checksums();
        }
        let mut upload = Upload::new(self.clone(), key, id, protection);
        if let Some(origin) = origin {
            let note = Note::new(origin, &upload.id, protection);
            note.save().await;
            upload.note = Some(note);
        }
        Ok(upload)
    }

    async fn create_upload(
        &self,
        key: &Key,
        headers: &ObjectHeaders,
        protection: Protection,
    ) -> Result<Created, Failure> {
        let mut request = self.object_request(S3Operation::CreateMultipartUpload, key, &[("uploads", "")])?;
        request.headers.extend(headers.iter().cloned());
        if protection == Protection::Crc64Nvme {
            request = request.header(ALGORITHM, "CRC64NVME")?.header(KIND, FULL_OBJECT)?;
        }
        self.exchange(&request, |answer| {
            let [id] = answer.result("InitiateMultipartUploadResult", ["UploadId"])?;
            if id.is_empty() {
                return Err(Failure::Garbled("the upload has no id".into()));
            }
            Ok(Created { id, knows_checksums: answer.headers.contains_key(ALGORITHM) })
        })
        .await
    }
}

impl Upload {
    /// Creates an upload whose parts the server copies. If the checksum of the source is known, the server is asked to
    /// compute that of the copy.
    pub(crate) async fn of_copies(
        bucket: Arc<Bucket>,
        key: &Key,
        headers: &ObjectHeaders,
        sum: Option<Checksum>,
    ) -> Result<Self, Failure> {
        let is_comparable = matches!(sum, Some(Checksum::Crc64Nvme(_)));
        let usual = if is_comparable { bucket.client.protection() } else { Protection::None };
        let mut manners = bucket.client.manners(key, Manner { protection: usual, condition: None });
        let created = loop {
            let created = bucket.create_upload(key, headers, manners.current().protection).await;
            if let Some(created) = manners.judge(created).await {
                break created?;
            }
        };
        Ok(Self::new(bucket, key, created.id, Protection::None))
    }

    fn new(bucket: Arc<Bucket>, key: &Key, id: String, protection: Protection) -> Self {
        let (there, rejected, misstored) = (Vec::new(), Mutex::default(), Mutex::default());
        Self { bucket, key: key.clone(), id, protection, state: State::Open, there, note: None, rejected, misstored }
    }

    /// Returns the evidence in the refusal of a part that the server may lack a feature.
    fn rejected(&self) -> Option<Evidence> {
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends all parts and completes the upload. If that fails, the upload is aborted, unless its note is kept for a
    /// later run.
    pub(crate) async fn finish(
        &mut self,
        source: &PartSource<'_>,
        size: u64,
        part_size: u64,
        options: &PutOptions,
    ) -> Result<Finished> {
        let finished = match self.send(source, size, part_size, options).await {
            Ok(parts) => self.complete(source, &parts, size, options).await,
            Err(error) => Err(error),
        };
        // From here on, this function aborts the upload or keeps its note, so `drop` must not do it again.
        self.state = State::Closed;
        let keeps = finished.as_ref().err().is_some_and(is_worth_keeping);
        match &self.note {
            Some(note) if keeps => note.save().await,
            note => {
                if finished.is_err() {
                    abort(&self.bucket, &self.key, &self.id).await;
                }
                if let Some(note) = note {
                    note.remove().await;
                }
            }
        }
        finished
    }
}

/// Returns true if an upload that failed with this error can be resumed later. Damaged parts cannot be resumed. After
/// an authentication failure the upload is kept, because an abort would fail for the same reason.
fn is_worth_keeping(error: &StoreError) -> bool {
    let passes = error.is_temporary() && error.kind() != ErrorKind::Integrity;
    passes || error.kind() == ErrorKind::Unauthenticated
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.state == State::Closed {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // The future was dropped before the upload ended. With a note, a later run can resume the upload. Otherwise
        // nothing knows about it any more, and it must be aborted.
        match self.note.take() {
            Some(note) => runtime.spawn(async move { note.save().await }),
            None => {
                let (bucket, key, id) = (self.bucket.clone(), self.key.clone(), self.id.clone());
                runtime.spawn(async move { abort(&bucket, &key, &id).await })
            }
        };
    }
}

async fn abort(bucket: &Bucket, key: &Key, id: &str) {
    let mut attempts = Attempts::new(ABORT_ATTEMPTS, bucket.client.config().longest_pause);
    if let Err(failure) = bucket.abort(key, id, &mut attempts).await {
        tracing::warn!(%key, bucket = bucket.name, ?failure, "an unfinished multipart upload may be left");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_with_the_object() {
        let mib = 1 << 20;
        for (size, expected) in [
            (17 * mib, 8 * mib),
            (80_000 * mib, 8 * mib),
            (80_000 * mib + 1, 16 * mib),
            (5 << 40, 1024 * mib),
            (45 << 40, LARGEST_PART),
        ] {
            let part = part_size_for(size, 8 * mib).unwrap();
            assert_eq!(part, expected, "{size}");
            assert!(size.div_ceil(part) <= MOST_PARTS);
        }
    }

    #[test]
    fn content_for_which_no_part_is_large_enough_is_refused() {
        for size in [MOST_PARTS * LARGEST_PART + 1, 4 << 60, u64::MAX] {
            assert!(matches!(part_size_for(size, 8 << 20), Err(Failure::TooLarge(told)) if told == size), "{size}");
        }
        assert_eq!(part_size_for(MOST_PARTS * LARGEST_PART, 8 << 20).unwrap(), LARGEST_PART);
    }
}
