//! `pos3-cli ls`.

use clap::Args;
use pos3::{Depth, Location};

use super::{S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli ls s3://bucket/data/                     what is in data/
  pos3-cli ls s3://lab@bucket/data -r               everything below; the URLs keep the profile
  pos3-cli ls s3://bucket/data -r | grep '\\.csv$' | xargs -d '\\n' -n 1 pos3-cli download
  pos3-cli ls s3://bucket/data -l                   times and sizes, in the lines of 'aws s3 ls'
  pos3-cli ls s3://bucket/data -r --human-readable --summarize
  pos3-cli ls s3://bucket/data --json               keys as they are, also with control characters

Each line is a URL or an absolute path, which every command takes; a directory ends in '/'.
Control characters in a key are written as '\\n' and the like, so that a line is one item.
Exit code 1 says that there is nothing.";

/// List what is at a location
///
/// 's3://BUCKET/x/' is what is in x/; 's3://BUCKET/x' is the object x if there is one, else what is in x/. A file shows
/// itself.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LsArgs {
    /// What to list: s3://BUCKET/PREFIX or a path
    #[arg(value_parser = location())]
    pub(crate) location: Location,

    /// List everything below
    #[arg(short, long)]
    recursive: bool,

    /// Show time, size and name instead of the whole location
    #[arg(short, long)]
    long: bool,

    /// Show sizes with a unit; this implies --long
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

    /// Returns true if times and sizes are shown.
    pub(crate) fn is_long(&self) -> bool {
        self.long || self.human_readable
    }
}
