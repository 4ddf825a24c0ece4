//! One `exclude`/`include` pattern, in the language of Python's `fnmatch`, which the AWS command line uses.
//!
//! Only `*`, `?` and `[...]` are special; braces and backslashes are themselves, and `**` is two stars.

use globset::{GlobBuilder, GlobMatcher};

/// A compiled pattern with what is needed to prune directories.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    matcher: GlobMatcher,
    /// The text before the first special character: every match starts with it.
    literal: String,
    ends_in_star: bool,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, globset::Error> {
        let glob = GlobBuilder::new(&to_glob(pattern)).literal_separator(false).backslash_escape(false).build()?;
        Ok(Self {
            text: pattern.to_owned(),
            matcher: glob.compile_matcher(),
            literal: pattern.split(['*', '?', '[']).next().unwrap_or_default().to_owned(),
            ends_in_star: pattern.ends_with('*'),
        })
    }

    /// Returns the pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, key: &str) -> bool {
        self.matcher.is_match(key)
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

/// Translates to the syntax of `globset`, in which braces are special and runs of stars mean directories.
fn to_glob(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len() + 8);
    let mut in_set = false;
    for c in pattern.chars() {
        match c {
            '[' if !in_set => in_set = true,
            ']' => in_set = false,
            '{' | '}' if !in_set => {
                glob.extend(['[', c, ']']);
                continue;
            }
            '*' if !in_set && glob.ends_with('*') => continue,
            _ => {}
        }
        glob.push(c);
    }
    glob
}
