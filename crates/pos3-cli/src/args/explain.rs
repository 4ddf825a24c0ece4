//! `pos3-cli explain`.

use clap::Args;

use super::{JobArgs, SyncManifestArgs};

const EXAMPLES: &str = "\
Examples:
  pos3-cli explain ./data s3://bucket/data reports/2024.csv
  pos3-cli explain ./data s3://bucket/data build/out.bin --exclude-from .gitignore --delete
  pos3-cli explain ./data s3://bucket/data empty/ --json

Give it the options of the sync that you wonder about. PATH is relative to both locations; a directory ends in '/'.
It costs a few requests and lists nothing; a local file is read where only its content can decide. Guards such as
--max-delete look at whole plans: see them with 'plan'.";

/// Say what a sync would do with one path, and why
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The path to explain, below both locations
    #[arg(value_name = "PATH", index = 3)]
    pub(crate) path: String,

    #[command(flatten)]
    pub(crate) job: JobArgs,

    #[command(flatten)]
    pub(crate) manifest: SyncManifestArgs,

    /// Write one JSON object to stdout
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}
