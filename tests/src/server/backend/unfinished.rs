//! Listings of unfinished multipart uploads: the uploads of a bucket, and the parts of an upload.

use s3s::{S3Request, S3Response, S3Result, dto::*};

use super::{
    super::{
        operation::Operation,
        settings::ListingFault,
        state::{Part as StoredPart, Upload},
    },
    Backend, bucket,
    condition::timestamp,
    listing::Names,
    multipart::{find, part_etag},
    ok,
};

pub(super) async fn parts(
    backend: &Backend,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let world = backend.state.read();
    let upload = find(&world, &input.bucket, &input.key, &input.upload_id)?;
    let limit = page_size(backend, input.max_parts);
    let after = input.part_number_marker.unwrap_or_default();
    let fault = backend.settings.get().listing_faults.get(&Operation::ListParts).copied();
    let from = if fault == Some(ListingFault::SamePage) { 0 } else { after };
    let mut parts: Vec<Part> = upload.parts.range(from + 1..).take(limit + 1).map(listed_part).collect();
    let truncated = parts.len() > limit;
    parts.truncate(limit);
    let mut next = parts.last().and_then(|part| part.part_number);
    let endless = matches!(fault, Some(ListingFault::SamePage | ListingFault::EmptyPages));
    if endless {
        next = Some(next.unwrap_or_default().max(after) + 1);
    }
    if fault == Some(ListingFault::EmptyPages) && after > 0 {
        parts.clear();
    }
    let bucket = match fault {
        Some(ListingFault::OtherBucket(name)) => name.to_owned(),
        _ => input.bucket,
    };
    ok(ListPartsOutput {
        bucket: Some(bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: i32::try_from(limit).ok(),
        part_number_marker: input.part_number_marker,
        next_part_number_marker: next,
        is_truncated: Some(truncated || endless),
        parts: Some(parts),
        ..ListPartsOutput::default()
    })
}

/// Returns the maximum number of items on a page: the server's page size, or less if the request asks for less.
fn page_size(backend: &Backend, asked: Option<i32>) -> usize {
    let most = backend.settings.get().page_size;
    asked.and_then(|asked| usize::try_from(asked).ok()).unwrap_or(most).min(most)
}

fn listed_part((number, part): (&i32, &StoredPart)) -> Part {
    Part {
        part_number: Some(*number),
        size: i64::try_from(part.bytes.len()).ok(),
        e_tag: Some(part_etag(part)),
        last_modified: Some(timestamp(part.modified)),
        ..Part::default()
    }
}

pub(super) async fn uploads(
    backend: &Backend,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let world = backend.state.read();
    let fault = backend.settings.get().listing_faults.get(&Operation::ListMultipartUploads).copied();
    let asked = input.prefix.as_deref().unwrap_or_default();
    let prefix = if fault == Some(ListingFault::IgnoredPrefix) { "" } else { asked };
    let marker = match fault {
        Some(ListingFault::SamePage) => ("", ""),
        _ => {
            (input.key_marker.as_deref().unwrap_or_default(), input.upload_id_marker.as_deref().unwrap_or("\u{10ffff}"))
        }
    };
    let mut open: Vec<(&str, &str, &Upload)> = bucket::find(&world, &input.bucket)?
        .uploads
        .iter()
        .map(|(id, upload)| (upload.key.as_str(), id.as_str(), upload))
        .filter(|(key, id, _)| key.starts_with(prefix) && (*key, *id) > marker)
        .collect();
    open.sort_by_key(|(key, id, _)| (*key, *id));

    let names = Names(input.encoding_type.clone());
    let limit = page_size(backend, input.max_uploads);
    let truncated = open.len() > limit;
    open.truncate(limit);
    let mut next = open.last().filter(|_| truncated).map(|(key, id, _)| (names.write(key), (*id).to_owned()));
    match fault {
        Some(ListingFault::DoubledKeys) => open = open.into_iter().flat_map(|upload| [upload, upload]).collect(),
        Some(ListingFault::SamePage | ListingFault::EmptyPages) => {
            if fault == Some(ListingFault::EmptyPages) && input.key_marker.is_some() {
                open.clear();
            }
            let page = input.upload_id_marker.as_deref().and_then(|marker| marker.parse::<u64>().ok()).unwrap_or(0) + 1;
            next = Some(("\u{fffd}".to_owned(), page.to_string()));
        }
        Some(ListingFault::Circle) if !truncated => next = Some((names.write(" "), String::new())),
        _ => {}
    }
    let name = match fault {
        Some(ListingFault::OtherBucket(name)) => name.to_owned(),
        _ => input.bucket.clone(),
    };
    let (next_key, next_id) = next.unzip();
    ok(ListMultipartUploadsOutput {
        bucket: Some(name),
        prefix: input.prefix.as_deref().map(|prefix| names.write(prefix)),
        max_uploads: i32::try_from(limit).ok(),
        is_truncated: Some(next_key.is_some()),
        next_key_marker: next_key,
        next_upload_id_marker: next_id,
        uploads: Some(open.into_iter().map(|upload| listed_upload(upload, &names)).collect()),
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    })
}

fn listed_upload((key, id, upload): (&str, &str, &Upload), names: &Names) -> MultipartUpload {
    MultipartUpload {
        key: Some(names.write(key)),
        upload_id: Some(id.to_owned()),
        initiated: Some(timestamp(upload.initiated)),
        ..MultipartUpload::default()
    }
}
