//! The first line of a plan file: the two locations, the time and the options.

use std::time::SystemTime;

use jiff::Timestamp;
use pos3_core::{Deletion, Plan, Tally};
use pos3_local::Symlinks;
use serde::{Deserialize, Serialize};

use super::PlanFileError;
use crate::location::Location;

pub(super) const FORMAT: &str = "pos3-plan";

/// The version of the format that is written. No other version is read.
pub(super) const VERSION: u64 = 1;

/// The facts about the whole plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlanHeader {
    /// The location that it copies from; a path is absolute.
    pub source: Location,
    /// The location that it changes; a path is absolute.
    pub target: Location,
    /// How symbolic links in a directory were treated.
    pub symlinks: Symlinks,
    /// Whether it may delete.
    pub deletion: Deletion,
    /// When the plan was made.
    pub created: SystemTime,
    /// The options that it was made with, as text for users. Programs do not parse it.
    pub options: String,
    /// The counts when the plan was made.
    pub tally: Tally,
    /// The warnings when the plan was made.
    pub warnings: Vec<String>,
    /// The number of actions.
    pub actions: u64,
}

impl PlanHeader {
    /// Returns the header of a plan between two locations. A relative path is made absolute, because the working
    /// directory may be another one when the plan is executed.
    ///
    /// # Errors
    ///
    /// Returns an error for a path that is not UTF-8, and for a relative path if the working directory is unknown.
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

    /// Sets how symbolic links were treated.
    #[must_use]
    pub fn with_symlinks(mut self, symlinks: Symlinks) -> Self {
        self.symlinks = symlinks;
        self
    }

    /// Sets whether the plan may delete.
    #[must_use]
    pub fn with_deletion(mut self, deletion: Deletion) -> Self {
        self.deletion = deletion;
        self
    }

    /// Sets the text that describes the options of the plan.
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

/// The fields that every version of the format starts with.
#[derive(Deserialize)]
pub(super) struct Begin {
    pub(super) format: String,
    pub(super) version: u64,
}

/// The header as it is written.
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

/// Omits a count that is zero in most plans.
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
