//! Matches one pattern against paths from their right end, in the language of Python's `PurePath.match`.
//!
//! So `logs` matches every `logs` at any depth, and `a/*.tmp` every `.tmp` file directly in any `a`. This is the intent
//! of users who write such a pattern without regard to the root. For the rules, see
//! [`FilterBuilder::exclude_matching`](super::FilterBuilder::exclude_matching).

use regex_automata::meta::Regex;

use super::segment;
use super::wildcard::{self, Scope};

/// The component that matches any number of components.
const ANY_NUMBER: &str = "**";

/// The regular expression of any number of components, each with the slash after it.
const ANY_COMPONENTS: &str = "(?:.*/)?";

/// The regular expression of the end of the last component.
const END: &str = "(?:/|\\z)";

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct PathPattern {
    text: String,
    expression: Regex,
}

impl PathPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// Returns why the pattern cannot match anything.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        segment::check_not_blank(pattern)?;
        if pattern.starts_with('/') {
            return Err("it begins with '/', but the compared paths do not: omit the '/'".to_owned());
        }
        let components = pattern.split('/').filter(|component| !component.is_empty() && *component != ".");
        let mut components: Vec<_> = components.collect();
        if components.is_empty() {
            return Err("it is empty, so it excludes nothing".to_owned());
        }
        // A directory that matches includes everything below it, so a `**` at the end has no further effect.
        while components.pop_if(|last| *last == ANY_NUMBER).is_some() {}
        let mut expression = ANY_COMPONENTS.to_owned();
        for (index, component) in components.iter().enumerate() {
            if *component == ANY_NUMBER {
                expression.push_str(ANY_COMPONENTS);
                continue;
            }
            segment::check(component)?;
            expression.push_str(&wildcard::translate(component, Scope::Component)?);
            expression.push_str(if index + 1 == components.len() { END } else { "/" });
        }
        expression.push_str(".*");
        Ok(Self { text: pattern.to_owned(), expression: wildcard::compile(&expression)? })
    }

    /// Returns the pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the pattern matches the path or any directory above it. The path of a directory may end in `/`.
    pub(super) fn covers(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        !path.is_empty() && self.expression.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        PathPattern::new(pattern).unwrap_or_else(|why| panic!("{pattern:?}: {why}")).covers(path)
    }

    #[test]
    fn a_pattern_is_compared_from_the_right_name_by_name() {
        let table: &[(&str, &str, bool)] = &[
            // Results observed with the Python program.
            ("logs", "x/logs", true),
            ("logs", "logs/", true),
            ("logs", "logs_old", false),
            ("logs/**", "logs/x", true),
            ("logs/**", "foo/logs/x", true),
            ("a/**/z", "a/b/z", true),
            ("*.tmp", "d/.hidden.tmp", true),
            ("*", ".hidden", true),
            ("logs/", "x/logs", true),
            ("Logs", "logs", false),
            ("a/*", "b/c", false),
            ("a/*", "a", false),
            ("a/*", "a/", false),
            ("*/*", "a", false),
            ("a/b", "b", false),
            // A directory that matches includes everything below it.
            ("logs", "logs/a/b", true),
            ("logs", "x/logs/a", true),
            ("a/b", "x/a/b/c/d/", true),
            ("a/b", "a/x/b", false),
            // The difference from Python: `**` is any number of components, including none.
            ("logs/**", "logs/sub/x", true),
            ("logs/**", "logs/", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "a/z", true),
            ("**/z", "z", true),
            ("**", "x", true),
            ("a**z", "a/z", false),
            ("a**z", "abz", true),
            // No wildcard matches a slash.
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("a[!x]b", "a/b", false),
            ("a[b/c]d", "a[b/c]d", true),
            // Sets, and text that only looks like a set.
            ("[ab]c", "bc", true),
            ("[!ab]c", "bc", false),
            ("[a-c]", "b", true),
            ("[a-]", "-", true),
            ("[]a]", "]", true),
            ("[!]a]", "b", true),
            ("[!]a]", "]", false),
            ("[^a]", "^", true),
            ("[^a]", "b", false),
            ("a[b", "a[b", true),
            ("[!]", "[!]", true),
            ("[]", "[]", true),
            // Every other character matches itself.
            ("a\\*", "a\\b", true),
            ("a\\*", "a*", false),
            ("!x", "!x", true),
            ("#x", "#x", true),
            ("{a,b}", "a", false),
            ("a b ", "a b ", true),
            ("a\nb", "a\nb", true),
            ("x?z", "xéz", true),
            ("x[é-ü]z", "xöz", true),
            // The parts of a pattern that a path library ignores.
            ("./a", "x/a", true),
            ("a/./b//", "a/b", true),
            ("[.].", "a/../b", true),
            ("a", "", false),
            ("**", "", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(covers(pattern, path), *expected, "{pattern:?} {path:?}");
        }
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_an_error() {
        for (pattern, why) in [
            ("", "it is empty"),
            (" \t", "it is blank"),
            ("../x", "a '..' segment"),
            ("a/..", "a '..' segment"),
            (".", "it is empty"),
            ("./", "it is empty"),
            ("/", "it begins with '/'"),
            ("/logs", "it begins with '/'"),
            ("//", "it begins with '/'"),
            ("x/[z-a]", "the range 'z-a' runs backwards"),
        ] {
            let told = PathPattern::new(pattern).map(|_| ()).unwrap_err();
            assert!(told.contains(why), "{pattern:?}: {told}");
        }
    }

    #[test]
    fn many_stars_take_no_longer() {
        let (pattern, name) = ("*a".repeat(200), "a".repeat(5000) + "b");
        assert!(!covers(&pattern, &name));
        let (pattern, path) = ("**/a/".repeat(200), "a/".repeat(1000) + "b");
        assert!(covers(&pattern, &path));
        assert!(!covers(&format!("{pattern}c"), &path));
    }
}
