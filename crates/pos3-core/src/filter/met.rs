//! Records which keys the patterns of a filter matched in a run.
//!
//! Patterns are compared with whole keys, so `--exclude d` excludes only a key `d`, and nothing in a directory `d`. A
//! user who means the directory would lose its contents to a delete, unless the run detects that the pattern matched
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{Effect, Filter, Rule, Rules};
use crate::key::Key;

/// The best match so far of each pattern.
#[derive(Debug)]
pub(super) struct Met(Vec<AtomicU8>);

const NOTHING: u8 = 0;

/// The pattern matched the name of a directory, and no key.
const DIRECTORY: u8 = 1;

/// The pattern matched a key, or may match one in a directory that was not listed.
const KEY: u8 = 2;

/// Deletes that a pattern may have been meant to prevent: the first one for each pattern.
#[derive(Debug, Default)]
pub(crate) struct Stray(BTreeMap<usize, Key>);

impl Filter {
    /// Returns this filter with a separate record of its matches.
    pub(crate) fn watched(&self) -> Self {
        let met = self.rules.as_ref().map(|rules| Met(rules.ordered.iter().map(|_| AtomicU8::new(NOTHING)).collect()));
        Self { rules: self.rules.clone(), met: met.map(Arc::new) }
    }

    /// Returns warnings about the patterns that matched no key, if this filter records matches.
    pub(crate) fn unmatched(&self) -> Vec<String> {
        let told = self.unmet().map(|(_, rule, met)| {
            let (effect, pattern) = (rule.effect.as_str(), rule.pattern.as_str());
            if met == DIRECTORY {
                format!(
                    "the {effect} pattern '{pattern}' matches a directory and no key: write '{pattern}/*' \
                     for its contents"
                )
            } else {
                format!("the {effect} pattern '{pattern}' matches nothing on either side")
            }
        });
        told.collect()
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
    pub(super) fn note_key(&self, rules: &Rules, key: &str) {
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
        for (_, rule, met) in self.unmet(rules) {
            if rule.pattern.can_match_below(directory) || rule.pattern.matches(directory) {
                met.store(KEY, Ordering::Relaxed);
            } else if above(directory).any(|name| rule.pattern.matches(name)) {
                met.fetch_max(DIRECTORY, Ordering::Relaxed);
            }
        }
    }

    fn unmet<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (usize, &'a Rule, &'a AtomicU8)> {
        let rules = rules.ordered.iter().zip(&self.0).enumerate().map(|(index, (rule, met))| (index, rule, met));
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
