//! What a sync means, said of two maps: no order, no streams, no cleverness.

use std::collections::BTreeSet;

use super::world::{Objects, World, above, is_below};
use crate::filter::Filter;
use crate::key::Key;
use crate::options::Deletion;
use crate::store::KeyRule;

/// What a run without faults leads to.
#[derive(Debug)]
pub(super) struct Expectation {
    /// What the target then holds.
    pub(super) objects: Objects,
    /// The keys that are left alone, and told.
    pub(super) refused: BTreeSet<String>,
    /// Whether a clash is among the reasons, or something in the way, so that nothing may be deleted.
    pub(super) clashes: bool,
}

/// Why a key is left alone.
#[derive(PartialEq, Eq)]
enum Refusal {
    Link,
    Unsafe,
    Clash,
}

/// Two trees before a run.
pub(super) struct Before<'a> {
    pub(super) source: &'a World,
    pub(super) target: &'a World,
    pub(super) filter: &'a Filter,
}

impl Before<'_> {
    /// Returns what follows. Whether deletes are withheld is given: the caller checks that against `clashes`.
    pub(super) fn after(&self, deletion: Deletion, withheld: bool) -> Expectation {
        let refused = self.refused();
        let deletes = deletion == Deletion::Mirror && !withheld;
        let mut files = self.target.objects.clone();
        files.retain(|key, _| !(deletes && self.is_extra(key)));
        let copied = self.wanted().into_iter().filter(|(key, _)| !refused.iter().any(|(refused, _)| refused == key));
        files.extend(copied);
        if self.target.rule == KeyRule::FilePath {
            self.settle_directories(&mut files, deletes);
        }
        Expectation {
            objects: files,
            clashes: refused.iter().any(|(_, why)| *why == Refusal::Clash),
            refused: refused.into_iter().map(|(key, _)| key).collect(),
        }
    }

    /// Returns what the target should have of the source.
    pub(super) fn wanted(&self) -> Objects {
        let mut wanted = self.source.objects.clone();
        wanted.retain(|key, _| self.filter.admits(key));
        wanted
    }

    /// Returns true if only the target has this key, so that a mirror deletes it.
    pub(super) fn is_extra(&self, key: &str) -> bool {
        let in_source = self.source.objects.contains_key(key)
            || self.source.directories().contains(key)
            || self.source.is_linked(key);
        self.filter.admits(key) && !in_source
    }

    fn refused(&self) -> Vec<(String, Refusal)> {
        let wanted = self.wanted();
        let refusals = wanted.iter().map(|(key, content)| Some((key.clone(), self.refusal(key, content, &wanted)?)));
        let mut refused: Vec<_> = refusals.flatten().collect();
        // A directory that holds nothing to copy is told too where the target has a link in its place.
        let shown = |key: &String| self.filter.admits(key) && !wanted.contains_key(key);
        let linked = self.source.directories().into_iter().filter(shown);
        let is_link = |key: &String| self.target.links.contains(key.trim_end_matches('/'));
        refused.extend(linked.filter(is_link).map(|key| (key, Refusal::Link)));
        refused
    }

    fn refusal(&self, key: &str, content: &str, wanted: &Objects) -> Option<Refusal> {
        if self.target.rule == KeyRule::Any {
            return None;
        }
        let is_file = |key: &str| !key.ends_with('/') && Key::from(key).check_path().is_ok();
        let below = |file: &String| is_file(file) && is_below(key, file);
        let is_directory = key.ends_with('/');
        if self.target.is_linked(key) {
            let clashes =
                key.strip_suffix('/').is_some_and(|name| self.target.links.contains(name) && wanted.contains_key(name));
            return Some(if clashes { Refusal::Clash } else { Refusal::Link });
        }
        let listed = self.target.objects.keys().filter(|key| self.filter.admits(key));
        if wanted.keys().chain(listed).any(below) {
            return Some(Refusal::Clash);
        }
        if Key::from(key).check_path().is_err() || (is_directory && !content.is_empty()) {
            return Some(Refusal::Unsafe);
        }
        let in_the_way = self.target.objects.keys().any(below)
            || (!is_directory && self.target.directories().contains(&format!("{key}/")));
        in_the_way.then_some(Refusal::Clash)
    }

    /// Deletes the directories that only the target has and that are left empty, and shows as markers those that are
    /// empty and stay.
    fn settle_directories(&self, files: &mut Objects, deletes: bool) {
        let mut directories: BTreeSet<String> = self.target.directories();
        directories.extend(files.keys().flat_map(|key| above(key)));
        files.retain(|key, _| !key.ends_with('/'));
        for directory in directories.iter().rev() {
            let name = directory.trim_end_matches('/');
            let holds_something = files.keys().chain(&self.target.links).any(|key| is_below(key, name));
            let is_extra = deletes && self.is_extra(directory) && !self.source_has_below(directory);
            if !holds_something && (!is_extra || !self.target.directories().contains(directory)) {
                files.insert(directory.clone(), String::new());
            }
        }
    }

    fn source_has_below(&self, directory: &str) -> bool {
        let links = self.source.links.iter().flat_map(|link| [link.clone(), format!("{link}/")]);
        let keys = self.source.objects.keys().cloned().chain(self.source.directories()).chain(links);
        keys.filter(|key| self.filter.admits(key)).any(|key| key.starts_with(directory))
    }
}
