//! The names of one directory, in the order of their keys.
//!
//! The byte order of whole keys differs from the order of names: `a/x` comes after `a-b` and `a.txt`, because `/` does.
//! So the name of a directory is sorted with its `/`. A name that may be a file or a directory is in both positions.

use std::collections::{BTreeMap, HashSet};

use pos3_core::Protection;
use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::directory::{ReadBuffer, Step, is_listed, moved, unfinished};
use crate::error::words;
use crate::facts;
use crate::moved;
use crate::options::Symlinks;
use crate::path::BROKEN_LINK;

/// The kind of a name when its directory was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file, or a followed link to one.
    File,
    /// A directory, or a followed link to one. Its name ends in `/`.
    Directory,
    /// An entry that is listed as protected.
    Protected(Protection),
}

/// What a reading of names does with files that killed runs moved away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MovedFiles {
    /// It lists them as protected.
    Protected,
    /// It gives them their own names back, if these are free.
    Restored,
}

/// The names of one directory that are still to be visited, in the byte order of their keys.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: String,
    sorted: Vec<Name>,
    next: usize,
    later: BTreeMap<String, Protection>,
    unfinished: Vec<String>,
}

#[derive(Debug)]
struct Name {
    start: usize,
    end: usize,
    found: Found,
}

impl Names {
    /// Reads the names of `directory`, from its present position. Unfinished and moved files of pos3 are stored
    /// separately. Also returns the position of the last name.
    pub(super) fn read(
        directory: BorrowedFd<'_>,
        symlinks: Symlinks,
        moved_files: MovedFiles,
        buffer: &mut ReadBuffer,
    ) -> Result<(Self, Option<u64>), Errno> {
        let mut names = Self::default();
        let (mut odd, mut away) = (Vec::new(), Vec::new());
        let last = buffer.each(directory, |name, kind| {
            if let Some(name) = unfinished(name, kind) {
                names.unfinished.push(name.to_owned());
            } else if let Some(name) = moved(name, kind) {
                away.push(name.to_owned());
            } else if is_listed(name, kind) {
                match name.to_str() {
                    Ok(text) => names.add(directory, text, kind, symlinks),
                    Err(_) => odd.push((name.to_string_lossy().into_owned(), kind)),
                }
            }
            Step::Continue
        })?;
        names.add_odd(odd);
        for name in away {
            names.add_moved(directory, name, symlinks, moved_files);
        }
        names.sort();
        Ok((names, last))
    }

    /// Adds the names of another reading of the same directory that are not among these. Returns true if there are any.
    pub(super) fn add_missing(&mut self, other: Self) -> bool {
        let known = |name: &str| self.sorted.binary_search_by(|own| self.text[own.start..own.end].cmp(name)).is_ok();
        let missing: Vec<_> =
            other.sorted.into_iter().filter(|name| !known(&other.text[name.start..name.end])).collect();
        let is_any = !missing.is_empty();
        for name in missing {
            self.push(&other.text[name.start..name.end], "", name.found);
        }
        if is_any {
            self.sort();
        }
        for name in other.unfinished {
            if !self.unfinished.contains(&name) {
                self.unfinished.push(name);
            }
        }
        is_any
    }

    /// Returns true if all names have been visited.
    pub(super) fn is_empty(&self) -> bool {
        self.next == self.sorted.len() && self.later.is_empty()
    }

    /// Returns the names of the unfinished and moved files of pos3, which are not visited.
    pub(super) fn unfinished(&self) -> &[String] {
        &self.unfinished
    }

    /// Keeps only names that start with `start`. The name of a directory includes its `/`.
    pub(super) fn keep(&mut self, start: &str) {
        let text = &self.text;
        self.sorted.retain(|name| text[name.start..name.end].starts_with(start));
        self.later.retain(|name, _| name.starts_with(start));
    }

    /// Adds `name` as protected. Its turn must not have passed.
    pub(super) fn protect_later(&mut self, name: String, why: Protection) {
        self.later.insert(name, why);
    }

    /// Appends the next name to `key` and returns its kind.
    pub(super) fn next(&mut self, key: &mut String) -> Option<Found> {
        let text = self.sorted.get(self.next).map(|name| &self.text[name.start..name.end]);
        if let Some(later) = self.later.first_entry()
            && text.is_none_or(|text| later.key().as_str() <= text)
        {
            if text == Some(later.key().as_str()) {
                self.next += 1;
            }
            let (name, why) = later.remove_entry();
            key.push_str(&name);
            return Some(Found::Protected(why));
        }
        key.push_str(text?);
        let found = self.sorted.get(self.next)?.found.clone();
        self.next += 1;
        Some(found)
    }

