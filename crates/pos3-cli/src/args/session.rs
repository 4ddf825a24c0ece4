//! The options of the commands that maintain local copies: `download`, `upload` and `run`.

use std::path::PathBuf;

use clap::Args;
use pos3::Filter;

use super::path::local_path;
use super::{ConcurrencyArgs, S3Args};

/// The explanation of `--exclude`, which these commands add to their help.
pub(super) const PATTERNS: &str = "\
Patterns of --exclude are compared with the end of a path, name by name:
  'logs'     every file or directory 'logs', with everything below it
  '*.tmp'    every file that ends in '.tmp' ('*' does not match '/')
  'a/*.tmp'  such files in every directory 'a'
  'a/**/b'   every 'b' at any depth below a directory 'a'";

/// The options of a session.
#[derive(Args, Clone, Debug)]
pub(crate) struct SessionArgs {
    /// Store local copies as DIR/PROFILE/BUCKET/KEY ('_' if there is no profile)
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

    /// Limit each direction to RATE bytes per second, such as 500K, 10M or 1.5G
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) limit: Option<f64>,

    /// Skip files and directories that match, on both sides
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) exclude: Vec<String>,

    /// Skip what files called NAME ignore (.gitignore syntax), in any directory of either side
    #[arg(long, value_name = "NAME", value_parser = super::filter::ignore_file_name)]
    pub(crate) ignore_file: Vec<String>,

    /// Do not use the sync state (see 'pos3-cli manifest --help')
    #[arg(long)]
    pub(crate) no_manifest: bool,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

/// Parses bytes per second: a number and an optional unit. The units K, M and G are powers of 1024; `B`, `iB` and `/s`
/// after them are allowed.
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
        _ => return Err("the unit of a rate must be K, M or G (powers of 1024)".to_owned()),
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
