//! Defines the result of a sync for two maps, without order, streams or optimizations.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Objects, World, above, is_below};
use crate::filter::Filter;
use crate::key::Key;
use crate::options::Deletion;
use crate::side::Side;
use crate::store::Namespace;

/// Two trees before a run, and the options of the run.
pub(super) struct Before<'a> {
    pub(super) source: &'a World,
    pub(super) target: &'a World,
    pub(super) filter: &'a Filter,
    pub(super) deletion: Deletion,
}

/// Whether the deletes were executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletes {
    Done,
    Withheld,
}

/// The result of a run without faults.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expectation {
    /// The objects of the target after the run.
    pub(super) objects: Objects,
    /// The keys that are skipped and reported.
    pub(super) told: BTreeSet<String>,
}

/// The result for a key that the target should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The key exists after the run.
    Copied,
    /// The target has a link at this path, or the key is not a file name. Nothing is deleted then.
    Refused,
    /// The key is an empty directory, and the target has an object with content there, which stays and is reported.
    Kept,
    /// A name would be both a file and a directory, or its path cannot be freed. Nothing is deleted then.
    Clashes,
    /// The key needs the path of an entry that only the target has, and gets it when that entry is deleted.
    Replaces,
    /// The key is a file, or lies below a file, at whose path the target has a directory that the filter excludes. The
    /// model only promises that it is not damaged.
    Open,
}

