//! `pos3-cli cleanup`.

use std::time::Duration;

use clap::Args;
use pos3::Location;

use super::{S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli cleanup s3://bucket
  pos3-cli cleanup s3://bucket/data --older-than 0s
  pos3-cli cleanup s3://bucket/data --older-than 1d --abort

The parts of an upload that was never finished are paid for, and no listing shows them. A sync goes on with its own and
gives them up after 7 days. This shows everybody's, also those of other programs, so look before you say --abort: an
upload that still runs would fail. On a disk it is about the partial files that a killed run leaves.";

/// Find uploads that were begun and never finished, and give them up
///
/// Without --abort nothing is changed.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CleanupArgs {
    /// Where to look: s3://BUCKET/PREFIX or a directory
    #[arg(value_parser = location())]
    pub(crate) location: Location,

    /// Leave alone what was begun less long ago: a number with s, m, h or d; 0s means everything
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = age)]
    pub(crate) older_than: Duration,

    /// Give up what is shown, and free what it holds
    #[arg(long)]
    pub(crate) abort: bool,

    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

fn age(text: &str) -> Result<Duration, String> {
    let seconds = |unit: char| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(60 * 60),
        'd' => Some(24 * 60 * 60),
        _ => None,
    };
    let age = text.char_indices().next_back().and_then(|(at, unit)| {
        let number: u64 = text[..at].parse().ok()?;
        number.checked_mul(seconds(unit)?)
    });
    age.map(Duration::from_secs).ok_or_else(|| "write a number and a unit: 90s, 30m, 12h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        for (text, seconds) in
            [("0s", Some(0)), ("90s", Some(90)), ("2m", Some(120)), ("1h", Some(3600)), ("7d", Some(604_800))]
        {
            assert_eq!(age(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
        for text in ["", "7", "d", "-1d", "1w", "1.5h", "1é", "99999999999999999999d", "999999999999999999d"] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
