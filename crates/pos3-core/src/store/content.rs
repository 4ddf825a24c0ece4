//! Content to store: data of known length whose ranges can be read, more than once if needed.
//!
//! So a store can split content into parts, send them in parallel and retry each one, without holding a whole object in
//! memory. Content also names its origin, so a store can recognise its own type, behind any wrappers, and copy without
//! reading the data.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};

use super::{ByteStream, GetOptions, Opened, Pace, Reads, RemoteStore, RemoteStoreExt, Result, Seen};
use crate::blocking::hash_chunk;
use crate::digest::{Agreement, Digester};
use crate::entry::{Digest, Entry};
use crate::error::{ErrorKind, Operation, StoreError};

/// The code of the error for content whose digest is not the one that its store reports.
pub const OTHER_DIGEST: &str = "OtherDigest";

/// The code of the error for an object about which a store gives contradicting answers, such as a lookup and a listing. A
/// cache may have answered with an old state.
pub const CONTRADICTED: &str = "Contradicted";

/// The code of the error for an entry that cannot be written because there is a symbolic link at its path or above it.
pub const BEHIND_LINK: &str = "BehindLink";

/// The code of the error for an entry that cannot be read or written because another directory than at the beginning of the
/// run is at the path of the store.
pub const OTHER_DIRECTORY: &str = "OtherDirectory";

/// Receives the number of bytes after each read.
pub type Meter = Arc<dyn Fn(u64) + Send + Sync>;

/// Data of known length whose ranges can be read, more than once if needed. Cheap to clone.
#[derive(Clone)]
pub struct Content {
    source: Source,
    meter: Option<Meter>,
    checked: Arc<AtomicBool>,
    unnamed: Arc<AtomicBool>,
    digest: Arc<OnceLock<Option<Digest>>>,
    modified: Arc<OnceLock<SystemTime>>,
    pace: Option<Pace>,
}

#[derive(Clone)]
enum Source {
    Bytes(Bytes),
    Stored { store: Arc<dyn RemoteStore>, entry: Arc<Entry>, opened: Opened },
}

impl Content {
    /// Returns the content of `entry` in `store`, exactly as it was listed. If it has changed since, reads fail with
    /// `Precondition`.
    pub fn stored(store: Arc<dyn RemoteStore>, entry: Entry) -> Self {
        Self {
            source: Source::Stored { store, entry: Arc::new(entry), opened: Opened::default() },
            meter: None,
            checked: Arc::default(),
            unnamed: Arc::default(),
            digest: Arc::default(),
            modified: Arc::default(),
            pace: None,
        }
    }

    /// Returns this content with a meter that receives the number of bytes of every read.
    #[must_use]
    pub fn with_meter(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Returns this content without its meter, for code that reads it more than once and [counts](Self::count) by
    /// itself.
    #[must_use]
    pub fn without_meter(&self) -> Self {
        Self { meter: None, ..self.clone() }
    }

    /// Returns this content with a rate limit for reads, if `pace` is set.
    #[must_use]
    pub fn with_pace(mut self, pace: impl Into<Option<Pace>>) -> Self {
        self.pace = pace.into();
        self
    }

    /// Returns the length in bytes.
    pub fn size(&self) -> u64 {
        match &self.source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::Stored { entry, .. } => entry.size,
        }
    }

    /// Returns the store and the entry of this content, if it comes from a store.
    pub fn origin(&self) -> Option<(&Arc<dyn RemoteStore>, &Entry)> {
        match &self.source {
            Source::Bytes(_) => None,
            Source::Stored { store, entry, .. } => Some((store, entry)),
        }
    }

    /// Returns where this content is read from. Bytes in memory are [`Reads::Local`].
    pub fn reads(&self) -> Reads {
        self.origin().map_or(Reads::Local, |(store, _)| store.capabilities().reads)
    }

    /// Returns the store that has this content and the entry with its key there, if that store is an `S`. Wrappers around
    /// it make no difference, unless one of them requires that content is read through it ([`RemoteStore::backend`]).
    pub fn origin_as<S: RemoteStore>(&self) -> Option<(&S, Entry)> {
        let (store, entry) = self.origin()?;
        let (store, key) = store.backend_as::<S>(&entry.key)?;
        Some((store, Entry { key, ..entry.clone() }))
    }