impl Before<'_> {
    /// Returns the entries of the source that the target should have.
    pub(super) fn wanted(&self) -> Objects {
        let mut wanted = self.source.objects.clone();
        wanted.retain(|key, _| self.filter.admits(key));
        wanted
    }

    /// Returns true if a sync with deletes deletes this key because only the target has it, as far as this is known.
    pub(super) fn is_extra(&self, key: &str) -> bool {
        self.is_only_in_target(key) && !self.is_impossible_in_source(key)
    }

    /// Returns true if the source could never have this key, so that its absence means nothing.
    fn is_impossible_in_source(&self, key: &str) -> bool {
        let has_content = self.target.objects.get(key).is_some_and(|content| !content.is_empty());
        let is_impossible = Key::from(key).check_path().is_err() || (key.ends_with('/') && has_content);
        self.source.namespace == Namespace::Hierarchical && is_impossible
    }

    fn is_only_in_target(&self, key: &str) -> bool {
        self.deletion == Deletion::Extra && self.filter.admits(key) && !self.is_in_source(key)
    }

    fn is_in_source(&self, key: &str) -> bool {
        let source = self.source;
        source.objects.contains_key(key) || source.directories().contains(key) || source.is_linked(key)
    }

    /// Returns the entries that stay in the target and clash with one of the source, where the source is a disk and the
    /// target can hold both. Each name that is a file on one side is reported with one entry below it on the other.
    fn of_other_shape(&self) -> BTreeSet<String> {
        if self.source.namespace != Namespace::Hierarchical || self.target.namespace == Namespace::Hierarchical {
            return BTreeSet::new();
        }
        let stays =
            |key: &String| self.deletion == Deletion::Keep && self.filter.admits(key) && !self.is_in_source(key);
        let staying = self.target.objects.keys().filter(|key| stays(key)).map(|key| (key.clone(), Side::Target));
        let wanted = self.wanted().into_keys().map(|key| (key, Side::Source));
        let entries: BTreeMap<String, Side> = staying.chain(wanted).collect();
        let (mut names, mut told) = (BTreeSet::new(), BTreeSet::new());
        for (key, side) in &entries {
            let clashes = |(name, of): &(&String, &Side)| {
                *of != side && !name.ends_with('/') && is_below(key, name) && !names.contains(*name)
            };
            if let Some((name, _)) = entries.iter().find(clashes) {
                names.insert(name.clone());
                told.insert(if *side == Side::Source { name.clone() } else { key.clone() });
            }
        }
        told
    }

    /// Returns the result for every wanted key.
    pub(super) fn fates(&self) -> Vec<(String, Fate)> {
        let wanted = self.wanted();
        wanted.iter().map(|(key, content)| (key.clone(), self.fate(key, content, &wanted))).collect()
    }

    /// Returns the expected target.
    pub(super) fn after(&self, deletes: Deletes) -> Expectation {
        let mut files = self.target.objects.clone();
        files.retain(|key, _| !(deletes == Deletes::Done && self.is_extra(key)));
        let fates = self.fates();
        let with = |fate: Fate| fates.iter().filter(move |(_, given)| *given == fate).map(|(key, _)| key.clone());
        let is_kept = |key: &&String| self.is_only_in_target(key) && self.is_impossible_in_source(key);
        let kept = self.target.objects.keys().filter(is_kept).cloned();
        let told = with(Fate::Refused).chain(with(Fate::Clashes)).chain(with(Fate::Kept));
        let told = told.chain(self.linked_directories()).chain(kept);
        let withheld = with(Fate::Replaces).filter(|_| deletes == Deletes::Withheld);
        let told: BTreeSet<String> = told.chain(self.of_other_shape()).chain(withheld).collect();
        let copied: Vec<String> = with(Fate::Copied).collect();
        files.extend(copied.into_iter().map(|key| (key.clone(), self.source.objects[&key].clone())));
        if deletes == Deletes::Done {
            files.extend(with(Fate::Replaces).map(|key| (key.clone(), self.source.objects[&key].clone())));
        }
        if self.target.namespace == Namespace::Hierarchical {
            self.settle_directories(&mut files, deletes);
        }
        Expectation { objects: files, told }
    }

    /// Returns true if a key that should be copied is skipped.
    pub(super) fn misses_a_copy(&self) -> bool {
        let is_missing = |fate: Fate| matches!(fate, Fate::Refused | Fate::Clashes);
        self.fates().iter().any(|(_, fate)| is_missing(*fate)) || !self.linked_directories().is_empty()
    }

    /// Removes the keys from an expectation about which the model promises nothing.
    pub(super) fn promised(&self, mut expectation: Expectation) -> Expectation {
        let wanted = self.wanted();
        expectation.objects.retain(|key, _| !self.is_open(key, &wanted));
        expectation.told.retain(|key| !self.is_open(key, &wanted));
        expectation
    }

    fn fate(&self, key: &str, content: &str, wanted: &Objects) -> Fate {
        if self.target.namespace == Namespace::Flat {
            return if self.is_impossible_in_source(key) { Fate::Kept } else { Fate::Copied };
        }
        let is_file = |key: &str| !key.ends_with('/') && Key::from(key).check_path().is_ok();
        let below = |file: &&String| is_file(file) && is_below(key, file);
        if self.target.is_linked(key) {
            return Fate::Refused;
        }
        if self.is_open(key, wanted) {
            return Fate::Open;
        }
        // If the target already has the directory, the source's file of that name is skipped.
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

    /// Returns true if `key` is a wanted file, or lies below one, at whose path the target has an excluded directory.
    fn is_open(&self, key: &str, wanted: &Objects) -> bool {
        let directories = self.target.directories();
        let hidden = |file: &String| {
            let directory = format!("{file}/");
            directories.contains(&directory) && !self.filter.admits(&directory)
        };
        wanted.keys().any(|file| (key == file || is_below(key, file)) && !file.ends_with('/') && hidden(file))
    }

    /// Returns the directories of the source without entries to copy, at whose paths the target has a link.
    fn linked_directories(&self) -> Vec<String> {
        let wanted = |key: &String| self.source.objects.contains_key(key);
        let is_link = |key: &String| self.target.links.contains(key.trim_end_matches('/'));
        let shown = self.source.directories().into_iter().filter(|key| self.filter.admits(key) && !wanted(key));
        shown.filter(is_link).collect()
    }

    /// Deletes directories that only the target has and that become empty, and adds markers for empty directories that
    /// stay.
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
