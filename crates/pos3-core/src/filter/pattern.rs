//! Matches one `exclude`/`include` pattern, in the language of Python's `fnmatch`, which the AWS command line uses. The
//! pattern is compared with the whole key, so `*` also matches `/`.
//!
//! Keys have no leading `/` or `./`, and directories are not keys. If a pattern with a leading `/` or `./` or a
//! trailing `/` were compared literally, it would match nothing, and `--delete` would delete the directory that it was
//! meant to protect.

use regex_automata::meta::Regex;

use super::segment;
use super::wildcard::{self, Scope};

/// A compiled pattern with the data for pruning directories.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    expression: Regex,
    /// The text before the first special character: every match starts with it.
    literal: String,
    is_literal: bool,
    ends_in_star: bool,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// Returns why the pattern cannot match anything.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let whole = over_whole_keys(pattern)?;
        let expression = wildcard::compile(&wildcard::translate(&whole, Scope::Key)?)?;
        let literal = whole.split(['*', '?', '[']).next().unwrap_or_default().to_owned();
        Ok(Self {
            text: pattern.to_owned(),
            expression,
            is_literal: literal == whole,
            literal,
            ends_in_star: whole.ends_with('*'),
        })
    }

    /// Returns the pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, key: &str) -> bool {
        self.expression.is_match(key)
    }

    /// Returns true if every key below `directory` matches: the final star matches any further text.
    pub(super) fn covers(&self, directory: &str) -> bool {
        self.ends_in_star && self.matches(directory)
    }

    /// Returns false only if no key below `directory` can match.
    pub(super) fn can_match_below(&self, directory: &str) -> bool {
        self.literal.starts_with(directory) || (!self.is_literal && directory.starts_with(&self.literal))
    }
}

/// Returns the pattern in the form that is compared with whole keys: without a leading `/` or `./`, and with a `*`
/// after a trailing `/`, which makes it the pattern of a directory.
fn over_whole_keys(pattern: &str) -> Result<String, String> {
    segment::check_not_blank(pattern)?;
    let mut rooted = pattern.strip_prefix('/').unwrap_or(pattern);
    while let Some(rest) = rooted.strip_prefix("./") {
        rooted = rest;
    }
    let directory = rooted.strip_suffix('/');
    let path = directory.unwrap_or(rooted);
    if path.is_empty() {
        return Err("it names the root itself; '*' matches everything".to_owned());
    }
    path.split('/').try_for_each(segment::check)?;
    Ok(if directory.is_some() { format!("{path}/*") } else { path.to_owned() })
}
