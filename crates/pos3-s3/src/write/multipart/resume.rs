//! Resumes an upload that an earlier run or an earlier attempt started.
//!
//! The server lists the parts that it has. If the note has a part with the same ETag, the part was sent from this
//! version of the source. A part that was completed after the last save of the note is compared with the source,
//! because it may come from an earlier version of it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::Range;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use pos3_core::{Checksum, Checksummer, Content, Digest, ErrorKind, Operation, Result, Unfinished, hash_body};

use super::note::{Note, NotedPart, Origin};
use super::parts::{Part, ranges};
use super::{Upload, abort};
use crate::bucket::Bucket;
use crate::checksum;
use crate::client::Answer;
use crate::client::habits::Protection;
use crate::error::Failure;
use crate::etag;
use crate::list::echo;
use crate::operation::S3Operation;
use crate::xml::{Step, XmlError};

/// A part in the server's list.
#[derive(Clone, Debug, Default, PartialEq)]
struct Listed {
    number: u64,
    etag: String,
    size: Option<u64>,
    sum: Option<Checksum>,
}

impl Bucket {
    /// Returns the earlier upload of the same content, if there is one. An upload of anything else is aborted.
    pub(super) async fn resume(
        self: &Arc<Self>,
        origin: &Origin,
        content: &Content,
        protection: Protection,
    ) -> Result<Option<Upload>> {
        let Some(noted) = origin.journal.load(&origin.key).await else { return Ok(None) };
        let Some(state) = origin.recognise(&noted) else {
            self.discard(origin, &noted).await;
            return Ok(None);
        };
        let protection = state.protection(protection);
        let listed = match self.list_parts(origin, &noted.id).await {
            Ok(listed) => listed,
            Err(failure) if failure.is_temporary() => return Err(self.error(Operation::Write, &origin.key, failure)),
            Err(_) => {
                self.discard(origin, &noted).await;
                return Ok(None);
            }
        };
        let there = match there(origin, content, &state.parts, listed).await {
            Ok(there) => there,
            Err(failure) => {
                let error = self.error(Operation::Write, &origin.key, failure);
                if error.kind() == ErrorKind::Precondition {
                    self.discard(origin, &noted).await;
                }
                return Err(error);
            }
        };
        content.count(there.iter().map(|(_, part)| part.size).sum());
        let mut upload = Upload::new(self.clone(), &origin.key, noted.id.clone(), protection);
        upload.note = Some(Note::of(origin.clone(), &noted, protection, &there));
        upload.there = there;
        Ok(Some(upload))
    }

    async fn discard(&self, origin: &Origin, noted: &Unfinished) {
        abort(self, &origin.key, &noted.id).await;
        origin.journal.remove(&origin.key).await;
    }

    /// Returns the parts that the server has, by number. The server lists them in ascending order. A page without a
    /// part after those of the previous page is an error, because the pages could repeat forever.
    async fn list_parts(&self, origin: &Origin, id: &str) -> Result<BTreeMap<u64, Listed>, Failure> {
        let mut parts = BTreeMap::new();
        let mut marker = 0;
        loop {
            let after = marker.to_string();
            let mut query = Vec::with_capacity(2);
            query.extend((marker > 0).then_some(("part-number-marker", after.as_str())));
            query.push(("uploadId", id));
            let request = self.object_request(S3Operation::ListParts, &origin.key, &query)?;
            let upload = (self.name.as_str(), origin.key.as_str(), id);
            let (page, next) = self.exchange(&request, |answer| page(answer, upload)).await?;
            let goes_on = page.iter().any(|part| part.number > marker);
            page.into_iter().for_each(|part| add(part, &mut parts));
            match next {
                None => return Ok(parts.into_iter().filter_map(|(number, part)| Some((number, part?))).collect()),
                Some(next) if goes_on && next > marker => marker = next,
                Some(_) => return Err(Failure::Contradictory("the list of parts does not end".into())),
            }
        }
    }
}

/// Adds a part. If the same number is listed again with different facts, the part is treated as unknown.
fn add(part: Listed, parts: &mut BTreeMap<u64, Option<Listed>>) {
    match parts.entry(part.number) {
        Entry::Vacant(place) => drop(place.insert(Some(part))),
        Entry::Occupied(mut place) if place.get().as_ref() != Some(&part) => drop(place.insert(None)),
        Entry::Occupied(_) => {}
    }
}

/// Returns the parts that need not be sent again, by index.
async fn there(
    origin: &Origin,
    content: &Content,
    noted: &[NotedPart],
    listed: BTreeMap<u64, Listed>,
) -> Result<Vec<(usize, Part)>, Failure> {
    let ranges = ranges(origin.size, origin.part_size);
    let noted: HashMap<usize, &NotedPart> =
        noted.iter().filter_map(|part| Some((usize::try_from(part.index).ok()?, part))).collect();
    let mut there = Vec::new();
    for listed in listed.into_values() {
        let index = listed.number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let Some((index, range)) = index.and_then(|index| Some((index, ranges.get(index)?.clone()))) else { continue };
        let size = range.end - range.start;
        if listed.size != Some(size) {
            continue;
        }
        let known = noted.get(&index).filter(|part| etag::fingerprint(&part.etag) == etag::fingerprint(&listed.etag));
        let part = match known {
            Some(noted) => Some(noted.part(size)),
            None => compared(content, range, listed).await?,
        };
        there.extend(part.map(|part| (index, part)));
    }
    Ok(there)
}

