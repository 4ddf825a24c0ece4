//! The options of every command that works with local copies: `download`, `upload`, `run`.

use std::path::PathBuf;

use clap::Args;
use pos3::Filter;

use super::path::local_path;
use super::{ConcurrencyArgs, S3Args};

/// How a session is set up.
#[derive(Args, Clone, Debug)]
pub(crate) struct SessionArgs {
    /// Keep local copies below this directory, as PROFILE/BUCKET/KEY ('_' stands for no profile)
    #[arg(
        long,
        value_name = "DIR",
        env = "POS3_CACHE_ROOT",
        default_value = "~/.cache/positronic/s3/",
        hide_env_values = true,
        value_parser = local_path()
    )]
    pub(crate) cache_root: PathBuf,

    #[command(flatten)]
    pub(crate) concurrency: ConcurrencyArgs,

    /// Move at most this many bytes per second in each direction: 500K, 10M, 1.5G
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) limit: Option<f64>,

    /// Leave alone what matches, on both sides, compared from the right: 'logs' is every logs and all below it, '*.tmp'
    /// every such file, 'a/*.tmp' those in any a, 'a/**/b' every b below any a
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) exclude: Vec<String>,

    /// Neither use nor write what is remembered between runs ('pos3-cli manifest --help')
    #[arg(long)]
    pub(crate) no_manifest: bool,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

/// Reads bytes per second: a number, and a unit of 1024, its square or its cube.
fn rate(text: &str) -> Result<f64, String> {
    let bare = text.strip_suffix("/s").unwrap_or(text);
    let bare = bare.strip_suffix("iB").or_else(|| bare.strip_suffix('B')).unwrap_or(bare);
    let (number, unit) = match bare.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&bare[..at], unit.to_ascii_uppercase()),
        _ => (bare, ' '),
    };
    let power = match unit {
        ' ' => 0,
        'K' => 1,
        'M' => 2,
        'G' => 3,
        _ => return Err("the unit of a rate is K, M or G, of 1024".to_owned()),
    };
    match number.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number * 1024f64.powi(power)),
        _ => Err("give a positive number of bytes per second, such as 500K or 10M".to_owned()),
    }
}

fn pattern(text: &str) -> Result<String, String> {
    match Filter::builder().exclude_matching(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written_elsewhere() {
        let expected = [
            ("1", Some(1.0)),
            ("500K", Some(512_000.0)),
            ("10M", Some(10_485_760.0)),
            ("1.5GiB/s", Some(1_610_612_736.0)),
            ("2kB/s", Some(2048.0)),
            ("100B", Some(100.0)),
            ("0", None),
            ("-1", None),
            ("nan", None),
            ("inf", None),
            ("M", None),
            ("1X", None),
            ("", None),
        ];
        for (text, expected) in expected {
            assert_eq!(rate(text).ok(), expected, "{text:?}");
        }
    }
}
