//! Selects the keys that a run includes.
//!
//! The filter is applied inside both listings, so an excluded key is neither copied nor deleted. There are three
//! pattern languages, and a key must be admitted by all of them: ordered `exclude`/`include` patterns as in the AWS
//! command line (the last match wins, `*` also matches `/`), gitignore lines, and patterns that match from the right
//! like Python's `PurePath.match`.

mod gitignore;
mod ignore_set;
mod met;
mod part;
mod path_pattern;
mod pattern;
mod rule;
mod segment;
mod wildcard;

use std::fmt;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::Glob;

use met::Met;
use path_pattern::PathPattern;
use pattern::Pattern;

pub use ignore_set::{IgnoreSet, IgnoreText};
pub(crate) use met::Stray;
pub use part::FilterPart;
pub use rule::{FilterLine, FilterRule};

/// Decides which keys a run includes. Cheap to clone. The default admits all keys.
///
/// Keys are relative to the prefix or root directory of the run. A key that ends in `/` is a directory.
#[derive(Clone, Default)]
pub struct Filter {
    rules: Option<Arc<Rules>>,
    /// The patterns that matched a key in one run, if they are recorded.
    met: Option<Arc<Met>>,
}

#[derive(Debug)]
struct Rules {
    ordered: Vec<Rule>,
    lines: IgnoreSet,
    sets: Vec<IgnoreSet>,
    paths: Vec<PathPattern>,
    parts: Vec<FilterPart>,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    effect: Effect,
}

/// The effect of a filter rule on the keys that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The run treats them as if they did not exist.
    Exclude,
    /// The run includes them, even if an earlier rule excludes them.
    Include,
}

impl Filter {
    /// Returns a filter builder.
    pub fn builder() -> FilterBuilder {
        FilterBuilder::default()
    }

    /// Returns true if the run includes the key.
    pub fn admits(&self, key: &str) -> bool {
        let Some(rules) = &self.rules else { return true };
        let line = rules.matched_line(key);
        if let Some(met) = &self.met {
            met.note_key(rules, key);
            met.note_line(&line);
        }
        rules.order_admits(key) && !line.is_ignore() && !rules.is_covered(key) && !rules.matched_set(key).is_ignore()
    }

    /// Returns true if nothing below `directory`, which ends in `/`, can be admitted. Such a directory need not be
    /// listed.
    pub fn prunes(&self, directory: &str) -> bool {
        let Some(rules) = &self.rules else { return false };
        let line = rules.matched_line(directory);
        let prunes = rules.order_prunes(directory)
            || line.is_ignore()
            || rules.is_covered(directory)
            || rules.matched_set(directory).is_ignore();
        if let Some(met) = self.met.as_ref().filter(|_| prunes) {
            met.note_pruned(rules, directory);
            met.note_line(&line);
        }
        prunes
    }
}

impl Rules {
    fn order_admits(&self, key: &str) -> bool {
        self.last_match(key).is_none_or(|rule| rule.effect == Effect::Include)
    }

    fn last_match(&self, key: &str) -> Option<&Rule> {
        self.ordered.iter().rev().find(|rule| rule.pattern.matches(key))
    }

    /// Returns true if an exclude covers everything below `directory` and no later include can match anything there.
    fn order_prunes(&self, directory: &str) -> bool {
        for rule in self.ordered.iter().rev() {
            match rule.effect {
                Effect::Include if rule.pattern.can_match_below(directory) => return false,
                Effect::Exclude if rule.pattern.covers(directory) => return true,
                Effect::Include | Effect::Exclude => {}
            }
        }
        false
    }

    fn is_covered(&self, key: &str) -> bool {
        self.covering(key).is_some()
    }

    fn covering(&self, key: &str) -> Option<&PathPattern> {
        self.paths.iter().find(|pattern| pattern.covers(key))
    }

    /// Returns the line of the filter's own texts that decides about a key.
    fn matched_line(&self, key: &str) -> Match<&Glob> {
        self.lines.matched(key)
    }

