//! Multipart uploads. An upload is invisible until it is completed, and every part must be correct for that.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::{Bytes, BytesMut};
use s3s::{S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{
    super::{
        settings::{ConditionalWrites, Etags},
        state::{Part as StoredPart, Storage, StoredObject, Upload, UploadChecksum, World, hexadecimal, md5, now},
    },
    Backend, bucket,
    condition::Conditions,
    object::properties,
    ok,
    payload::{Checksums, checksum, checksum_header, checksum_headers, raw_checksum, receive},
    tagging,
};

/// The location of a part.
pub(super) struct PartName<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) upload: &'a str,
    pub(super) number: i32,
}

pub(super) async fn create(
    backend: &Backend,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let mut input = request.input;
    tagging::refusal(backend, input.tagging.as_ref())?;
    let algorithm = input
        .checksum_algorithm
        .as_ref()
        .filter(|_| backend.keeps_checksums())
        .and_then(|algorithm| checksum_header(algorithm.as_str()));
    let asks_full = input.checksum_type.as_ref().is_some_and(|kind| kind.as_str() == ChecksumType::FULL_OBJECT);
    let checksum = algorithm
        .map(|header| UploadChecksum { header, full_object: asks_full || header == "x-amz-checksum-crc64nvme" });
    let upload = Upload {
        key: input.key.clone(),
        initiated: now(),
        properties: properties!(input),
        checksum,
        parts: BTreeMap::new(),
    };

    let mut world = backend.state.write();
    world.uploads_created += 1;
    let id = format!("upload-{:08}", world.uploads_created);
    bucket::find_mut(&mut world, &input.bucket)?.uploads.insert(id.clone(), upload);
    ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm.filter(|_| backend.keeps_checksums()),
        checksum_type: input.checksum_type.filter(|_| backend.keeps_checksums()),
        ..CreateMultipartUploadOutput::default()
    })
}

pub(super) async fn upload_part(
    backend: &Backend,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let mut input = request.input;
    let kept = find(&backend.state.read(), &input.bucket, &input.key, &input.upload_id)?.checksum.clone();
    let mut payload =
        receive(input.body.take(), &request.headers, request.trailing_headers.take(), backend.keeps_checksums())
            .await?;
    let name = PartName { bucket: &input.bucket, key: &input.key, upload: &input.upload_id, number: input.part_number };
    if let Some(UploadChecksum { header, full_object: true }) = kept {
        payload.checksums.entry(header).or_insert_with(|| checksum(header, &payload.bytes));
    }
    let part = store_part(backend, &name, payload.bytes)?;
    let output = UploadPartOutput { e_tag: Some(part_etag(&part)), ..UploadPartOutput::default() };
    Ok(S3Response::with_headers(output, checksum_headers(&payload.checksums)))
}

/// Stores a part and returns it. It replaces an earlier part with the same number.
pub(super) fn store_part(backend: &Backend, name: &PartName<'_>, bytes: Bytes) -> S3Result<StoredPart> {
    if !(1..=10_000).contains(&name.number) {
        return Err(s3_error!(InvalidArgument, "part number {} is not in 1 to 10000", name.number));
    }
    let md5 = md5(&bytes);
    let part = StoredPart { md5, etag: backend.etag(hexadecimal(&md5)), bytes, modified: now() };
    let mut world = backend.state.write();
    find(&world, name.bucket, name.key, name.upload)?;
    if let Some(upload) = bucket::find_mut(&mut world, name.bucket)?.uploads.get_mut(name.upload) {
        upload.parts.insert(name.number, part.clone());
    }
    Ok(part)
}

pub(super) fn part_etag(part: &StoredPart) -> ETag {
    ETag::Strong(part.etag.clone())
}

/// Returns the open upload with this id at this key, or `NoSuchUpload`.
pub(super) fn find<'a>(world: &'a World, bucket: &str, key: &str, id: &str) -> S3Result<&'a Upload> {
    let upload = bucket::find(world, bucket)?.uploads.get(id).filter(|upload| upload.key == key);
    upload.ok_or_else(|| s3_error!(NoSuchUpload, "there is no upload {id} at the key {key:?}"))
}

