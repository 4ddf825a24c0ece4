//! The first line of a plan's file: between what, made when and how.

use std::time::SystemTime;

use jiff::Timestamp;
use pos3_core::{Deletion, Plan, Tally};
use pos3_local::Symlinks;
use serde::{Deserialize, Serialize};

use super::PlanFileError;
use crate::location::Location;

pub(super) const FORMAT: &str = "pos3-plan";

/// The version of the format that is written, and the only one that is read.
pub(super) const VERSION: u64 = 1;

/// What a plan's file says of the whole plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlanHeader {
    /// Where it copies from; a path is absolute.
    pub source: Location,
    /// What it makes equal; a path is absolute.
    pub target: Location,
    /// What symbolic links of a directory were taken for.
    pub symlinks: Symlinks,
    /// Whether it may delete.
    pub deletion: Deletion,
    /// When it was made.
    pub created: SystemTime,
    /// How it was made, in words for people; programs read nothing from it.
    pub options: String,
    /// What was counted when it was made.
    pub tally: Tally,
    /// What was wrong then but did not stop anything.
    pub warnings: Vec<String>,
    /// How many actions it has.
    pub actions: u64,
}

impl PlanHeader {
    /// Returns the header of a plan between two locations. A path becomes absolute: where the plan is executed, another
    /// directory may be the working directory.
    ///
    /// # Errors
    ///
    /// A path that is not UTF-8, and a relative one while the working directory is unknown.
    pub fn new(from: &Location, to: &Location, plan: &Plan) -> Result<Self, PlanFileError> {
        Ok(Self {
            source: absolute(from)?,
            target: absolute(to)?,
            symlinks: Symlinks::default(),
            deletion: Deletion::default(),
            created: SystemTime::now(),
            options: String::new(),
            tally: plan.tally,
            warnings: plan.warnings.clone(),
            actions: plan.len(),
        })
    }

    /// Sets what symbolic links were taken for.
    #[must_use]
    pub fn with_symlinks(mut self, symlinks: Symlinks) -> Self {
        self.symlinks = symlinks;
        self
    }

    /// Sets whether it may delete.
    #[must_use]
    pub fn with_deletion(mut self, deletion: Deletion) -> Self {
        self.deletion = deletion;
        self
    }

    /// Sets the words about how it was made.
    #[must_use]
    pub fn with_options(mut self, options: impl Into<String>) -> Self {
        self.options = options.into();
        self
    }
}

fn absolute(location: &Location) -> Result<Location, PlanFileError> {
    let Some(path) = location.path() else { return Ok(location.clone()) };
    let path = std::path::absolute(path)?;
    match path.to_str() {
        Some(_) => Ok(Location::Local(path)),
        None => Err(PlanFileError::NotUtf8 { location: location.to_string() }),
    }
}

/// What every version of the format begins with.
#[derive(Deserialize)]
pub(super) struct Begin {
    pub(super) format: String,
    pub(super) version: u64,
}

/// The line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderRecord {
    format: String,
    version: u64,
    source: String,
    target: String,
    follow_symlinks: bool,
    delete: bool,
    created: Timestamp,
    options: String,
    source_entries: u64,
    target_files: u64,
    unchanged: u64,
    extra: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    withheld: u64,
    warnings: Vec<String>,
    actions: u64,
}

/// Leaves out a count that most plans do not have.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl TryFrom<&PlanHeader> for HeaderRecord {
    type Error = PlanFileError;

    fn try_from(header: &PlanHeader) -> Result<Self, PlanFileError> {
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            source: header.source.to_string(),
            target: header.target.to_string(),
            follow_symlinks: header.symlinks == Symlinks::Follow,
            delete: header.deletion == Deletion::Mirror,
            created: Timestamp::try_from(header.created).map_err(|error| PlanFileError::line(1, &error))?,
            options: header.options.clone(),
            source_entries: header.tally.source,
            target_files: header.tally.target,
            unchanged: header.tally.unchanged,
            extra: header.tally.extra,
            withheld: header.tally.withheld,
            warnings: header.warnings.clone(),
            actions: header.actions,
        })
    }
}

impl TryFrom<HeaderRecord> for PlanHeader {
    type Error = PlanFileError;

    fn try_from(record: HeaderRecord) -> Result<Self, PlanFileError> {
        let location = |text: &str| match text.parse() {
            Ok(Location::Local(path)) if path.is_relative() => {
                Err(PlanFileError::line(1, &format!("the path '{text}' is relative, and plans have absolute ones")))
            }
            Ok(location) => Ok(location),
            Err(error) => Err(PlanFileError::line(1, &error)),
        };
        Ok(Self {
            source: location(&record.source)?,
            target: location(&record.target)?,
            symlinks: if record.follow_symlinks { Symlinks::Follow } else { Symlinks::Skip },
            deletion: if record.delete { Deletion::Mirror } else { Deletion::Keep },
            created: record.created.into(),
            options: record.options,
            tally: Tally {
                source: record.source_entries,
                target: record.target_files,
                unchanged: record.unchanged,
                extra: record.extra,
                withheld: record.withheld,
            },
            warnings: record.warnings,
            actions: record.actions,
        })
    }
}
