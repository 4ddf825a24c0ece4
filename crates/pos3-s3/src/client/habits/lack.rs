//! Decides when a server is treated as one that lacks a feature.
//!
//! A refusal without an S3 error code may come from a proxy, and a code such as `InvalidRequest` may have another reason
//! than the feature. If one such refusal ended the use of conditions or checksums, the rest of the run would be
//! unprotected because of a brief fault.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pos3_core::Key;
use tokio::time::sleep;

use crate::error::{Failure, Refusal};

/// The number of times that a request is sent again unchanged after a refusal without an S3 error code.
const REPEATS_WITHOUT_CODE: u32 = 2;

/// The same after the refusal of a condition: another client may have changed the object and restored it.
const REPEATS_OF_CONDITION: u32 = 1;

/// The pause before the first of these requests. The next pause is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// One feature that a server may lack.
#[derive(Debug, Default)]
pub(crate) struct Lack {
    is_known: AtomicBool,
    /// A request with the feature has succeeded.
    is_refuted: AtomicBool,
    /// Set when a request succeeded without the feature after it was refused with it, and none has succeeded with it
    /// since.
    suspected: Mutex<Option<Suspicion>>,
}

/// The first evidence that a server lacks a feature.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    /// When the request succeeded without the feature.
    since: Instant,
    object: u64,
}

/// The change that a piece of evidence makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    None,
    /// For the first time, a request succeeded only without the feature.
    Suspected,
    /// The server is now known to lack the feature.
    Known,
}

impl Lack {
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// Returns true if a request with the feature has ever succeeded.
    pub(crate) fn is_refuted(&self) -> bool {
        self.is_refuted.load(Ordering::Relaxed)
    }

    /// Records that a request with the feature succeeded, which refutes an earlier suspicion.
    pub(crate) fn refute(&self) {
        self.is_refuted.store(true, Ordering::Relaxed);
        *self.suspected.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that a request was refused with the feature and succeeded without it.
    ///
    /// If the refusal does not name the feature, two such requests about different objects are needed, and the second
    /// one must begin after the first one has succeeded. So neither one object whose requests are refused nor a fault
    /// that hits many requests at once is sufficient.
    pub(crate) fn record(&self, evidence: Evidence) -> News {
        let mut suspected = self.suspected.lock().unwrap_or_else(PoisonError::into_inner);
        let is_second = |first: Suspicion| evidence.begun >= first.since && evidence.object != first.object;
        let is_sufficient = evidence.names_feature || suspected.is_some_and(is_second);
        if is_sufficient {
            return if self.is_known.swap(true, Ordering::Relaxed) { News::None } else { News::Known };
        }
        if suspected.is_some() {
            return News::None;
        }
        *suspected = Some(Suspicion { since: Instant::now(), object: evidence.object });
        News::Suspected
    }
}

/// The evidence that a server lacks a feature: the refusal of a request that succeeded without it, or a response or an
/// object that contradicts the feature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// When the request was first sent.
    begun: Instant,
    names_feature: bool,
    /// Identifies the object of the request.
    object: u64,
}

impl Evidence {
    /// Returns evidence in the state of one object, or in a response about it.
    pub(crate) fn of(key: &Key) -> Self {
        Self { begun: Instant::now(), names_feature: false, object: identity(key.as_str()) }
    }

    /// Returns true if the server stated that it does not support the feature.
    pub(crate) fn names_feature(&self) -> bool {
        self.names_feature
    }
}

fn identity(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// A request with a feature that the server may lack.
#[derive(Debug)]
pub(crate) struct Trial {
    begun: Instant,
    names_feature: bool,
    repeats: u32,
}

impl Trial {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), names_feature: false, repeats: 0 }
    }

    /// Records a refusal. Returns true, after a pause, if the request must be sent again unchanged, because the next
    /// response may be another one.
    pub(crate) async fn repeats(&mut self, failure: &Failure, longest_pause: Duration) -> bool {
        let Some(refusal) = failure.refusal() else { return false };
        self.names_feature = names_feature(refusal);
        if self.repeats >= most_repeats(refusal) {
            return false;
        }
        self.repeats += 1;
        sleep((PAUSE * self.repeats).min(longest_pause)).await;
        true
    }

    /// Returns the evidence of the last refusal, for a request about the object at `key`.
    pub(crate) fn evidence(&self, key: &str) -> Evidence {
        Evidence { begun: self.begun, names_feature: self.names_feature, object: identity(key) }
    }
}