    /// Returns the entry as its store returns it for this one object, which may be more exact than the listing: it may
    /// have a checksum, and lack a digest that the listing only seemed to contain. Sends at most one `head`. Content
    /// from memory has no entry.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`RemoteStore::head`], and `Precondition` if the content has changed since it was listed.
    pub async fn look_up(&self) -> Result<Option<Entry>> {
        let Source::Stored { store, entry, .. } = &self.source else { return Ok(None) };
        if entry.checksum.is_some() || self.reads() == Reads::Local {
            return Ok(Some(entry.as_ref().clone()));
        }
        let found = store.head(&entry.key).await?;
        let is_named = found.fingerprint.is_some();
        let is_other = match (&entry.fingerprint, &found.fingerprint) {
            (Some(listed), Some(told)) => listed != told || found.size != entry.size,
            // A cache may have answered with an old object.
            _ => !Seen { fingerprint: None, ..Seen::of(entry) }.is(&found),
        };
        if is_other && !is_named && found.size == entry.size && matches!(entry.digest, Some(Digest::Md5(_))) {
            return Ok(Some(entry.as_ref().clone()));
        }
        if is_other {
            return Err(StoreError::new(ErrorKind::Precondition, Operation::Read).with_key(&entry.key));
        }
        // A response without a fingerprint also lacks the digest; the one from the listing still applies.
        let digest = if is_named { found.digest } else { found.digest.or(entry.digest) };
        Ok(Some(Entry { digest, fingerprint: found.fingerprint.clone().or(entry.fingerprint.clone()), ..found }))
    }

    fn mark_checked(&self) {
        self.checked.store(true, Ordering::Release);
    }

    /// Returns true if the content was read as a whole from another machine and compared with a checksum or digest of its
    /// store: by the store while it was read, or by [`compare_whole`](Self::compare_whole). If they differ, the read fails.
    pub fn is_checked(&self) -> bool {
        self.checked.load(Ordering::Acquire)
    }

    /// Returns true if the store returned a range without the fingerprint of the object. Only a digest can then verify
    /// that the range belongs to this object.
    pub fn is_unnamed(&self) -> bool {
        self.unnamed.load(Ordering::Acquire)
    }

    /// Returns the digest that the store reported when the object was read. It is more reliable than that of a listing: the
    /// ETag of an object that is encrypted with certain keys only looks like a digest, and only a response about the object
    /// shows that.
    pub fn digest(&self) -> Option<Digest> {
        match (self.digest.get(), &self.source) {
            (Some(told), _) => *told,
            (None, Source::Stored { entry, .. }) => entry.digest,
            (None, Source::Bytes(_)) => None,
        }
    }

    /// Compares content that was read as a whole, if it is not checked yet, with the digest that its store reported: the
    /// ETag of an object in parts is not a checksum of the whole, so the store could not verify it. If no common part size
    /// matches, requests the part size. The content is [checked](Self::is_checked) if it matches.
    ///
    /// # Errors
    ///
    /// Returns `Integrity` if the bytes differ, and the errors of [`part_size`](Self::part_size).
    pub async fn compare_whole(&self, bytes: &Bytes) -> Result<()> {
        let may_differ = self.reads() == Reads::Remote && !self.is_checked();
        let Some(known) = self.digest().filter(|_| may_differ) else { return Ok(()) };
        let mut agreement = agreement(Digester::new(known, self.size()), bytes).await;
        if agreement == Agreement::Unknown {
            let part_size = self.part_size().await?;
            agreement = self::agreement(part_size.and_then(|size| Digester::of_parts(known, size)), bytes).await;
        }
        match agreement {
            Agreement::Same => self.mark_checked(),
            Agreement::Unknown => {}
            Agreement::Different => return Err(self.other_digest()),
        }
        Ok(())
    }

    /// Returns the error for content that arrived with another digest than its store reports.
    pub fn other_digest(&self) -> StoreError {
        let error = StoreError::new(ErrorKind::Integrity, Operation::Read)
            .with_message("the received content does not match the digest (ETag) of the object")
            .with_code(OTHER_DIGEST)
            .temporary();
        match self.origin() {
            Some((_, entry)) => error.with_key(&entry.key),
            None => error,
        }
    }

    /// Returns the error for ranges that cannot be verified to belong to this content.
    pub fn unnamed(&self, operation: Operation) -> StoreError {
        StoreError::new(ErrorKind::Integrity, operation)
            .with_message("the responses do not identify the object, and there is no checksum")
    }

    /// Reports bytes to the meter that were copied without being read here.
    pub fn count(&self, bytes: u64) {
        if let Some(meter) = &self.meter {
            meter(bytes);
        }
    }