pub(super) async fn complete(
    backend: &Backend,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = request.input;
    let settings = backend.settings.get();
    let mut world = backend.state.write();
    let bucket = bucket::find_mut(&mut world, &input.bucket)?;
    let encrypts = settings.etags == Etags::Kms;
    let output = |etag: &str, checksums: &Checksums| CompleteMultipartUploadOutput {
        server_side_encryption: encrypts.then(|| "aws:kms".to_owned().into()),
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(ETag::Strong(etag.to_owned())),
        checksum_crc64nvme: checksums.get("x-amz-checksum-crc64nvme").cloned(),
        ..CompleteMultipartUploadOutput::default()
    };
    if let Some((_, etag)) = bucket.completed.get(&input.upload_id).filter(|(key, _)| *key == input.key) {
        return ok(output(etag, &Checksums::new()));
    }

    let upload = bucket.uploads.get(&input.upload_id).filter(|upload| upload.key == input.key);
    let upload = upload.ok_or_else(|| s3_error!(NoSuchUpload, "there is no upload {}", input.upload_id))?;
    let listed = input.multipart_upload.and_then(|listed| listed.parts).unwrap_or_default();
    let parts = chosen_parts(upload, &listed, settings.min_part_size)?;
    let object = backend.kept(assemble(upload, &parts));
    for (header, computed) in &object.checksums {
        if request.headers.get(*header).is_some_and(|declared| declared != computed.as_str()) {
            return Err(s3_error!(BadDigest, "the object does not match {header}"));
        }
    }
    if settings.conditional_writes != ConditionalWrites::Ignored {
        let conditions =
            Conditions { if_match: input.if_match, if_none_match: input.if_none_match, ..Conditions::default() };
        conditions.check_write(bucket.objects.get(&input.key).map(Arc::as_ref))?;
    }

    let (etag, checksums) = (object.etag.clone(), object.checksums.clone());
    bucket.objects.insert(input.key.clone(), Arc::new(object));
    bucket.uploads.remove(&input.upload_id);
    bucket.completed.insert(input.upload_id.clone(), (input.key.clone(), etag.clone()));
    ok(output(&etag, &checksums))
}

/// Returns the parts in the list. They must be in ascending order and have the ETags under which they were stored, and
/// only the last one may be small.
fn chosen_parts<'a>(upload: &'a Upload, listed: &[CompletedPart], min_size: usize) -> S3Result<Vec<&'a StoredPart>> {
    if listed.is_empty() {
        return Err(s3_error!(MalformedXML, "a completion lists at least one part"));
    }
    let numbers: Vec<i32> = listed.iter().map(|part| part.part_number.unwrap_or_default()).collect();
    if !numbers.is_sorted_by(|left, right| left < right) {
        return Err(s3_error!(InvalidPartOrder, "part numbers must ascend"));
    }
    let mut parts = Vec::with_capacity(listed.len());
    for (wanted, number) in listed.iter().zip(numbers) {
        let part = upload.parts.get(&number);
        let same = |part: &&StoredPart| wanted.e_tag.as_ref().is_none_or(|etag| etag.value() == part.etag);
        parts.push(part.filter(same).ok_or_else(|| s3_error!(InvalidPart, "part {number} is not there"))?);
    }
    let (_, but_last) = parts.split_last().unwrap_or((&parts[0], &[]));
    if but_last.iter().any(|part| part.bytes.len() < min_size) {
        return Err(s3_error!(EntityTooSmall, "every part but the last has at least {min_size} bytes"));
    }
    Ok(parts)
}

/// Returns the object that consists of these parts.
fn assemble(upload: &Upload, parts: &[&StoredPart]) -> StoredObject {
    let mut bytes = BytesMut::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
    let mut digests = Vec::with_capacity(parts.len() * 16);
    for part in parts {
        bytes.extend_from_slice(&part.bytes);
        digests.extend_from_slice(&part.md5);
    }
    let bytes = bytes.freeze();
    let checksums = upload.checksum.iter().map(|kind| (kind.header, object_checksum(kind, &bytes, parts)));
    StoredObject {
        etag: format!("{}-{}", hexadecimal(&md5(&digests)), parts.len()),
        modified: now(),
        properties: upload.properties.clone(),
        part_sizes: parts.iter().map(|part| part.bytes.len()).collect(),
        checksums: checksums.collect(),
        storage: Storage::Standard,
        bytes,
    }
}

/// Returns the checksum of the whole object, or the checksum of the parts' checksums and the number of parts.
fn object_checksum(kind: &UploadChecksum, bytes: &[u8], parts: &[&StoredPart]) -> String {
    if kind.full_object {
        return checksum(kind.header, bytes);
    }
    let of_parts: Vec<u8> = parts.iter().flat_map(|part| raw_checksum(kind.header, &part.bytes)).collect();
    format!("{}-{}", BASE64.encode(raw_checksum(kind.header, &of_parts)), parts.len())
}

pub(super) async fn abort(
    backend: &Backend,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let mut world = backend.state.write();
    find(&world, &input.bucket, &input.key, &input.upload_id)?;
    bucket::find_mut(&mut world, &input.bucket)?.uploads.remove(&input.upload_id);
    ok(AbortMultipartUploadOutput::default())
}
