//! What a sync means, said of two maps: no order, no streams, no cleverness.

use std::collections::BTreeSet;

use super::world::{Objects, World, above, is_below};
use crate::filter::Filter;
use crate::key::Key;
use crate::options::Deletion;
use crate::store::KeyRule;

/// Two trees before a run, and what the run is to do.
pub(super) struct Before<'a> {
    pub(super) source: &'a World,
    pub(super) target: &'a World,
    pub(super) filter: &'a Filter,
    pub(super) deletion: Deletion,
}

/// Whether what was to be deleted was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletes {
    Done,
    Withheld,
}

/// What a run without faults leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expectation {
    /// What the target then holds.
    pub(super) objects: Objects,
    /// The keys that are left alone, and told.
    pub(super) told: BTreeSet<String>,
}

/// What becomes of a key that the target should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there afterwards.
    Copied,
    /// The target has a link in its place, or the key is no file name, so nothing is deleted either.
    Refused,
    /// One name would be a file and a directory, or its place cannot be cleared, so nothing is deleted either.
    Clashes,
    /// It needs the place of what only the target has, and gets it when that is deleted.
    Replaces,
    /// It is, or lies below, a file in whose place the target has a directory that the filter hides: nothing is promised
    /// but that it is not harmed.
    Open,
}

