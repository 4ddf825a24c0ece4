//! One `exclude`/`include` pattern, in the language of Python's `fnmatch`, which the AWS command line uses: over the whole
//! key, so that `*` is also any `/`.

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
        let wildcard = Wildcard::new(pattern)?;
        if wildcard.has_open_set() {
            return Err("a '[' is not closed by a ']'; '[[]' is the character".to_owned());
        }
        Ok(Self {
            text: pattern.to_owned(),
            wildcard,
            literal: pattern.split(['*', '?', '[']).next().unwrap_or_default().to_owned(),
            ends_in_star: pattern.ends_with('*'),
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
