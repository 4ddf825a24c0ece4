//! `pos3-cli ls`.

use clap::Args;
use pos3::{Depth, Location};

use super::{S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli ls s3://bucket
  pos3-cli ls s3://bucket/data --recursive --human-readable --summarize
  pos3-cli ls s3://bucket/data --json

Exit code 1 says that nothing was found.";

/// List what is at a location
///
/// A prefix shows what is directly in it, an object or a file shows itself.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LsArgs {
    /// What to list: s3://BUCKET/PREFIX or a path
    #[arg(value_parser = location())]
    pub(crate) location: Location,

    /// List everything below, with whole keys
    #[arg(short, long)]
    recursive: bool,

    /// Show sizes with a unit
    #[arg(short = 'H', long)]
    pub(crate) human_readable: bool,

    /// Add the number of objects and their bytes
    #[arg(long)]
    pub(crate) summarize: bool,

    /// Write one JSON object to stdout
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

impl LsArgs {
    pub(crate) fn depth(&self) -> Depth {
        if self.recursive { Depth::Recursive } else { Depth::Level }
    }
}
