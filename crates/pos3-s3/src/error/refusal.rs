//! A server's response that is not a success.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use pos3_core::{ErrorKind, printable, without_userinfo};

use super::Failure;
use crate::operation::S3Operation;
use crate::time::parse_http_date;
use crate::xml;

/// The response of a server that refused a request. It is a cause of a [`StoreError`](pos3_core::StoreError).
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(crate) status: StatusCode,
    /// S3's code, such as `NoSuchKey`. It is empty if the response has none, as for a HEAD request.
    pub(crate) code: String,
    message: String,
    request_id: String,
    /// The region that the response names.
    pub(super) named_region: String,
    /// The server that a redirect names.
    pub(super) redirect: Option<String>,
    /// Where the expired credentials came from.
    pub(super) credentials: Option<String>,
    /// The region that an earlier response named, and where this request was sent.
    pub(super) followed: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// The server's time when it refused the request.
    date: Option<SystemTime>,
}

impl Refusal {
    /// Reads a response. Without a readable `<Error>`, only the status is known.
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let [code, message, mut request_id, mut named_region] =
            xml::children(body, "Error", ["Code", "Message", "RequestId", "Region"]).unwrap_or_default();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if request_id.is_empty() {
            header("x-amz-request-id").clone_into(&mut request_id);
        }
        if named_region.is_empty() {
            header("x-amz-bucket-region").clone_into(&mut named_region);
        }
        Self {
            status,
            code,
            message,
            request_id,
            named_region,
            redirect: server_of(header("location")).filter(|_| status.is_redirection()),
            credentials: None,
            followed: None,
            retry_after: header("retry-after").parse().ok().map(Duration::from_secs),
            date: parse_http_date(header("date")),
        }
    }

    /// Returns the refusal of one key in a response that is otherwise a success.
    pub(crate) fn of_key(code: String, message: String) -> Self {
        Self { code, message, ..Self::new(StatusCode::OK, &HeaderMap::new(), b"") }
    }

    /// Returns S3's code, such as `NoSuchKey`. It is empty if the response has none, as for a HEAD request.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Returns the region of the bucket, if the server refused the request because it was sent to another one.
    pub fn region(&self) -> Option<&str> {
        let is_plain = is_plain_region(&self.named_region);
        (is_plain && self.may_be_about_region()).then_some(&self.named_region)
    }

    /// Returns the region for which the server expected the request to be signed, if its message names one.
    pub fn expected_region(&self) -> Option<&str> {
        // Some servers name the region only in the text of this one code.
        let text = (self.code == "AuthorizationHeaderMalformed").then_some(&self.message)?;
        let (region, _) = text.split_once("expecting '")?.1.split_once('\'')?;
        is_plain_region(region).then_some(region)
    }

    /// Returns true if the bucket is in another region or at another endpoint, and the server does not name it or has
    /// named a wrong one.
    pub fn is_elsewhere(&self) -> bool {
        self.followed.is_some() || (self.region().is_none() && matches!(self.status(), 301..=303 | 307 | 308))
    }

    /// Returns where the credentials came from, if they have expired and their source is known.
    pub fn credentials_from(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    /// Returns true if the condition of the request does not hold. Directory buckets of Amazon put the status into the
    /// code.
    pub fn is_failed_condition(&self) -> bool {
        self.code == "PreconditionFailed"
            || self.code.starts_with("412")
            || self.status == StatusCode::PRECONDITION_FAILED
    }

    /// Returns true if the server may have refused a write because its condition does not hold.
    pub(crate) fn is_about_condition(&self) -> bool {
        self.is_failed_condition() || self.is_missing_key()
    }

    /// Returns the failure of a request that was refused.
    ///
    /// If a write or delete is refused with a status about its target, but without S3's code, the response may come from
    /// a proxy. So it does not show that the target is missing or has changed. The caller of a DeleteObject with status
    /// 404 looks up the object.
    pub(crate) fn of(self, operation: S3Operation) -> Failure {
        let is_read = matches!(operation.method(), Method::GET | Method::HEAD);
        let is_looked_up = operation == S3Operation::DeleteObject && self.is_missing_key();
        if is_read || is_looked_up || !self.code.is_empty() || !matches!(self.status(), 404 | 409 | 412) {
            return Failure::Refused(Box::new(self));
        }
        let status = self.status();
        Failure::Garbled(format!("the response has status {status} and no S3 error code, so it may come from a proxy"))
    }

    /// Returns true if there is no object at the key.
    pub(crate) fn is_missing_key(&self) -> bool {
        self.kind() == ErrorKind::NotFound && !matches!(self.code.as_str(), "NoSuchBucket" | "NoSuchUpload")
    }

    /// Returns true if the credentials have expired, so that other ones may be accepted.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self.code.as_str(), "ExpiredToken" | "TokenRefreshRequired")
    }

    /// Returns the server's time if the time of the request may be the reason. A response to HEAD has no code.
    pub(crate) fn time_of_server(&self) -> Option<SystemTime> {
        let by_code = matches!(self.code.as_str(), "RequestTimeTooSkewed" | "RequestExpired");
        let without_code = self.code.is_empty() && self.status == StatusCode::FORBIDDEN;
        self.date.filter(|_| by_code || without_code)
    }

    /// Returns true if the response states no reason, neither by its code nor by the region of the bucket. `signed_for`
    /// is the region that the request was signed for. Some servers respond with status 400 to expired credentials.
    pub(crate) fn is_without_reason(&self, signed_for: &str) -> bool {
        self.code.is_empty()
            && match self.status() {
                403 => true,
                400 => self.named_region.is_empty() || self.named_region == signed_for,
                _ => self.named_region.is_empty() && self.may_be_about_region(),
            }
    }

    /// Returns true if this refusal of a GET has the reason for which a HEAD of the same object was refused. Only a GET
    /// fails because an object is archived.
    pub(crate) fn explains(&self, head: &Self) -> bool {
        let is_like = self.status == head.status && self.kind() != ErrorKind::Archived;
        is_like || self.kind() == ErrorKind::Unauthenticated
    }

    pub(super) fn may_be_about_region(&self) -> bool {
        matches!(self.status(), 301 | 307 | 400)
    }

    /// Returns this refusal with the source of the credentials, if they have expired.
    pub(crate) fn with_credentials_of(mut self, place: impl FnOnce() -> Option<String>) -> Self {
        if self.is_expired() {
            self.credentials = place();
        }
        self
    }

    /// Returns this refusal as that of a request which was sent to the region that the server had named.
    pub(crate) fn in_named_region(mut self, region: &str) -> Self {
        if self.region().is_some() || self.status.is_redirection() {
            self.followed = Some(region.to_owned());
        }
        self
    }
}

