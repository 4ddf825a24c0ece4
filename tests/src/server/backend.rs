//! Executes a request that was parsed and whose signature is valid.
//!
//! `s3s` converts HTTP into typed requests and back; here each of them is applied to the stored state. The methods
//! below only forward: there is one file per group of operations.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use s3s::{S3, S3Request, S3Response, S3Result, dto::*};

use super::{
    settings::{Checksums, Etags, SharedSettings},
    state::{State, StoredObject, hexadecimal, md5},
};

mod bucket;
mod condition;
mod copy;
mod delete;
mod listing;
mod multipart;
mod object;
mod payload;
mod tagging;
mod unfinished;

/// Marks a request whose `Range` header is ignored.
#[derive(Debug, Clone, Copy)]
pub(super) struct IgnoreRange;

/// Marks a request with a `Range` header that gets other bytes: those that are this many bytes after the requested
/// ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShiftRange(pub(super) usize);

/// The in-memory store behind the protocol.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub(super) state: Arc<State>,
    pub(super) settings: Arc<SharedSettings>,
}

impl Backend {
    /// Returns whether checksums in headers are checked and stored.
    fn keeps_checksums(&self) -> bool {
        self.settings.get().checksums == Checksums::Kept
    }

    /// Returns the ETag that this server uses for content with this digest.
    fn etag(&self, digest: String) -> String {
        if self.settings.get().etags == Etags::Digests {
            return digest;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let opaque = hexadecimal(&md5(format!("{digest} {}", now.as_nanos()).as_bytes()));
        match digest.split_once('-') {
            Some((_, parts)) => format!("{opaque}-{parts}"),
            None => opaque,
        }
    }

    /// Returns an object as this server stores it.
    fn kept(&self, mut object: StoredObject) -> StoredObject {
        object.etag = self.etag(object.etag);
        if self.settings.get().etags == Etags::Kms {
            object.properties.server_side_encryption = Some("aws:kms".to_owned());
        }
        object
    }
}

/// Forwards an operation of the protocol to the function that executes it.
macro_rules! forward {
    ($($operation:ident($input:ident) -> $output:ident = $function:path;)+) => {
        #[async_trait]
        impl S3 for Backend {
            $(async fn $operation(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $function(self, request).await
            })+
        }
    };
}

forward! {
    list_buckets(ListBucketsInput) -> ListBucketsOutput = bucket::list;
    create_bucket(CreateBucketInput) -> CreateBucketOutput = bucket::create;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = bucket::head;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = bucket::location;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = bucket::delete;
    list_objects(ListObjectsInput) -> ListObjectsOutput = listing::list;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = listing::list_v2;
    put_object(PutObjectInput) -> PutObjectOutput = object::put;
    get_object(GetObjectInput) -> GetObjectOutput = object::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = object::head;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput = tagging::get;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete::one;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete::many;
    copy_object(CopyObjectInput) -> CopyObjectOutput = copy::object;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copy::part;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    upload_part(UploadPartInput) -> UploadPartOutput = multipart::upload_part;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = multipart::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
    list_parts(ListPartsInput) -> ListPartsOutput = unfinished::parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = unfinished::uploads;
}

/// Returns the response to a request, without additional headers.
fn ok<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}
