//! Deletes: a thousand keys per request, and an answer for every key.
//!
//! A server that does not mention a key has not said that it is gone, so the answers are asked for in full and matched
//! by the exact key.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::HeaderName;
use md5::{Digest as _, Md5};
use pos3_core::{ErrorKind, Key, Result, StoreError};

use crate::bucket::{Bucket, check_key};
use crate::client::Answer;
use crate::client::sign::Payload;
use crate::client::xml::{self, Step, XmlError};
use crate::error::{Failure, Refusal};
use crate::operation::Operation;

/// The most keys one request takes.
pub(crate) const BATCH: usize = 1000;

/// How many requests one call has in flight.
const PARALLEL: usize = 4;

/// As [`PARALLEL`], where each key costs a request.
const PARALLEL_SINGLE: usize = 16;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What the server says about each key it mentions.
type Answers = HashMap<String, Result<(), Refusal>>;

impl Bucket {
    /// Deletes keys and answers for each, in their order.
    pub(crate) async fn delete(&self, keys: &[Key]) -> Vec<Result<()>> {
        let batches: Vec<_> = keys.chunks(BATCH).map(|batch| self.delete_batch(batch)).collect();
        stream::iter(batches).buffered(PARALLEL).flat_map(stream::iter).collect().await
    }

    async fn delete_batch(&self, keys: &[Key]) -> Vec<Result<()>> {
        if self.deletes_singly.load(Ordering::Relaxed) {
            return self.delete_singly(keys).await;
        }
        let named: Vec<&Key> = keys.iter().filter(|key| !key.as_str().is_empty() && fits_xml(key)).collect();
        let answers = if named.is_empty() { Ok(Answers::new()) } else { self.delete_all(named).await };
        if answers.as_ref().is_err_and(|failure| self.lacks_batches(failure)) {
            return self.delete_singly(keys).await;
        }
        let requests: Vec<_> = keys.iter().map(|key| self.delete_or_answer(key, &answers)).collect();
        stream::iter(requests).buffered(PARALLEL_SINGLE).collect().await
    }

    /// Answers for a key that the batch named, and deletes one that it could not name.
    async fn delete_or_answer(&self, key: &Key, answers: &Result<Answers, Failure>) -> Result<()> {
        match answers {
            _ if !fits_xml(key) => self.delete_one(key).await,
            Ok(answers) => self.answer_for(key, answers),
            Err(failure) => check_key("delete", key).and(Err(self.error("delete", key, failure.repeat()))),
        }
    }

    /// Deletes keys in one request, and those the server had trouble with in further ones.
    async fn delete_all(&self, mut keys: Vec<&Key>) -> Result<Answers, Failure> {
        let mut attempts = self.client.attempts();
        let mut answers = Answers::new();
        loop {
            answers.extend(self.delete_once(&keys).await?);
            keys.retain(|key| matches!(answers.get(key.as_str()), Some(Err(refusal)) if refusal.is_temporary()));
            let Some(Err(refusal)) = keys.first().and_then(|key| answers.get(key.as_str())) else {
                return Ok(answers);
            };
            let failure = Failure::Refused(Box::new(refusal.clone()));
            if self.client.again(&mut attempts, failure).await.is_err() {
                return Ok(answers);
            }
        }
    }

    async fn delete_once(&self, keys: &[&Key]) -> Result<Answers, Failure> {
        let body = Bytes::from(document(keys));
        let payload = Payload::signed(&body);
        let digest = BASE64.encode(Md5::digest(&body));
        let request = self.request(Operation::DeleteObjects, &[("delete", "")])?;
        let request = request.header(CONTENT_MD5, &digest)?.header(http::header::CONTENT_TYPE, "application/xml")?;
        self.exchange(&request.body(body, payload), answers).await
    }

    /// Returns true for a server without this request, which is then not asked again.
    fn lacks_batches(&self, failure: &Failure) -> bool {
        let lacks = failure.refusal().is_some_and(|refusal| refusal.kind() == ErrorKind::Unsupported);
        if lacks {
            self.deletes_singly.store(true, Ordering::Relaxed);
        }
        lacks
    }

    fn answer_for(&self, key: &Key, answers: &Answers) -> Result<()> {
        check_key("delete", key)?;
        match answers.get(key.as_str()) {
            None => {
                let error = StoreError::new(ErrorKind::Integrity, "delete").with_key(key).temporary();
                Err(error.with_message("the server's answer does not mention the key"))
            }
            Some(Ok(())) => Ok(()),
            Some(Err(refusal)) if refusal.kind() == ErrorKind::NotFound => Ok(()),
            Some(Err(refusal)) => Err(self.error("delete", key, Failure::Refused(Box::new(refusal.clone())))),
        }
    }

    async fn delete_singly(&self, keys: &[Key]) -> Vec<Result<()>> {
        let requests: Vec<_> = keys.iter().map(|key| self.delete_one(key)).collect();
        stream::iter(requests).buffered(PARALLEL_SINGLE).collect().await
    }

