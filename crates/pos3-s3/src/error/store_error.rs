//! A failed request as the store's error, with a message that names the bucket and the server.

use std::io;

use pos3_core::{ErrorKind, Key, OTHER_DIGEST, Operation, Reach, StoreError};

use super::transport::{TransportError, TransportErrorKind, exhausted};
use super::web_page::{self, WEB_PAGE};
use super::{Failure, Refusal};
use crate::settings::SlowestAnswer;
use crate::uri::Endpoint;

impl Failure {
    /// Returns this failure as the store's error of `operation` in `bucket` at `endpoint`.
    pub(crate) fn during(
        self,
        operation: Operation,
        key: Option<&Key>,
        bucket: &str,
        endpoint: &Endpoint,
    ) -> StoreError {
        let mut error = StoreError::new(self.kind(), operation).with_reach(self.reach());
        if let Some(key) = key {
            error = error.with_key(key);
        }
        if self.is_temporary() {
            error = error.temporary();
        }
        match self {
            Self::Refused(refusal) => refused(error, *refusal, bucket),
            Self::Misjudged(refusal, why) => refused(error, *refusal, bucket).with_message(why),
            Self::Transport(cause) => {
                let stage = TransportErrorKind::of(&cause).as_str();
                let error = error.with_message(format!("{stage} {endpoint}"));
                match exhausted(&cause) {
                    Some(code) => error.with_source(io::Error::from_raw_os_error(code)),
                    None => error.with_source(TransportError::new(&cause)),
                }
            }
            Self::Slow(SlowestAnswer { bytes, within }) => {
                error.with_message(format!("received less than {bytes} bytes from {endpoint} in {within:?}"))
            }
            Self::Stalled(idle) => error.with_message(format!("received nothing from {endpoint} for {idle:?}")),
            Self::Garbled(why) | Self::Contradictory(why) | Self::Request(why) => error.with_message(why),
            Self::WebPage => error.with_message(web_page::MESSAGE).with_code(WEB_PAGE),
            Self::TooLarge(size) => {
                error.with_message(format!("it has {size} bytes, and an object has at most 10,000 parts of 5 GiB each"))
            }
            Self::OtherMd5 => error
                .with_message(
                    "the object arrives each time with the same MD5, which is not its ETag: the object is damaged on the \
                     server, or the ETags of this server are not MD5s",
                )
                .with_code(OTHER_DIGEST),
            Self::Changed | Self::Stopped => error,
            Self::Source(own) => own,
            Self::Credentials(cause) => {
                let error = error.with_message("no credentials found");
                match cause {
                    // The provider's own error, without the type in which it had to be wrapped.
                    object_store::Error::Generic { source, .. } => error.with_source(source),
                    other => error.with_source(other),
                }
            }
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::Transport(cause) if exhausted(cause).is_some() => ErrorKind::Exhausted,
            Self::Transport(_) | Self::Stalled(_) | Self::Slow(_) => ErrorKind::Unavailable,
            Self::Garbled(_) | Self::Contradictory(_) | Self::WebPage | Self::OtherMd5 => ErrorKind::Integrity,
            Self::Changed => ErrorKind::Precondition,
            Self::Credentials(_) => ErrorKind::Unauthenticated,
            Self::Misjudged(..) | Self::Request(_) => ErrorKind::Other,
            Self::TooLarge(_) => ErrorKind::Unsupported,
            Self::Source(error) => error.kind(),
            Self::Stopped => ErrorKind::Stopped,
        }
    }

    fn reach(&self) -> Reach {
        match self {
            Self::Refused(refusal) => refusal.reach(),
            Self::Transport(_) | Self::Stalled(_) | Self::Slow(_) => Reach::Suspected,
            Self::Credentials(_) => Reach::Everything,
            Self::Source(error) => error.reach(),
            Self::Garbled(_)
            | Self::Contradictory(_)
            | Self::WebPage
            | Self::OtherMd5
            | Self::Changed
            | Self::Misjudged(..)
            | Self::Request(_)
            | Self::TooLarge(_)
            | Self::Stopped => Reach::Key,
        }
    }
}

