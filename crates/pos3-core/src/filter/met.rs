//! Records which keys the patterns of a filter matched in a run.
//!
//! Patterns are compared with whole keys, so `--exclude d` excludes only a key `d`, and nothing in a directory `d`. A
//! user who means the directory would lose its contents to a delete, unless the run detects that the pattern matched
//! nothing.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ignore::Match;
use ignore::gitignore::Glob;

use super::gitignore;
use super::path_pattern::PathPattern;
use super::rule::Origin;
use super::{Effect, Filter, FilterPart, Rule, Rules};
use crate::key::Key;

/// For each pattern the most that it matched so far.
#[derive(Debug)]
pub(super) struct Met {
    ordered: Vec<AtomicU8>,
    paths: Vec<AtomicU8>,
    /// The origins of the gitignore lines that decided about a key or a directory.
    lines: Mutex<HashSet<PathBuf>>,
}

/// The number of lines of a file that a warning names.
const NAMED: usize = 3;

const NOTHING: u8 = 0;

/// The pattern matched the name of a directory, and no key.
const DIRECTORY: u8 = 1;

/// The pattern matched a key, or may match one in a directory that was not listed.
const KEY: u8 = 2;

/// Deletes that a pattern may have been meant to prevent: the first one for each pattern.
#[derive(Debug, Default)]
pub(crate) struct Stray(BTreeMap<usize, Key>);

impl Filter {
    /// Returns this filter with its own record of the patterns that match.
    pub(crate) fn watched(&self) -> Self {
        let met = self.rules.as_ref().map(|rules| Arc::new(Met::new(rules)));
        Self { rules: self.rules.clone(), met }
    }

    /// Returns the warnings about patterns and lines that matched no key, if this filter is watched.
    pub(crate) fn unmatched(&self) -> Vec<String> {
        let ordered = self.unmet().map(|(_, rule, met)| {
            let (effect, pattern) = (rule.effect.as_str(), rule.pattern.as_str());
            if met == DIRECTORY {
                format!(
                    "the {effect} pattern '{pattern}' matches a directory and no key: write '{pattern}/*' \
                     for its contents"
                )
            } else {
                matches_nothing(effect, pattern)
            }
        });
        let mut told: Vec<_> = ordered.collect();
        if let (Some(rules), Some(met)) = (&self.rules, &self.met) {
            told.extend(
                met.unmet_paths(rules).map(|(path, _)| matches_nothing(Effect::Exclude.as_str(), path.as_str())),
            );
            let lines = met.lines();
            told.extend(rules.parts.iter().filter_map(|part| without_effect(part, &lines)));
        }
        told
    }

    /// Records a key that is to be deleted, if it lies in a directory whose name a pattern matches that has matched no
    /// key so far.
    pub(crate) fn note_delete(&self, key: &Key, stray: &mut Stray) {
        for (index, rule, _) in self.unmet().filter(|(_, rule, _)| rule.effect == Effect::Exclude) {
            if above(key.as_str()).any(|directory| rule.pattern.matches(directory)) {
                stray.0.entry(index).or_insert_with(|| key.clone());
            }
        }
    }

    /// Returns the first pattern that matched no key in the whole run, with a key that it may have been meant to
    /// protect.
    pub(crate) fn first_stray(&self, stray: &Stray) -> Option<(String, Key)> {
        self.unmet().find_map(|(index, rule, _)| Some((rule.pattern.as_str().to_owned(), stray.0.get(&index)?.clone())))
    }

    fn unmet(&self) -> impl Iterator<Item = (usize, &Rule, u8)> {
        let both = self.rules.as_ref().zip(self.met.as_ref());
        both.into_iter()
            .flat_map(|(rules, met)| met.unmet(rules))
            .map(|(index, rule, met)| (index, rule, met.load(Ordering::Relaxed)))
    }
}

impl Met {
    fn new(rules: &Rules) -> Self {
        let nothing = |count: usize| std::iter::repeat_with(|| AtomicU8::new(NOTHING)).take(count).collect();
        Self { ordered: nothing(rules.ordered.len()), paths: nothing(rules.paths.len()), lines: Mutex::default() }
    }

