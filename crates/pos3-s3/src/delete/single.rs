//! Deletes one key per request, for servers without DeleteObjects and for keys that XML cannot represent.

use futures::{StreamExt, stream};
use http::header::IF_MATCH;
use pos3_core::{DeleteKey, ErrorKind, Key, Operation, Result, StoreError};

use super::document::{Conditions, etag_of};
use super::look::{Look, Standing};
use super::trial::ConditionTrial;
use crate::bucket::{Bucket, check_key};
use crate::client::Answer;
use crate::error::{Failure, Refusal};
use crate::operation::S3Operation;

impl Bucket {
    pub(super) async fn delete_singly(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let requests: Vec<_> = keys.iter().map(|asked| self.delete_one(asked)).collect();
        stream::iter(requests).buffered(self.client.config().fan_out).collect().await
    }

    pub(super) async fn delete_one(&self, asked: &DeleteKey) -> Result<()> {
        let key = &asked.key;
        check_key(Operation::Delete, key)?;
        if climbs_to_the_bucket(key) {
            let error = StoreError::new(ErrorKind::InvalidKey, Operation::Delete).with_key(key);
            return Err(error.with_message("a server that normalizes paths would treat this key as the bucket itself"));
        }
        let mut attempts = self.client.attempts();
        let mut trial = ConditionTrial::new(&self.client, etag_of(asked).is_some());
        loop {
            let failure = match self.is_as_seen(asked, trial.look()).await {
                Ok(false) => return Ok(()),
                Ok(true) => match self.delete_one_once(asked, trial.conditions()).await {
                    Ok(()) => {
                        trial.succeeded(key.as_str());
                        return Ok(());
                    }
                    Err(failure) if trial.goes_on(&failure).await => continue,
                    Err(failure) => trial.first(failure),
                },
                Err(failure) => failure,
            };
            self.client
                .again_until(asked.halt.as_ref(), &mut attempts, failure)
                .await
                .map_err(|failure| self.error(Operation::Delete, key, failure))?;
        }
    }

    /// Looks up an object that may only be deleted if it has not changed. Returns false if it does not exist any more.
    async fn is_as_seen(&self, asked: &DeleteKey, look: Look) -> Result<bool, Failure> {
        let Some(seen) = &asked.unless_changed else { return Ok(true) };
        match self.look_at_key(&asked.key, seen, look).await {
            Standing::AsSeen => Ok(true),
            Standing::Gone => Ok(false),
            Standing::Changed => Err(Failure::Changed),
            Standing::Unknown(failure) => Err(failure),
        }
    }

    async fn delete_one_once(&self, asked: &DeleteKey, conditions: Conditions) -> Result<(), Failure> {
        let request = self.object_request(S3Operation::DeleteObject, &asked.key, &[])?;
        let mut request = request.until(asked.halt.as_ref());
        if let (Some(etag), Conditions::Sent) = (etag_of(asked), conditions) {
            request = request.header(IF_MATCH, &etag)?;
        }
        match self.client.exchange_once(&self.counters, &request, Answer::without_result).await {
            Err(failure) if failure.refusal().is_some_and(Refusal::is_missing_key) => {
                self.confirm_gone(&asked.key).await
            }
            Err(failure) if failure.is_unclear() => {
                if matches!(self.is_gone(&asked.key).await, Ok(true)) {
                    Ok(())
                } else {
                    Err(failure)
                }
            }
            deleted => deleted,
        }
    }

    /// Verifies that an object does not exist. A response that reports it as missing may come from a proxy, or from a
    /// server that failed to look up the object.
    pub(super) async fn confirm_gone(&self, key: &Key) -> Result<(), Failure> {
        if self.is_gone(key).await? {
            return Ok(());
        }
        Err(Failure::Garbled("the response states that the object is missing, but it exists".into()))
    }
}

/// Returns true if the normalized path of the key is the bucket itself or lies above it. `DELETE` of that path would
/// remove the bucket.
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

#[cfg(test)]
mod tests {
    use super::*;

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
