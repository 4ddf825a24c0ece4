//! Writes content that is too large for memory: opens a partial file, fills it, compares the checksum, and then renames
//! it.
//!
//! Content that arrives in ranges has not been verified as a whole. A range that was damaged, or that is from another
//! version of the object, must be detected here. If a put ends early, its file stays if a later put can resume it.
//! Otherwise, the file is removed, because a full disk may be why the put ended.

use std::sync::Arc;

use pos3_core::{
    Agreement, Checksum, Checksummer, Content, Digest, Digester, ErrorKind, Key, Operation, PutOptions, Reads, Result,
    StoreError, Stored,
};
use tokio::sync::Mutex;

use super::fill::Fill;
use super::partial::{Partial, Resumed};
use super::place::Place;
use super::ranges::{Arrived, Ranges};
use super::resume::Resumable;
use crate::blocking::{Waited, blocking};
use crate::root::Root;

/// The size of one request if reading the content costs requests.
const RANGE: u64 = 8 << 20;

/// The largest content that is read back if its store has only an MD5. The MD5 of a whole cannot be computed from those
/// of its ranges. The limit is the largest size of one PUT request.
const READ_BACK: u64 = 5 << 30;

/// The partial file of a content.
struct Opened {
    place: Place,
    partial: Arc<Partial>,
    /// The ranges that an earlier put noted for this file, or `None` if no later put can resume it.
    noted: Option<Ranges>,
}

/// Stores content range by range.
pub(super) async fn put(root: Arc<Root>, key: Key, content: Content, options: PutOptions) -> Result<Stored> {
    let arrived = Arrived::of(content.size());
    let resumable = Resumable::of(&key, &content, &options, &arrived);
    let Opened { place, partial, noted } = open(root, &key, &options, resumable.as_ref()).await?;
    let put = Put {
        key: &key,
        content: &content,
        options: &options,
        partial: &partial,
        arrived: &arrived,
        resumable: resumable.as_ref().filter(|_| noted.is_some()),
        writing: Arc::default(),
    };
    let stored = match put.fetch(noted).await {
        Ok(verified) => {
            let (partial, size) = (partial.clone(), content.size());
            let entry = blocking(Operation::Write, move |waited| place.put(&partial, size, waited)).await;
            entry.map(|entry| Stored::new(entry).with_verified(verified))
        }
        Err(error) => Err(error),
    };
    put.end(stored.as_ref().err()).await;
    if stored.is_err() {
        // Freeing the blocks of a large file takes long. If this cannot be waited for, that is not an error.
        let _ = blocking(Operation::Write, move |_| {
            drop(partial);
            Ok(())
        })
        .await;
    }
    stored
}

/// Opens the partial file, which may be left from an earlier put.
async fn open(root: Arc<Root>, key: &Key, options: &PutOptions, resumable: Option<&Resumable>) -> Result<Opened> {
    let noted = match resumable {
        Some(resumable) => resumable.noted().await,
        None => None,
    };
    let name = resumable.map(|resumable| resumable.name().to_owned());
    let (key, options) = (key.clone(), options.clone());
    blocking(Operation::Write, move |_| {
        let place = Place::open(&root, key, &options)?;
        let size = noted.as_ref().map(Ranges::size);
        let resumed = match &name {
            Some(name) => place.resume_partial(name, size)?,
            None => None,
        };
        let (partial, noted) = match resumed {
            Some(Resumed::Continued(partial)) => (partial, noted),
            Some(Resumed::Anew(partial)) => (partial, Some(Ranges::default())),
            None => (place.make_partial()?, None),
        };
        Ok(Opened { place, partial: Arc::new(partial), noted })
    })
    .await
}

/// The digests and checksums that the source store has for a content.
#[derive(Clone, Copy, Default)]
struct Known {
    sum: Option<Checksum>,
    digest: Option<Digest>,
}

/// A running put.
struct Put<'a> {
    key: &'a Key,
    content: &'a Content,
    options: &'a PutOptions,
    partial: &'a Arc<Partial>,
    arrived: &'a Arrived,
    resumable: Option<&'a Resumable>,
    writing: Arc<Mutex<()>>,
}