    fn add(&mut self, directory: BorrowedFd<'_>, name: &str, kind: FileType, symlinks: Symlinks) {
        match (kind, symlinks) {
            (FileType::Unknown, _) => self.add_by_status(directory, name, AtFlags::SYMLINK_NOFOLLOW, symlinks),
            (FileType::Symlink, Symlinks::Follow) => {
                self.add_by_status(directory, name, AtFlags::empty(), symlinks);
            }
            (kind, _) => self.add_as(name, kind),
        }
    }

    fn add_by_status(&mut self, directory: BorrowedFd<'_>, name: &str, how: AtFlags, symlinks: Symlinks) {
        let follows = how.is_empty();
        match rustix::fs::statat(directory, name, how) {
            Ok(stat) => match facts::file_type(&stat) {
                FileType::Symlink if !follows && symlinks == Symlinks::Follow => {
                    self.add_by_status(directory, name, AtFlags::empty(), symlinks);
                }
                kind => self.add_as(name, kind),
            },
            Err(Errno::LOOP) if follows => self.push_either(name, &Protection::LinkLoop),
            Err(Errno::NOENT) if follows => {
                self.push_either(name, &Protection::Unreadable(BROKEN_LINK.into()));
            }
            Err(Errno::NOENT) => self.push_either(name, &Protection::Vanished),
            Err(errno) => self.push_either(name, &Protection::Unreadable(words(errno).into())),
        }
    }

    fn add_as(&mut self, name: &str, kind: FileType) {
        match kind {
            FileType::RegularFile => self.push(name, "", Found::File),
            FileType::Directory => self.push(name, "/", Found::Directory),
            FileType::Symlink => self.push_either(name, &Protection::Symlink),
            special => self.push(name, "", Found::Protected(Protection::Special(facts::name(special).into()))),
        }
    }

    /// Adds names that are not UTF-8, with replacement characters. Each is made different from all other names here.
    fn add_odd(&mut self, odd: Vec<(String, FileType)>) {
        if odd.is_empty() {
            return;
        }
        let mut taken: HashSet<String> = self.sorted.iter().map(|name| self.shown(name).to_owned()).collect();
        for (mut shown, kind) in odd {
            while !taken.insert(shown.clone()) {
                shown.push(char::REPLACEMENT_CHARACTER);
            }
            match kind {
                FileType::Directory => self.push(&shown, "/", Found::Protected(Protection::NotUtf8)),
                FileType::Symlink | FileType::Unknown => self.push_either(&shown, &Protection::NotUtf8),
                _ => self.push(&shown, "", Found::Protected(Protection::NotUtf8)),
            }
        }
    }

    /// Adds a moved file under its own name again, or as protected if it may belong to another program.
    fn add_moved(&mut self, directory: BorrowedFd<'_>, name: String, symlinks: Symlinks, moved_files: MovedFiles) {
        match moved::status_once_compared(directory, &name) {
            Ok(stat) if facts::file_type(&stat) == FileType::RegularFile => {
                if moved_files == MovedFiles::Restored
                    && let Some(own) = moved::restore(directory, &name, &stat)
                {
                    self.push(own, "", Found::File);
                    return;
                }
                if let Some((shown, why)) = moved::entry(directory, &name, &stat) {
                    self.push(&shown, "", Found::Protected(why));
                }
                self.unfinished.push(name);
            }
            Ok(stat) => self.add(directory, &name, facts::file_type(&stat), symlinks),
            // It was moved back, or its mover has removed it.
            Err(Errno::NOENT) => {}
            Err(errno) => self.push(&name, "", Found::Protected(Protection::Unreadable(words(errno).into()))),
        }
    }

    fn shown(&self, name: &Name) -> &str {
        self.text[name.start..name.end].trim_end_matches('/')
    }

    fn push_either(&mut self, name: &str, why: &Protection) {
        self.push(name, "", Found::Protected(why.clone()));
        self.push(name, "/", Found::Protected(why.clone()));
    }

    fn push(&mut self, name: &str, ending: &str, found: Found) {
        let start = self.text.len();
        self.text.push_str(name);
        self.text.push_str(ending);
        self.sorted.push(Name { start, end: self.text.len(), found });
    }

    /// Sorts the names and removes duplicates, which a directory can return if it changes while it is read.
    fn sort(&mut self) {
        let text = &self.text;
        let name = |name: &Name| &text[name.start..name.end];
        self.sorted.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        self.sorted.dedup_by(|a, b| name(a) == name(b));
    }
}
