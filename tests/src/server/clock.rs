//! The clock of a server.
//!
//! The clocks of a client and a server can differ, and S3 refuses requests whose signing time is off by more than 15
//! minutes. A test cannot set the clock of the machine, so the server has its own.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use s3s::dto::{Timestamp, TimestampFormat};

/// The maximum difference between the server's clock and the signing time of a request.
const TOLERANCE: Duration = Duration::from_secs(15 * 60);

/// Returns the server's time, which is this number of seconds ahead of the machine's.
fn now(ahead: i64) -> SystemTime {
    let offset = Duration::from_secs(ahead.unsigned_abs());
    if ahead < 0 { SystemTime::now() - offset } else { SystemTime::now() + offset }
}

/// Returns whether the request was signed too long ago or too far in the future.
pub(super) fn refuses(headers: &HeaderMap, ahead: i64) -> bool {
    let Some(signed) = headers.get("x-amz-date").and_then(|date| date.to_str().ok()) else { return false };
    let now = now(ahead);
    // In the basic format, texts sort like the times.
    !(basic(now - TOLERANCE).as_str()..=basic(now + TOLERANCE).as_str()).contains(&signed)
}

/// Returns a time in the format of signatures: `20261121T090000Z`.
fn basic(time: SystemTime) -> String {
    let text = formatted(time, TimestampFormat::DateTime);
    format!("{}Z", text.split(['.', 'Z']).next().unwrap_or_default().replace(['-', ':'], ""))
}

/// Returns the server's time as the value of a `Date` header.
pub(super) fn date(ahead: i64) -> Option<HeaderValue> {
    HeaderValue::try_from(formatted(now(ahead), TimestampFormat::HttpDate)).ok()
}

fn formatted(time: SystemTime, format: TimestampFormat) -> String {
    let mut text = Vec::new();
    // Writing to memory cannot fail for a valid time.
    let _ = Timestamp::from(time).format(format, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_two_spellings() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_251_600);
        assert_eq!(basic(time), "20261121T090000Z");
        assert_eq!(formatted(time, TimestampFormat::HttpDate), "Sat, 21 Nov 2026 09:00:00 GMT");
    }

    #[test]
    fn a_quarter_of_an_hour_is_allowed() {
        for (ahead, refused) in [(0, false), (14 * 60, false), (-14 * 60, false), (16 * 60, true), (-16 * 60, true)] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-date", HeaderValue::try_from(basic(SystemTime::now())).unwrap());
            assert_eq!(refuses(&headers, ahead), refused, "{ahead}");
        }
        assert!(!refuses(&HeaderMap::new(), 10_000));
    }
}