    pub(super) fn note_key(&self, rules: &Rules, key: &str) {
        self.unmet_paths(rules)
            .filter(|(path, _)| path.covers(key))
            .for_each(|(_, met)| met.store(KEY, Ordering::Relaxed));
        for (_, rule, met) in self.unmet(rules) {
            if rule.pattern.matches(key) {
                met.store(KEY, Ordering::Relaxed);
            } else if met.load(Ordering::Relaxed) == NOTHING && above(key).any(|name| rule.pattern.matches(name)) {
                met.fetch_max(DIRECTORY, Ordering::Relaxed);
            }
        }
    }

    /// Records a directory that is not listed, because its contents may match.
    pub(super) fn note_pruned(&self, rules: &Rules, directory: &str) {
        // Such a pattern can match at any depth.
        self.unmet_paths(rules).for_each(|(_, met)| met.store(KEY, Ordering::Relaxed));
        for (_, rule, met) in self.unmet(rules) {
            if rule.pattern.can_match_below(directory) || rule.pattern.matches(directory) {
                met.store(KEY, Ordering::Relaxed);
            } else if above(directory).any(|name| rule.pattern.matches(name)) {
                met.fetch_max(DIRECTORY, Ordering::Relaxed);
            }
        }
    }

    /// Records the gitignore line that decided about a key or a directory.
    pub(super) fn note_line(&self, line: &Match<&Glob>) {
        let (Match::Ignore(glob) | Match::Whitelist(glob)) = line else { return };
        let Some(origin) = glob.from() else { return };
        let mut lines = self.lines();
        if !lines.contains(origin) {
            lines.insert(origin.to_owned());
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unmet_paths<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (&'a PathPattern, &'a AtomicU8)> {
        rules.paths.iter().zip(&self.paths).filter(|(_, met)| met.load(Ordering::Relaxed) != KEY)
    }

    fn unmet<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (usize, &'a Rule, &'a AtomicU8)> {
        let rules = rules.ordered.iter().zip(&self.ordered).enumerate().map(|(index, (rule, met))| (index, rule, met));
        rules.filter(|(.., met)| met.load(Ordering::Relaxed) != KEY)
    }
}

impl Effect {
    fn as_str(self) -> &'static str {
        match self {
            Self::Exclude => "exclude",
            Self::Include => "include",
        }
    }
}

fn matches_nothing(effect: &str, pattern: &str) -> String {
    format!("the {effect} pattern '{pattern}' matches nothing on either side")
}

/// Returns one warning about the lines of a text that decided about no key, if there are any. The matcher only returns the
/// deciding line, so a line may also match keys that other lines decide about.
fn without_effect(part: &FilterPart, met: &HashSet<PathBuf>) -> Option<String> {
    let FilterPart::IgnoreFile { name, text } = part else { return None };
    let origins = met.iter().filter_map(|origin| Origin::decode(origin)).filter(|origin| origin.name == name);
    let texts: HashSet<&str> = origins.map(|origin| origin.text).collect();
    let written = text.trim_start_matches('\u{feff}').lines().map(gitignore::trim).enumerate();
    let rules = written.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut unmet = rules.filter(|(_, line)| !texts.contains(line));
    let named: Vec<_> =
        unmet.by_ref().take(NAMED).map(|(index, line)| format!("line {} ('{line}')", index + 1)).collect();
    if named.is_empty() {
        return None;
    }
    let more = match unmet.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "lines of '{name}' have no effect, because no key on either side matches them or other rules decide: {}{more}",
        named.join(", ")
    ))
}

