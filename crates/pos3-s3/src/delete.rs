//! Deletes a thousand keys per request, and returns a result for each key.
//!
//! If a server does not mention a key, the key may still exist. So pos3 requests a full response and matches it by
//! exact keys. An object that another process has written meanwhile stays: pos3 looks up the objects before each
//! request, and sends the ETags that it saw.

mod document;
mod look;
mod single;

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::HeaderName;
use md5::{Digest as _, Md5};
use pos3_core::{DeleteKey, ErrorKind, Key, Operation, Result, StoreError};

use crate::bucket::{Bucket, check_key};
use crate::client::habits::is_unknown;
use crate::client::sign::Payload;
use crate::error::Failure;
use crate::operation::S3Operation;
use document::{Answers, Conditions, answers, document, etag_of, fits_xml};
use look::{Standing, Standings};

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
        if self.deletes_singly.load(Ordering::Relaxed) {
            return self.delete_singly(keys).await;
        }
        let named = keys.iter().filter(|asked| !asked.key.as_str().is_empty() && fits_xml(&asked.key)).collect();
        let Some(answers) = self.delete_all(named).await else { return self.delete_singly(keys).await };
        let requests: Vec<_> = keys.iter().map(|asked| self.delete_or_answer(asked, &answers)).collect();
        stream::iter(requests).buffered(self.client.config().fan_out).collect().await
    }

    /// Returns the result of a key in the batch. Deletes a key that the batch could not contain.
    async fn delete_or_answer(&self, asked: &DeleteKey, answers: &Answers) -> Result<()> {
        if fits_xml(&asked.key) { self.answer_for(&asked.key, answers) } else { self.delete_one(asked).await }
    }

    /// Deletes keys in one request, and repeats those that failed in the server. Returns `None` if the server does not
    /// support this request; nothing is then deleted.
    async fn delete_all(&self, mut keys: Vec<&DeleteKey>) -> Option<Answers> {
        let mut attempts = self.client.attempts();
        let mut answers = Answers::new();
        while !keys.is_empty() {
            let asked = match self.look(&keys).await {
                Ok(standings) => {
                    keys.retain(|asked| is_to_delete(&asked.key, &standings));
                    answers.extend(settled(standings));
                    self.delete_seen(&keys).await
                }
                Err(failure) => Err(failure),
            };
            let failure = match asked {
                Err(failure) if self.lacks_batches(&failure) => return None,
                Err(failure) => Some(failure),
                Ok(found) => {
                    answers.extend(found);
                    keys.retain(|asked| is_temporary(answers.get(asked.key.as_str())));
                    let first = keys.first().and_then(|asked| answers.get(asked.key.as_str())?.as_ref().err());
                    first.map(Failure::repeat)
                }
            };
            let Some(failure) = failure else { break };
            if let Err(failure) = self.client.again(&mut attempts, failure).await {
                let failed = keys.iter().map(|asked| (asked.key.as_str().to_owned(), Err(failure.repeat())));
                answers.extend(failed);
                break;
            }
        }
        Some(answers)
    }

    /// Deletes objects that have just been looked up, with their ETags unless the server refuses those.
    async fn delete_seen(&self, keys: &[&DeleteKey]) -> Result<Answers, Failure> {
        if keys.is_empty() {
            return Ok(Answers::new());
        }
        let has_conditions = keys.iter().any(|asked| etag_of(asked).is_some());
        if !has_conditions || !self.client.conditional_deletes() {
            return self.delete_once(keys, Conditions::Unsent).await;
        }
        match self.delete_once(keys, Conditions::Sent).await {
            Ok(answers) => self.without_conditions(keys, answers).await,
            Err(failure) if self.client.may_drop_conditions() && is_refused_document(&failure) => {
                let plain = self.delete_once(keys, Conditions::Unsent).await?;
                self.client.lacks_conditional_deletes();
                Ok(plain)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Repeats deletes without ETags if the server may have refused them because of a condition that is met. Some
    /// servers evaluate it wrongly, and Amazon permits it only with the permission to read.
    async fn without_conditions(&self, keys: &[&DeleteKey], mut answers: Answers) -> Result<Answers, Failure> {
        let mut again = Vec::new();
        let mut doubted = Vec::new();
        for &asked in keys {
            let refusal = answers.get(asked.key.as_str()).and_then(|answer| answer.as_ref().err()?.refusal());
            match refusal {
                Some(refusal) if refusal.is_failed_condition() => doubted.push(asked),
                Some(refusal) if matches!(refusal.kind(), ErrorKind::Denied | ErrorKind::Unsupported) => {
                    again.push(asked);
                }
                _ => {}
            }
        }
        let looks: Vec<_> = doubted.iter().filter_map(|asked| Some((asked, asked.unless_changed.as_ref()?))).collect();
        let looks = looks.into_iter().map(|(asked, seen)| async { (*asked, self.look_at_key(&asked.key, seen).await) });
        for (asked, standing) in
            stream::iter(looks.collect::<Vec<_>>()).buffered(self.client.config().fan_out).collect::<Vec<_>>().await
        {
            let answer = match standing {
                Standing::AsSeen => {
                    again.push(asked);
                    continue;
                }
                Standing::Changed => Err(Failure::Changed),
                Standing::Gone => Ok(()),
                Standing::Unknown(failure) => Err(failure),
            };
            answers.insert(asked.key.as_str().to_owned(), answer);
        }
        if again.is_empty() || !self.client.may_drop_conditions() {
            return Ok(answers);
        }
        // If the server refuses the repeated request, the first result stays.
        if let Ok(plain) = self.delete_once(&again, Conditions::Unsent).await {
            let deleted: Vec<_> = plain.into_iter().filter(|(_, answer)| answer.is_ok()).collect();
            if !deleted.is_empty() {
                self.client.lacks_conditional_deletes();
            }
            answers.extend(deleted);
        }
        Ok(answers)
    }

    async fn delete_once(&self, keys: &[&DeleteKey], conditions: Conditions) -> Result<Answers, Failure> {
        let body = Bytes::from(document(keys, conditions));
        let payload = Payload::signed(&body);
        let digest = BASE64.encode(Md5::digest(&body));
        let request = self.request(S3Operation::DeleteObjects, &[("delete", "")])?;
        let request = request.header(CONTENT_MD5, &digest)?.header(http::header::CONTENT_TYPE, "application/xml")?;
        self.client.exchange_once(&self.counters, &request.body(body, payload), answers).await
    }

    /// Returns true if the server does not support this request. It is then not used again.
    fn lacks_batches(&self, failure: &Failure) -> bool {
        let lacks = failure.refusal().is_some_and(|refusal| refusal.kind() == ErrorKind::Unsupported);
        if lacks {
            self.deletes_singly.store(true, Ordering::Relaxed);
        }
        lacks
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

/// Returns true if nothing prevents the delete of the key.
fn is_to_delete(key: &Key, standings: &Standings<'_>) -> bool {
    matches!(standings.get(key.as_str()), None | Some(Standing::AsSeen))
}

/// Returns the results that follow from the lookup alone.
fn settled(standings: Standings<'_>) -> impl Iterator<Item = (String, Result<(), Failure>)> {
    standings.into_iter().filter_map(|(key, standing)| {
        let answer = match standing {
            Standing::AsSeen => return None,
            Standing::Changed => Err(Failure::Changed),
            Standing::Gone => Ok(()),
            Standing::Unknown(failure) => Err(failure),
        };
        Some((key.to_owned(), answer))
    })
}

fn is_temporary(answer: Option<&Result<(), Failure>>) -> bool {
    answer.is_some_and(|answer| answer.as_ref().is_err_and(Failure::is_temporary))
}

/// Returns true if the server may have refused the whole document because of an unknown element.
fn is_refused_document(failure: &Failure) -> bool {
    is_unknown(failure) || failure.refusal().is_some_and(|refusal| refusal.code == "MalformedXML")
}
