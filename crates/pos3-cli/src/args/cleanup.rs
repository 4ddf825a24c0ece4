//! The arguments of `pos3-cli cleanup`.

use std::time::Duration;

use clap::Args;
use pos3::Location;

use super::duration::age;
use super::{S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli cleanup s3://bucket
  pos3-cli cleanup s3://bucket/data --older-than 0s
  pos3-cli cleanup s3://bucket/data --older-than 1d --abort

S3 charges for the parts of unfinished uploads, but no object listing shows
them. A sync resumes its own unfinished uploads and aborts them after 7 days.

This command lists the unfinished uploads of all programs. If you abort an
upload that is still running, it fails, so check the list before you use
--abort. Without --abort, nothing is changed.

For a local directory, the command lists and removes the unfinished files of
runs that were killed. A file that such a run had moved away, in order to
replace or delete it, gets its name back.";

/// The arguments of `pos3-cli cleanup`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CleanupArgs {
    /// The location to search: s3://BUCKET/PREFIX or a directory
    #[arg(value_parser = location())]
    pub(crate) location: Location,

    /// Skip uploads that were started less than AGE ago (90s, 30m, 12h, 7d); 0s skips none
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = age)]
    pub(crate) older_than: Duration,

    /// Abort the listed uploads, or remove or restore the listed files
    #[arg(long)]
    pub(crate) abort: bool,

    /// Write the result to stdout as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

impl CleanupArgs {
    /// Adds the profile of `--profile` to the location.
    pub(crate) fn add_profile(&mut self) {
        self.s3.add_profile([&mut self.location]);
    }
}
