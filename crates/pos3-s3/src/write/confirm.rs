//! Determines the result of a write if the response is not sufficient evidence.
//!
//! A response with a success status may contain the ETag of other content, or the server may have stored nothing.
//! Neither is a success. But the ETags of some servers look like an MD5 and are not one, so a wrong ETag alone is not a
//! failure. The object is examined instead.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use pos3_core::{
    Checksum, Checksummer, Content, Digest, Entry, ErrorKind, Expect, Fingerprint, GetOptions, Key, Operation,
    StoreError, collect_exactly,
};

use super::Whole;
use super::carry::md5_of;
use crate::bucket::Bucket;
use crate::crosscheck::CrossCheck;
use crate::error::Failure;

/// The number of times that content is sent again if the server stored it wrongly. This applies to writes of more than
/// one request.
pub(crate) const REPEATS: usize = 2;

/// The object, and whether it is verified to have the content that was sent.
pub(crate) type Confirmed = (Entry, bool);

/// A write with a success response, after which the object at the key does not have the content that was sent.
#[derive(Debug)]
pub(crate) struct Misstored {
    pub(crate) why: &'static str,
    pub(crate) there: There,
}

/// What is at the key after such a write.
#[derive(Debug)]
pub(crate) enum There {
    Nothing,
    Object(Entry),
    /// A lookup contradicts the response or a listing, so a cache may have answered it.
    Unknown,
}

impl Misstored {
    /// Returns the expectation for the next attempt to write the object. Returns `None` if another object is or may be
    /// there now.
    ///
    /// The server may have damaged the content, or another writer may have replaced it after the write. No response
    /// distinguishes the two, because a server may also return the ETag of the object that is there now. So only what
    /// the caller has seen, or nothing, is overwritten.
    pub(crate) fn next(&self, expect: &Expect) -> Option<Expect> {
        match (expect, &self.there) {
            (Expect::Anything, There::Nothing) => Some(Expect::Anything),
            (Expect::Absent | Expect::Unchanged(_), There::Nothing) => Some(Expect::Absent),
            (Expect::Unchanged(seen), There::Object(there)) if there.fingerprint.as_ref() == Some(seen) => {
                Some(expect.clone())
            }
            (_, There::Object(_) | There::Unknown) => None,
        }
    }

    pub(crate) fn failure(&self) -> Failure {
        Failure::Garbled(self.why.to_owned())
    }

    /// Returns the error of a write that is not repeated, or that failed repeatedly. It is not temporary: if the object
    /// is missing, the retries have already been made, and if another object is there, it must not be overwritten.
    pub(crate) fn error(&self, operation: Operation, key: &Key) -> StoreError {
        match &self.there {
            There::Nothing => StoreError::new(ErrorKind::Integrity, operation).with_key(key).with_message(self.why),
            There::Unknown => StoreError::new(ErrorKind::Integrity, Operation::Write).with_key(key).with_message(format!(
                "{}: a cache may answer with an old state of the object, or the server did not store it; it is not sent \
                 again",
                self.why
            )),
            There::Object(_) => StoreError::new(ErrorKind::Precondition, Operation::Write).with_key(key).with_message(format!(
                "{}: another process replaced the object after the write, or the server damaged it; it is not overwritten",
                self.why
            )),
        }
    }
}

/// The result of looking up an object that was just written.
pub(crate) enum Found {
    /// The object exists and has the right size.
    There(Entry),
    /// Nothing is known, because the lookup failed.
    Unknown,
}

impl Bucket {
    /// Looks up an object that was just written. The ETag in the response to the write, or a listing, must confirm what
    /// the HEAD request shows. A HEAD request that contradicts the response is a failure if no listing can be read.
    pub(crate) async fn look_at(&self, written: &Entry) -> Result<Found, Misstored> {
        let misstored = |why, there| Misstored { why, there };
        let mut found = match self.head(&written.key).await {
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => return Ok(Found::Unknown),
        };
        let is_written = |entry: &Entry| entry.fingerprint.is_some() && entry.fingerprint == written.fingerprint;
        if !found.as_ref().is_some_and(is_written) {
            match self.cross_check(&written.key, found.as_ref()).await {
                Ok(CrossCheck::Confirmed) => {}
                Ok(CrossCheck::Contradicted(Some(listed))) if is_written(&listed) => found = Some(listed),
                Ok(CrossCheck::Contradicted(_)) => {
                    return Err(misstored("a lookup and a listing of the stored object differ", There::Unknown));
                }
                Ok(CrossCheck::Refused(_)) | Err(_) => {
                    let why = "a lookup does not show the stored object, and no listing could be read";
                    return Err(misstored(why, There::Unknown));
                }
            }
        }
        match found {
            Some(found) if found.size == written.size => Ok(Found::There(found)),
            Some(found) => {
                Err(misstored("the stored object has another size than the sent content", There::Object(found)))
            }
            None => Err(misstored("the server reported success but did not store the object", There::Nothing)),
        }
    }

