//! The deletes of one request, until each key has a result.

use futures::{StreamExt, stream};
use pos3_core::{CancellationToken, DeleteKey, ErrorKind, Key};

use super::document::{Answers, etag_of};
use super::look::{Standing, Standings};
use super::trial::ConditionTrial;
use crate::bucket::Bucket;
use crate::client::habits::lack::{Evidence, Trial};
use crate::error::{Failure, Refusal};

/// The keys of one request that have no result yet.
struct Batch<'b> {
    bucket: &'b Bucket,
    keys: Vec<&'b DeleteKey>,
    answers: Answers,
    conditions: ConditionTrial<'b>,
    batches: Trial,
}

/// What follows a request.
enum Next {
    /// The remaining keys are sent again.
    Again,
    /// The remaining keys are sent again after a pause, unless this failure is final.
    After(Failure),
    /// The server may not support the request.
    Unsupported(Evidence),
}

impl Bucket {
    /// Deletes keys in one request, and repeats those that failed in the server.
    ///
    /// # Errors
    ///
    /// Fails with the evidence if the server may not support this request; nothing is then deleted.
    pub(super) async fn delete_all(&self, keys: Vec<&DeleteKey>) -> Result<Answers, Evidence> {
        let mut attempts = self.client.attempts();
        let has_conditions = keys.iter().any(|asked| etag_of(asked).is_some());
        let conditions = ConditionTrial::new(&self.client, has_conditions);
        let mut batch = Batch { bucket: self, keys, answers: Answers::new(), conditions, batches: Trial::new() };
        while !batch.keys.is_empty() {
            let failure = match batch.send().await {
                Next::Again => continue,
                Next::After(failure) => failure,
                Next::Unsupported(evidence) => return Err(evidence),
            };
            let halt = batch.halt();
            if let Err(failure) = self.client.again_until(halt, &mut attempts, failure).await {
                batch.fail(&failure);
                break;
            }
        }
        Ok(batch.answers)
    }
}

impl Batch<'_> {
    /// Returns the token that ends all requests of these keys.
    fn halt(&self) -> Option<&'_ CancellationToken> {
        self.keys.first().and_then(|asked| asked.halt.as_ref())
    }

    /// Looks up the keys and deletes those that have not changed.
    async fn send(&mut self) -> Next {
        if self.halt().is_some_and(CancellationToken::is_cancelled) {
            return Next::After(Failure::Stopped);
        }
        match self.bucket.look(&self.keys, self.conditions.look()).await {
            Err(failure) => return Next::After(failure),
            Ok(standings) => {
                self.keys.retain(|asked| is_to_delete(&asked.key, &standings));
                self.answers.extend(settled(standings));
            }
        }
        if self.keys.is_empty() {
            return Next::Again;
        }
        match self.bucket.delete_once(&self.keys, self.conditions.conditions()).await {
            Ok(found) => self.read(found).await,
            Err(failure) => self.refused(failure).await,
        }
    }

    /// Records the results of the keys.
    async fn read(&mut self, found: Answers) -> Next {
        let found = self.confirm_missing(found).await;
        if let Some((key, _)) = found.iter().find(|(_, answer)| answer.is_ok()) {
            self.bucket.batches.refute();
            self.conditions.succeeded(key);
        }
        self.add(found);
        let (answers, conditions) = (&self.answers, &self.conditions);
        let failure = |asked: &&DeleteKey| answers.get(asked.key.as_str())?.as_ref().err();
        let is_refused = |failure: &&Failure| conditions.may_be_about_condition(failure);
        let refusal = self.keys.iter().filter_map(failure).find(is_refused).map(Failure::repeat);
        self.keys.retain(|asked| failure(asked).is_some_and(|failure| failure.is_temporary() || is_refused(&failure)));
        let first = self.keys.first().and_then(failure).map(Failure::repeat);
        match (refusal, first) {
            (Some(refusal), _) if self.conditions.goes_on(&refusal).await => Next::Again,
            (Some(_), _) => self.without_refused(),
            (None, Some(failure)) => Next::After(failure),
            (None, None) => Next::Again,
        }
    }

    /// Leaves the keys that were refused for good with their results.
    fn without_refused(&mut self) -> Next {
        let answers = &self.answers;
        let failure = |asked: &&DeleteKey| answers.get(asked.key.as_str())?.as_ref().err();
        self.keys.retain(|asked| failure(asked).is_some_and(Failure::is_temporary));
        self.keys.first().and_then(failure).map_or(Next::Again, |failure| Next::After(failure.repeat()))
    }

    /// Looks up the objects that the response reports as missing, and treats only those as deleted that do not exist.
    async fn confirm_missing(&self, mut found: Answers) -> Answers {
        let is_missing = |asked: &&&DeleteKey| {
            let answer = found.get(asked.key.as_str());
            let failure = answer.and_then(|answer| answer.as_ref().err());
            failure.and_then(Failure::refusal).is_some_and(Refusal::is_missing_key)
        };
        let looks: Vec<_> =
            self.keys.iter().filter(is_missing).map(|asked| self.confirm_key_gone(&asked.key)).collect();
        let fan_out = self.bucket.client.config().fan_out;
        found.extend(stream::iter(looks).buffer_unordered(fan_out).collect::<Vec<_>>().await);
        found
    }

    async fn confirm_key_gone(&self, key: &Key) -> (String, Result<(), Failure>) {
        (key.as_str().to_owned(), self.bucket.confirm_gone(key).await)
    }

    /// Handles the refusal of the whole request.
    async fn refused(&mut self, failure: Failure) -> Next {
        if failure.refusal().is_some_and(is_denied) {
            return Next::After(failure);
        }
        if self.conditions.goes_on(&failure).await {
            return Next::Again;
        }
        if !failure.refusal().is_some_and(|refusal| refusal.kind() == ErrorKind::Unsupported) {
            return Next::After(self.conditions.first(failure));
        }
        if self.batches.repeats(&failure, self.bucket.client.config().longest_pause).await {
            return Next::Again;
        }
        let first = self.keys.first().map_or("", |asked| asked.key.as_str());
        Next::Unsupported(self.batches.evidence(first))
    }

    /// Gives this result to all remaining keys.
    fn fail(&mut self, failure: &Failure) {
        let failed: Vec<_> =
            self.keys.iter().map(|asked| (asked.key.as_str().to_owned(), Err(failure.repeat()))).collect();
        self.add(failed);
    }

    /// Adds results. If the request was sent without conditions after a refusal, that refusal stays the result of a key
    /// that was refused again.
    fn add(&mut self, found: impl IntoIterator<Item = (String, Result<(), Failure>)>) {
        let is_final = |answer: &Result<(), Failure>| answer.as_ref().is_err_and(|failure| !failure.is_temporary());
        for (key, answer) in found {
            let was_refused = self.conditions.is_fallback() && self.answers.get(&key).is_some_and(is_final);
            if !(was_refused && answer.is_err()) {
                self.answers.insert(key, answer);
            }
        }
    }
}

/// Returns true if the whole request was denied. A server that denies only the conditions does so for each key.
fn is_denied(refusal: &Refusal) -> bool {
    refusal.kind() == ErrorKind::Denied && !refusal.code.is_empty()
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
