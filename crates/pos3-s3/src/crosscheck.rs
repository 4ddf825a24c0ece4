//! Compares the result of a HEAD request with a listing of exactly that key.
//!
//! A cache in front of the server may answer HEAD requests with an old state of the object, however often it is asked.
//! Without the comparison, another writer's newer object would look unchanged or absent, and it would be overwritten or
//! deleted. Caches do not store listings, and each of these listings has an address of its own.

use pos3_core::{CONTRADICTED, Entry, ErrorKind, Key, Operation, Result, Seen, StoreError};

use crate::bucket::Bucket;
use crate::error::Failure;

/// The result of the comparison.
#[derive(Debug)]
pub(crate) enum CrossCheck {
    /// The listing shows the same state.
    Confirmed,
    /// The listing shows another state: this object, or none.
    Contradicted(Option<Entry>),
    /// The server refused the listing. Usually the credentials do not permit it.
    Refused(Failure),
}

impl Bucket {
    /// Compares what a HEAD request found at a key, or that it found nothing, with a listing.
    ///
    /// # Errors
    ///
    /// Fails if the listing fails without a refusal of the server, so that a later one may succeed.
    pub(crate) async fn cross_check(&self, key: &Key, found: Option<&Entry>) -> Result<CrossCheck, Failure> {
        match self.listed(key).await {
            Ok(listed) if is_same(found, listed.as_ref()) => Ok(CrossCheck::Confirmed),
            Ok(listed) => Ok(CrossCheck::Contradicted(listed)),
            Err(failure) if is_refused(&failure) => Ok(CrossCheck::Refused(failure)),
            Err(failure) => Err(failure),
        }
    }

    /// Returns the entry of an object, if a listing shows the same state or is denied.
    pub(crate) async fn head_confirmed(&self, key: &Key) -> Result<Entry> {
        let found = self.head(key).await;
        let known = match &found {
            Ok(entry) => Some(entry),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => return found,
        };
        match self.cross_check(key, known).await {
            Ok(CrossCheck::Confirmed | CrossCheck::Refused(_)) => found,
            // Some servers list no ETags.
            Ok(CrossCheck::Contradicted(Some(listed)))
                if listed.fingerprint.is_none() && known.is_some_and(|entry| Seen::of(&listed).is(entry)) =>
            {
                found
            }
            Ok(CrossCheck::Contradicted(_)) => {
                let error = StoreError::new(ErrorKind::Precondition, Operation::LookUp).with_key(key);
                let error = error.with_code(CONTRADICTED);
                Err(error.with_message("HEAD and a listing differ: a cache may answer with an old state of the object"))
            }
            Err(failure) => Err(self.error(Operation::LookUp, key, failure)),
        }
    }

    /// Returns true if a listing shows what a HEAD request found at a key, or that there is nothing.
    pub(crate) async fn is_confirmed(&self, key: &Key, found: Option<&Entry>) -> bool {
        matches!(self.cross_check(key, found).await, Ok(CrossCheck::Confirmed))
    }
}

fn is_same(found: Option<&Entry>, listed: Option<&Entry>) -> bool {
    match (found, listed) {
        (Some(found), Some(listed)) => Seen::of(found).is(listed),
        (None, None) => true,
        _ => false,
    }
}

/// Returns true if the server itself states why it does not list the key. A refusal without a code may come from a proxy.
fn is_refused(failure: &Failure) -> bool {
    failure.refusal().is_some_and(|refusal| !refusal.code.is_empty() && !refusal.is_temporary())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, StatusCode};
    use pos3_core::Fingerprint;

    use super::*;
    use crate::error::Refusal;

    #[test]
    fn a_listing_confirms_a_lookup_only_if_etag_size_and_time_are_the_same() {
        let object = |etag: &str, size, seconds| {
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            Entry::file("k", size).with_fingerprint(Fingerprint::from(etag)).with_modified(modified)
        };
        let found = object("a", 1, 100);
        for (listed, expected) in [
            (Some(object("a", 1, 100)), true),
            (Some(object("b", 1, 100)), false),
            (Some(object("a", 2, 100)), false),
            (Some(object("a", 1, 160)), false),
            (None, false),
        ] {
            assert_eq!(is_same(Some(&found), listed.as_ref()), expected, "{listed:?}");
            assert_eq!(is_same(None, listed.as_ref()), listed.is_none(), "{listed:?}");
        }
    }

    #[test]
    fn only_the_server_itself_refuses_a_listing() {
        for (status, code, expected) in
            [(403, "AccessDenied", true), (403, "", false), (503, "SlowDown", false), (400, "InvalidRequest", true)]
        {
            let body = if code.is_empty() { String::new() } else { format!("<Error><Code>{code}</Code></Error>") };
            let refusal = Refusal::new(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes());
            assert_eq!(is_refused(&Failure::Refused(Box::new(refusal))), expected, "{status} {code}");
        }
    }
}