    /// Determines whether the bytes of a single PUT are stored correctly, if the response is not sufficient evidence.
    pub(super) async fn confirm_put(self: &Arc<Self>, entry: Entry, whole: &Whole<'_>) -> Result<Confirmed, Misstored> {
        let is_compared = self.client.compares();
        let (body, answered) = (whole.body, entry.fingerprint.clone());
        let entry = if answered.is_some() { entry } else { self.name(entry).await? };
        let told = entry.digest.filter(|_| is_compared);
        let sent = match told {
            Some(_) => Some(Digest::Md5(md5_of(body).await)),
            None => None,
        };
        if sent.is_some() && sent == told {
            return Ok((entry, true));
        }
        let is_contradicted = sent.is_some();
        let misstored = |there| Misstored { why: "the stored object differs from the sent content", there };
        let found = match self.look_at(&entry).await? {
            Found::Unknown if is_contradicted => return Err(misstored(There::Object(entry.clone()))),
            Found::Unknown => return Ok((entry, false)),
            Found::There(found) => found,
        };
        let is_doubtful = is_doubtful(&found, answered.as_ref(), &whole.expect);
        let sent = match sent {
            None if is_doubtful => Some(Digest::Md5(md5_of(body).await)),
            sent => sent,
        };
        match found.checksum.filter(|_| is_compared) {
            Some(checksum) if checksum == sum_like(&checksum, body) => {
                self.note_contradiction(&found.key, is_contradicted && found.fingerprint == entry.fingerprint);
                Ok((found, true))
            }
            Some(_) => Err(misstored(There::Object(found))),
            None if !is_contradicted && !is_doubtful => Ok((entry, false)),
            // The ETag in the response was wrong, but the object is correct.
            None if found.digest == sent => Ok((found, true)),
            None if found.digest.is_none() && !is_doubtful => Ok((Entry { digest: None, ..entry }, false)),
            None => match self.reads(&found, 0..found.size, body).await {
                Ok(true) => {
                    self.note_contradiction(&found.key, found.digest.is_some());
                    Ok((Entry { digest: None, ..found }, true))
                }
                Ok(false) | Err(_) => Err(misstored(There::Object(found))),
            },
        }
    }

    /// Looks up an object that the response to its PUT did not identify. The PUT is not repeated, because its condition
    /// would fail due to the object that it created.
    async fn name(&self, entry: Entry) -> Result<Entry, Misstored> {
        match self.look_at(&entry).await? {
            Found::There(found) => Ok(found),
            Found::Unknown => Err(Misstored {
                why: "the response does not identify the written object, and it cannot be looked up",
                there: There::Unknown,
            }),
        }
    }

    /// Records an object with correct content whose ETag looks like the MD5 of other content.
    pub(crate) fn note_contradiction(&self, key: &Key, is_contradicted: bool) {
        if is_contradicted {
            self.client.lacks_digests(key);
        }
    }

    /// Returns true if this range of an object has these bytes.
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

    /// Returns true if a range of an object has the same bytes as that range of the content.
    pub(super) async fn reads_part(
        self: &Arc<Self>,
        object: &Entry,
        range: std::ops::Range<u64>,
        content: &Content,
    ) -> Result<bool, StoreError> {
        let bytes = content.without_meter().read_to_bytes(range.clone()).await?;
        self.reads(object, range, &bytes).await
    }

    /// Reads an object and returns its checksum.
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

/// Returns true if the response to a write is no evidence that the write created this object: the object has another ETag
/// than the response, or that of the object that was to be replaced.
pub(crate) fn is_doubtful(found: &Entry, answered: Option<&Fingerprint>, expect: &Expect) -> bool {
    let Some(there) = &found.fingerprint else { return false };
    answered != Some(there) || matches!(expect, Expect::Unchanged(seen) if seen == there)
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
    fn an_object_with_another_etag_than_the_response_or_with_the_old_one_is_in_doubt() {
        let token = |token: &str| Fingerprint::from(token);
        let found = Entry::file("k", 1).with_fingerprint(token("found"));
        for (answered, expect, expected) in [
            (Some("found"), Expect::Absent, false),
            (Some("found"), Expect::Unchanged(token("old")), false),
            (Some("found"), Expect::Unchanged(token("found")), true),
            (Some("other"), Expect::Anything, true),
            (None, Expect::Anything, true),
        ] {
            let is_doubtful = is_doubtful(&found, answered.map(token).as_ref(), &expect);
            assert_eq!(is_doubtful, expected, "{answered:?} {expect:?}");
        }
    }

    #[test]
    fn nothing_but_the_listed_object_is_overwritten_by_a_repeat() {
        let there = |token: &str| There::Object(Entry::file("k", 1).with_fingerprint(Fingerprint::from(token)));
        let unchanged = |token: &str| Expect::Unchanged(Fingerprint::from(token));
        for (expect, there, next) in [
            (Expect::Anything, There::Nothing, Some(Expect::Anything)),
            (Expect::Absent, There::Nothing, Some(Expect::Absent)),
            (unchanged("listed"), There::Nothing, Some(Expect::Absent)),
            (unchanged("listed"), there("listed"), Some(unchanged("listed"))),
            (unchanged("listed"), there("other"), None),
            (Expect::Absent, there("other"), None),
            (Expect::Absent, There::Object(Entry::file("k", 1)), None),
            (unchanged("listed"), There::Unknown, None),
            (Expect::Anything, There::Unknown, None),
            (Expect::Anything, there("other"), None),
        ] {
            let misstored = Misstored { why: "", there };
            assert_eq!(misstored.next(&expect), next, "{expect:?} {misstored:?}");
        }
    }
}
