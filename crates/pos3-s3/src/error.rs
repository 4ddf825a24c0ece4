//! The failures of requests and their meaning for the caller.
//!
//! A server reports the reason of a refusal in the `<Code>` of its response. Decisions use only this code and the HTTP
//! status, never the message text: a key named `SlowDown` must not look like an overloaded server.

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use object_store::client::{HttpError, HttpErrorKind};
use pos3_core::{ErrorKind, Key, Reach, StoreError, printable, without_userinfo};

use crate::client::config::SlowestAnswer;
use crate::client::time::parse_http_date;
use crate::client::uri::Endpoint;
use crate::client::xml::{self, XmlError};

/// Why one attempt of a request failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused the request.
    Refused(Box<Refusal>),
    /// No complete response arrived. The server may have executed the request.
    Transport(HttpError),
    /// There was no progress for this time. The server may have executed the request.
    Stalled(Duration),
    /// The response was slower than the minimum transfer rate. The server may have executed the request.
    Slow(SlowestAnswer),
    /// A response arrived that cannot be trusted. The server may have executed the request.
    Garbled(String),
    /// A complete response arrived, but it contradicts the request or itself. A retry would return the same.
    Contradictory(String),
    /// The object is not the expected one.
    Changed,
    /// There are no credentials.
    Credentials(object_store::Error),
    /// The request cannot be expressed in HTTP.
    Request(String),
    /// No object can have this many bytes.
    TooLarge(u64),
    /// The content to be sent could not be read. Its own store has already retried this.
    Source(StoreError),
}

