//! The arguments of `pos3-cli cleanup`.

use std::time::Duration;

use clap::Args;
use pos3::Location;

use super::{S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli cleanup s3://bucket
  pos3-cli cleanup s3://bucket/data --older-than 0s
  pos3-cli cleanup s3://bucket/data --older-than 1d --abort

S3 charges for the parts of unfinished uploads, but no object listing shows
them. A sync resumes its own unfinished uploads and aborts them after 7 days.

This command lists the unfinished uploads of all programs. If you abort an
upload that is still running, it fails, so check the list before you use
--abort. Without --abort, nothing is changed.

For a local directory, the command lists and removes the partial files of runs
that were killed.";

/// The arguments of `pos3-cli cleanup`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CleanupArgs {
    /// The location to search: s3://BUCKET/PREFIX or a directory
    #[arg(value_parser = location())]
    pub(crate) location: Location,

    /// Skip uploads that started less than AGE ago (90s, 30m, 12h, 7d); 0s skips none
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = age)]
    pub(crate) older_than: Duration,

    /// Abort the listed uploads and remove the listed partial files
    #[arg(long)]
    pub(crate) abort: bool,

    /// Write the result to stdout as one JSON object
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
