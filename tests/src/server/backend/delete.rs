//! Deletes of single keys, and of up to 1000 keys in one request.

use std::sync::Arc;

use s3s::{S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{
    super::{settings::ConditionalDeletes, state::StoredObject},
    Backend, bucket,
    condition::Conditions,
    ok,
};

/// The maximum number of keys in one request, from the S3 API reference.
const MOST_KEYS: usize = 1000;

pub(super) async fn one(
    backend: &Backend,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    let habit = backend.settings.get().conditional_deletes;
    let mut world = backend.state.write();
    let objects = &mut bucket::find_mut(&mut world, &input.bucket)?.objects;
    match (habit, input.if_match) {
        (ConditionalDeletes::Ignored, _) | (_, None) => {}
        (ConditionalDeletes::Obeyed, if_match) => {
            let conditions = Conditions { if_match, ..Conditions::default() };
            conditions.check_write(objects.get(&input.key).map(Arc::as_ref))?;
        }
        (ConditionalDeletes::Refused, _) => return Err(s3_error!(NotImplemented)),
        (ConditionalDeletes::Denied, _) => return Err(s3_error!(AccessDenied)),
        (ConditionalDeletes::Misjudged, _) => return Err(s3_error!(PreconditionFailed)),
    }
    objects.remove(&input.key);
    ok(DeleteObjectOutput::default())
}

pub(super) async fn many(
    backend: &Backend,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let declares_digest = |name: &str| name == "content-md5" || name.starts_with("x-amz-checksum-");
    let trailer = request.headers.contains_key("x-amz-trailer");
    if !trailer && !request.headers.keys().any(|name| declares_digest(name.as_str())) {
        return Err(s3_error!(InvalidRequest, "missing required header for this request: Content-MD5"));
    }
    let DeleteObjectsInput { bucket, delete, .. } = request.input;
    if delete.objects.is_empty() || delete.objects.len() > MOST_KEYS {
        return Err(s3_error!(MalformedXML, "a request deletes 1 to {MOST_KEYS} keys"));
    }

    let habit = backend.settings.get().conditional_deletes;
    if habit == ConditionalDeletes::Refused && delete.objects.iter().any(|wanted| wanted.e_tag.is_some()) {
        return Err(s3_error!(NotImplemented));
    }
    let quiet = delete.quiet.unwrap_or_default();
    let mut world = backend.state.write();
    let objects = &mut bucket::find_mut(&mut world, &bucket)?.objects;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for wanted in delete.objects {
        match refusal(habit, &wanted, objects.get(&wanted.key).map(Arc::as_ref)) {
            Some(error) => errors.push(error),
            None => {
                objects.remove(&wanted.key);
                deleted.push(DeletedObject { key: Some(wanted.key), ..DeletedObject::default() });
            }
        }
    }
    ok(DeleteObjectsOutput {
        deleted: Some(deleted).filter(|_| !quiet),
        errors: Some(errors),
        ..DeleteObjectsOutput::default()
    })
}

/// Returns the reason not to delete this key: the object does not have the ETag in the request.
fn refusal(habit: ConditionalDeletes, wanted: &ObjectIdentifier, existing: Option<&StoredObject>) -> Option<Error> {
    let etag = wanted.e_tag.as_ref()?;
    let code = match (habit, existing) {
        (ConditionalDeletes::Ignored, _) => return None,
        (ConditionalDeletes::Denied, _) => "AccessDenied",
        (ConditionalDeletes::Misjudged, _) => "PreconditionFailed",
        (_, Some(object)) if object.etag == etag.value() => return None,
        (_, Some(_)) => "PreconditionFailed",
        (_, None) => "NoSuchKey",
    };
    Some(Error { key: Some(wanted.key.clone()), code: Some(code.to_owned()), ..Error::default() })
}
