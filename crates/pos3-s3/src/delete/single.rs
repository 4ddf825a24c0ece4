//! Deletes one key per request, for servers without DeleteObjects and for keys that XML cannot represent.

use futures::{StreamExt, stream};
use http::header::IF_MATCH;
use pos3_core::{DeleteKey, ErrorKind, Key, Operation, Result, StoreError};

use super::document::{Conditions, etag_of};
use super::look::Standing;
use crate::bucket::{Bucket, check_key};
use crate::client::habits::is_unknown;
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
        loop {
            let failure = match self.delete_one_seen(asked).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            self.client
                .again(&mut attempts, failure)
                .await
                .map_err(|failure| self.error(Operation::Delete, key, failure))?;
        }
    }

    /// Looks up an object and deletes it if it has not changed.
    async fn delete_one_seen(&self, asked: &DeleteKey) -> Result<(), Failure> {
        let Some(seen) = &asked.unless_changed else { return self.delete_one_once(asked, Conditions::Unsent).await };
        match self.look_at_key(&asked.key, seen).await {
            Standing::AsSeen => {}
            Standing::Changed => return Err(Failure::Changed),
            Standing::Gone => return Ok(()),
            Standing::Unknown(failure) => return Err(failure),
        }
        if etag_of(asked).is_none() || !self.client.conditional_deletes() {
            return self.delete_one_once(asked, Conditions::Unsent).await;
        }
        let failure = match self.delete_one_once(asked, Conditions::Sent).await {
            Err(failure) if failure.refusal().is_some_and(may_be_about_condition) || is_unknown(&failure) => failure,
            deleted => return deleted,
        };
        if failure.refusal().is_some_and(Refusal::is_failed_condition) {
            match self.look_at_key(&asked.key, seen).await {
                Standing::AsSeen => {}
                Standing::Gone => return Ok(()),
                Standing::Changed | Standing::Unknown(_) => return Err(Failure::Changed),
            }
        }
        if !self.client.may_drop_conditions() || self.delete_one_once(asked, Conditions::Unsent).await.is_err() {
            return Err(failure);
        }
        self.client.lacks_conditional_deletes();
        Ok(())
    }

    async fn delete_one_once(&self, asked: &DeleteKey, conditions: Conditions) -> Result<(), Failure> {
        let mut request = self.object_request(S3Operation::DeleteObject, &asked.key, &[])?;
        if let (Some(etag), Conditions::Sent) = (etag_of(asked), conditions) {
            request = request.header(IF_MATCH, &etag)?;
        }
        match self.client.exchange_once(&self.counters, &request, |_| Ok(())).await {
            Err(failure) if failure.refusal().is_some_and(Refusal::is_missing_key) => {
                self.confirm_gone(&asked.key).await
            }
            deleted => deleted,
        }
    }

    /// Verifies that an object does not exist, because the response 404 to its delete may come from a proxy.
    async fn confirm_gone(&self, key: &Key) -> Result<(), Failure> {
        match self.find(key).await? {
            None => Ok(()),
            Some(_) => Err(Failure::Garbled("the response states that the object is missing, but it exists".into())),
        }
    }
}

fn may_be_about_condition(refusal: &Refusal) -> bool {
    refusal.is_failed_condition() || matches!(refusal.kind(), ErrorKind::Denied | ErrorKind::Unsupported)
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
