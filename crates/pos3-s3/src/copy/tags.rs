//! The tags of an object that is copied in parts. A copy in one request preserves them, but an upload in parts begins
//! without tags.

use pos3_core::{Checksum, Key, Result};

use crate::bucket::Bucket;
use crate::client::Answer;
use crate::client::habits::lack::{Trial, is_unknown};
use crate::copy_source::CopySource;
use crate::error::Failure;
use crate::operation::S3Operation;
use crate::uri::encode_value;
use crate::write::{ObjectHeaders, Upload};
use crate::xml::{Step, XmlError};

const TAGGING: http::HeaderName = http::HeaderName::from_static("x-amz-tagging");

impl CopySource<'_> {
    /// Returns the tags of the source as a header value, if it has any and the credentials permit reading them.
    async fn tags(&self) -> Result<Option<String>, Failure> {
        let client = &self.bucket.client;
        if !client.has_tags() {
            return Ok(None);
        }
        let request = self.bucket.object_request(S3Operation::GetObjectTagging, self.key, &[("tagging", "")])?;
        let mut trial = Trial::new();
        let failure = loop {
            match self.bucket.exchange(&request, written_tags).await {
                Ok(tags) => {
                    client.returns_tags();
                    return Ok(Some(tags).filter(|tags| !tags.is_empty()));
                }
                Err(failure) if trial.repeats(&failure, client.config().longest_pause).await => {}
                Err(failure) => break failure,
            }
        };
        match failure.refusal().map(|refusal| refusal.status.as_u16()) {
            Some(403) => {
                client.loses_tags("may not be read");
                Ok(None)
            }
            // A server that does not support tags cannot lose any.
            Some(404) => Ok(None),
            _ if is_unknown(&failure) => {
                client.lacks_tags(trial.evidence(self.key.as_str()));
                Ok(None)
            }
            _ => Err(failure),
        }
    }

    /// Creates an upload for a copy, with the tags of the source if the credentials permit it.
    pub(super) async fn begin(
        &self,
        target: &std::sync::Arc<Bucket>,
        key: &Key,
        headers: &ObjectHeaders,
        sum: Option<Checksum>,
    ) -> Result<Upload, Failure> {
        let begin = |headers: ObjectHeaders| async move { Upload::of_copies(target.clone(), key, &headers, sum).await };
        let Some(tags) = self.tags().await? else { return begin(headers.clone()).await };
        let mut tagged = headers.clone();
        tagged.push((TAGGING, http::HeaderValue::from_str(&tags)?));
        let mut trial = Trial::new();
        let failure = loop {
            match begin(tagged.clone()).await {
                Ok(upload) => return Ok(upload),
                Err(failure) if trial.repeats(&failure, target.client.config().longest_pause).await => {}
                Err(failure) => break failure,
            }
        };
        let is_denied = failure.refusal().is_some_and(|refusal| refusal.status.as_u16() == 403);
        if !is_denied && !is_unknown(&failure) {
            return Err(failure);
        }
        let upload = begin(headers.clone()).await?;
        target.client.loses_tags("may not be given");
        Ok(upload)
    }
}

/// Parses the tags of an object and returns them as a header value.
fn written_tags(answer: &Answer) -> Result<String, Failure> {
    let mut tags: Vec<String> = Vec::new();
    let [mut name, mut value] = [const { String::new() }; 2];
    let mut is_expected = false;
    answer.walk(|depth, step| match (depth, step) {
        (1, Step::Open(root)) => is_expected = root == b"Tagging",
        (4, Step::Close(b"Key", text)) => name = std::mem::take(text).into_owned(),
        (4, Step::Close(b"Value", text)) => value = std::mem::take(text).into_owned(),
        (3, Step::Close(b"Tag", _)) => {
            tags.push(format!("{}={}", encode_value(&name), encode_value(&value)));
            (name, value) = (String::new(), String::new());
        }
        _ => {}
    })?;
    if is_expected { Ok(tags.join("&")) } else { Err(answer.not_a_result(XmlError::Unexpected)) }
}
