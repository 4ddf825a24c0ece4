//! The meaning of a refusal: the kind of error, whether to retry, and the words for users.

use pos3_core::{ErrorKind, Reach};

use super::Refusal;

impl Refusal {
    /// Returns true if the same request may succeed when sent again.
    pub(crate) fn is_temporary(&self) -> bool {
        match self.code.as_str() {
            "RequestTimeout" | "InternalError" | "OperationAborted" | "ConditionalRequestConflict" => true,
            "NotImplemented" => false,
            _ if self.kind() == ErrorKind::Throttled => true,
            // The body was damaged in transit, and is sent again from its source.
            "BadDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody" => true,
            _ => matches!(self.status(), 408 | 500 | 502..=504),
        }
    }

    /// Returns the kind of error.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.code.as_str() {
            "NoSuchKey" | "NoSuchBucket" | "NoSuchUpload" | "NoSuchVersion" => ErrorKind::NotFound,
            "PreconditionFailed" | "ConditionalRequestConflict" => ErrorKind::Precondition,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => ErrorKind::Denied,
            "InvalidObjectState" => ErrorKind::Archived,
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "RequestTimeTooSkewed"
            | "AuthorizationHeaderMalformed" => ErrorKind::Unauthenticated,
            "KeyTooLongError" | "KeyTooLong" | "InvalidURI" | "InvalidObjectName" | "XMinioInvalidObjectName" => {
                ErrorKind::InvalidKey
            }
            "NotImplemented" | "MethodNotAllowed" | "EntityTooLarge" => ErrorKind::Unsupported,
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "BandwidthLimitExceeded" => ErrorKind::Throttled,
            "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody" => ErrorKind::Integrity,
            "InternalError" | "ServiceUnavailable" | "RequestTimeout" | "OperationAborted" => ErrorKind::Unavailable,
            "QuotaExceeded" | "XMinioStorageFull" => ErrorKind::Exhausted,
            _ => self.kind_of_status(),
        }
    }

    /// Returns how many keys the refusal affects. A wrong signature may affect a single odd key, and access may be denied
    /// to some keys only. A missing bucket and invalid credentials affect every key.
    pub(super) fn reach(&self) -> Reach {
        match (self.code.as_str(), self.kind()) {
            (
                "NoSuchBucket"
                | "AllAccessDisabled"
                | "AccountProblem"
                | "InvalidAccessKeyId"
                | "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired",
                _,
            )
            | (_, ErrorKind::Exhausted) => Reach::Everything,
            (_, ErrorKind::Denied | ErrorKind::Unauthenticated | ErrorKind::Throttled | ErrorKind::Unavailable) => {
                Reach::Suspected
            }
            _ => Reach::Key,
        }
    }

    fn kind_of_status(&self) -> ErrorKind {
        match self.status() {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            405 | 501 => ErrorKind::Unsupported,
            408 | 500 | 502..=504 => ErrorKind::Unavailable,
            412 => ErrorKind::Precondition,
            429 => ErrorKind::Throttled,
            507 => ErrorKind::Exhausted,
            _ => ErrorKind::Other,
        }
    }

    /// Returns a message for users, if the one of the kind is not clear enough.
    pub(super) fn plainly(&self, bucket: &str) -> Option<String> {
        Some(match self.code.as_str() {
            "NoSuchBucket" => format!("bucket '{bucket}' does not exist"),
            "InvalidAccessKeyId" => "the server does not know this access key".to_owned(),
            "SignatureDoesNotMatch" => "the secret key does not match the access key".to_owned(),
            "ExpiredToken" | "TokenRefreshRequired" => {
                let place = self.credentials.as_ref().map(|place| format!("; they came from {place}"));
                format!("the credentials have expired{}", place.unwrap_or_default())
            }
            "InvalidToken" => "the session token is not valid".to_owned(),
            "RequestTimeTooSkewed" => "this machine's clock differs too much from the server's".to_owned(),
            "InvalidObjectState" => "it is archived and must be restored first".to_owned(),
            "KeyTooLongError" | "KeyTooLong" => "the key is longer than the server allows".to_owned(),
            "InvalidRange" => "the range lies outside the content".to_owned(),
            _ if let Some(followed) = &self.followed => {
                let now = self.region().filter(|now| now != followed);
                let now = now.map(|now| format!(", and now names '{now}'")).unwrap_or_default();
                format!(
                    "the server named region '{followed}' for bucket '{bucket}' and refused it there{now}: it must be in \
                     another region or at another endpoint"
                )
            }
            _ if !self.named_region.is_empty() && self.may_be_about_region() => {
                format!("bucket '{bucket}' is in region '{}'", self.named_region)
            }
            _ if matches!(self.status(), 301..=303 | 307 | 308) => {
                let there = self.redirect.as_ref().map(|server| format!(": the server redirects to {server}"));
                format!("bucket '{bucket}' is in another region or at another endpoint{}", there.unwrap_or_default())
            }
            _ if self.status() == 416 => "the range lies outside the content".to_owned(),
            _ if self.status.is_client_error() && self.kind() == ErrorKind::Other => {
                "the server refused the request".to_owned()
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn refusal(status: u16, code: &str) -> Refusal {
        let body = format!("<Error><Code>{code}</Code><Message>m</Message><RequestId>r1</RequestId></Error>");
        Refusal::new(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn codes_and_statuses_have_their_kinds() {
        for (status, code, kind, temporary) in [
            (404, "NoSuchKey", ErrorKind::NotFound, false),
            (404, "", ErrorKind::NotFound, false),
            (404, "NoSuchBucket", ErrorKind::NotFound, false),
            (403, "AccessDenied", ErrorKind::Denied, false),
            (403, "", ErrorKind::Denied, false),
            (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated, false),
            (403, "RequestTimeTooSkewed", ErrorKind::Unauthenticated, false),
            (400, "ExpiredToken", ErrorKind::Unauthenticated, false),
            (400, "RequestTimeout", ErrorKind::Unavailable, true),
            (400, "KeyTooLongError", ErrorKind::InvalidKey, false),
            (412, "PreconditionFailed", ErrorKind::Precondition, false),
            (409, "ConditionalRequestConflict", ErrorKind::Precondition, true),
            (429, "", ErrorKind::Throttled, true),
            (503, "SlowDown", ErrorKind::Throttled, true),
            (200, "SlowDown", ErrorKind::Throttled, true),
            (200, "InternalError", ErrorKind::Unavailable, true),
            (500, "", ErrorKind::Unavailable, true),
            (502, "", ErrorKind::Unavailable, true),
            (504, "", ErrorKind::Unavailable, true),
            (501, "NotImplemented", ErrorKind::Unsupported, false),
            (400, "BadDigest", ErrorKind::Integrity, true),
            (400, "MalformedXML", ErrorKind::Other, false),
        ] {
            let refusal = refusal(status, code);
            assert_eq!((refusal.kind(), refusal.is_temporary()), (kind, temporary), "{status} {code}");
        }
    }

    #[test]
    fn a_code_in_free_text_is_no_code() {
        let body = b"<Error><Code>NoSuchKey</Code><Key>logs/SlowDown</Key><Message>SlowDown</Message></Error>";
        assert_eq!(Refusal::new(StatusCode::NOT_FOUND, &HeaderMap::new(), body).kind(), ErrorKind::NotFound);
    }
}
