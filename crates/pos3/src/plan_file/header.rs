//! The first line of a plan file: the two locations, the time and the options.

use std::time::SystemTime;

use jiff::Timestamp;
use pos3_core::{Deletion, Filter, FilterPart, Plan, Tally};
use pos3_local::Symlinks;
use serde::{Deserialize, Serialize};

use super::PlanFileError;
use crate::error::Error;
use crate::location::Location;
use crate::registry::Registry;

pub(super) const FORMAT: &str = "pos3-plan";

/// The version of the format that is written.
pub(super) const VERSION: u64 = 3;

/// The earlier version that is read, too. It has no checksum. Version 1 had neither servers nor a filter, so such a plan
/// could be executed on another server.
pub(super) const UNSEALED: u64 = 2;

/// The facts about the whole plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlanHeader {
    /// The location that it copies from; a path is absolute.
    pub source: Location,
    /// The location that it changes; a path is absolute.
    pub target: Location,
    /// The server of the source, if it has one; see [`Registry::server`].
    pub source_server: Option<String>,
    /// The server of the target, if it has one.
    pub target_server: Option<String>,
    /// How symbolic links in a directory were treated.
    pub symlinks: Symlinks,
    /// Whether it may delete.
    pub deletion: Deletion,
    /// The keys that it includes.
    pub filter: Filter,
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
    /// Returns the header of a plan between two locations of a registry. A relative path is made absolute, because the
    /// working directory may be another one when the plan is executed.
    ///
    /// # Errors
    ///
    /// Returns an error for a path that is not UTF-8, for a relative path if the working directory is unknown, and if the
    /// server of a location is unknown.
    pub fn new(registry: &Registry, from: &Location, to: &Location, plan: &Plan) -> Result<Self, PlanFileError> {
        Ok(Self {
            source: absolute(from)?,
            target: absolute(to)?,
            source_server: registry.server(from).map_err(Box::new)?,
            target_server: registry.server(to).map_err(Box::new)?,
            symlinks: Symlinks::default(),
            deletion: Deletion::default(),
            filter: Filter::default(),
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

    /// Sets the filter of the plan.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Checks that both locations are on the servers that the plan was made with. The same URL can be another bucket
    /// with another endpoint or profile.
    pub(crate) fn check_servers(&self, registry: &Registry) -> Result<(), Error> {
        for (location, planned) in [(&self.source, &self.source_server), (&self.target, &self.target_server)] {
            let found = registry.server(location)?;
            if found != *planned {
                return Err(Error::OtherServer { location: location.to_string(), planned: planned.clone(), found });
            }
        }
        Ok(())
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_server: Option<String>,
    follow_symlinks: bool,
    delete: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filter: Vec<FilterPart>,
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
    /// The checksum of the file. It must be the last field; see [`Seal`](super::seal::Seal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

impl HeaderRecord {
    /// Sets the checksum of the file.
    pub(super) fn with_checksum(self, checksum: String) -> Self {
        Self { checksum: Some(checksum), ..self }
    }

    pub(super) fn checksum(&self) -> Option<&str> {
        self.checksum.as_deref()
    }
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
            source_server: header.source_server.clone(),
            target_server: header.target_server.clone(),
            follow_symlinks: header.symlinks == Symlinks::Follow,
            delete: header.deletion == Deletion::Extra,
            filter: header.filter.parts().to_vec(),
            created: Timestamp::try_from(header.created).map_err(|error| PlanFileError::line(1, &error))?,
            options: header.options.clone(),
            source_entries: header.tally.source,
            target_files: header.tally.target,
            unchanged: header.tally.unchanged,
            extra: header.tally.extra,
            withheld: header.tally.withheld,
            warnings: header.warnings.clone(),
            actions: header.actions,
            checksum: None,
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
            source_server: record.source_server,
            target_server: record.target_server,
            symlinks: if record.follow_symlinks { Symlinks::Follow } else { Symlinks::Skip },
            deletion: if record.delete { Deletion::Extra } else { Deletion::Keep },
            filter: Filter::of_parts(&record.filter).map_err(|error| PlanFileError::line(1, &error))?,
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
