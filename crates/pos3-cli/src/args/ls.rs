//! The arguments of `pos3-cli ls`.

use clap::Args;
use pos3::{Depth, Location};

use super::{S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli ls s3://bucket/data/             # the contents of data/
  pos3-cli ls s3://lab@bucket/data -r       # everything below data/
  pos3-cli ls s3://bucket/data --long       # the format of 'aws s3 ls'
  pos3-cli ls s3://bucket/data -r --human-readable --summarize
  pos3-cli ls s3://bucket/data --json       # exact keys
  pos3-cli ls s3://bucket/data -r | grep '\\.csv$' \\
    | xargs -d '\\n' -n 1 pos3-cli download

's3://BUCKET/x/' lists the contents of x/. 's3://BUCKET/x' lists the object x if
it exists, otherwise the contents of x/.

Each line is a URL or an absolute path, which every command accepts. A directory
ends in '/'. pos3 escapes control characters in keys, such as '\\n', so that each
item is one line. If nothing exists at the location, the exit code is 1.";

/// The arguments of `pos3-cli ls`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LsArgs {
    /// The location to list: s3://BUCKET/PREFIX or a path
    #[arg(value_parser = location())]
    pub(crate) location: Location,

    /// List everything below the location
    #[arg(short, long)]
    recursive: bool,

    /// Show time, size and name instead of the full location
    #[arg(short, long)]
    long: bool,

    /// Show sizes with a unit, such as 1.5 KiB (implies --long)
    #[arg(short = 'H', long)]
    pub(crate) human_readable: bool,

    /// Print the number of objects and their total size at the end
    #[arg(long)]
    pub(crate) summarize: bool,

    /// Write the result to stdout as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

impl LsArgs {
    /// Adds the profile of `--profile` to the location.
    pub(crate) fn add_profile(&mut self) {
        self.s3.add_profile([&mut self.location]);
    }

    pub(crate) fn depth(&self) -> Depth {
        if self.recursive { Depth::Recursive } else { Depth::Level }
    }

    /// Returns true if times and sizes are shown.
    pub(crate) fn is_long(&self) -> bool {
        self.long || self.human_readable
    }
}