impl Failure {
    /// Returns true if the same request may succeed when it is sent again.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_temporary(),
            // A limit of this machine does not change while the request waits.
            Self::Transport(error) if exhausted(error).is_some() => false,
            Self::Transport(error) => !matches!(error.kind(), HttpErrorKind::Decode | HttpErrorKind::Unknown),
            Self::Stalled(_) | Self::Slow(_) | Self::Garbled(_) => true,
            Self::Contradictory(_)
            | Self::Changed
            | Self::Credentials(_)
            | Self::Request(_)
            | Self::TooLarge(_)
            | Self::Source(_) => false,
        }
    }

    /// Returns this failure as a permanent one. The caller then checks whether the request was executed.
    pub(crate) fn without_repeats(self) -> Self {
        match self {
            Self::Garbled(why) => Self::Contradictory(why),
            other => other,
        }
    }

    /// Returns true if a complete response arrived that does not show whether the request was executed.
    pub(crate) fn tells_nothing(&self) -> bool {
        matches!(self, Self::Contradictory(_))
    }

    /// Returns true if the server computed another digest than the request contained.
    pub(crate) fn is_wrong_digest(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == "BadDigest")
    }

    /// Returns true if the server requested a lower rate of requests.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.kind() == ErrorKind::Throttled)
    }

    /// Returns true if the connection was refused or broken.
    pub(crate) fn is_cut_off(&self) -> bool {
        use HttpErrorKind::{Connect, Interrupted, Request};
        matches!(self, Self::Transport(error) if matches!(error.kind(), Connect | Request | Interrupted))
    }

    /// Returns true if there are no credentials, or only expired ones. Their source may have new ones later.
    pub(crate) fn needs_new_credentials(&self) -> bool {
        matches!(self, Self::Credentials(_)) || self.refusal().is_some_and(Refusal::is_expired)
    }

    /// Returns true if the server may have executed the request although no response shows it.
    pub(crate) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.status.is_server_error(),
            Self::Transport(_) | Self::Stalled(_) | Self::Slow(_) | Self::Garbled(_) | Self::Contradictory(_) => true,
            Self::Changed | Self::Credentials(_) | Self::Request(_) | Self::TooLarge(_) | Self::Source(_) => false,
        }
    }

    /// Returns which other requests would fail for the same reason.
    fn reach(&self) -> Reach {
        match self {
            Self::Refused(refusal) => refusal.reach(),
            Self::Transport(_) | Self::Stalled(_) | Self::Slow(_) => Reach::Suspected,
            Self::Credentials(_) => Reach::Everything,
            Self::Source(error) => error.reach(),
            Self::Garbled(_) | Self::Contradictory(_) | Self::Changed | Self::Request(_) | Self::TooLarge(_) => {
                Reach::Key
            }
        }
    }

    /// Returns a copy of this failure, because one request may fail for many keys.
    pub(crate) fn repeat(&self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::Transport(error) => Self::Transport(HttpError::new(error.kind(), untyped(error))),
            Self::Stalled(idle) => Self::Stalled(*idle),
            Self::Slow(slowest) => Self::Slow(*slowest),
            Self::Garbled(why) => Self::Garbled(why.clone()),
            Self::Contradictory(why) => Self::Contradictory(why.clone()),
            Self::Changed => Self::Changed,
            Self::Credentials(error) => {
                let source = match error {
                    object_store::Error::Generic { source, .. } => source.to_string(),
                    other => other.to_string(),
                };
                Self::Credentials(object_store::Error::Generic { store: "S3", source: source.into() })
            }
            Self::Request(why) => Self::Request(why.clone()),
            Self::TooLarge(size) => Self::TooLarge(*size),
            Self::Source(error) => Self::Source(error.clone()),
        }
    }

    /// Returns the pause that the server requested.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused(refusal) = self { refusal.retry_after } else { None }
    }

    /// Returns the response if the server refused the request.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }

    /// Converts this failure to the store's error, which names the operation, the bucket and the server.
    pub(crate) fn during(
        self,
        operation: &'static str,
        key: Option<&Key>,
        bucket: &str,
        endpoint: &Endpoint,
    ) -> StoreError {
        let temporary = self.is_temporary();
        let kind = match &self {
            Self::Refused(refusal) => refusal.kind(),
            Self::Transport(cause) if exhausted(cause).is_some() => ErrorKind::Exhausted,
            Self::Transport(_) | Self::Stalled(_) | Self::Slow(_) => ErrorKind::Unavailable,
            Self::Garbled(_) | Self::Contradictory(_) => ErrorKind::Integrity,
            Self::Changed => ErrorKind::Precondition,
            Self::Credentials(_) => ErrorKind::Unauthenticated,
            Self::Request(_) => ErrorKind::Other,
            Self::TooLarge(_) => ErrorKind::Unsupported,
            Self::Source(error) => error.kind(),
        };
        let mut error = StoreError::new(kind, operation).with_reach(self.reach());
        if let Some(key) = key {
            error = error.with_key(key);
        }
        if temporary {
            error = error.temporary();
        }
        match self {
            Self::Refused(refusal) => match refusal.message(bucket) {
                Some(message) => error.with_message(message).with_source(*refusal),
                None => error.with_source(*refusal),
            },
            Self::Transport(cause) => {
                let what = match cause.kind() {
                    HttpErrorKind::Connect => "cannot connect to",
                    HttpErrorKind::Unknown => "there is no secure connection to",
                    _ => "no complete response from",
                };
                error.with_message(format!("{what} {endpoint}")).with_source(untyped(&cause))
            }
            Self::Slow(SlowestAnswer { bytes, within }) => {
                error.with_message(format!("received less than {bytes} bytes from {endpoint} in {within:?}"))
            }
            Self::Stalled(idle) => error.with_message(format!("received nothing from {endpoint} for {idle:?}")),
            Self::Garbled(why) | Self::Contradictory(why) | Self::Request(why) => error.with_message(why),
            Self::TooLarge(size) => {
                error.with_message(format!("it has {size} bytes, and an object has at most 10,000 parts of 5 GiB each"))
            }
            Self::Changed => error,
            Self::Source(own) => own,
            Self::Credentials(cause) => {
                let error = error.with_message("no credentials found");
                match cause {
                    // The text of the provider, without the error type that contains it.
                    object_store::Error::Generic { source, .. } => error.with_source(source),
                    other => error.with_source(other),
                }
            }
        }
    }
}

/// The error numbers for too many open files, of this process and of the machine. They are the same on every Unix.
const TOO_MANY_FILES: [i32; 2] = [24, 23];

/// Returns the error number of the system if a resource of this machine is exhausted.
fn exhausted(error: &HttpError) -> Option<i32> {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut codes = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()?.raw_os_error());
    codes.find(|code| TOO_MANY_FILES.contains(code))
}

/// Returns the failure of a transport without its layers and without the type that the client gave it.
fn untyped(error: &HttpError) -> std::io::Error {
    exhausted(error).map_or_else(|| std::io::Error::other(told(error)), std::io::Error::from_raw_os_error)
}

/// Returns the causes of a transport's failure in one line, without layers that only pass them on.
fn told(error: &HttpError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string);
    let told: Vec<String> = causes.filter(|cause| cause != "client error (Connect)").collect();
    if told.is_empty() { error.to_string() } else { told.join(": ") }
}

/// The message for a web page that was returned instead of an S3 document.
const WEB_PAGE: &str = "the server returned a web page instead of an S3 response: a proxy, the login page of a \
                        network, or a wrong endpoint";

impl Failure {
    /// Returns why a document cannot be parsed. A web page is not from an S3 server, so a retry would return it again.
    pub(crate) fn of_document(document: &[u8], error: XmlError) -> Self {
        Self::of_web_page(document).unwrap_or_else(|| error.into())
    }