/// Returns the names of the directories that contain a key: `a` and `a/b` for `a/b/c`, and for `a/b/`.
fn above(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').map(|(at, _)| &key[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(patterns: &[(&str, Effect)]) -> Filter {
        let build = patterns.iter().try_fold(Filter::builder(), |builder, (pattern, effect)| match effect {
            Effect::Exclude => builder.exclude(pattern),
            Effect::Include => builder.include(pattern),
        });
        build.unwrap().build().unwrap().watched()
    }

    #[test]
    fn a_pattern_that_matches_no_key_is_told_from_one_that_names_a_directory() {
        for (pattern, keys, expected) in [
            ("d", &["d"][..], None),
            ("d", &["d/x"], Some("matches a directory and no key: write 'd/*'")),
            ("d", &["e/d/x", "dx"], Some("matches nothing")),
            ("*/d", &["e/d/x"], Some("matches a directory and no key: write '*/d/*'")),
            ("*/d", &["e/d/x", "f/d"], None),
            ("d/*", &["d/x"], None),
            ("d/", &["d/x"], None),
        ] {
            let filter = watched(&[(pattern, Effect::Exclude)]);
            for key in keys {
                filter.admits(key);
            }
            let told = filter.unmatched();
            assert_eq!(told.len(), usize::from(expected.is_some()), "{pattern} {told:?}");
            assert!(told.iter().all(|told| expected.is_some_and(|expected| told.contains(expected))), "{told:?}");
            assert_eq!(filter.watched().unmatched().len(), 1, "another run has a memory of its own");
        }
    }

    #[test]
    fn lines_that_decide_about_no_key_are_named_once_for_their_file() {
        let lines = "# note\n*.log\n\nbuild/\n*.log\n!keep.log\nfloder/\n";
        let filter = Filter::builder().ignore_file("list", lines).unwrap().build().unwrap().watched();
        assert!(!filter.admits("a.log") && filter.admits("folder/x") && filter.prunes("build/"));
        let told = filter.unmatched();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].ends_with("decide: line 6 ('!keep.log'), line 7 ('floder/')"), "{told:?}");
        assert!(filter.admits("d/keep.log") && !filter.admits("floder/x"));
        assert!(filter.unmatched().is_empty());
        let many = "a\nb\nc\nd\ne\n";
        let filter = Filter::builder().ignore_file("list", many).unwrap().build().unwrap().watched();
        assert!(filter.unmatched()[0].ends_with("line 1 ('a'), line 2 ('b'), line 3 ('c') and 2 more"));
    }

    #[test]
    fn a_pattern_that_matches_from_the_right_and_matches_nothing_is_named() {
        let build = Filter::builder().exclude_matching("logs").and_then(|filter| filter.exclude_matching("*.tmp"));
        let filter = build.and_then(|filter| filter.exclude_matching("b/c")).unwrap().build().unwrap().watched();
        assert!(filter.admits("a") && !filter.admits("d/logs/x") && !filter.admits("x/b/c"));
        assert_eq!(filter.unmatched(), ["the exclude pattern '*.tmp' matches nothing on either side"]);
        assert!(filter.prunes("logs/"));
        assert!(filter.unmatched().is_empty(), "there may be one in it");
    }

    #[test]
    fn what_is_not_looked_into_may_match() {
        let filter = watched(&[("d*", Effect::Exclude), ("d/*.txt", Effect::Include), ("data", Effect::Exclude)]);
        assert!(!filter.prunes("d/"), "something in it may be included");
        let filter = watched(&[("d/*.txt", Effect::Exclude), ("data", Effect::Exclude), ("d*", Effect::Exclude)]);
        assert!(filter.prunes("d/"));
        assert_eq!(filter.unmatched(), ["the exclude pattern 'data' matches nothing on either side"]);
    }

    #[test]
    fn a_delete_below_the_name_of_a_pattern_is_a_stray_unless_the_pattern_matches_a_key() {
        let filter = watched(&[("d", Effect::Exclude), ("*/old", Effect::Exclude), ("i", Effect::Include)]);
        let mut stray = Stray::default();
        for key in ["a", "i/x", "e/old/x", "e/old/y"] {
            assert!(filter.admits(key));
            filter.note_delete(&Key::from(key), &mut stray);
        }
        assert_eq!(filter.first_stray(&stray), Some(("*/old".to_owned(), Key::from("e/old/x"))));
        assert!(!filter.admits("f/old"));
        assert_eq!(filter.first_stray(&stray), None);
    }
}
