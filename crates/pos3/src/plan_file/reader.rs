//! Reads a whole plan file before anything is executed.
//!
//! A plan file may come from anywhere, and it contains deletes. So the reader does not guess: anything that pos3 would
//! not write is an error with the number of the line, and every key is checked again against the namespace of the
//! target's store.

use std::fmt::Display;
use std::io::{BufRead, Read};

use pos3_core::{Action, Deletion, Entry, Key, Kind, Namespace, Plan, Sorter};
use pos3_local::with_tag;
use serde::Deserialize;

use super::header::{Begin, FORMAT, HeaderRecord, UNSEALED, VERSION};
use super::record::ActionRecord;
use super::seal::Seal;
use super::{PlanFileError, PlanHeader, Shard};
use crate::location::Location;

/// The longest line that is read, in bytes. Even the longest keys need far less.
const LONGEST: u64 = 16 << 20;

/// A plan file whose header has been read.
#[derive(Debug)]
pub struct PlanReader<R> {
    lines: Lines<R>,
    header: PlanHeader,
    sealed: Option<Sealed>,
}

/// The checksum that a plan should have, and that of the lines so far.
#[derive(Debug)]
struct Sealed {
    expected: String,
    found: Seal,
}

impl<R: BufRead> PlanReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is not a plan, or if its version is not supported.
    pub fn open(file: R) -> Result<Self, PlanFileError> {
        let mut lines = Lines { file, number: 0 };
        let first = lines.next().map_err(first_line)?.ok_or(PlanFileError::NotAPlan)?;
        let begin: Begin = serde_json::from_slice(&first).map_err(|_| PlanFileError::NotAPlan)?;
        match begin {
            Begin { format, .. } if format != FORMAT => Err(PlanFileError::NotAPlan),
            Begin { version, .. } if ![VERSION, UNSEALED].contains(&version) => Err(PlanFileError::Version(version)),
            Begin { version, .. } => {
                let record: HeaderRecord = lines.parse(&first)?;
                let sealed = sealed(&first, &record, version)?;
                Ok(Self { lines, header: record.try_into()?, sealed })
            }
        }
    }

    /// Returns the header.
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// Reads the file to its end and returns one part of the plan.
    ///
    /// # Errors
    ///
    /// Returns an error if an action cannot be executed at a target with this namespace, if the number of actions
    /// differs from the header, or if a temporary file cannot be used.
    pub fn plan(mut self, namespace: Namespace, shard: Shard) -> Result<Plan, PlanFileError> {
        let mut plan = Plan::default();
        plan.tally = self.header.tally;
        plan.warnings.clone_from(&self.header.warnings);
        let mut order = Sequence::default();
        let mut keys = Sorter::new();
        let mut found = 0;
        while let Some(line) = self.next_line()? {
            let record: ActionRecord = self.lines.parse(&line)?;
            let action = record.into_action().map_err(|problem| self.lines.error(&problem))?;
            let action = self.current(action);
            let checked = self.check(&action, namespace).and_then(|()| order.admit(&action));
            checked.map_err(|problem| self.lines.error(&problem))?;
            keys.push((action.key().clone(), self.lines.number))?;
            found += 1;
            if shard.takes(&action) {
                plan.push(&action)?;
            }
        }
        self.check_count(found)?;
        once_each(keys)?;
        self.check_seal()?;
        Ok(plan)
    }

    /// Reads the file to its end and checks that it has the lines of a plan and no others. Such a file may be replaced by
    /// another plan. Whether the actions can be executed does not matter.
    pub(super) fn check_whole(mut self) -> Result<(), PlanFileError> {
        let mut found = 0;
        while let Some(line) = self.next_line()? {
            let _: ActionRecord = self.lines.parse(&line)?;
            found += 1;
        }
        self.check_count(found)?;
        self.check_seal()
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, PlanFileError> {
        let line = self.lines.next()?;
        if let (Some(line), Some(sealed)) = (&line, &mut self.sealed) {
            sealed.found.add(line);
        }
        Ok(line)
    }

    fn check_seal(self) -> Result<(), PlanFileError> {
        let is_edited = self.sealed.is_some_and(|Sealed { expected, found }| found.finish() != expected);
        if is_edited { Err(PlanFileError::Edited) } else { Ok(()) }
    }

    fn check_count(&self, found: u64) -> Result<(), PlanFileError> {
        match self.header.actions {
            expected if found < expected => Err(PlanFileError::Cut { expected, found }),
            expected if found > expected => {
                let problem = format!("the header states {expected} actions, but there is another one");
                Err(PlanFileError::line(expected + 2, &problem))
            }
            _ => Ok(()),
        }
    }

    /// Returns an action with the fingerprints of local files as this version writes them. Earlier versions wrote them
    /// without a tag.
    fn current(&self, action: Action) -> Action {
        let of = |location: &Location, entry: Entry| match location.path() {
            Some(_) => Entry { fingerprint: entry.fingerprint.map(with_tag), ..entry },
            None => entry,
        };
        let source = |entry| of(&self.header.source, entry);
        let target = |entry| of(&self.header.target, entry);
        match action {
            Action::Copy { source: from, target: to, why } => {
                Action::Copy { source: source(from), target: to.map(target), why }
            }
            Action::Delete { target: to } => Action::Delete { target: target(to) },
            Action::Replace { source: from, obstacle } => Action::Replace { source: source(from), obstacle },
            Action::Skip { .. } => action,
        }
    }

    /// Returns true for a local file without a fingerprint. pos3 always writes the fingerprint of a local file. Without
    /// it only the size would identify the file, which is not enough to overwrite or delete it.
    fn is_unidentified(&self, target: &Entry) -> bool {
        self.header.target.path().is_some() && target.kind == Kind::File && target.fingerprint.is_none()
    }

    /// Returns true if an empty local directory would replace an object with content. pos3 plans no such copy, but earlier
    /// versions did.
    fn loses_content(&self, source: &Entry, target: &Entry) -> bool {
        self.header.source.path().is_some() && source.kind == Kind::Marker && target.is_file()
    }

    fn check(&self, action: &Action, namespace: Namespace) -> Result<(), String> {
        let fits = |entry: &Entry| match namespace.check(entry) {
            _ if entry.key.as_str().is_empty() => Err("an action without a key".to_owned()),
            Ok(()) => Ok(()),
            Err(why) => Err(format!("the target cannot store '{}': {why}", entry.key)),
        };
        match action {
            Action::Copy { target: Some(target), .. } | Action::Delete { target } if self.is_unidentified(target) => {
                Err(format!("the file '{}' of the target has no fingerprint, so it cannot be identified", target.key))
            }
            Action::Copy { source, target: Some(target), .. } if self.loses_content(source, target) => Err(format!(
                "'{}' in the source is an empty directory, which cannot replace an object with content",
                source.key
            )),
            Action::Copy { source, .. } => fits(source),
            Action::Skip { .. } => Ok(()),
            Action::Delete { .. } | Action::Replace { .. } if self.header.deletion == Deletion::Keep => {
                Err(format!("the header states that nothing is deleted, but '{}' would be deleted", action.key()))
            }
            Action::Delete { target } => fits(target),
            Action::Replace { source, obstacle } => {
                fits(source)?;
                fits(&Entry::file(obstacle.clone(), 0))
            }
        }
    }
}

