//! Finds out what a write has left where the answer does not prove it.
//!
//! An answer of success may name the ETag of other content, or come although nothing was stored. Neither is a success. But
//! there are servers whose ETags look like an MD5 and are none, so a wrong ETag alone is no failure: the object decides.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use pos3_core::{
    Checksum, Checksummer, Content, Digest, Entry, ErrorKind, Expect, Fingerprint, GetOptions, Key, StoreError,
    collect_exactly,
};

use super::carry::md5_of;
use crate::bucket::Bucket;
use crate::error::Failure;

/// How often content that the server stored wrongly is stored again, where that is not one request.
pub(crate) const REPEATS: usize = 2;

/// What was found of a write: the object, and whether it is known to be what was sent.
pub(crate) type Confirmed = (Entry, bool);

/// A write that the server answered with success, and that did not happen as asked.
#[derive(Debug)]
pub(crate) struct Misstored {
    pub(crate) why: &'static str,
    /// The ETag that the answer named.
    pub(crate) answered: Option<Fingerprint>,
    /// What is at the key now.
    pub(crate) there: Option<Entry>,
}

impl Misstored {
    /// Returns what to expect of the target when it is written again; nothing where what is there may be another writer's.
    pub(crate) fn next(&self, expect: &Expect) -> Option<Expect> {
        match (expect, &self.there) {
            (Expect::Anything, _) => Some(Expect::Anything),
            (Expect::Absent | Expect::Unchanged(_), None) => Some(Expect::Absent),
            (Expect::Absent | Expect::Unchanged(_), Some(there)) => {
                let own = there.fingerprint.clone().filter(|seen| Some(seen) == self.answered.as_ref());
                own.map(Expect::Unchanged)
            }
        }
    }

    pub(crate) fn failure(&self) -> Failure {
        Failure::Garbled(self.why.to_owned())
    }

    /// Returns the error of a write that was repeated in vain. It is not temporary: who waits for it has waited already.
    pub(crate) fn error(&self, operation: &'static str, key: &Key) -> StoreError {
        StoreError::new(ErrorKind::Integrity, operation).with_key(key).with_message(self.why)
    }
}

/// What the server says of an object that was just written, asked once more.
pub(crate) enum Found {
    /// This is there, of the right size.
    There(Entry),
    /// Nothing is known: the object may not be looked up.
    Unknown,
}

impl Bucket {
    /// Looks up what was just written.
    pub(crate) async fn look_at(&self, written: &Entry) -> Result<Found, Misstored> {
        let misstored = |why, there| Misstored { why, answered: written.fingerprint.clone(), there };
        match self.head(&written.key).await {
            Ok(found) if found.size == written.size => Ok(Found::There(found)),
            Ok(found) => Err(misstored("the server stored another number of bytes than were sent", Some(found))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(misstored("the server answered that it stored the object, but has none", None))
            }
            Err(_) => Ok(Found::Unknown),
        }
    }

    /// Finds out whether bytes that were sent in one request are what is stored, where the answer does not prove it.
    pub(super) async fn confirm_put(self: &Arc<Self>, entry: Entry, body: &Bytes) -> Result<Confirmed, Misstored> {
        let is_compared = self.client.compares();
        let told = entry.digest.filter(|_| is_compared);
        let sent = match told {
            Some(_) => Some(Digest::Md5(md5_of(body).await)),
            None => None,
        };
        if sent.is_some() && sent == told {
            return Ok((entry, true));
        }
        let is_contradicted = sent.is_some();
        let misstored = |there| Misstored {
            why: "the server stored other bytes than were sent",
            answered: entry.fingerprint.clone(),
            there,
        };
        let found = match self.look_at(&entry).await? {
            Found::Unknown if is_contradicted => return Err(misstored(Some(entry.clone()))),
            Found::Unknown => return Ok((entry, false)),
            Found::There(found) => found,
        };
        match found.checksum.filter(|_| is_compared) {
            Some(checksum) if checksum == sum_like(&checksum, body) => {
                self.note_contradiction(is_contradicted && found.fingerprint == entry.fingerprint);
                Ok((found, true))
            }
            Some(_) => Err(misstored(Some(found))),
            None if !is_contradicted => Ok((entry, false)),
            // The answer was wrong, and the object is right.
            None if found.digest == sent => Ok((found, true)),
            None if found.digest.is_none() => Ok((Entry { digest: None, ..entry }, false)),
            None => match self.reads(&found, 0..found.size, body).await {
                Ok(true) => {
                    self.client.lacks_digests();
                    Ok((Entry { digest: None, ..found }, true))
                }
                Ok(false) | Err(_) => Err(misstored(Some(found))),
            },
        }
    }

    /// Notes where an object was right although its ETag looked like the MD5 of something else.
    pub(crate) fn note_contradiction(&self, is_contradicted: bool) {
        if is_contradicted {
            self.client.lacks_digests();
        }
    }

    /// Returns true if this range of an object is these bytes.
    pub(super) async fn reads(
        self: &Arc<Self>,
        object: &Entry,
        range: std::ops::Range<u64>,
        bytes: &Bytes,
    ) -> Result<bool, StoreError> {
        let size = range.end - range.start;
        let options = GetOptions::default().with_range(range).with_if_match(object.fingerprint.clone());
        let download = self.get(&object.key, options).await?;
        Ok(collect_exactly(download.body, size).await? == *bytes)
    }

    /// Returns true if a part of an object is what the content has there.
    pub(super) async fn reads_part(
        self: &Arc<Self>,
        object: &Entry,
        range: std::ops::Range<u64>,
        content: &Content,
    ) -> Result<bool, StoreError> {
        let bytes = content.without_meter().read_to_bytes(range.clone()).await?;
        self.reads(object, range, &bytes).await
    }

    /// Returns the checksum of an object as it is read now.
    pub(crate) async fn sum_of(self: &Arc<Self>, object: &Entry) -> Result<Checksum, StoreError> {
        let options = GetOptions::default().with_range(0..object.size).with_if_match(object.fingerprint.clone());
        let mut body = self.get(&object.key, options).await?.body;
        let mut sum = Checksummer::crc64_nvme();
        while let Some(piece) = body.try_next().await? {
            sum.update(&piece);
        }
        Ok(sum.finish())
    }
}

fn sum_like(kind: &Checksum, bytes: &[u8]) -> Checksum {
    let mut sum = Checksummer::like(kind);
    sum.update(bytes);
    sum.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_write_left_is_overwritten_by_the_next() {
        let there = |token: &str| Some(Entry::file("k", 1).with_fingerprint(Fingerprint::from(token)));
        let unchanged = |token: &str| Expect::Unchanged(Fingerprint::from(token));
        for (expect, there, next) in [
            (Expect::Anything, there("other"), Some(Expect::Anything)),
            (Expect::Absent, None, Some(Expect::Absent)),
            (unchanged("before"), None, Some(Expect::Absent)),
            (Expect::Absent, there("answered"), Some(unchanged("answered"))),
            (unchanged("before"), there("answered"), Some(unchanged("answered"))),
            (unchanged("before"), there("of another writer"), None),
            (Expect::Absent, Some(Entry::file("k", 1)), None),
        ] {
            let misstored = Misstored { why: "", answered: Some(Fingerprint::from("answered")), there };
            assert_eq!(misstored.next(&expect), next, "{expect:?} {misstored:?}");
        }
    }
}