    /// Reads a range as a stream.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`RemoteStore::get`]. If the range cannot be delivered completely, the stream ends with an
    /// error.
    pub async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let body = match &self.source {
            Source::Bytes(bytes) => slice(bytes, range),
            Source::Stored { store, entry, opened } => {
                let is_whole = range == (0..entry.size);
                let mut options = GetOptions::default().with_if_match(entry.fingerprint.clone());
                if !is_whole {
                    options = options.with_range(range).with_opened(opened.clone());
                }
                let download = store.get(&entry.key, options).await?;
                self.check_version(entry, &download.entry)?;
                if self.reads() == Reads::Remote {
                    self.digest.get_or_init(|| download.entry.digest);
                }
                if !is_whole && entry.fingerprint.is_some() && download.entry.fingerprint.is_none() {
                    self.unnamed.store(true, Ordering::Release);
                }
                if is_whole && download.checked && self.reads() == Reads::Remote {
                    self.mark_checked();
                }
                download.body
            }
        };
        let body = match self.pace.clone() {
            Some(pace) => body.and_then(move |chunk| paced(pace.clone(), chunk)).boxed(),
            None => body,
        };
        Ok(match self.meter.clone() {
            Some(meter) => body.inspect_ok(move |chunk| meter(chunk.len() as u64)).boxed(),
            None => body,
        })
    }

    /// Checks that a response is about the same version of the object as the listing and as all other responses.
    ///
    /// The fingerprint alone does not show that: a gateway may keep the old one when the content below it is replaced. The
    /// time of a listing can be more exact than that of a response, so only responses are compared by their time.
    fn check_version(&self, listed: &Entry, told: &Entry) -> Result<()> {
        if is_of_another_time(listed, told) {
            return Err(StoreError::new(ErrorKind::Precondition, Operation::Read).with_key(&listed.key));
        }
        let is_same_time = told.modified.is_none_or(|time| *self.modified.get_or_init(|| time) == time);
        if is_same_time && told.size == listed.size {
            return Ok(());
        }
        let error = |kind| StoreError::new(kind, Operation::Read).with_key(&listed.key);
        let is_same_token = told.fingerprint.is_some() && told.fingerprint == listed.fingerprint;
        if is_same_time && is_same_token && told.modified.map(seconds) == listed.modified.map(seconds) {
            let message = format!("the response has {} bytes of an object of {} bytes", told.size, listed.size);
            return Err(error(ErrorKind::Integrity).with_message(message).temporary());
        }
        Err(error(ErrorKind::Precondition))
    }

    /// Returns the size of the parts in which the content was stored, if its store knows it and only the last part has
    /// another size. Sends at most two requests.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`RemoteStore::part_size`].
    pub async fn part_size(&self) -> Result<Option<u64>> {
        match &self.source {
            Source::Bytes(_) => Ok(None),
            Source::Stored { store, entry, .. } => store.part_size(entry).await,
        }
    }

    /// Reads a range into memory, with exactly the requested number of bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`read`](Self::read), and `Integrity` if the body is shorter or longer.
    pub async fn read_to_bytes(&self, range: Range<u64>) -> Result<Bytes> {
        let size = range.end.saturating_sub(range.start);
        collect_exactly(self.read(range).await?, size).await
    }
}

/// Reads a body that must be `size` bytes long into memory.
///
/// # Errors
///
/// Returns the errors of the body, and `Integrity` if it is shorter or longer.
pub async fn collect_exactly(mut body: ByteStream, size: u64) -> Result<Bytes> {
    let first = body.try_next().await?.unwrap_or_default();
    if first.len() as u64 == size {
        return match body.try_next().await? {
            Some(more) if !more.is_empty() => Err(wrong_length(size)),
            _ => Ok(first),
        };
    }
    let mut whole = BytesMut::with_capacity(usize::try_from(size).map_err(|_| wrong_length(size))?);
    whole.extend_from_slice(&first);
    while let Some(chunk) = body.try_next().await? {
        whole.extend_from_slice(&chunk);
        if whole.len() as u64 > size {
            return Err(wrong_length(size));
        }
    }
    if whole.len() as u64 == size { Ok(whole.freeze()) } else { Err(wrong_length(size)) }
}

/// Returns the result of a comparison, if there is one to make, with all bytes of a content.
async fn agreement(digester: Option<Digester>, bytes: &Bytes) -> Agreement {
    let Some(digester) = digester else { return Agreement::Unknown };
    hash_chunk(digester, bytes.clone(), Digester::update).await.finish()
}

/// Returns a time in whole seconds, as HTTP headers have it.
fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Returns true if nothing but the time in a response shows which object it is about, and the listing has another time. A
/// cache may have answered with an old object.
fn is_of_another_time(listed: &Entry, told: &Entry) -> bool {
    let is_unnamed = listed.fingerprint.is_some() && told.fingerprint.is_none();
    let seen = Seen { size: told.size, modified: listed.modified, fingerprint: None };
    is_unnamed && !matches!(listed.digest, Some(Digest::Md5(_))) && !seen.is(told)
}

async fn paced(pace: Pace, chunk: Bytes) -> Result<Bytes> {
    pace.wait(chunk.len() as u64).await;
    Ok(chunk)
}

fn slice(bytes: &Bytes, range: Range<u64>) -> ByteStream {
    let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    let chunk = match bounds {
        Some((start, end)) if start <= end && end <= bytes.len() => Ok(bytes.slice(start..end)),
        _ => Err(wrong_length(range.end.saturating_sub(range.start))),
    };
    stream::once(async move { chunk }).boxed()
}

fn wrong_length(expected: u64) -> StoreError {
    StoreError::new(ErrorKind::Integrity, Operation::Read)
        .with_message(format!("the content was not {expected} bytes long"))
        .temporary()
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self {
            source: Source::Bytes(bytes),
            meter: None,
            checked: Arc::default(),
            unnamed: Arc::default(),
            digest: Arc::default(),
            modified: Arc::default(),
            pace: None,
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Bytes(bytes) => write!(f, "Content({} bytes)", bytes.len()),
            Source::Stored { store, entry, .. } => write!(f, "Content({store} '{}')", entry.key),
        }
    }
}
