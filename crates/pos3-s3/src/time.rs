//! The time formats of S3: RFC 3339 in listings, HTTP dates in headers, and the basic format in signatures.
//!
//! A listing has a date per key, so parsing one must take nanoseconds. It must also preserve fractions of a second.

use std::time::{Duration, SystemTime};

const DAY: u64 = 86_400;

/// Parses an RFC 3339 time. Returns `None` if it is invalid or before 1970.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    let shape = bytes.get(..19)?;
    if [shape[4], shape[7], shape[13], shape[16]] != *b"--::" || !matches!(shape[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (digits(&shape[..4])?, digits(&shape[5..7])?, digits(&shape[8..10])?);
    let (hour, minute, second) = (digits(&shape[11..13])?, digits(&shape[14..16])?, digits(&shape[17..19])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanoseconds, rest) = fraction(&bytes[19..])?;
    let days = days_since_1970(i64::from(year), i64::from(month), i64::from(day));
    let seconds = days * DAY.cast_signed() + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let seconds = u64::try_from(seconds - offset(rest)?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

/// Splits `.123Z` into nanoseconds and the rest. Digits after the ninth are dropped.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let kept = length.min(9);
    let nanoseconds = digits(&text[..kept])? * 10_u32.pow(9 - u32::try_from(kept).ok()?);
    (length > 0).then_some((nanoseconds, &text[length..]))
}

/// Returns the offset from UTC in seconds for `Z`, `+02:00` or an empty text.
fn offset(text: &[u8]) -> Option<i64> {
    match text {
        b"Z" | b"z" | b"" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let ahead = i64::from(digits(&[*h1, *h2])?) * 3600 + i64::from(digits(&[*m1, *m2])?) * 60;
            Some(if *sign == b'+' { ahead } else { -ahead })
        }
        _ => None,
    }
}

/// Returns the days since 1970-01-01 in the Gregorian calendar. Years start in March here, so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Parses an HTTP date such as `Sat, 21 Nov 2026 09:00:00 GMT`.
pub(crate) fn parse_http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// A time in the format of signatures: `20261121T090000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SigningTime([u8; 16]);

impl SigningTime {
    pub(crate) fn new(time: SystemTime) -> Self {
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let (year, month, day) = date(seconds / DAY);
        let of_day = seconds % DAY;
        let mut text = *b"00000000T000000Z";
        let fields = [(0, 4, year), (4, 6, month), (6, 8, day)].into_iter();
        let clock = [(9, 11, of_day / 3600), (11, 13, of_day / 60 % 60), (13, 15, of_day % 60)];
        for (start, end, mut number) in fields.chain(clock) {
            for place in text[start..end].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        Self(text)
    }

    /// Returns the whole text.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the date: `20261121`.
    pub(crate) fn date(&self) -> &str {
        &self.as_str()[..8]
    }
}

fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, nanoseconds: u32) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))
    }

    #[test]
    fn listing_dates_keep_their_fractions() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", at(0, 0)),
            ("2026-11-21T09:00:00.000Z", at(1_795_251_600, 0)),
            ("2024-02-29T23:59:59.123Z", at(1_709_251_199, 123_000_000)),
            ("2024-02-29T23:59:59.123456789Z", at(1_709_251_199, 123_456_789)),
            ("2024-02-29T23:59:59.1234567899Z", at(1_709_251_199, 123_456_789)),
            ("2000-03-01T00:00:00+02:00", at(951_861_600, 0)),
            ("2000-02-29T22:00:00-00:30", at(951_863_400, 0)),
            ("2024-13-01T00:00:00Z", None),
            ("2024-01-01", None),
            ("2024-01-01T00:00:00.Z", None),
            ("2024-01-01T00:00:00 noon", None),
            ("1969-12-31T23:59:59Z", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), expected, "{text}");
        }
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(parse_http_date("Sat, 21 Nov 2026 09:00:00 GMT"), at(1_795_251_600, 0));
        assert_eq!(parse_http_date("yesterday"), None);
    }

    #[test]
    fn signing_time_is_the_basic_format() {
        for (seconds, text) in
            [(0, "19700101T000000Z"), (1_369_353_600, "20130524T000000Z"), (1_709_251_199, "20240229T235959Z")]
        {
            let time = SigningTime::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!((time.as_str(), time.date()), (text, &text[..8]));
        }
    }
}