/// Returns the error with what the server stated: its code, its status and, where they are clearer than the kind's, words
/// for them.
fn refused(mut error: StoreError, refusal: Refusal, bucket: &str) -> StoreError {
    if !refusal.code.is_empty() {
        error = error.with_code(refusal.code.as_str());
    }
    if let Some(message) = refusal.plainly(bucket) {
        error = error.with_message(message);
    }
    error.with_status(refusal.status.as_u16()).with_source(refusal)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use object_store::client::{HttpError, HttpErrorKind};

    use super::super::transport::TOO_MANY_FILES;
    use super::*;

    fn refusal(status: u16, code: &str) -> Refusal {
        let body = format!("<Error><Code>{code}</Code><Message>m</Message><RequestId>r1</RequestId></Error>");
        Refusal::new(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    fn error_of(refusal: Refusal) -> StoreError {
        let endpoint = Endpoint::parse("https://h:1").unwrap();
        Failure::Refused(Box::new(refusal)).during(Operation::List, None, "b1", &endpoint)
    }

    #[test]
    fn messages_name_what_a_user_can_change() {
        let error = error_of(refusal(404, "NoSuchBucket"));
        assert_eq!(error.cause(), "bucket 'b1' does not exist: http 404 NoSuchBucket m (request id r1)");

        let mut headers = HeaderMap::new();
        headers.insert("x-amz-bucket-region", "eu-west-1".parse().unwrap());
        let moved = Refusal::new(StatusCode::MOVED_PERMANENTLY, &headers, b"");
        let error = error_of(moved);
        assert_eq!(error.to_string(), "cannot list: bucket 'b1' is in region 'eu-west-1'");

        for status in [301, 302, 303, 307, 308] {
            let mut headers = HeaderMap::new();
            headers.insert("location", "https://u:hush@other.example/b1?X-Amz-Signature=hush".parse().unwrap());
            let error = error_of(Refusal::new(StatusCode::from_u16(status).unwrap(), &headers, b""));
            let expected = "bucket 'b1' is in another region or at another endpoint: the server redirects to \
                            https://***@other.example: http ";
            assert_eq!(error.cause(), format!("{expected}{status}"));
        }
    }

    #[test]
    fn what_the_server_stated_can_be_read_without_the_text() {
        let error = error_of(refusal(403, "AccessDenied"));
        assert_eq!((error.code(), error.status()), (Some("AccessDenied"), Some(403)));
        let wrapped = StoreError::new(ErrorKind::Denied, Operation::LookUp).with_source(error);
        assert_eq!((wrapped.code(), wrapped.status()), (Some("AccessDenied"), Some(403)));
        assert_eq!(wrapped.cause_as::<Refusal>().map(Refusal::code), Some("AccessDenied"));

        let error = error_of(refusal(404, ""));
        assert_eq!((error.code(), error.status()), (None, Some(404)));
        let endpoint = Endpoint::parse("https://h:1").unwrap();
        let error = Failure::Changed.during(Operation::Read, None, "b1", &endpoint);
        assert_eq!((error.code(), error.status()), (None, None));
    }

    #[test]
    fn a_failure_of_the_transport_names_the_server_and_its_kind() {
        let endpoint = Endpoint::parse("https://h:1").unwrap();
        for (kind, stage, expected) in [
            (HttpErrorKind::Connect, TransportErrorKind::Connect, "cannot connect to https://h:1: refused"),
            (
                HttpErrorKind::Unknown,
                TransportErrorKind::Secure,
                "there is no secure connection to https://h:1: refused",
            ),
            (HttpErrorKind::Request, TransportErrorKind::Interrupted, "no complete response from https://h:1: refused"),
        ] {
            let failure = Failure::Transport(HttpError::new(kind, io::Error::other("refused")));
            for failure in [failure.repeat(), failure] {
                let error = failure.during(Operation::List, None, "b1", &endpoint);
                assert_eq!(error.cause(), expected);
                assert_eq!(error.cause_as::<TransportError>().map(TransportError::kind), Some(stage));
            }
        }
    }

    #[test]
    fn too_many_open_files_are_not_the_servers_fault() {
        let endpoint = Endpoint::parse("https://h:1").unwrap();
        let cause = io::Error::from_raw_os_error(TOO_MANY_FILES[0]);
        let failure = Failure::Transport(HttpError::new(HttpErrorKind::Connect, cause));
        for failure in [failure.repeat(), failure] {
            let error = failure.during(Operation::List, None, "b1", &endpoint);
            assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Exhausted, false));
            assert!(error.cause().starts_with("cannot connect to https://h:1: "), "{}", error.cause());
        }
    }
}
