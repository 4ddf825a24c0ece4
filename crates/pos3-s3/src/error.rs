//! The reasons why a request fails.
//!
//! A server states the reason of a refusal in the `<Code>` of its response. Decisions depend on that code and on the HTTP
//! status, never on other text: a key named `SlowDown` must not look like an overloaded server.

mod meaning;
mod refusal;
mod store_error;
mod transport;
mod web_page;

use std::time::Duration;

use http::StatusCode;
use object_store::client::{HttpError, HttpErrorKind};
use pos3_core::{ErrorKind, StoreError};

use crate::settings::SlowestAnswer;
use crate::xml::XmlError;

pub use refusal::Refusal;
pub use transport::{TransportError, TransportErrorKind};
pub use web_page::WEB_PAGE;
pub(crate) use web_page::{is_html, is_web_page};

/// The reason why one attempt of a request failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused the request.
    Refused(Box<Refusal>),
    /// No complete response arrived. The server may have executed the request.
    Transport(HttpError),
    /// No data was transferred for this time. The server may have executed the request.
    Stalled(Duration),
    /// The response arrived more slowly than the configured minimum. The server may have executed the request.
    Slow(SlowestAnswer),
    /// The response cannot be trusted. The server may have executed the request.
    Garbled(String),
    /// The response is complete, but it contradicts the request or itself. The next response would do so too.
    Contradictory(String),
    /// The response is a web page. It does not come from an S3 server, and the next response would be one too.
    WebPage,
    /// An object was received each time with the same MD5, which is not the one in its ETag.
    OtherMd5,
    /// The object is not in the expected state.
    Changed,
    /// The server refused a condition that is met. The text states which one.
    Misjudged(Box<Refusal>, &'static str),
    /// No credentials were found.
    Credentials(object_store::Error),
    /// The request cannot be expressed in HTTP.
    Request(String),
    /// No object can have this many bytes.
    TooLarge(u64),
    /// The content to send could not be read. Its own store has already retried.
    Source(StoreError),
    /// The caller stopped the request before it was sent.
    Stopped,
}

