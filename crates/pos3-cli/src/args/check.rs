//! The arguments of `pos3-cli check`.

use clap::Args;
use pos3::{
    Archived, Compare, Deletion, Guards, HiddenEntries, Location, MaxDelete, OtherShapes, Symlinks, SyncOptions,
    WithheldDeletes,
};

use super::filter::{FilterArgs, FilterArgsError};
use super::{ConcurrencyArgs, S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli check ./data s3://bucket/data
  pos3-cli check s3://bucket/a s3://other/a --download
  pos3-cli check ./data s3://bucket/data --all --exclude '*.tmp'

pos3 compares sizes and checksums and ignores times. It reads local files and
does not use the sync state.

Each line has the format of 'rclone check --combined -', a sign and a path:
  =  the same on both sides (only with --all)
  -  only in the target
  +  only in the source
  *  different contents
  !  could not be compared

Exit codes: 0 no differences; 3 differences; 1 a file could not be read or
compared, or a location does not exist.";

/// The arguments of `pos3-cli check`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The source: a directory or s3://BUCKET/PREFIX
    #[arg(value_name = "SOURCE", value_parser = location())]
    pub(crate) from: Location,

    /// The target: a directory or s3://BUCKET/PREFIX
    #[arg(value_name = "TARGET", value_parser = location())]
    pub(crate) to: Location,

    /// Download both sides and compare every byte
    #[arg(long)]
    pub(crate) download: bool,

    /// Also print files that are the same
    #[arg(long, conflicts_with = "json")]
    pub(crate) all: bool,

    /// Write the result to stdout as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Do not print a summary to stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) concurrency: ConcurrencyArgs,

    #[command(flatten)]
    filter: FilterArgs,

    /// Follow symbolic links instead of skipping them
    #[arg(long, help_heading = "What to sync")]
    follow_symlinks: bool,

    /// Treat a prefix or directory that does not exist as empty
    #[arg(long, help_heading = "What to sync")]
    pub(crate) allow_empty: bool,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

impl CheckArgs {
    /// Adds the profile of `--profile` to the locations.
    pub(crate) fn add_profile(&mut self) {
        self.s3.add_profile([&mut self.from, &mut self.to]);
    }

    /// Returns the options of a plan that contains every difference. Reads the files of `--exclude-from`.
    pub(crate) fn options(&self) -> Result<SyncOptions, FilterArgsError> {
        let everything = Guards::default().with_max_delete(MaxDelete::Percent(100)).with_allow_empty(true);
        let everything = everything.with_allow_unmatched(true);
        Ok(SyncOptions::default()
            .with_compare(if self.download { Compare::Content } else { Compare::Digest })
            .with_deletion(Deletion::Extra)
            .with_guards(everything)
            .with_withheld_deletes(WithheldDeletes::Planned)
            .with_other_shapes(OtherShapes::Ignored)
            .with_hidden_entries(HiddenEntries::Reported)
            .with_archived(Archived::Requested)
            .with_filter(self.filter.filter()?)
            .with_budget(self.concurrency.budget()))
    }

    /// Returns the names of the ignore files that are looked for on both sides.
    pub(crate) fn ignore_files(&self) -> &[String] {
        self.filter.ignore_files()
    }

    pub(crate) fn symlinks(&self) -> Symlinks {
        if self.follow_symlinks { Symlinks::Follow } else { Symlinks::Skip }
    }
}