impl Before<'_> {
    /// Returns what the target should have of the source.
    pub(super) fn wanted(&self) -> Objects {
        let mut wanted = self.source.objects.clone();
        wanted.retain(|key, _| self.filter.admits(key));
        wanted
    }

    /// Returns true if a mirror deletes this key: only the target has it, as far as can be known.
    pub(super) fn is_extra(&self, key: &str) -> bool {
        self.is_only_in_target(key) && !self.is_impossible_in_source(key)
    }

    /// Returns true if the source could never have this key, so that its absence there means nothing.
    fn is_impossible_in_source(&self, key: &str) -> bool {
        let has_content = self.target.objects.get(key).is_some_and(|content| !content.is_empty());
        let is_impossible = Key::from(key).check_path().is_err() || (key.ends_with('/') && has_content);
        self.source.rule == KeyRule::FilePath && is_impossible
    }

    fn is_only_in_target(&self, key: &str) -> bool {
        let in_source = self.source.objects.contains_key(key)
            || self.source.directories().contains(key)
            || self.source.is_linked(key);
        self.deletion == Deletion::Mirror && self.filter.admits(key) && !in_source
    }

    /// Returns what becomes of every wanted key.
    pub(super) fn fates(&self) -> Vec<(String, Fate)> {
        let wanted = self.wanted();
        wanted.iter().map(|(key, content)| (key.clone(), self.fate(key, content, &wanted))).collect()
    }

    /// Returns what follows.
    pub(super) fn after(&self, deletes: Deletes) -> Expectation {
        let mut files = self.target.objects.clone();
        files.retain(|key, _| !(deletes == Deletes::Done && self.is_extra(key)));
        let fates = self.fates();
        let with = |fate: Fate| fates.iter().filter(move |(_, given)| *given == fate).map(|(key, _)| key.clone());
        let is_kept = |key: &&String| self.is_only_in_target(key) && self.is_impossible_in_source(key);
        let kept = self.target.objects.keys().filter(is_kept).cloned();
        let told = with(Fate::Refused).chain(with(Fate::Clashes)).chain(self.linked_directories()).chain(kept);
        let told: BTreeSet<String> = told.collect();
        let copied: Vec<String> = with(Fate::Copied).collect();
        files.extend(copied.into_iter().map(|key| (key.clone(), self.source.objects[&key].clone())));
        if deletes == Deletes::Done {
            files.extend(with(Fate::Replaces).map(|key| (key.clone(), self.source.objects[&key].clone())));
        }
        if self.target.rule == KeyRule::FilePath {
            self.settle_directories(&mut files, deletes);
        }
        Expectation { objects: files, told }
    }

    /// Returns true if something is left alone that should be copied.
    pub(super) fn misses_a_copy(&self) -> bool {
        let is_missing = |fate: Fate| matches!(fate, Fate::Refused | Fate::Clashes);
        self.fates().iter().any(|(_, fate)| is_missing(*fate)) || !self.linked_directories().is_empty()
    }

    /// Returns an expectation without the keys of which nothing is promised.
    pub(super) fn promised(&self, mut expectation: Expectation) -> Expectation {
        let wanted = self.wanted();
        expectation.objects.retain(|key, _| !self.is_open(key, &wanted));
        expectation.told.retain(|key| !self.is_open(key, &wanted));
        expectation
    }

    fn fate(&self, key: &str, content: &str, wanted: &Objects) -> Fate {
        if self.target.rule == KeyRule::Any {
            return Fate::Copied;
        }
        let is_file = |key: &str| !key.ends_with('/') && Key::from(key).check_path().is_ok();
        let below = |file: &&String| is_file(file) && is_below(key, file);
        if self.target.is_linked(key) {
            return Fate::Refused;
        }
        if self.is_open(key, wanted) {
            return Fate::Open;
        }
        // Where the target has the directory already, the source's file of that name has to give way.
        let is_directory_there = |file: &String| {
            self.target.directories().contains(&format!("{file}/")) && self.source_has_below(&format!("{file}/"))
        };
        if wanted.keys().any(|file| below(&file) && !is_directory_there(file)) {
            return Fate::Clashes;
        }
        let names_a_file = Key::from(key).check_path().is_ok() && (content.is_empty() || !key.ends_with('/'));
        let file_above = self.target.objects.keys().find(below);
        match file_above {
            Some(file) if self.deletion == Deletion::Keep && self.filter.admits(file) => return Fate::Clashes,
            _ if !names_a_file => return Fate::Refused,
            Some(file) if self.is_extra(file) => return Fate::Replaces,
            Some(_) => return Fate::Clashes,
            None => {}
        }
        let directory = format!("{key}/");
        if key.ends_with('/') || !self.target.directories().contains(&directory) {
            Fate::Copied
        } else if self.is_extra(&directory) && !self.source_has_below(&directory) && self.can_go(&directory) {
            Fate::Replaces
        } else {
            Fate::Clashes
        }
    }

    /// Returns true if deletes remove everything in a directory of the target.
    fn can_go(&self, directory: &str) -> bool {
        let inside = |key: &&String| key.starts_with(directory);
        self.target.objects.keys().filter(inside).all(|key| self.is_extra(key))
            && !self.target.links.iter().any(|link| inside(&link))
    }

    /// Returns true if `key` is, or lies below, a wanted file in whose place the target has a directory that is hidden.
    fn is_open(&self, key: &str, wanted: &Objects) -> bool {
        let directories = self.target.directories();
        let hidden = |file: &String| {
            let directory = format!("{file}/");
            directories.contains(&directory) && !self.filter.admits(&directory)
        };
        wanted.keys().any(|file| (key == file || is_below(key, file)) && !file.ends_with('/') && hidden(file))
    }

    /// Returns the source's directories that hold nothing to copy, where the target has a link in their place.
    fn linked_directories(&self) -> Vec<String> {
        let wanted = |key: &String| self.source.objects.contains_key(key);
        let is_link = |key: &String| self.target.links.contains(key.trim_end_matches('/'));
        let shown = self.source.directories().into_iter().filter(|key| self.filter.admits(key) && !wanted(key));
        shown.filter(is_link).collect()
    }

    /// Deletes the directories that only the target has and that are left empty, and shows as markers those that are
    /// empty and stay.
    fn settle_directories(&self, files: &mut Objects, deletes: Deletes) {
        let before = self.target.directories();
        let mut directories = before.clone();
        directories.extend(files.keys().flat_map(|key| above(key)));
        files.retain(|key, _| !key.ends_with('/'));
        for directory in directories.iter().rev() {
            let name = directory.trim_end_matches('/');
            let taken = files.contains_key(name);
            let holds_something = files.keys().chain(&self.target.links).any(|key| is_below(key, name));
            let deleted = deletes == Deletes::Done
                && before.contains(directory)
                && self.is_extra(directory)
                && !self.source_has_below(directory);
            if !taken && !holds_something && !deleted {
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