impl Put<'_> {
    /// Fetches the whole content into the file, and returns whether it is verified.
    async fn fetch(&self, noted: Option<Ranges>) -> Result<bool> {
        let known = self.look_up().await?;
        let sum = known.sum.map_or_else(Checksummer::crc64_nvme, |checksum| Checksummer::like(&checksum));
        if let Some(noted) = noted {
            let (partial, arrived, sum) = (self.partial.clone(), self.arrived.clone(), sum.clone());
            blocking(Operation::Write, move |waited| look_through(&partial, &noted, &arrived, &sum, waited))
                .await
                .map_err(|error| error.with_key(self.key))?;
            self.content.count(self.arrived.bytes());
        }
        let fill = Fill {
            content: self.content,
            partial: self.partial,
            key: self.key,
            options: self.options,
            arrived: self.arrived,
            sum: (known.sum.is_some() || self.resumable.is_some()).then_some(sum),
            resumable: self.resumable,
            step: self.step(),
            writing: &self.writing,
        };
        fill.run().await?;
        self.compare(known).await
    }

    /// Returns the digests and checksums of the source store, if the ranges are fetched separately.
    async fn look_up(&self) -> Result<Known> {
        if !self.comes_from_afar() || self.content.size() <= RANGE {
            return Ok(Known::default());
        }
        match self.content.look_up().await {
            // Reading the content reports this error with its own text.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Known::default()),
            found => {
                Ok(found?.map_or_else(Known::default, |entry| Known { sum: entry.checksum, digest: entry.digest }))
            }
        }
    }

    /// Returns the size of one read. Remote content is faster with several requests; local content is one stream.
    fn step(&self) -> u64 {
        if self.comes_from_afar() { RANGE } else { self.content.size() }
    }

    fn comes_from_afar(&self) -> bool {
        self.content.reads() == Reads::Remote
    }

    /// Compares the content that arrived with the known digests and checksums, and returns whether it is verified. If it
    /// arrived in one response, its digest is that of the response.
    async fn compare(&self, known: Known) -> Result<bool> {
        let known = match known {
            Known { sum: None, digest: None } if self.comes_from_afar() && !self.content.is_checked() => {
                Known { sum: None, digest: self.content.digest() }
            }
            known => known,
        };
        let is_sum = known.sum.is_some();
        let agreement = match known {
            Known { sum: Some(sum), .. } if self.arrived.now().whole() == Some(sum) => Agreement::Same,
            Known { sum: Some(_), .. } => Agreement::Different,
            Known { digest: Some(digest), .. } => self.compare_digest(digest).await?,
            Known { sum: None, digest: None } => Agreement::Unknown,
        };
        match agreement {
            Agreement::Same => Ok(true),
            Agreement::Different if !is_sum => Err(self.content.other_digest().with_key(self.key)),
            Agreement::Different => Err(StoreError::new(ErrorKind::Integrity, Operation::Write)
                .with_key(self.key)
                .with_message("the checksum of the received content differs from the stored one")
                .temporary()),
            Agreement::Unknown if self.content.is_unnamed() => {
                Err(self.content.unnamed(Operation::Write).with_key(self.key))
            }
            Agreement::Unknown => Ok(self.content.is_checked()),
        }
    }

    /// Compares the written content with the digest. If no common part size matches, requests the part size from the
    /// source store, because damaged content must not be treated as content with unusual parts.
    async fn compare_digest(&self, known: Digest) -> Result<Agreement> {
        let size = self.content.size();
        if size > READ_BACK {
            return Ok(Agreement::Unknown);
        }
        if let Some(digester) = Digester::new(known, size) {
            let agreement = self.read_back(digester).await?;
            if agreement != Agreement::Unknown {
                return Ok(agreement);
            }
        }
        let part_size = self.content.part_size().await?;
        match part_size.and_then(|part_size| Digester::of_parts(known, part_size)) {
            Some(digester) => self.read_back(digester).await,
            None => Ok(Agreement::Unknown),
        }
    }

    /// Reads the written content back.
    async fn read_back(&self, mut digester: Digester) -> Result<Agreement> {
        let (partial, size) = (self.partial.clone(), self.content.size());
        blocking(Operation::Write, move |waited| {
            let is_whole = partial.read(&(0..size), waited, |bytes| digester.update(bytes))?;
            Ok(if is_whole { digester.finish() } else { Agreement::Different })
        })
        .await
        .map_err(|error| error.with_key(self.key))
    }

    /// Writes the note for a later put, or removes it if the put cannot be resumed.
    async fn end(&self, failure: Option<&StoreError>) {
        // A write may outlive the range that started it. It must end before the next put opens this file.
        let _quiet = self.writing.lock().await;
        let Some(resumable) = self.resumable else { return };
        match failure {
            Some(error) if may_pass(error) && self.arrived.now().whole().is_none() => resumable.save().await,
            Some(_) => {
                self.partial.discard();
                resumable.forget().await;
            }
            None => resumable.forget().await,
        }
    }
}

/// Accepts the noted ranges that are in the file and match their checksums.
fn look_through(
    partial: &Partial,
    noted: &Ranges,
    arrived: &Arrived,
    sum: &Checksummer,
    waited: &Waited,
) -> Result<()> {
    for (range, checksum) in noted.iter() {
        if partial.checksum(&range, Checksummer::like(&checksum), waited)? != Some(checksum) {
            continue;
        }
        // The store may now keep another kind of checksum than when the note was written.
        let wanted = match sum.finish().combine(checksum, range.end - range.start) {
            Some(same_kind) => Some(same_kind),
            None => partial.checksum(&range, sum.clone(), waited)?,
        };
        if let Some(wanted) = wanted {
            arrived.add(range, wanted);
        }
    }
    Ok(())
}

/// Returns true if the failure of a put may be temporary, so that the partial file is worth its disk space.
fn may_pass(error: &StoreError) -> bool {
    error.is_temporary()
        || matches!(error.kind(), ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Unauthenticated)
}
