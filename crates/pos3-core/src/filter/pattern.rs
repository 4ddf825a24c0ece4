//! One `exclude`/`include` pattern, in the language of Python's `fnmatch`, which the AWS command line uses: over the whole
//! key, so that `*` is also any `/`.
//!
//! Keys have no `/` or `./` in front and directories are not keys, so patterns that people write with them from habit
//! would match nothing, and with `--delete` the directory that they meant to spare would go.

use super::segment;
use super::wildcard::Wildcard;

/// A compiled pattern with what is needed to prune directories.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    wildcard: Wildcard,
    /// The text before the first special character: every match starts with it.
    literal: String,
    ends_in_star: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Why it cannot be meant.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let whole = over_whole_keys(pattern)?;
        let wildcard = Wildcard::new(&whole)?;
        if wildcard.has_open_set() {
            return Err("a '[' is not closed by a ']'; '[[]' is the character".to_owned());
        }
        Ok(Self {
            text: pattern.to_owned(),
            wildcard,
            literal: whole.split(['*', '?', '[']).next().unwrap_or_default().to_owned(),
            ends_in_star: whole.ends_with('*'),
        })
    }

    /// Returns the pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, key: &str) -> bool {
        self.wildcard.is(key)
    }

    /// True if every key below `directory` matches: the final star takes whatever follows.
    pub(super) fn covers(&self, directory: &str) -> bool {
        self.ends_in_star && self.matches(directory)
    }

    /// False only if no key below `directory` can match.
    pub(super) fn can_match_below(&self, directory: &str) -> bool {
        self.literal.starts_with(directory) || directory.starts_with(&self.literal)
    }
}

/// Returns the pattern as it is compared with whole keys: without `/` or `./` in front, and with a `*` after the `/` at
/// the end that makes it the pattern of a directory.
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
