//! `pos3-cli check`.

use clap::Args;
use pos3::{
    Archived, Compare, Deletion, Guards, Location, MaxDelete, OtherShapes, Symlinks, SyncOptions, WithheldDeletes,
};

use super::filter::{FilterArgs, FilterArgsError};
use super::{ConcurrencyArgs, S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli check ./data s3://bucket/data
  pos3-cli check s3://bucket/a s3://other/a --download
  pos3-cli check ./data s3://bucket/data --all --exclude '*.tmp'

Each line is a sign, a space and a path, as 'rclone check --combined -' writes them:
  =  the same on both sides (with --all)
  -  only in the target
  +  only in the source
  *  the contents differ
  !  could not be compared

Exit codes: 0 nothing differs, 3 something does, 1 something could not be compared or read.";

/// Compare two locations and change nothing
///
/// Sizes and digests decide, and no times: local files are read, and held against the digests that the other side
/// knows. What remembers earlier runs is not asked.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// What it should be like: a directory or s3://BUCKET/PREFIX
    #[arg(value_name = "SOURCE", value_parser = location())]
    pub(crate) from: Location,

    /// What is compared with it
    #[arg(value_name = "TARGET", value_parser = location())]
    pub(crate) to: Location,

    /// Read both sides and compare every byte, which costs the traffic of a download
    #[arg(long)]
    pub(crate) download: bool,

    /// Show what is the same, too
    #[arg(long, conflicts_with = "json")]
    pub(crate) all: bool,

    /// Write one JSON object to stdout instead of the lines
    #[arg(long)]
    pub(crate) json: bool,

    /// Write no summary to stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    concurrency: ConcurrencyArgs,

    #[command(flatten)]
    filter: FilterArgs,

    /// Follow symbolic links instead of leaving them out
    #[arg(long, help_heading = "What to sync")]
    follow_symlinks: bool,

    /// Compare with a source prefix that has not a single key
    #[arg(long, help_heading = "What to sync")]
    pub(crate) allow_empty: bool,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

impl CheckArgs {
    /// Returns the options of a plan that shows every difference; this reads the files of `--exclude-from`.
    pub(crate) fn options(&self) -> Result<SyncOptions, FilterArgsError> {
        let everything = Guards::default().with_max_delete(MaxDelete::Percent(100)).with_allow_empty(true);
        let everything = everything.with_allow_unmatched(true);
        Ok(SyncOptions::default()
            .with_compare(if self.download { Compare::Content } else { Compare::Digest })
            .with_deletion(Deletion::Mirror)
            .with_guards(everything)
            .with_withheld_deletes(WithheldDeletes::Planned)
            .with_other_shapes(OtherShapes::Ignored)
            .with_archived(Archived::Requested)
            .with_filter(self.filter.filter()?)
            .with_budget(self.concurrency.budget()))
    }

    pub(crate) fn symlinks(&self) -> Symlinks {
        if self.follow_symlinks { Symlinks::Follow } else { Symlinks::Skip }
    }
}
