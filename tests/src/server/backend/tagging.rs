//! The tags of objects.

use percent_encoding::percent_decode_str;
use s3s::{S3Error, S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{super::settings::Tagging, Backend, object, ok};

pub(super) async fn get(
    backend: &Backend,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    match backend.settings.get().tagging {
        Tagging::Denied | Tagging::ReadDenied => return Err(denied()),
        Tagging::Unknown => return Err(s3_error!(NotImplemented, "there are no tags here")),
        Tagging::Kept | Tagging::WriteDenied => {}
    }
    let object = object::find(&backend.state.read(), &input.bucket, &input.key)?;
    let tags = object.properties.tagging.as_deref().unwrap_or_default().split('&').filter(|tag| !tag.is_empty());
    let tag_set = tags.map(|tag| {
        let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
        Tag { key: Some(decode(key)), value: Some(decode(value)) }
    });
    ok(GetObjectTaggingOutput { tag_set: tag_set.collect(), version_id: None })
}

/// Returns an error if these tags may not be written.
pub(super) fn refusal(backend: &Backend, tagging: Option<&String>) -> S3Result<()> {
    let refuses = matches!(backend.settings.get().tagging, Tagging::Denied | Tagging::WriteDenied);
    if refuses && tagging.is_some() { Err(denied()) } else { Ok(()) }
}

fn denied() -> S3Error {
    s3_error!(AccessDenied, "tags may not be touched")
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