    /// Returns the line of an ignore set that excludes a key.
    fn matched_set(&self, key: &str) -> Match<&Glob> {
        let mut matched = self.sets.iter().map(|set| set.matched(key));
        matched.find(Match::is_ignore).unwrap_or(Match::None)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rules {
            None => f.write_str("Filter(everything)"),
            Some(rules) => f.debug_tuple("Filter").field(&rules.ordered).finish(),
        }
    }
}

/// Collects patterns and lines in the given order.
#[derive(Default)]
pub struct FilterBuilder {
    ordered: Vec<Rule>,
    lines: IgnoreSet,
    sets: Vec<IgnoreSet>,
    paths: Vec<PathPattern>,
    parts: Vec<FilterPart>,
}

impl FilterBuilder {
    /// Excludes keys that match, unless a later pattern includes them.
    ///
    /// `*` matches any text, including `/`; `?` matches any single character; `[abc]` and `[!abc]` are sets. A trailing
    /// `/` matches the directory and everything below it. A leading `/` or `./` has no effect, because patterns start
    /// at the root.
    ///
    /// # Errors
    ///
    /// Fails if the pattern cannot be parsed or cannot match anything: if it is empty or blank, or has an empty, `.` or
    /// `..` segment.
    pub fn exclude(self, pattern: &str) -> Result<Self, FilterError> {
        self.ordered(pattern, Effect::Exclude)
    }

    /// Includes keys that match, unless a later pattern excludes them. It has no effect without an earlier exclude.
    ///
    /// # Errors
    ///
    /// Fails like [`exclude`](Self::exclude).
    pub fn include(self, pattern: &str) -> Result<Self, FilterError> {
        self.ordered(pattern, Effect::Include)
    }

    fn ordered(mut self, pattern: &str, effect: Effect) -> Result<Self, FilterError> {
        let pattern = Pattern::new(pattern).map_err(|error| FilterError::new(pattern, &error))?;
        self.parts.push(match effect {
            Effect::Exclude => FilterPart::Exclude(pattern.as_str().to_owned()),
            Effect::Include => FilterPart::Include(pattern.as_str().to_owned()),
        });
        self.ordered.push(Rule { pattern, effect });
        Ok(self)
    }

    /// Excludes paths that match at their end. If a directory matches, everything below it is excluded too. No include
    /// can override this.
    ///
    /// The language is that of Python's `PurePath.match`:
    ///
    /// * The pattern is compared with the path from the right, component by component: `logs` matches every `logs` at
    ///   any depth, `a/b` every `b` directly in an `a`.
    /// * `*` matches any text within a component, including no text and a leading dot. `?` matches any single
    ///   character; `[abc]`, `[a-z]` and `[!a-z]` are sets. None of them matches a `/`.
    /// * Every other character matches itself: a backslash, `!`, `#`, braces, spaces, and a `[` that is not closed.
    ///   Matching is case-sensitive.
    /// * A trailing `/`, `./` and doubled slashes in the pattern are ignored.
    ///
    /// There are two differences from Python. First, a component `**` matches any number of components, including none
    /// (in `PurePath.match` it matches one). So `logs/**` matches every `logs` and everything in it. Second, a pattern
    /// that cannot match anything is an error.
    ///
    /// # Errors
    ///
    /// Fails if the pattern is empty, starts with `/`, or has a set with a reversed range.
    pub fn exclude_matching(mut self, pattern: &str) -> Result<Self, FilterError> {
        self.paths.push(PathPattern::new(pattern).map_err(|why| FilterError::new(pattern, &why))?);
        self.parts.push(FilterPart::ExcludeMatching(pattern.to_owned()));
        Ok(self)
    }

    /// Adds the lines of a text in gitignore syntax.
    ///
    /// # Errors
    ///
    /// Fails at the first line that cannot be parsed or cannot match anything.
    pub fn ignore_lines(self, text: &str) -> Result<Self, FilterError> {
        self.ignore_file("", text)
    }

