//! The arguments that define a sync: locations, filter, comparison and deletes. Every command that makes a plan has them.

use clap::Args;
use pos3::{Archived, Compare, Deletion, Guards, Location, MaxDelete, Symlinks, SyncOptions};

use super::filter::{FilterArgs, FilterArgsError};
use super::{ConcurrencyArgs, S3Args, location};

/// The arguments that define a sync, but not whether it is executed, written to a file or explained.
#[derive(Args, Clone, Debug)]
pub(crate) struct JobArgs {
    /// The source: a directory or s3://BUCKET/PREFIX
    #[arg(value_name = "SOURCE", value_parser = location())]
    pub(crate) from: Location,

    /// The target: a directory or s3://BUCKET/PREFIX
    #[arg(value_name = "TARGET", value_parser = location())]
    pub(crate) to: Location,

    #[command(flatten)]
    pub(crate) concurrency: ConcurrencyArgs,

    #[command(flatten)]
    filter: FilterArgs,

    /// Follow symbolic links instead of skipping them
    #[arg(long, overrides_with = "no_follow_symlinks", help_heading = "What to sync")]
    follow_symlinks: bool,

    /// Skip symbolic links (the default)
    #[arg(long, overrides_with = "follow_symlinks", help_heading = "What to sync")]
    no_follow_symlinks: bool,

    /// Do not treat skipped archived objects as a failure
    #[arg(long, help_heading = "What to sync")]
    skip_archived: bool,

    #[command(flatten)]
    compare: CompareArgs,

    #[command(flatten)]
    delete: DeleteArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

/// How two files with the same key are compared. Default: [`Compare::Auto`].
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "How to compare")]
#[group(multiple = false)]
struct CompareArgs {
    /// Treat files of equal size as equal
    #[arg(long)]
    size_only: bool,

    /// Compare sizes and checksums, and ignore times
    #[arg(short, long)]
    checksum: bool,

    /// Compare sizes and times like 'aws s3 sync --exact-timestamps'
    #[arg(long)]
    exact_timestamps: bool,
}

/// Whether and how much to delete.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "What to delete")]
struct DeleteArgs {
    /// Delete files in the target that the source does not have
    #[arg(long)]
    delete: bool,

    /// Refuse to delete more than N files, or P% of the target [default: 50% if the target has 20 files or more]
    #[arg(long, value_name = "N|P%", value_parser = max_delete)]
    max_delete: Option<MaxDelete>,

    /// Treat a source prefix without keys as empty; allow --delete to empty the target if the source is empty
    #[arg(long)]
    allow_empty: bool,
}

impl JobArgs {
    /// Adds the profile of `--profile` to the locations.
    pub(crate) fn add_profile(&mut self) {
        self.s3.add_profile([&mut self.from, &mut self.to]);
    }

    /// Returns the options of the sync. Reads the files of `--exclude-from`.
    pub(crate) fn options(&self) -> Result<SyncOptions, FilterArgsError> {
        let DeleteArgs { delete, max_delete, allow_empty } = self.delete;
        let guards = Guards::default().with_allow_empty(allow_empty).with_max_delete(max_delete.unwrap_or_default());
        Ok(SyncOptions::default()
            .with_compare(self.compare.compare())
            .with_deletion(if delete { Deletion::Extra } else { Deletion::Keep })
            .with_guards(guards)
            .with_filter(self.filter.filter()?)
            .with_archived(if self.skip_archived { Archived::LeftOut } else { Archived::Missing })
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

impl CompareArgs {
    fn compare(self) -> Compare {
        match self {
            Self { size_only: true, .. } => Compare::SizeOnly,
            Self { checksum: true, .. } => Compare::Digest,
            Self { exact_timestamps: true, .. } => Compare::ExactTimestamps,
            _ => Compare::Auto,
        }
    }
}

pub(super) fn max_delete(text: &str) -> Result<MaxDelete, String> {
    let limit = match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().filter(|percent| *percent <= 100).map(MaxDelete::Percent),
        None => text.parse().ok().map(MaxDelete::Count),
    };
    limit.ok_or_else(|| "give a number of files, or a share from 0% to 100%".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(arguments: &[&str]) -> Result<SyncOptions, clap::Error> {
        let whole = ["pos3-cli", "sync", "a", "b"].iter().chain(arguments);
        match Cli::try_parse_from(whole)?.command {
            Command::Sync(sync) => Ok(sync.job.options().unwrap()),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn comparisons_exclude_each_other() {
        assert_eq!(parse(&[]).unwrap().compare, Compare::Auto);
        assert_eq!(parse(&["--size-only"]).unwrap().compare, Compare::SizeOnly);
        assert_eq!(parse(&["-c"]).unwrap().compare, Compare::Digest);
        assert_eq!(parse(&["--exact-timestamps"]).unwrap().compare, Compare::ExactTimestamps);
        assert!(parse(&["--size-only", "-c"]).is_err());
    }

    #[test]
    fn nothing_is_deleted_unless_it_was_asked_for() {
        assert_eq!(parse(&["--allow-empty", "--max-delete", "100%"]).unwrap().deletion, Deletion::Keep);
        assert_eq!(parse(&["--delete"]).unwrap().deletion, Deletion::Extra);
        assert!(!parse(&["--delete"]).unwrap().guards.allow_empty);
    }

    #[test]
    fn a_limit_is_a_count_or_a_share() {
        for (text, expected) in [
            ("0", Some(MaxDelete::Count(0))),
            ("12", Some(MaxDelete::Count(12))),
            ("10%", Some(MaxDelete::Percent(10))),
            ("100%", Some(MaxDelete::Percent(100))),
            ("101%", None),
            ("-1", None),
            ("many", None),
            ("", None),
            ("%", None),
        ] {
            assert_eq!(max_delete(text).ok(), expected, "{text:?}");
        }
    }
}