/// Begins the checksum with the header, if this version has one.
fn sealed(line: &[u8], record: &HeaderRecord, version: u64) -> Result<Option<Sealed>, PlanFileError> {
    match record.checksum() {
        None if version == UNSEALED => Ok(None),
        None => Err(PlanFileError::line(1, "it has no checksum")),
        Some(_) if version == UNSEALED => Err(PlanFileError::line(1, "a plan of version 2 has no checksum")),
        Some(checksum) => {
            let mut found = Seal::default();
            let is_last = found.add_header(line, checksum);
            let sealed = Sealed { expected: checksum.to_owned(), found };
            if is_last { Ok(Some(sealed)) } else { Err(PlanFileError::line(1, "the checksum is not its last field")) }
        }
    }
}

/// The part of a plan that an action belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Copies,
    Deletes,
    Replacements,
}

/// Checks the order of the actions in a plan: copies, then deletes by ascending key, then replacements.
#[derive(Default)]
struct Sequence {
    stage: Stage,
    deleted: Option<Key>,
}

impl Sequence {
    fn admit(&mut self, action: &Action) -> Result<(), String> {
        let key = action.key();
        let stage = match action {
            Action::Copy { .. } | Action::Skip { .. } => Stage::Copies,
            Action::Delete { .. } => Stage::Deletes,
            Action::Replace { .. } => Stage::Replacements,
        };
        let ascends = stage != Stage::Deletes || self.deleted.as_ref().is_none_or(|last| last < key);
        if stage < self.stage || !ascends {
            return Err(format!("the action on '{key}' is out of order"));
        }
        self.stage = stage;
        if stage == Stage::Deletes {
            self.deleted = Some(key.clone());
        }
        Ok(())
    }
}

/// Returns an error for the later line if a key occurs twice.
fn once_each(keys: Sorter<(Key, u64)>) -> Result<(), PlanFileError> {
    let mut last: Option<Key> = None;
    for key in keys.finish()?.iter() {
        let (key, line) = key?;
        if last.as_ref() == Some(&key) {
            return Err(PlanFileError::line(line, &format!("there are two actions on '{key}'")));
        }
        last = Some(key);
    }
    Ok(())
}

/// The lines of a file and their numbers.
#[derive(Debug)]
struct Lines<R> {
    file: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, PlanFileError> {
        let mut line = Vec::new();
        let read = (&mut self.file).take(LONGEST).read_until(b'\n', &mut line)?;
        self.number += 1;
        match read as u64 {
            0 => Ok(None),
            LONGEST if line.last() != Some(&b'\n') => Err(self.error("it is too long")),
            _ => Ok(Some(line)),
        }
    }

    fn parse<'a, T: Deserialize<'a>>(&self, line: &'a [u8]) -> Result<T, PlanFileError> {
        if line.trim_ascii().is_empty() {
            return Err(self.error("it is empty, so the plan was changed after it was written"));
        }
        serde_json::from_slice(line).map_err(|error| {
            // The parser gets a single line, so its "at line 1" would be wrong.
            let problem = error.to_string();
            let problem = problem.split(" at line ").next().unwrap_or(&problem);
            let is_cut = error.is_eof() && !line.ends_with(b"\n");
            let cut = if is_cut { "it is truncated: " } else { "" };
            self.error(&format!("{cut}{problem} (column {})", error.column()))
        })
    }

    fn error(&self, problem: &(impl Display + ?Sized)) -> PlanFileError {
        PlanFileError::line(self.number, problem)
    }
}

/// Treats a first line that cannot be parsed, or has no end, as a file that is not a plan.
fn first_line(error: PlanFileError) -> PlanFileError {
    match error {
        PlanFileError::Line { .. } => PlanFileError::NotAPlan,
        error => error,
    }
}
