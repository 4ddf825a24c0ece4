//! The arguments of `pos3-cli plan`.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;

use super::path::local_path;
use super::{JobArgs, ShowArgs, SyncManifestArgs};

const EXAMPLES: &str = "\
Examples:
  pos3-cli plan ./data s3://bucket/data --delete -o plan.jsonl
  pos3-cli apply plan.jsonl
  pos3-cli plan s3://bucket/a s3://bucket/b \\
    | jq -r 'select(.action) | [.action, .key] | @tsv'

pos3 changes neither location. 'pos3-cli apply' executes the file later, on one
machine or in parts on several machines.

The first line of the file contains the two locations, with absolute paths. Each
further line is one action, with the state of both sides. If a limit such as
--max-delete refuses the plan, pos3 writes no file and exits with code 4.

Do not remove lines: 'apply' refuses a changed file. To omit files, make the
plan again with --exclude.";

/// The arguments of `pos3-cli plan`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    /// Write the plan to FILE; '-' is stdout
    #[arg(short, long, value_name = "FILE", default_value = "-", value_parser = local_path())]
    output: PathBuf,

    #[command(flatten)]
    pub(crate) job: JobArgs,

    #[command(flatten)]
    pub(crate) manifest: SyncManifestArgs,

    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

impl PlanArgs {
    /// Adds the profile of `--profile` to the locations.
    pub(crate) fn add_profile(&mut self) {
        self.job.add_profile();
    }

    /// Returns the file to write, or `None` for stdout.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        Some(&self.output).filter(|path| path.as_os_str() != OsStr::new("-"))
    }
}
