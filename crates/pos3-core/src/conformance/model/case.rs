//! Random cases: two trees, a link in each, a filter, and a fault.

use proptest::prelude::*;

use super::fault::{Fault, fault};
use super::world::Objects;
use crate::filter::Filter;
use crate::options::{Deletion, Guards, MaxDelete, SyncOptions};

/// One case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) source: Objects,
    pub(super) target: Objects,
    pub(super) source_link: Option<String>,
    pub(super) target_link: Option<String>,
    pub(super) patterns: Vec<(Effect, &'static str)>,
    pub(super) deletion: Deletion,
    pub(super) fault: Fault,
}

/// The effect of a pattern.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    Exclude,
    Include,
}

/// Segments that collide and sort in every relevant way.
const SEGMENTS: [&str; 12] = ["a", "b", "a-", "a.", "a%2E", "a0", "é", "e\u{301}", "..", "x#1", "n\nl", ""];

/// Patterns that match some of the keys, some of the directories, and some of both.
const PATTERNS: [&str; 10] = ["*", "a*", "a/*", "*b", "*/a", "b", "é/*", "a?", "*/", "*/*"];

fn key() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&SEGMENTS[..]), 1..4)
        .prop_map(|segments| segments.join("/"))
        .prop_filter("no key", |key| !key.is_empty())
}

fn objects() -> impl Strategy<Value = Objects> {
    prop::collection::btree_map(key(), "[xy]{0,2}", 0..12)
}

fn link() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.3, prop::sample::select(vec!["a", "b", "a-", "é"]).prop_map(str::to_owned))
}

fn patterns() -> impl Strategy<Value = Vec<(Effect, &'static str)>> {
    let effect = prop::sample::select(vec![Effect::Exclude, Effect::Include]);
    prop::collection::vec((effect, prop::sample::select(&PATTERNS[..])), 0..3)
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let deletion = prop::sample::select(vec![Deletion::Keep, Deletion::Extra]);
    (objects(), objects(), link(), link(), patterns(), deletion, fault()).prop_map(
        |(source, target, source_link, target_link, patterns, deletion, fault)| Case {
            source,
            target,
            source_link,
            target_link,
            patterns,
            deletion,
            fault,
        },
    )
}

impl Case {
    pub(super) fn filter(&self) -> Filter {
        let build = self.patterns.iter().try_fold(Filter::builder(), |builder, (effect, pattern)| match effect {
            Effect::Exclude => builder.exclude(pattern),
            Effect::Include => builder.include(pattern),
        });
        build.unwrap().build().unwrap()
    }

    /// Returns options without guards, which would refuse most small random trees.
    pub(super) fn options(&self) -> SyncOptions {
        let guards = Guards::default().with_max_delete(MaxDelete::Percent(100)).with_allow_empty(true);
        let guards = guards.with_allow_unmatched(true);
        SyncOptions::default().with_filter(self.filter()).with_deletion(self.deletion).with_guards(guards)
    }
}
