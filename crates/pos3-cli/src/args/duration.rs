//! Options that are durations.

use std::time::Duration;

/// Parses the age of an upload. A number without a unit is an error, because it could mean days as well as seconds.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let age = Some(text).filter(|_| has_unit).and_then(|text| humantime::parse_duration(text).ok());
    age.ok_or_else(|| "write a number and a unit: 90s, 30m, 12h or 7d".to_owned())
}

/// Parses a number of seconds, or numbers with units such as `5m` or `1h 30m`.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) => {
            Duration::try_from_secs_f64(number).map_err(|_| "give a number of seconds between 0 and 1e19".to_owned())
        }
        Err(_) => humantime::parse_duration(text).map_err(|_| "give a number of seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("2m", 120),
            ("1h", 3600),
            ("7d", 604_800),
            ("1w", 604_800),
            ("1d12h", 129_600),
            ("2 days", 172_800),
            ("1.5h", 5400),
        ] {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "7", "d", "-1d", "1é", "1x", "99999999999999999999d", "999999999999999999d"] {
            assert!(age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_in_seconds() {
        for (text, milliseconds) in
            [("0.5", 500), ("90", 90_000), ("5m", 300_000), ("1h 30m", 5_400_000), ("1e16", 10_u64.pow(19))]
        {
            assert_eq!(seconds(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["-1", "nan", "inf", "1e300", "soon", "5x", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