/// Returns true if the code of a refusal means that the server does not support the request. Another code, such as
/// `InvalidRequest`, may have another reason.
fn names_feature(refusal: &Refusal) -> bool {
    matches!(refusal.code.as_str(), "NotImplemented" | "MethodNotAllowed")
}

fn most_repeats(refusal: &Refusal) -> u32 {
    match (refusal.code.as_str(), refusal.status.as_u16()) {
        ("", 400 | 403 | 404 | 405 | 501) => REPEATS_WITHOUT_CODE,
        _ if refusal.is_failed_condition() => REPEATS_OF_CONDITION,
        _ => 0,
    }
}

/// Returns true if the server may have refused the request because of a header that it does not support.
pub(crate) fn is_unknown(failure: &Failure) -> bool {
    failure.refusal().is_some_and(|refusal| {
        let unknown = ["NotImplemented", "InvalidRequest", "InvalidArgument", "MethodNotAllowed"];
        unknown.contains(&refusal.code.as_str())
            || (refusal.code.is_empty() && matches!(refusal.status.as_u16(), 400 | 405 | 501))
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn refused(status: u16, code: &str) -> Failure {
        let body = if code.is_empty() { String::new() } else { format!("<Error><Code>{code}</Code></Error>") };
        let status = StatusCode::from_u16(status).unwrap();
        Failure::Refused(Box::new(Refusal::new(status, &HeaderMap::new(), body.as_bytes())))
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_code_that_names_the_feature_is_sufficient_alone() {
        for (status, code, repeats, is_sufficient) in [
            (501, "NotImplemented", 0, true),
            (405, "MethodNotAllowed", 0, true),
            (400, "InvalidRequest", 0, false),
            (400, "InvalidArgument", 0, false),
            (403, "AccessDenied", 0, false),
            (412, "PreconditionFailed", 1, false),
            (400, "", 2, false),
            (403, "", 2, false),
            (405, "", 2, false),
            (501, "", 2, false),
            (502, "", 0, false),
        ] {
            let (mut trial, mut repeated) = (Trial::new(), 0);
            while trial.repeats(&refused(status, code), Duration::from_secs(1)).await {
                repeated += 1;
            }
            let lack = Lack::default();
            let news = lack.record(trial.evidence("k"));
            assert_eq!((repeated, lack.is_known()), (repeats, is_sufficient), "{status} {code}");
            assert_eq!(news, if is_sufficient { News::Known } else { News::Suspected }, "{status} {code}");
        }
    }

    #[test]
    fn a_lack_is_known_after_two_requests_one_after_the_other_without_a_success_between() {
        let lack = Lack::default();
        let (first, at_once) = (Trial::new().evidence("a"), Trial::new().evidence("b"));
        assert_eq!(lack.record(first), News::Suspected);
        assert_eq!((lack.record(at_once), lack.is_known(), lack.is_refuted()), (News::None, false, false));

        lack.refute();
        assert!(lack.is_refuted());
        assert_eq!(lack.record(Trial::new().evidence("a")), News::Suspected);
        assert_eq!((lack.record(Trial::new().evidence("b")), lack.is_known()), (News::Known, true));
        assert_eq!(lack.record(Trial::new().evidence("c")), News::None);
    }

    #[test]
    fn one_object_is_no_evidence_about_the_server_however_often_it_is_refused() {
        let lack = Lack::default();
        assert_eq!(lack.record(Trial::new().evidence("a")), News::Suspected);
        for _ in 0..10 {
            assert_eq!((lack.record(Trial::new().evidence("a")), lack.is_known()), (News::None, false));
        }
        assert_eq!(lack.record(Trial::new().evidence("b")), News::Known);
    }
}