    /// Adds the lines of a text in gitignore syntax. [`Filter::deciding`] returns `name` with the line that decided.
    ///
    /// # Errors
    ///
    /// Fails at the first line that cannot be parsed or cannot match anything.
    pub fn ignore_file(mut self, name: &str, text: &str) -> Result<Self, FilterError> {
        self.lines = self.lines.patterns(name, text)?;
        self.parts.push(FilterPart::IgnoreFile { name: name.to_owned(), text: text.to_owned() });
        Ok(self)
    }

    /// Adds an ignore set. It can only exclude keys, whatever the other parts of the filter include.
    #[must_use]
    pub fn ignore_set(mut self, set: IgnoreSet) -> Self {
        if !set.is_empty() {
            self.parts.push(FilterPart::IgnoreSet(set.clone()));
            self.sets.push(set);
        }
        self
    }

    /// Adds all parts of another filter, after the ones that this builder has.
    ///
    /// # Errors
    ///
    /// Does not fail for parts of a filter that was built.
    pub fn filter(self, filter: &Filter) -> Result<Self, FilterError> {
        filter.parts().iter().try_fold(self, Self::part)
    }

    /// Returns the filter.
    ///
    /// # Errors
    ///
    /// Currently always succeeds. Each pattern was checked when it was added.
    pub fn build(self) -> Result<Filter, FilterError> {
        if self.parts.is_empty() {
            return Ok(Filter::default());
        }
        let Self { ordered, lines, sets, paths, parts } = self;
        Ok(Filter { rules: Some(Arc::new(Rules { ordered, lines, sets, paths, parts })), met: None })
    }
}

/// A filter pattern that cannot be parsed or cannot match anything.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}the pattern '{pattern}' cannot be used: {reason}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct FilterError {
    pattern: String,
    reason: String,
    line: Option<usize>,
}

impl FilterError {
    fn new(pattern: &str, error: &dyn fmt::Display) -> Self {
        Self { pattern: pattern.to_owned(), reason: error.to_string(), line: None }
    }

    fn at_line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }
}