impl Failure {
    /// Returns true if the same request may succeed when sent again.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_temporary(),
            // A limit of this machine does not rise while a request waits.
            Self::Transport(error) if transport::exhausted(error).is_some() => false,
            Self::Transport(error) => !matches!(error.kind(), HttpErrorKind::Decode | HttpErrorKind::Unknown),
            Self::Stalled(_) | Self::Slow(_) | Self::Garbled(_) => true,
            Self::Contradictory(_)
            | Self::WebPage
            | Self::OtherMd5
            | Self::Changed
            | Self::Misjudged(..)
            | Self::Credentials(_)
            | Self::Request(_)
            | Self::TooLarge(_)
            | Self::Source(_)
            | Self::Stopped => false,
        }
    }

    /// Returns the refusal of a condition as a wrong one.
    pub(crate) fn misjudged(self, why: &'static str) -> Self {
        match self {
            Self::Refused(refusal) => Self::Misjudged(refusal, why),
            other => other,
        }
    }

    /// Returns this failure as one for which the same request is not sent again, because the caller checks whether the
    /// server has executed it.
    pub(crate) fn without_repeats(self) -> Self {
        match self {
            Self::Garbled(why) => Self::Contradictory(why),
            other => other,
        }
    }

    /// Returns true if a complete response arrived that does not show what the server has done.
    pub(crate) fn tells_nothing(&self) -> bool {
        matches!(self, Self::Contradictory(_) | Self::WebPage)
    }

    /// Returns true if a response arrived that cannot be trusted, so that only a lookup shows what the server has done.
    pub(crate) fn is_unclear(&self) -> bool {
        self.tells_nothing() || matches!(self, Self::Garbled(_))
    }

    /// Returns true if the server computed another digest than the one in the request.
    pub(crate) fn is_wrong_digest(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == "BadDigest")
    }

    /// Returns true if the server asked for fewer requests.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.kind() == ErrorKind::Throttled)
    }

    /// Returns true if fewer requests at once may succeed: the server is overloaded, or cuts connections.
    pub(crate) fn is_overload(&self) -> bool {
        let is_status = |refusal: &Refusal| {
            matches!(refusal.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
        };
        self.is_throttling() || self.is_cut_off() || self.refusal().is_some_and(is_status)
    }

    /// Returns true if the connection was refused or cut.
    pub(crate) fn is_cut_off(&self) -> bool {
        matches!(self, Self::Transport(error) if Self::is_cut(error))
    }

    /// Returns true if this error means that the connection was refused or cut.
    pub(crate) fn is_cut(error: &HttpError) -> bool {
        use HttpErrorKind::{Connect, Interrupted, Request};
        matches!(error.kind(), Connect | Request | Interrupted)
    }

    /// Returns true if no connection was made, so that the server has not seen the request.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self, Self::Transport(error) if error.kind() == HttpErrorKind::Connect)
    }

    /// Returns true if there were no credentials, or only expired ones. Their source may have new ones later.
    pub(crate) fn needs_new_credentials(&self) -> bool {
        matches!(self, Self::Credentials(_)) || self.refusal().is_some_and(Refusal::is_expired)
    }

    /// Returns true if the server may have executed the request although no response confirms it.
    pub(crate) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.status.is_server_error(),
            Self::Transport(_)
            | Self::Stalled(_)
            | Self::Slow(_)
            | Self::Garbled(_)
            | Self::Contradictory(_)
            | Self::WebPage => true,
            Self::OtherMd5
            | Self::Changed
            | Self::Misjudged(..)
            | Self::Credentials(_)
            | Self::Request(_)
            | Self::TooLarge(_)
            | Self::Source(_)
            | Self::Stopped => false,
        }
    }

    /// Returns a copy of this failure, because one request can fail many keys.
    pub(crate) fn repeat(&self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::Transport(error) => Self::Transport(HttpError::new(error.kind(), transport::untyped(error))),
            Self::Stalled(idle) => Self::Stalled(*idle),
            Self::Slow(slowest) => Self::Slow(*slowest),
            Self::Garbled(why) => Self::Garbled(why.clone()),
            Self::Contradictory(why) => Self::Contradictory(why.clone()),
            Self::WebPage => Self::WebPage,
            Self::OtherMd5 => Self::OtherMd5,
            Self::Changed => Self::Changed,
            Self::Misjudged(refusal, why) => Self::Misjudged(refusal.clone(), why),
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
            Self::Stopped => Self::Stopped,
        }
    }

    /// Returns the delay before the next attempt that the server asked for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// Returns the server's refusal, if this is one.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
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
        if error.is_contradiction() { Self::Contradictory(error.to_string()) } else { Self::Garbled(error.to_string()) }
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

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn only_an_overload_calls_for_fewer_requests() {
        let refused = |status: u16, code: &str| {
            let body = format!("<Error><Code>{code}</Code></Error>");
            let status = StatusCode::from_u16(status).unwrap();
            Failure::Refused(Box::new(Refusal::new(status, &HeaderMap::new(), body.as_bytes())))
        };
        let cut = |kind| Failure::Transport(HttpError::new(kind, std::io::Error::other("x")));
        for (failure, expected) in [
            (refused(503, "SlowDown"), true),
            (refused(503, "ServiceUnavailable"), true),
            (refused(429, ""), true),
            (refused(400, "RequestLimitExceeded"), true),
            (refused(500, "InternalError"), false),
            (refused(404, "NoSuchKey"), false),
            (cut(HttpErrorKind::Interrupted), true),
            (cut(HttpErrorKind::Request), true),
            (cut(HttpErrorKind::Decode), false),
            (Failure::Changed, false),
        ] {
            assert_eq!(failure.is_overload(), expected, "{failure:?}");
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
