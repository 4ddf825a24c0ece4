//! Single objects: put, get and head.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use s3s::{S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{
    super::{
        settings::ConditionalWrites,
        state::{Properties, Storage, StoredObject, World},
    },
    Backend, IgnoreRange, ShiftRange, bucket,
    condition::{Conditions, etag, timestamp},
    payload::{checksum_headers, receive},
    tagging,
};

/// The type that S3 returns for an object whose writer did not set one.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The header that S3 returns for an archived object with a temporary copy.
const RESTORED: &str = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2035 00:00:00 GMT\"";

/// Builds the properties of an object from the input of the operation that creates it.
macro_rules! properties {
    ($input:expr) => {
        $crate::server::state::Properties {
            content_type: $input.content_type.take(),
            content_encoding: $crate::server::backend::object::content_encoding($input.content_encoding.take()),
            content_disposition: $input.content_disposition.take(),
            content_language: $input.content_language.take(),
            cache_control: $input.cache_control.take(),
            server_side_encryption: $input.server_side_encryption.take().map(|kind| kind.as_str().to_owned()),
            tagging: $input.tagging.take(),
            metadata: $input.metadata.take().unwrap_or_default().into_iter().collect(),
        }
    };
}
pub(super) use properties;

/// Returns the encoding of the content, without the transfer encoding `aws-chunked`.
pub(super) fn content_encoding(header: Option<String>) -> Option<String> {
    let codings = header?;
    let kept: Vec<_> = codings.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked").collect();
    Some(kept.join(",")).filter(|codings| !codings.is_empty())
}

/// Returns the object at this key, or `NoSuchKey`.
pub(super) fn find(world: &World, bucket: &str, key: &str) -> S3Result<Arc<StoredObject>> {
    let object = bucket::find(world, bucket)?.objects.get(key);
    object.cloned().ok_or_else(|| s3_error!(NoSuchKey, "the key {key:?} does not exist"))
}

/// Returns the object that a HEAD or GET request of this key shows, or `NoSuchKey`.
fn shown(world: &World, bucket: &str, key: &str) -> S3Result<Arc<StoredObject>> {
    let object = bucket::find(world, bucket)?.shown(key);
    object.cloned().ok_or_else(|| s3_error!(NoSuchKey, "the key {key:?} does not exist"))
}

/// Returns an error for an object that must be restored first.
pub(super) fn check_readable(object: &StoredObject) -> S3Result<()> {
    match object.storage {
        Storage::Standard | Storage::Restored { .. } => Ok(()),
        Storage::Archived { .. } => {
            Err(s3_error!(InvalidObjectState, "the operation is not valid for the storage class"))
        }
    }
}

/// Stores an object if the conditions are met by the object that is at its key now.
pub(super) fn store(
    backend: &Backend,
    (bucket, key): (&str, &str),
    conditions: &Conditions,
    object: StoredObject,
) -> S3Result<()> {
    let ignored = backend.settings.get().conditional_writes == ConditionalWrites::Ignored;
    let mut world = backend.state.write();
    let objects = &mut bucket::find_mut(&mut world, bucket)?.objects;
    if !ignored {
        conditions.check_write(objects.get(key).map(Arc::as_ref))?;
    }
    objects.insert(key.to_owned(), Arc::new(object));
    Ok(())
}

pub(super) async fn put(
    backend: &Backend,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let mut input = request.input;
    bucket::find(&backend.state.read(), &input.bucket)?;
    let payload =
        receive(input.body.take(), &request.headers, request.trailing_headers.take(), backend.keeps_checksums())
            .await?;
    tagging::refusal(backend, input.tagging.as_ref())?;
    let mut object = backend.kept(StoredObject::new(payload.bytes, properties!(input)));
    object.checksums = payload.checksums;
    object.storage = Storage::of(input.storage_class.as_ref().map(StorageClass::as_str));

    let conditions =
        Conditions { if_match: input.if_match, if_none_match: input.if_none_match, ..Conditions::default() };
    let headers = checksum_headers(&object.checksums);
    let output = PutObjectOutput {
        e_tag: Some(etag(&object)),
        server_side_encryption: object.properties.server_side_encryption.clone().map(Into::into),
        ..PutObjectOutput::default()
    };
    store(backend, (&input.bucket, &input.key), &conditions, object)?;
    Ok(S3Response::with_headers(output, headers))
}

pub(super) async fn get(
    backend: &Backend,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    let object = shown(&backend.state.read(), &input.bucket, &input.key)?;
    let conditions = Conditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check_read(&object)?;
    check_readable(&object)?;

    let ignore_range = request.extensions.get::<IgnoreRange>().is_some();
    let range = input.range.filter(|_| !ignore_range);
    let Some(selection) = Selection::of(&object, range, input.part_number)? else {
        let headers = whole_object_headers(&object, input.checksum_mode.as_ref());
        return Ok(S3Response::with_headers(content(&object, 0..object.bytes.len()), headers));
    };
    let shift = request.extensions.get::<ShiftRange>().map_or(0, |shift| shift.0);
    let start = (selection.bytes.start + shift).min(object.bytes.len() - selection.bytes.len());
    let mut output = content(&object, start..start + selection.bytes.len());
    output.content_range = Some(selection.content_range(&object));
    output.parts_count = selection.parts_count;
    Ok(S3Response::new(output))
}