/// Returns a part that is not in the note, if it has the same bytes as the source.
async fn compared(content: &Content, range: Range<u64>, listed: Listed) -> Result<Option<Part>, Failure> {
    let size = range.end - range.start;
    let told = (listed.sum, etag::digest(&listed.etag));
    if let (None, None | Some(Digest::Md5OfParts { .. })) = told {
        return Ok(None);
    }
    let body = content.without_meter().read(range).await?;
    let hashes = (Checksummer::crc64_nvme(), listed.sum.is_none().then(Md5::new));
    let hashed = hash_body(body, hashes, |(sum, md5), piece| {
        sum.update(piece);
        if let Some(md5) = md5 {
            md5.update(piece);
        }
    });
    let (sum, md5) = hashed.await?;
    let sum = sum.finish();
    let same = match told {
        (Some(told), _) => told == sum,
        (None, told) => told == md5.map(|md5| Digest::Md5(md5.finalize().into())),
    };
    Ok(if same {
        Some(Part { etag: listed.etag, size, sum: Some(sum), proven: true, contradicted: false })
    } else {
        None
    })
}

/// Parses a page of the parts of an upload, given its bucket, key and id. Returns the parts and the number after which
/// the next page starts.
fn page(answer: &Answer, (bucket, key, id): (&str, &str, &str)) -> Result<(Vec<Listed>, Option<u64>), Failure> {
    let mut parts = Vec::new();
    let mut part = Listed::default();
    let [mut marker, mut truncated] = [const { Cow::Borrowed("") }; 2];
    let mut contradicted = false;
    let mut echoed = [const { None }; 3];
    let mut expected = false;
    answer.walk(|depth, step| match (depth, step) {
        // moto uses another name for the root element.
        (1, Step::Open(name)) => expected = name == b"ListPartsResult" || name == b"ListPartsResponse",
        (2, Step::Close(b"Bucket", text)) => echoed[0] = Some(std::mem::take(text).into_owned()),
        (2, Step::Close(b"Key", text)) => echoed[1] = Some(std::mem::take(text).into_owned()),
        (2, Step::Close(b"UploadId", text)) => echoed[2] = Some(std::mem::take(text).into_owned()),
        (2, Step::Close(b"IsTruncated", text)) => contradicted |= echo::told_twice(&mut truncated, text),
        (2, Step::Close(b"NextPartNumberMarker", text)) => contradicted |= echo::told_twice(&mut marker, text),
        (2, Step::Close(b"Part", _)) => parts.push(std::mem::take(&mut part)),
        (3, Step::Close(b"PartNumber", text)) => part.number = text.trim().parse().unwrap_or_default(),
        (3, Step::Close(b"ETag", text)) => part.etag = std::mem::take(text).into_owned(),
        (3, Step::Close(b"Size", text)) => part.size = text.trim().parse().ok(),
        (3, Step::Close(b"ChecksumCRC64NVME", text)) => part.sum = checksum::read_crc64_nvme(text),
        _ => {}
    })?;
    if !expected {
        return Err(answer.not_a_result(XmlError::Unexpected));
    }
    echo::check_bucket(echoed[0].as_deref(), bucket)?;
    echo::check_filled("key", echoed[1].as_deref(), key)?;
    echo::check_filled("upload", echoed[2].as_deref(), id)?;
    if contradicted {
        return Err(Failure::Contradictory("the list of parts has contradicting values for its next page".into()));
    }
    match (truncated.trim(), marker.trim().parse()) {
        ("true", Ok(next)) => Ok((parts, Some(next))),
        ("true", Err(_)) => Err(Failure::Garbled("the list of parts has more pages but no next marker".into())),
        ("false", _) => Ok((parts, None)),
        _ => Err(Failure::Contradictory("the list of parts does not state whether it has more pages".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inner: &str) -> Result<(Vec<Listed>, Option<u64>), Failure> {
        let body = format!("<ListPartsResult>{inner}</ListPartsResult>");
        page(&Answer::of(body), ("b", "a b", "id"))
    }

    #[test]
    fn parts_of_another_upload_are_no_answer() {
        let end = "<IsTruncated>false</IsTruncated>";
        for other in ["<Bucket>c</Bucket>", "<Key>a</Key>", "<UploadId>other</UploadId>"] {
            assert!(matches!(read(&format!("{end}{other}")), Err(Failure::Contradictory(_))), "{other}");
        }
        let twice = read(
            "<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>false</IsTruncated>",
        );
        assert!(matches!(twice, Err(Failure::Contradictory(_))), "{twice:?}");
        for unstated in ["", "<IsTruncated/>", "<NextPartNumberMarker>1</NextPartNumberMarker>"] {
            assert!(matches!(read(unstated), Err(Failure::Contradictory(_))), "{unstated}");
        }
        for silent in ["", "<Bucket>b</Bucket><Key>a+b</Key><UploadId>id</UploadId>", "<Bucket/><Key/><UploadId/>"] {
            assert!(read(&format!("{end}{silent}")).is_ok(), "{silent}");
        }
    }

    #[test]
    fn a_part_that_is_listed_with_two_contents_is_not_there() {
        let part = |etag: &str| Listed { number: 1, etag: etag.into(), ..Listed::default() };
        let mut parts = BTreeMap::new();
        add(part("x"), &mut parts);
        add(part("x"), &mut parts);
        assert_eq!(parts[&1], Some(part("x")));
        add(part("y"), &mut parts);
        add(part("y"), &mut parts);
        assert_eq!(parts[&1], None);
    }
}
