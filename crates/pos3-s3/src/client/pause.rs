//! The pauses before requests are sent again, as a user sees them.
//!
//! A server may ask for minutes of pauses in total. Without an explanation, a command that obeys looks as if it hangs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pos3_core::ServerPause;
use tokio::time::Instant;

use crate::error::Failure;

/// A shorter pause is not worth a message.
const SHORTEST: Duration = Duration::from_secs(1);

/// The pause of a client that ends last.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<Option<Noted>>);

#[derive(Debug)]
struct Noted {
    until: Instant,
    /// When the last request that waits for the end of the pause is sent.
    over: Instant,
    cause: String,
}

impl Pauses {
    /// Notes that a request makes a pause after this failure. Requests are sent at random times in the `spread` after it.
    pub(super) fn note(&self, pause: Duration, spread: Duration, failure: &Failure) {
        if pause < SHORTEST {
            return;
        }
        let until = Instant::now() + pause;
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.as_ref().is_none_or(|noted| noted.until < until) {
            *noted = Some(Noted { until, over: until + spread, cause: cause(failure) });
        }
    }

    /// Returns the pause that ends last, unless it is over.
    pub(super) fn current(&self) -> Option<ServerPause> {
        let (noted, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let noted = noted.as_ref().filter(|noted| now < noted.over)?;
        Some(ServerPause::new(noted.until.saturating_duration_since(now), noted.cause.clone()))
    }
}

fn cause(failure: &Failure) -> String {
    let Some(refusal) = failure.refusal() else { return "the server did not send a complete response".to_owned() };
    let said = format!("{} {}", refusal.status(), refusal.code());
    let reason = match failure {
        _ if failure.retry_after().is_some_and(|asked| !asked.is_zero()) => "the server asked for it",
        _ if failure.is_overload() => "the server is overloaded",
        _ => "a request failed",
    };
    format!("{reason} ({})", said.trim_end())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use object_store::client::{HttpError, HttpErrorKind};

    use super::*;
    use crate::error::Refusal;

    fn refused(status: u16, code: &str, retry_after: Option<&'static str>) -> Failure {
        let headers = retry_after.map(|after| (http::header::RETRY_AFTER, after.parse().unwrap()));
        let headers: HeaderMap = headers.into_iter().collect();
        let body = format!("<Error><Code>{code}</Code></Error>");
        let status = StatusCode::from_u16(status).unwrap();
        Failure::Refused(Box::new(Refusal::new(status, &headers, body.as_bytes())))
    }

    #[tokio::test(start_paused = true)]
    async fn the_cause_of_a_pause_is_known_until_it_is_over() {
        let cut = Failure::Transport(HttpError::new(HttpErrorKind::Interrupted, std::io::Error::other("x")));
        for (failure, text) in [
            (refused(503, "SlowDown", Some("45")), "waiting 5 s because the server asked for it (503 SlowDown)"),
            (refused(503, "", Some("45")), "waiting 5 s because the server asked for it (503)"),
            (refused(503, "SlowDown", None), "waiting 5 s because the server is overloaded (503 SlowDown)"),
            (refused(429, "", Some("0")), "waiting 5 s because the server is overloaded (429)"),
            (refused(500, "InternalError", None), "waiting 5 s because a request failed (500 InternalError)"),
            (cut, "waiting 5 s because the server did not send a complete response"),
        ] {
            let pauses = Pauses::default();
            pauses.note(Duration::from_millis(999), Duration::ZERO, &failure);
            assert_eq!(pauses.current(), None, "it is too short");
            pauses.note(Duration::from_millis(4500), Duration::from_secs(1), &failure);
            pauses.note(Duration::from_secs(2), Duration::ZERO, &refused(500, "Other", None));
            assert_eq!(pauses.current().unwrap().to_string(), text, "the shorter one is not shown");
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(pauses.current().unwrap().to_string().starts_with("waiting 1 s because "));
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(pauses.current(), None);
        }
    }
}
