//! Finds the features of a write that a server supports.

use pos3_core::Key;

use super::lack::{Trial, is_unknown};
use super::{Manner, S3Client};
use crate::error::Failure;

/// The sequence of features to try for one request, from the usual ones to fewer, until the server supports them.
#[derive(Debug)]
pub(crate) struct Manners<'c> {
    client: &'c S3Client,
    key: &'c Key,
    usual: Manner,
    current: Manner,
    plainer: Vec<Manner>,
    trial: Trial,
    unknown: Option<Failure>,
}

impl S3Client {
    /// Returns the sequence that starts with `usual`, for a request about the object at `key`.
    pub(crate) fn manners<'c>(&'c self, key: &'c Key, usual: Manner) -> Manners<'c> {
        let mut plainer = self.plainer(usual);
        plainer.reverse();
        Manners { client: self, key, usual, current: usual, plainer, trial: Trial::new(), unknown: None }
    }
}

impl Manners<'_> {
    /// Returns the features to use now.
    pub(crate) fn current(&self) -> Manner {
        self.current
    }

    /// Evaluates the result of a request. Returns `None` if the request must be sent again: unchanged, or with fewer
    /// features. If the server refuses all of them, the first failure is returned.
    pub(crate) async fn judge<T>(&mut self, asked: Result<T, Failure>) -> Option<Result<T, Failure>> {
        match asked {
            Err(failure) if is_unknown(&failure) => {
                if self.current == self.usual && self.is_repeated(&failure).await {
                    return None;
                }
                let first = self.unknown.take().unwrap_or(failure);
                let Some(plainer) = self.plainer.pop() else { return Some(Err(first)) };
                self.unknown = Some(first);
                self.current = plainer;
                None
            }
            Err(failure) => Some(Err(failure)),
            Ok(value) => {
                self.client.learn(self.key, self.usual, self.current, self.trial.evidence(self.key.as_str()));
                Some(Ok(value))
            }
        }
    }

    async fn is_repeated(&mut self, failure: &Failure) -> bool {
        !self.plainer.is_empty() && self.trial.repeats(failure, self.client.config().longest_pause).await
    }
}