    /// Returns the failure of a document that is a web page.
    pub(crate) fn of_web_page(document: &[u8]) -> Option<Self> {
        let begin = document.trim_ascii_start();
        let is_web_page = [&b"<!doctype html"[..], b"<html"]
            .iter()
            .any(|tag| begin.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag)));
        is_web_page.then(|| Self::Contradictory(WEB_PAGE.to_owned()))
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::Transport(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Source(error)
    }
}

impl From<XmlError> for Failure {
    fn from(error: XmlError) -> Self {
        Self::Garbled(error.to_string())
    }
}

impl From<http::Error> for Failure {
    fn from(error: http::Error) -> Self {
        Self::Request(format!("the request cannot be made: {error}"))
    }
}

impl From<http::header::InvalidHeaderValue> for Failure {
    fn from(_: http::header::InvalidHeaderValue) -> Self {
        Self::Request("a header cannot be made: the value has characters that HTTP does not allow".to_owned())
    }
}

/// A response that is not a success.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The code of S3, such as `NoSuchKey`. It is empty if the response has none, as for HEAD.
    pub(crate) code: String,
    message: String,
    request_id: String,
    region: String,
    /// The server that a redirect leads to.
    elsewhere: Option<String>,
    /// The source of the credentials that have expired.
    credentials: Option<String>,
    /// The region that the server named before, to which this request was sent and refused.
    followed: Option<String>,
    retry_after: Option<Duration>,
    /// The time of the server when it refused the request.
    date: Option<SystemTime>,
}

impl Refusal {
    /// Parses the response. Without a readable `<Error>`, the status remains.
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let [code, message, mut request_id, mut region] =
            xml::children(body, "Error", ["Code", "Message", "RequestId", "Region"]).unwrap_or_default();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if request_id.is_empty() {
            header("x-amz-request-id").clone_into(&mut request_id);
        }
        if region.is_empty() {
            header("x-amz-bucket-region").clone_into(&mut region);
        }
        let elsewhere = server_of(header("location")).filter(|_| status.is_redirection());
        let retry_after = header("retry-after").parse().ok().map(Duration::from_secs);
        let date = parse_http_date(header("date"));
        Self {
            status,
            code,
            message,
            request_id,
            region,
            elsewhere,
            credentials: None,
            followed: None,
            retry_after,
            date,
        }
    }

    /// Returns the refusal of one key in a response that was otherwise a success.
    pub(crate) fn of_key(code: String, message: String) -> Self {
        Self { code, message, ..Self::new(StatusCode::OK, &HeaderMap::new(), b"") }
    }

    /// Returns true if a condition on the object failed. Directory buckets of Amazon put the status into the code.
    pub(crate) fn is_failed_condition(&self) -> bool {
        self.code == "PreconditionFailed"
            || self.code.starts_with("412")
            || self.status == StatusCode::PRECONDITION_FAILED
    }

    /// Returns true if there is no object at the key.
    pub(crate) fn is_missing_key(&self) -> bool {
        self.kind() == ErrorKind::NotFound && self.code != "NoSuchBucket"
    }

    /// Returns the server's time if the time of the request may be why it was refused. A response to HEAD has no code.
    pub(crate) fn time_of_server(&self) -> Option<SystemTime> {
        let by_code = matches!(self.code.as_str(), "RequestTimeTooSkewed" | "RequestExpired");
        let untold = self.code.is_empty() && self.status == StatusCode::FORBIDDEN;
        self.date.filter(|_| by_code || untold)
    }

    /// Returns the region of the bucket if it is the reason of the refusal.
    pub(crate) fn region(&self) -> Option<&str> {
        let plain = self.region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (plain && !self.region.is_empty() && self.may_be_about_region()).then_some(&self.region)
    }

    /// Returns true if the region may be the reason although the refusal does not state it.
    pub(crate) fn is_mute_about_region(&self) -> bool {
        self.code.is_empty() && self.region.is_empty() && self.may_be_about_region()
    }

    fn may_be_about_region(&self) -> bool {
        matches!(self.status.as_u16(), 301 | 307 | 400)
    }

    /// Adds the source of the credentials if they are the reason of the refusal.
    pub(crate) fn with_credentials_of(mut self, place: impl FnOnce() -> Option<String>) -> Self {
        if self.is_expired() {
            self.credentials = place();
        }
        self
    }

    /// Records that the request was sent to the region that the server had named.
    pub(crate) fn in_named_region(mut self, region: &str) -> Self {
        if self.region().is_some() || self.status.is_redirection() {
            self.followed = Some(region.to_owned());
        }
        self
    }

    pub(crate) fn is_temporary(&self) -> bool {
        match self.code.as_str() {
            "RequestTimeout" | "InternalError" | "OperationAborted" | "ConditionalRequestConflict" => true,
            "NotImplemented" => false,
            _ if self.kind() == ErrorKind::Throttled => true,
            // The body was damaged in transit. It is intact when it is sent again.
            "BadDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody" => true,
            _ => matches!(self.status.as_u16(), 408 | 500 | 502..=504),
        }
    }

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

    /// Returns which other requests would fail for the same reason. A wrong signature may affect only one unusual key,
    /// and access may be denied to some keys. A missing bucket or invalid credentials affect all of them.
    fn reach(&self) -> Reach {
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
        match self.status.as_u16() {
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

    /// Returns true if the credentials have expired.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self.code.as_str(), "ExpiredToken" | "TokenRefreshRequired")
    }

    /// Returns a specific message if that of the kind is too general.
    fn message(&self, bucket: &str) -> Option<String> {
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
            _ if !self.region.is_empty() && self.may_be_about_region() => {
                format!("bucket '{bucket}' is in region '{}'", self.region)
            }
            _ if matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308) => {
                let there = self.elsewhere.as_ref().map(|server| format!(": the server redirects to {server}"));
                format!("bucket '{bucket}' is in another region or at another endpoint{}", there.unwrap_or_default())
            }
            _ if self.status.as_u16() == 416 => "the range lies outside the content".to_owned(),
            _ if self.status.is_client_error() && self.kind() == ErrorKind::Other => {
                "the server refused the request".to_owned()
            }
            _ => return None,
        })
    }
}

