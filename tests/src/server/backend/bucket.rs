//! Buckets: creates, finds, lists and removes them.

use std::collections::btree_map::Entry;

use s3s::{S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{
    super::{
        name::check_bucket_name,
        state::{Bucket as StoredBucket, World},
    },
    Backend, ok,
};

/// The only region that the server supports.
const REGION: &str = "us-east-1";

/// Returns the bucket of this name, or `NoSuchBucket`.
pub(super) fn find<'a>(world: &'a World, name: &str) -> S3Result<&'a StoredBucket> {
    world.buckets.get(name).ok_or_else(|| s3_error!(NoSuchBucket, "the bucket {name} does not exist"))
}

/// Returns the bucket of this name for modification, or `NoSuchBucket`.
pub(super) fn find_mut<'a>(world: &'a mut World, name: &str) -> S3Result<&'a mut StoredBucket> {
    world.buckets.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket, "the bucket {name} does not exist"))
}

pub(super) async fn list(
    backend: &Backend,
    _request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let world = backend.state.read();
    let buckets = world.buckets.iter().map(|(name, bucket)| Bucket {
        name: Some(name.clone()),
        creation_date: Some(bucket.created.into()),
        ..Bucket::default()
    });
    ok(ListBucketsOutput { buckets: Some(buckets.collect()), ..ListBucketsOutput::default() })
}

pub(super) async fn create(
    backend: &Backend,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let name = request.input.bucket;
    check_bucket_name(&name).map_err(|error| s3_error!(InvalidBucketName, "{error}"))?;
    let location = format!("/{name}");
    match backend.state.write().buckets.entry(name) {
        Entry::Occupied(entry) => {
            Err(s3_error!(BucketAlreadyOwnedByYou, "the bucket {} exists and is yours", entry.key()))
        }
        Entry::Vacant(entry) => {
            entry.insert(StoredBucket::new());
            ok(CreateBucketOutput { location: Some(location) })
        }
    }
}

pub(super) async fn head(
    backend: &Backend,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    find(&backend.state.read(), &request.input.bucket)?;
    ok(HeadBucketOutput { bucket_region: Some(REGION.to_owned()), ..HeadBucketOutput::default() })
}

pub(super) async fn location(
    backend: &Backend,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    find(&backend.state.read(), &request.input.bucket)?;
    ok(GetBucketLocationOutput::default())
}

pub(super) async fn delete(
    backend: &Backend,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let name = &request.input.bucket;
    let mut world = backend.state.write();
    if !find(&world, name)?.objects.is_empty() {
        return Err(s3_error!(BucketNotEmpty, "the bucket {name} is not empty"));
    }
    world.buckets.remove(name);
    ok(DeleteBucketOutput::default())
}
