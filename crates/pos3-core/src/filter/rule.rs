//! Reports which rule decided about a key, to explain why a run does not include it.

use std::path::Path;

use ignore::Match;
use ignore::gitignore::Glob;

use super::path_pattern::PathPattern;
use super::{Effect, Filter, Rule, Rules};

/// The rule of a filter that decided about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterRule {
    /// The effect on keys that match.
    pub effect: Effect,
    /// The pattern or line, as it was written.
    pub text: String,
    /// The line of the rule, if it came from a text in gitignore syntax.
    pub line: Option<FilterLine>,
}

/// A line of a text in gitignore syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterLine {
    /// The given name of the text; empty if it has none.
    pub name: String,
    /// The line number, starting at 1.
    pub number: usize,
}

/// The line that a rule of the matcher comes from. The matcher stores only one path for each rule, so the line is
/// encoded as one string.
pub(super) struct Origin<'a> {
    pub(super) name: &'a str,
    pub(super) number: usize,
    pub(super) text: &'a str,
}

impl<'a> Origin<'a> {
    pub(super) fn encoded(&self) -> String {
        format!("{}:{}:{}{}", self.number, self.name.len(), self.name, self.text)
    }

    pub(super) fn decode(encoded: &'a Path) -> Option<Self> {
        let (number, rest) = encoded.to_str()?.split_once(':')?;
        let (length, rest) = rest.split_once(':')?;
        let (name, text) = rest.split_at_checked(length.parse().ok()?)?;
        Some(Self { name, number: number.parse().ok()?, text })
    }
}

impl Filter {
    /// Returns the rule that decided whether the run includes the key: the rule that excludes it, or the rule that
    /// includes it again after an earlier exclude. Returns `None` if no rule matches.
    pub fn deciding(&self, key: &str) -> Option<FilterRule> {
        self.rules.as_ref().and_then(|rules| rules.deciding(key))
    }
}

impl Rules {
    fn deciding(&self, key: &str) -> Option<FilterRule> {
        let ordered = self.last_match(key).map(FilterRule::of_pattern);
        let [line, set] = [self.matched_line(key), self.matched_set(key)].map(|matched| match matched {
            Match::Ignore(glob) => Some(FilterRule::of_line(glob, Effect::Exclude)),
            Match::Whitelist(glob) => Some(FilterRule::of_line(glob, Effect::Include)),
            Match::None => None,
        });
        let path = self.covering(key).map(FilterRule::of_path);
        let excludes = |rule: &&FilterRule| rule.effect == Effect::Exclude;
        let excluding = [&ordered, &line, &path, &set].into_iter().flatten().find(excludes).cloned();
        excluding.or(ordered).or(line)
    }
}

impl FilterRule {
    fn of_pattern(rule: &Rule) -> Self {
        Self { effect: rule.effect, text: rule.pattern.as_str().to_owned(), line: None }
    }

    fn of_path(pattern: &PathPattern) -> Self {
        Self { effect: Effect::Exclude, text: pattern.as_str().to_owned(), line: None }
    }

    fn of_line(glob: &Glob, effect: Effect) -> Self {
        let origin = glob.from().and_then(Origin::decode);
        let text = origin.as_ref().map_or(glob.original(), |origin| origin.text).to_owned();
        let line = origin.map(|Origin { name, number, .. }| FilterLine { name: name.to_owned(), number });
        Self { effect, text, line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_that_decides_is_named_with_its_line() {
        let filter = Filter::builder()
            .exclude("*")
            .and_then(|builder| builder.include("d/*"))
            .and_then(|builder| builder.ignore_file("a:b", "# note\n*.log\n!keep.log\nbuild/\n"))
            .and_then(|builder| builder.ignore_file("other", "*.tmp"))
            .and_then(|builder| builder.exclude_matching("old/*"))
            .and_then(super::super::FilterBuilder::build)
            .unwrap();
        let line = |number| Some(FilterLine { name: "a:b".into(), number });
        for (key, effect, text, line) in [
            ("x", Effect::Exclude, "*", None),
            ("d/x", Effect::Include, "d/*", None),
            ("d/x.log", Effect::Exclude, "*.log", line(2)),
            ("d/keep.log", Effect::Include, "d/*", None),
            ("d/build/x", Effect::Exclude, "build/", line(4)),
            ("d/x.tmp", Effect::Exclude, "*.tmp", Some(FilterLine { name: "other".into(), number: 1 })),
            ("d/old/x/y", Effect::Exclude, "old/*", None),
        ] {
            let expected = FilterRule { effect, text: text.into(), line };
            assert_eq!(filter.deciding(key), Some(expected), "{key}");
            assert_eq!(filter.admits(key), effect == Effect::Include, "{key}");
        }
        assert_eq!(Filter::default().deciding("x"), None);
    }
}
