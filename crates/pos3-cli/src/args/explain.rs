//! The arguments of `pos3-cli explain`.

use clap::Args;

use super::{JobArgs, SyncManifestArgs};

const EXAMPLES: &str = "\
Examples:
  pos3-cli explain ./data s3://bucket/data reports/2024.csv
  pos3-cli explain ./data s3://bucket/data build/out.bin --delete \\
    --exclude-from .gitignore
  pos3-cli explain ./data s3://bucket/data empty/ --json

Use the same options as for the sync. PATH is relative to both locations; a
directory ends in '/'.

pos3 sends a few requests and does not list the locations. It reads a local file
if only the content can decide. Rules that need the whole plan, such as
--max-delete, do not apply here; use 'plan' to see their effect.";

/// The arguments of `pos3-cli explain`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The path to explain, relative to both locations
    #[arg(value_name = "PATH", index = 3)]
    pub(crate) path: String,

    #[command(flatten)]
    pub(crate) job: JobArgs,

    #[command(flatten)]
    pub(crate) manifest: SyncManifestArgs,

    /// Write the result to stdout as one JSON object
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

impl ExplainArgs {
    /// Adds the profile of `--profile` to the locations.
    pub(crate) fn add_profile(&mut self) {
        self.job.add_profile();
    }
}
