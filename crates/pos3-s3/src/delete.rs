//! Deletes a thousand keys per request, and returns a result for each key.
//!
//! If a server does not mention a key, the key may still exist. So pos3 requests a full response and matches it by
//! exact keys. An object that another process has written meanwhile stays: pos3 looks up the objects before each
//! request, and sends the ETags that it saw.

mod batch;
mod document;
mod look;
mod single;
mod trial;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::HeaderName;
use md5::{Digest as _, Md5};
use pos3_core::{DeleteKey, ErrorKind, Key, Operation, Result, StoreError};

use crate::bucket::{Bucket, check_key};
use crate::client::sign::Payload;
use crate::error::Failure;
use crate::operation::S3Operation;
use document::{Answers, Conditions, answers, document, fits_xml};

/// The largest number of keys in one request.
pub(crate) const BATCH: usize = 1000;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

impl Bucket {
    /// Deletes keys and returns the results in their order.
    pub(crate) async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let batches: Vec<_> = keys.chunks(BATCH).map(|batch| self.delete_batch(batch)).collect();
        stream::iter(batches).buffered(self.client.config().fan_out).flat_map(stream::iter).collect().await
    }

    async fn delete_batch(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        if self.batches.is_known() {
            return self.delete_singly(keys).await;
        }
        let named = keys.iter().filter(|asked| !asked.key.as_str().is_empty() && fits_xml(&asked.key)).collect();
        let answers = match self.delete_all(named).await {
            Ok(answers) => answers,
            Err(evidence) => {
                let deleted = self.delete_singly(keys).await;
                if deleted.iter().any(Result::is_ok) {
                    self.batches.record(evidence);
                }
                return deleted;
            }
        };
        let requests: Vec<_> = keys.iter().map(|asked| self.delete_or_answer(asked, &answers)).collect();
        stream::iter(requests).buffered(self.client.config().fan_out).collect().await
    }

    /// Returns the result of a key in the batch. Deletes a key that the batch could not contain.
    async fn delete_or_answer(&self, asked: &DeleteKey, answers: &Answers) -> Result<()> {
        // There are as many of these futures as keys, and hardly any of them sends a request.
        if fits_xml(&asked.key) { self.answer_for(&asked.key, answers) } else { Box::pin(self.delete_one(asked)).await }
    }

    async fn delete_once(&self, keys: &[&DeleteKey], conditions: Conditions) -> Result<Answers, Failure> {
        let body = Bytes::from(document(keys, conditions));
        let payload = Payload::signed(&body);
        let digest = BASE64.encode(Md5::digest(&body));
        let request = self.request(S3Operation::DeleteObjects, &[("delete", "")])?;
        let request = request.header(CONTENT_MD5, &digest)?.header(http::header::CONTENT_TYPE, "application/xml")?;
        let request = request.until(keys.first().and_then(|asked| asked.halt.as_ref()));
        self.client.exchange_once(&self.counters, &request.body(body, payload), answers).await
    }

    fn answer_for(&self, key: &Key, answers: &Answers) -> Result<()> {
        check_key(Operation::Delete, key)?;
        match answers.get(key.as_str()) {
            None => {
                let error = StoreError::new(ErrorKind::Integrity, Operation::Delete).with_key(key).temporary();
                Err(error.with_message("the response of the server does not mention the key"))
            }
            Some(Ok(())) => Ok(()),
            Some(Err(failure)) => Err(self.error(Operation::Delete, key, failure.repeat())),
        }
    }
}
