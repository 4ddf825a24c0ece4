//! Copies on the server: of whole objects, and of ranges of objects into parts.

use std::sync::Arc;

use http::HeaderMap;
use s3s::{S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{
    super::state::{Properties, StoredObject},
    Backend,
    condition::{Conditions, etag, timestamp},
    multipart,
    object::{self, properties},
    ok,
};

/// The size limit of an object for one copy request, from the S3 API reference: 5 GiB.
const LARGEST_COPY: usize = 5 * 1024 * 1024 * 1024;

pub(super) async fn object(
    backend: &Backend,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let mut input = request.input;
    let conditions = Conditions {
        if_match: input.copy_source_if_match.take(),
        if_none_match: input.copy_source_if_none_match.take(),
        if_modified_since: input.copy_source_if_modified_since.take(),
        if_unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let (bucket, key) = place(&input.copy_source)?;
    let source = find_source(backend, (bucket, key), &conditions)?;
    if source.bytes.len() > LARGEST_COPY {
        return Err(s3_error!(InvalidRequest, "the source {key:?} is larger than 5 GiB"));
    }
    let replace =
        input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    if !replace && (bucket, key) == (input.bucket.as_str(), input.key.as_str()) {
        return Err(s3_error!(InvalidRequest, "this copies {key:?} onto itself and changes nothing"));
    }

    let tagging = source.properties.tagging.clone();
    let properties = if replace {
        Properties { tagging, ..properties!(input) }
    } else {
        Properties { server_side_encryption: None, ..source.properties.clone() }
    };
    let mut copy = backend.kept(StoredObject::new(source.bytes.clone(), properties));
    copy.checksums = source.checksums.clone();
    copy.checksums.retain(|_, checksum| !checksum.contains('-'));
    let result = CopyObjectResult {
        e_tag: Some(etag(&copy)),
        last_modified: Some(timestamp(copy.modified)),
        ..CopyObjectResult::default()
    };
    let server_side_encryption = copy.properties.server_side_encryption.clone().map(Into::into);
    let target_conditions = target_conditions(&request.headers)?;
    object::store(backend, (&input.bucket, &input.key), &target_conditions, copy)?;
    ok(CopyObjectOutput { copy_object_result: Some(result), server_side_encryption, ..CopyObjectOutput::default() })
}

/// Returns the conditions on the target. `CopyObject` accepts the same ones as a put.
fn target_conditions(headers: &HeaderMap) -> S3Result<Conditions> {
    let condition = |name: &str| {
        let parse = |value: &http::HeaderValue| ETagCondition::parse_http_header(value.as_bytes());
        let parsed = headers.get(name).map(parse).transpose();
        parsed.map_err(|_| s3_error!(InvalidArgument, "{name} is not an entity tag"))
    };
    Ok(Conditions {
        if_match: condition("if-match")?,
        if_none_match: condition("if-none-match")?,
        ..Conditions::default()
    })
}

pub(super) async fn part(
    backend: &Backend,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    let conditions = Conditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let source = find_source(backend, place(&input.copy_source)?, &conditions)?;
    let bytes = match &input.copy_source_range {
        None => source.bytes.clone(),
        Some(range) => source.bytes.slice(source_range(range, source.bytes.len())?),
    };
    let part = multipart::store_part(
        backend,
        &multipart::PartName {
            bucket: &input.bucket,
            key: &input.key,
            upload: &input.upload_id,
            number: input.part_number,
        },
        bytes,
    )?;
    let result = CopyPartResult {
        e_tag: Some(multipart::part_etag(&part)),
        last_modified: Some(timestamp(part.modified)),
        ..CopyPartResult::default()
    };
    ok(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() })
}

/// Returns the bucket and key of a copy source.
fn place(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id: None } => Ok((bucket, key)),
        CopySource::Bucket { .. } | CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {
            Err(s3_error!(NotImplemented, "a copy source is a bucket and a key here"))
        }
    }
}

fn find_source(backend: &Backend, (bucket, key): (&str, &str), conditions: &Conditions) -> S3Result<Arc<StoredObject>> {
    let source = object::find(&backend.state.read(), bucket, key)?;
    conditions.check_copy_source(&source)?;
    object::check_readable(&source)?;
    Ok(source)
}

/// Parses `bytes=first-last`. Unlike the range of a get, it must be within the source.
fn source_range(header: &str, size: usize) -> S3Result<std::ops::Range<usize>> {
    let invalid = || s3_error!(InvalidArgument, "the copy source range {header:?} does not fit {size} bytes");
    let (first, last) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(invalid)?;
    let first: usize = first.parse().map_err(|_| invalid())?;
    let last: usize = last.parse().map_err(|_| invalid())?;
    if first > last || last >= size {
        return Err(invalid());
    }
    Ok(first..last + 1)
}