    async fn delete_one(&self, key: &Key) -> Result<()> {
        check_key("delete", key)?;
        if climbs_to_the_bucket(key) {
            let error = StoreError::new(ErrorKind::InvalidKey, "delete").with_key(key);
            return Err(error.with_message("a server that tidies paths would take this key for the bucket itself"));
        }
        let exchange = async {
            let request = self.object_request(Operation::DeleteObject, key, &[])?;
            self.exchange(&request, |_| Ok(())).await
        };
        match exchange.await {
            Ok(()) => Ok(()),
            Err(failure) if failure.refusal().is_some_and(|refusal| refusal.code == "NoSuchKey") => Ok(()),
            Err(failure) => Err(self.error("delete", key, failure)),
        }
    }
}

/// Returns true if XML 1.0 allows every character of the key. It does not allow the rest as references either, and Ceph
/// answers 400 and moto 500 to a document with one.
fn fits_xml(key: &Key) -> bool {
    !key.as_str()
        .contains(|c| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
}

/// Returns true for a key whose path, tidied, is the bucket's or lies above it: `DELETE` there removes the bucket.
fn climbs_to_the_bucket(key: &Key) -> bool {
    let mut depth = 0_i64;
    let mut lowest = 0;
    for segment in key.as_str().split('/') {
        match segment {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        lowest = lowest.min(depth);
    }
    depth <= 0 || lowest < 0
}

/// Returns the request's document; line breaks and the like in keys are references, which is how they survive XML.
fn document(keys: &[&Key]) -> String {
    let size: usize = keys.iter().map(|key| key.as_str().len() + 40).sum();
    let mut document = String::with_capacity(size + 120);
    document.push_str("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for key in keys {
        document.push_str("<Object><Key>");
        xml::escape_into(&mut document, key.as_str());
        document.push_str("</Key></Object>");
    }
    document.push_str("</Delete>");
    document
}

/// Reads what the answer says about each key.
fn answers(answer: &Answer) -> Result<Answers, Failure> {
    let mut answers = Answers::new();
    let [mut key, mut code, mut message] = [const { String::new() }; 3];
    let mut expected = false;
    xml::walk(&answer.body, |depth, step| match (depth, step) {
        (1, Step::Open(name)) => expected = name == b"DeleteResult",
        (3, Step::Close(b"Key", text)) => key = std::mem::take(text).into_owned(),
        (3, Step::Close(b"Code", text)) => code = std::mem::take(text).into_owned(),
        (3, Step::Close(b"Message", text)) => message = std::mem::take(text).into_owned(),
        (2, Step::Close(b"Deleted", _)) => {
            answers.insert(std::mem::take(&mut key), Ok(()));
        }
        (2, Step::Close(b"Error", _)) => {
            let refusal = Refusal::of_key(std::mem::take(&mut code), std::mem::take(&mut message));
            answers.insert(std::mem::take(&mut key), Err(refusal));
        }
        _ => {}
    })?;
    if expected { Ok(answers) } else { Err(answer.not_a_result(XmlError::Unexpected)) }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn read(body: &'static str) -> Result<Answers, Failure> {
        answers(&Answer { headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) })
    }

    #[test]
    fn keys_survive_the_document() {
        let keys = [Key::from("a&b"), Key::from("line\nbreak\r")];
        let keys: Vec<&Key> = keys.iter().collect();
        assert_eq!(
            document(&keys),
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;b</Key></Object>\
             <Object><Key>line&#10;break&#13;</Key></Object></Delete>"
        );
    }

    #[test]
    fn each_key_has_its_own_answer() {
        let answers = read(
            "<DeleteResult><Deleted><Key>logs/SlowDown</Key></Deleted><Error><Key>b&#10;</Key><Code>AccessDenied</Code>\
             <Message>no</Message></Error></DeleteResult>",
        )
        .unwrap();
        assert!(answers["logs/SlowDown"].is_ok());
        assert_eq!(answers["b\n"].as_ref().unwrap_err().kind(), ErrorKind::Denied);
    }

    #[test]
    fn no_answer_is_no_success() {
        for body in ["", "<DeleteResult>", "<html></html>", "<DeleteResult><Deleted><Key>a</Key></Deleted>"] {
            assert!(matches!(read(body), Err(Failure::Garbled(_))), "{body}");
        }
        let failure = read("<Error><Code>InternalError</Code></Error>").unwrap_err();
        assert!(failure.refusal().is_some_and(Refusal::is_temporary));
    }

    #[test]
    fn no_single_delete_can_reach_the_bucket() {
        for (key, reaches) in [
            ("a", false),
            ("a/../b", false),
            ("/lead", false),
            ("dir/", false),
            ("/", true),
            ("//", true),
            (".", true),
            ("a/..", true),
            ("a/../..", true),
            ("../other/key", true),
        ] {
            assert_eq!(climbs_to_the_bucket(&Key::from(key)), reaches, "{key}");
        }
    }
}