/// Returns the server of a URL without its path, which may contain a signature.
fn server_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(without_userinfo(&format!("{}://{}", uri.scheme()?, uri.authority()?)).into_owned())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http {}", self.status.as_u16())?;
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

    #[test]
    fn messages_name_what_a_user_can_change() {
        let endpoint = Endpoint::parse("https://h:1").unwrap();
        let error = Failure::Refused(Box::new(refusal(404, "NoSuchBucket"))).during("list", None, "b1", &endpoint);
        assert_eq!(error.cause(), "bucket 'b1' does not exist: http 404 NoSuchBucket m (request id r1)");

        let mut headers = HeaderMap::new();
        headers.insert("x-amz-bucket-region", "eu-west-1".parse().unwrap());
        let moved = Refusal::new(StatusCode::MOVED_PERMANENTLY, &headers, b"");
        let error = Failure::Refused(Box::new(moved)).during("list", None, "b1", &endpoint);
        assert_eq!(error.to_string(), "cannot list: bucket 'b1' is in region 'eu-west-1'");

        for status in [301, 302, 303, 307, 308] {
            let mut headers = HeaderMap::new();
            headers.insert("location", "https://u:hush@other.example/b1?X-Amz-Signature=hush".parse().unwrap());
            let moved = Refusal::new(StatusCode::from_u16(status).unwrap(), &headers, b"");
            let error = Failure::Refused(Box::new(moved)).during("list", None, "b1", &endpoint);
            let expected = "bucket 'b1' is in another region or at another endpoint: the server redirects to \
                            https://***@other.example: http ";
            assert_eq!(error.cause(), format!("{expected}{status}"));
        }
    }

    #[test]
    fn a_failure_of_the_transport_names_the_server() {
        let endpoint = Endpoint::parse("https://h:1").unwrap();
        for (kind, expected) in [
            (HttpErrorKind::Connect, "cannot connect to https://h:1: refused"),
            (HttpErrorKind::Unknown, "there is no secure connection to https://h:1: refused"),
            (HttpErrorKind::Request, "no complete response from https://h:1: refused"),
        ] {
            let failure = Failure::Transport(HttpError::new(kind, std::io::Error::other("refused")));
            assert_eq!(failure.repeat().during("list", None, "b1", &endpoint).cause(), expected);
            assert_eq!(failure.during("list", None, "b1", &endpoint).cause(), expected);
        }
    }

    #[test]
    fn too_many_open_files_are_not_the_servers_fault() {
        let endpoint = Endpoint::parse("https://h:1").unwrap();
        let cause = std::io::Error::from_raw_os_error(TOO_MANY_FILES[0]);
        let failure = Failure::Transport(HttpError::new(HttpErrorKind::Connect, cause));
        for failure in [failure.repeat(), failure] {
            let error = failure.during("list", None, "b1", &endpoint);
            assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Exhausted, false));
            assert!(error.cause().starts_with("cannot connect to https://h:1: "), "{}", error.cause());
        }
    }

    #[test]
    fn retry_after_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, &headers, b"not xml");
        assert_eq!(Failure::Refused(Box::new(refusal)).retry_after(), Some(Duration::from_secs(7)));
    }
}