impl fmt::Debug for FilterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FilterBuilder").field(&self.parts).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(rules: &[&str]) -> Filter {
        let build = rules.iter().try_fold(Filter::builder(), |builder, rule| match rule.split_at(1) {
            ("-", pattern) => builder.exclude(pattern),
            (_, pattern) => builder.include(pattern),
        });
        build.unwrap().build().unwrap()
    }

    #[test]
    fn the_last_match_wins_and_star_crosses_slashes() {
        let table: &[(&[&str], &str, bool)] = &[
            (&[], "a/b", true),
            (&["-*.tmp"], "a/b.tmp", false),
            (&["-*.tmp"], "a/b.tmpx", true),
            (&["-*", "+*.txt"], "a/b.txt", true),
            (&["-*", "+*.txt"], "a/b.bin", false),
            (&["+*.txt", "-*"], "a/b.txt", false),
            (&["-a/*"], "a/b/c", false),
            (&["-a/*"], "ab/c", true),
            (&["-a?c"], "abc", false),
            (&["-[!x]z"], "yz", false),
            (&["-[!x]z"], "xz", true),
            (&["-{a,b}"], "a", true),
            (&["-{a,b}"], "{a,b}", false),
            (&["-a\\b"], "a\\b", false),
            (&["-a**b"], "a/x/b", false),
            (&["-a?c"], "aéc", false),
            (&["-x[é-ü]z"], "xöz", false),
            (&["-[^a]"], "b", true),
            (&["-[^a]"], "^", false),
            (&["-[]]"], "]", false),
            (&["-[[]x"], "[x", false),
            (&["-**/x"], "x", true),
            (&["-**/x"], "a/b/x", false),
            (&["-.git/*"], ".git/config", false),
            (&["-a\nb"], "a\nb", false),
            (&["-*"], "a\nb", false),
            // A trailing `/` matches the directory and everything below it; a leading `/` is the root.
            (&["-folder/"], "folder/", false),
            (&["-folder/"], "folder/d/x", false),
            (&["-folder/"], "folder", true),
            (&["-folder/"], "d/folder/x", true),
            (&["-/folder/*"], "folder/x", false),
            (&["-/folder/"], "folder/x", false),
            (&["-./x"], "x", false),
            (&["-././x"], "x", false),
            (&["-./d/"], "d/x", false),
            (&["-*/old/"], "a/b/old/x", false),
            (&["-*", "+folder/"], "folder/d/x", true),
            (&["-*", "+./folder/"], "other/x", false),
            // Keys of buckets that are not valid paths.
            (&["-a/[/]b"], "a//b", false),
            (&["-[/]x"], "/x", false),
            (&["-[.]./x"], "../x", false),
            (&["-[ ]"], " ", false),
        ];
        for (rules, key, admitted) in table {
            assert_eq!(ordered(rules).admits(key), *admitted, "{rules:?} {key:?}");
        }
    }

    #[test]
    fn a_directory_is_pruned_only_when_nothing_below_can_be_admitted() {
        let table: &[(&[&str], &str, bool)] = &[
            (&[], "a/", false),
            (&["-a/*"], "a/", true),
            (&["-a/*"], "a/b/", true),
            (&["-a/*"], "ab/", false),
            (&["-*"], "a/", true),
            (&["-*.tmp"], "a.tmp/", false),
            (&["-*", "+x/*"], "y/", true),
            (&["-*", "+x/*"], "x/", false),
            (&["-*", "+x/y/z"], "x/", false),
            (&["-*", "+x/y/z"], "x/y/", false),
            (&["-*", "+*.txt"], "y/", false),
            (&["+*.txt", "-*"], "y/", true),
            (&["-node_modules*"], "node_modules/", true),
            (&["-node_modules/"], "node_modules/", true),
            (&["-/node_modules/"], "node_modules/a/", true),
            (&["-./node_modules/*"], "node_modules/", true),
        ];
        for (rules, directory, pruned) in table {
            assert_eq!(ordered(rules).prunes(directory), *pruned, "{rules:?} {directory:?}");
        }
    }

    #[test]
    fn gitignore_lines_follow_git() {
        let filter =
            Filter::builder().ignore_lines("# note\n*.log\n!keep.log\n/build/\nlogs/**/x\n").unwrap().build().unwrap();
        for (key, admitted) in [
            ("a.log", false),
            ("d/a.log", false),
            ("d/keep.log", true),
            ("build/", false),
            ("build/out.bin", false),
            ("d/build/out.bin", true),
            ("build", true),
            ("logs/a/b/x", false),
            ("# note", true),
        ] {
            assert_eq!(filter.admits(key), admitted, "{key}");
        }
        assert!(filter.prunes("build/"));
        assert!(!filter.prunes("d/"));
    }

    #[test]
    fn a_pattern_that_can_match_no_key_is_an_error() {
        for (pattern, why) in [
            ("", "it is empty"),
            (" ", "it is blank"),
            ("\t\n", "it is blank"),
            ("/", "it names the root itself"),
            ("./", "it names the root itself"),
            (".", "a '.' segment"),
            ("//x", "an empty segment"),
            ("a//b", "an empty segment"),
            ("a//", "an empty segment"),
            ("../x", "a '..' segment"),
            ("a/../b", "a '..' segment"),
            ("a/./b", "a '.' segment"),
            ("x/..", "a '..' segment"),
        ] {
            for build in [FilterBuilder::exclude, FilterBuilder::include] {
                let told = build(Filter::builder(), pattern).err().unwrap().to_string();
                assert!(told.contains(why), "{pattern:?}: {told}");
            }
        }
    }

    #[test]
    fn a_line_that_can_match_nothing_is_named_with_its_number() {
        for line in ["./build", "../x", "a//b", "!./x", "a/../b/"] {
            let told = Filter::builder().ignore_lines(&format!("# note\n\n{line}\n")).err().unwrap().to_string();
            assert!(told.starts_with(&format!("line 3: the pattern '{line}'")), "{told}");
        }
        for line in ["", "  ", "#./x", "/build/", "a/**/b/", "**", "!keep", "\\#x", "*.", "..x"] {
            assert!(Filter::builder().ignore_lines(line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn an_odd_pattern_is_named() {
        let error = Filter::builder().exclude("a[b").err().unwrap().to_string();
        assert!(error.contains("a[b"), "{error}");
    }
}
