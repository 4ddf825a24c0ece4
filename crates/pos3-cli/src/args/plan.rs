//! `pos3-cli plan`.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;

use super::path::local_path;
use super::{JobArgs, ShowArgs, SyncManifestArgs};

const EXAMPLES: &str = "\
Examples:
  pos3-cli plan ./data s3://bucket/data --delete -o plan.jsonl
  pos3-cli plan s3://bucket/a s3://bucket/b | jq -r 'select(.action) | [.action, .key] | @tsv'
  pos3-cli apply plan.jsonl

The first line of the file says between what; each further line is one action, with what was seen of both sides. Paths
become absolute. Guards such as --max-delete are asked here: a plan that they refuse is not written, and the exit code
is 4. To leave something out, make the plan again with --exclude: a file with lines missing is refused.";

/// Write what a sync would do to a file
///
/// Nothing is touched. The file can be read, kept, and executed with 'apply', here or on several machines at once.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    /// The file to write; '-' is stdout
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
    /// Returns the file to write, unless that is stdout.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        Some(&self.output).filter(|path| path.as_os_str() != OsStr::new("-"))
    }
}