fn is_plain_region(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_plain)
}

/// Returns the server of a URL, without the path, which may contain a signature.
fn server_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(without_userinfo(&format!("{}://{}", uri.scheme()?, uri.authority()?)).into_owned())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http {}", self.status())?;
        for text in [&self.code, &self.message] {
            if !text.is_empty() {
                write!(f, " {}", printable(text))?;
            }
        }
        if self.request_id.is_empty() { Ok(()) } else { write!(f, " (request id {})", printable(&self.request_id)) }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_to_use_is_data() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-bucket-region", "eu-west-1".parse().unwrap());
        let moved = |status| Refusal::new(StatusCode::from_u16(status).unwrap(), &headers, b"");
        assert_eq!((moved(301).region(), moved(301).is_elsewhere()), (Some("eu-west-1"), false));
        assert_eq!(
            (moved(403).region(), moved(403).is_elsewhere()),
            (None, false),
            "it was refused for another reason"
        );
        let refused_there = moved(301).in_named_region("eu-west-1");
        assert!(refused_there.is_elsewhere());
        let unnamed = Refusal::new(StatusCode::MOVED_PERMANENTLY, &HeaderMap::new(), b"");
        assert_eq!((unnamed.region(), unnamed.is_elsewhere()), (None, true));

        let body = |code: &str| {
            format!("<Error><Code>{code}</Code><Message>is wrong; expecting 'eu-west-1'</Message></Error>")
        };
        for (code, expected) in [("AuthorizationHeaderMalformed", Some("eu-west-1")), ("AccessDenied", None)] {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, &HeaderMap::new(), body(code).as_bytes());
            assert_eq!(refusal.expected_region(), expected, "{code}");
        }
    }

    #[test]
    fn the_source_of_credentials_is_kept_only_if_they_have_expired() {
        for (code, expected) in [("ExpiredToken", Some("a file")), ("AccessDenied", None)] {
            let body = format!("<Error><Code>{code}</Code></Error>");
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes());
            let refusal = refusal.with_credentials_of(|| Some("a file".to_owned()));
            assert_eq!(refusal.credentials_from(), expected, "{code}");
        }
    }
}
