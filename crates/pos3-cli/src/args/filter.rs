//! The options `--exclude`, `--include`, `--exclude-from` and `--ignore-file` of every command that makes a plan.
//!
//! The last matching pattern wins, so the order of the options matters. Two lists declared with clap's derive would lose
//! the order between them. So this group of options reads the position of each value.

use std::fmt;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use pos3::{Filter, FilterBuilder, FilterError};

use super::path::local_path;

const HEADING: &str = "What to sync";

/// The patterns that select the keys of a run. An excluded key does not exist for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterArgs {
    rules: Vec<Rule>,
    files: Vec<PathBuf>,
    ignore_files: Vec<String>,
}

/// One `--exclude` or `--include`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Exclude(String),
    Include(String),
}

/// An error that prevents building the filter.
#[derive(Debug)]
pub(crate) enum FilterArgsError {
    File { path: PathBuf, error: std::io::Error },
    Lines { path: PathBuf, error: FilterError },
    Filter(FilterError),
}

impl FilterArgs {
    /// Returns the names of the ignore files that are looked for on both sides.
    pub(crate) fn ignore_files(&self) -> &[String] {
        &self.ignore_files
    }

    /// Returns the filter. Reads the files of `--exclude-from`.
    pub(crate) fn filter(&self) -> Result<Filter, FilterArgsError> {
        let ordered = self.rules.iter().try_fold(Filter::builder(), |builder, rule| rule.add_to(builder));
        let mut builder = ordered.map_err(FilterArgsError::Filter)?;
        for path in &self.files {
            let lines =
                pos3::read_small_text(path).map_err(|error| FilterArgsError::File { path: path.clone(), error })?;
            builder = builder
                .ignore_file(&path.to_string_lossy(), &lines)
                .map_err(|error| FilterArgsError::Lines { path: path.clone(), error })?;
        }
        builder.build().map_err(FilterArgsError::Filter)
    }
}

impl Rule {
    fn add_to(&self, builder: FilterBuilder) -> Result<FilterBuilder, FilterError> {
        match self {
            Self::Exclude(pattern) => builder.exclude(pattern),
            Self::Include(pattern) => builder.include(pattern),
        }
    }
}

/// Checks a pattern while the command line is parsed, so that an invalid pattern is a usage error.
fn pattern(text: &str) -> Result<String, FilterError> {
    Filter::builder().exclude(text)?;
    Ok(text.to_owned())
}

/// Checks the name of ignore files.
pub(super) fn ignore_file_name(name: &str) -> Result<String, &'static str> {
    pos3::check_ignore_file_name(name).map(|()| name.to_owned())
}

impl Args for FilterArgs {
    fn augment_args(command: Command) -> Command {
        let patterns = |name: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name("PATTERN")
                .action(ArgAction::Append)
                .value_parser(pattern)
                .help_heading(HEADING)
                .help(help)
        };
        command
            .arg(patterns(
                "exclude",
                "Skip matching keys; the last match wins ('*' also matches '/', and 'x/' is the directory x with everything in it)",
            ))
            .arg(patterns("include", "Include matching keys that an earlier --exclude skips"))
            .arg(
                Arg::new("exclude-from")
                    .long("exclude-from")
                    .value_name("FILE")
                    .action(ArgAction::Append)
                    .value_parser(local_path())
                    .help_heading(HEADING)
                    .help("Skip keys that match a line of FILE (.gitignore syntax)"),
            )
            .arg(
                Arg::new("ignore-file")
                    .long("ignore-file")
                    .value_name("NAME")
                    .action(ArgAction::Append)
                    .value_parser(ignore_file_name)
                    .help_heading(HEADING)
                    .help("Skip what files called NAME ignore, in any directory of either side"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let placed = |name: &str, rule: fn(String) -> Rule| {
            let values = matches.get_many::<String>(name).into_iter().flatten().cloned();
            let places = matches.indices_of(name).into_iter().flatten();
            places.zip(values.map(rule)).collect::<Vec<_>>()
        };
        let mut rules = placed("exclude", Rule::Exclude);
        rules.extend(placed("include", Rule::Include));
        rules.sort_by_key(|(place, _)| *place);
        Ok(Self {
            rules: rules.into_iter().map(|(_, rule)| rule).collect(),
            files: matches.get_many::<PathBuf>("exclude-from").into_iter().flatten().cloned().collect(),
            ignore_files: matches.get_many::<String>("ignore-file").into_iter().flatten().cloned().collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl fmt::Display for FilterArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "cannot read '{}': {error}", path.display()),
            Self::Lines { path, error } => write!(f, "'{}': {error}", path.display()),
            Self::Filter(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<FilterArgs, Error> {
        let command = FilterArgs::augment_args(Command::new("x").no_binary_name(true));
        FilterArgs::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    #[test]
    fn patterns_keep_the_order_in_which_they_were_written() {
        let table: [(&[&str], &str, bool); 6] = [
            (&["--exclude", "*", "--include", "*.txt"], "a.txt", true),
            (&["--include", "*.txt", "--exclude", "*"], "a.txt", false),
            (&["--exclude=*", "--include=*.txt", "--exclude=d/*"], "d/a.txt", false),
            (&["--exclude=*", "--include=*.txt", "--exclude=d/*", "--include=d/a*"], "d/a.txt", true),
            (&["--exclude=*", "--include=*.txt", "--exclude=d/*"], "a.txt", true),
            (&[], "a", true),
        ];
        for (arguments, key, admitted) in table {
            assert_eq!(parse(arguments).unwrap().filter().unwrap().admits(key), admitted, "{arguments:?} {key}");
        }
    }

    #[test]
    fn a_bad_pattern_is_a_usage_error_and_a_missing_file_is_named() {
        let error = parse(&["--exclude", "a[b"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation);
        let error = parse(&["--exclude-from", "/no/such/file"]).unwrap().filter().unwrap_err().to_string();
        assert!(error.starts_with("cannot read '/no/such/file': "), "{error}");
    }
    #[test]
    fn a_file_in_utf_16_is_an_error_that_names_the_line_and_the_encoding() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        for big_endian in [false, true] {
            let order = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
            std::fs::write(&path, "*.tmp\nbuild/\n".encode_utf16().flat_map(order).collect::<Vec<_>>()).unwrap();
            let error = parse(&["--exclude-from", path.to_str().unwrap()]).unwrap().filter().unwrap_err().to_string();
            assert!(error.contains("line 1") && error.contains("probably in UTF-16"), "{error}");
            assert!(!error.contains('\0'), "{error:?}");
        }
    }
}