fn content(object: &StoredObject, range: std::ops::Range<usize>) -> GetObjectOutput {
    let bytes = object.bytes.slice(range);
    let Properties {
        content_type,
        content_encoding,
        content_disposition,
        content_language,
        cache_control,
        server_side_encryption,
        tagging: _,
        metadata,
    } = object.properties.clone();
    GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: i64::try_from(bytes.len()).ok(),
        body: Some(StreamingBlob::from(s3s::Body::from(bytes))),
        e_tag: Some(etag(object)),
        last_modified: Some(timestamp(object.modified)),
        content_type: content_type.or_else(|| Some(DEFAULT_CONTENT_TYPE.to_owned())),
        content_encoding,
        content_disposition,
        content_language,
        cache_control,
        server_side_encryption: server_side_encryption.map(Into::into),
        metadata: Some(metadata.into_iter().collect()),
        storage_class: object.storage.class().map(|class| StorageClass::from(class.to_owned())),
        restore: matches!(object.storage, Storage::Restored { .. }).then(|| RESTORED.to_owned()),
        ..GetObjectOutput::default()
    }
}

pub(super) async fn head(
    backend: &Backend,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    let object = shown(&backend.state.read(), &input.bucket, &input.key)?;
    let conditions = Conditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check_read(&object)?;
    let selection = Selection::of(&object, input.range, input.part_number)?;
    let range = selection.as_ref().map_or(0..object.bytes.len(), |selection| selection.bytes.clone());
    let shown = content(&object, range);
    let output = HeadObjectOutput {
        accept_ranges: shown.accept_ranges,
        content_length: shown.content_length,
        content_range: selection.as_ref().map(|selection| selection.content_range(&object)),
        parts_count: selection.as_ref().and_then(|selection| selection.parts_count),
        e_tag: shown.e_tag,
        last_modified: shown.last_modified,
        content_type: shown.content_type,
        content_encoding: shown.content_encoding,
        content_disposition: shown.content_disposition,
        content_language: shown.content_language,
        cache_control: shown.cache_control,
        server_side_encryption: shown.server_side_encryption,
        metadata: shown.metadata,
        storage_class: shown.storage_class,
        restore: shown.restore,
        ..HeadObjectOutput::default()
    };
    match selection {
        Some(_) => Ok(S3Response::new(output)),
        None => Ok(S3Response::with_headers(output, whole_object_headers(&object, input.checksum_mode.as_ref()))),
    }
}

/// Returns the checksum headers, if the request asks for them.
fn whole_object_headers(object: &StoredObject, mode: Option<&ChecksumMode>) -> HeaderMap {
    if mode.is_none() || object.checksums.is_empty() {
        return HeaderMap::new();
    }
    let mut headers = checksum_headers(&object.checksums);
    let composite = object.checksums.values().any(|checksum| checksum.contains('-'));
    let kind = if composite { "COMPOSITE" } else { "FULL_OBJECT" };
    headers.insert("x-amz-checksum-type", HeaderValue::from_static(kind));
    headers
}

/// The bytes that a request asks for, if these are not all bytes of the object.
struct Selection {
    bytes: std::ops::Range<usize>,
    parts_count: Option<i32>,
}

impl Selection {
    fn of(object: &StoredObject, range: Option<Range>, part: Option<i32>) -> S3Result<Option<Self>> {
        match (range, part) {
            (Some(_), Some(_)) => Err(s3_error!(InvalidRequest, "range and part number exclude each other")),
            (Some(range), None) => {
                let range = range.check(object.bytes.len() as u64)?;
                let end = usize::try_from(range.end).map_err(|_| s3_error!(InvalidRange))?;
                let start = usize::try_from(range.start).map_err(|_| s3_error!(InvalidRange))?;
                Ok(Some(Self { bytes: start..end, parts_count: None }))
            }
            (None, Some(number)) => Self::part(object, number).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Returns the bytes of a part. An object that was written in one piece is its own part 1.
    fn part(object: &StoredObject, number: i32) -> S3Result<Self> {
        let index = usize::try_from(number - 1).map_err(|_| s3_error!(InvalidArgument))?;
        let whole = [object.bytes.len()];
        let sizes = if object.part_sizes.is_empty() { &whole[..] } else { &object.part_sizes };
        let size = *sizes.get(index).ok_or_else(|| s3_error!(InvalidPart, "there is no part {number}"))?;
        let start: usize = sizes[..index].iter().sum();
        let parts_count = i32::try_from(object.part_sizes.len()).ok().filter(|count| *count > 0);
        Ok(Self { bytes: start..start + size, parts_count })
    }

    fn content_range(&self, object: &StoredObject) -> String {
        let last = self.bytes.end.saturating_sub(1);
        format!("bytes {}-{last}/{}", self.bytes.start, object.bytes.len())
    }
}
