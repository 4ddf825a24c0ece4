//! The arguments of `pos3-cli manifest`, and `--lock-wait`, which other commands share.

use std::time::Duration;

use clap::{Args, Subcommand};
use pos3::{Location, Wait};

use super::{S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli manifest show ./data s3://bucket/data
  pos3-cli manifest forget ./data s3://bucket/data reports/2024 a.txt
  pos3-cli manifest forget ./data s3://bucket/data --all

The sync state of two locations records which files were equal, so that the next
sync does not read them again. It has one manifest row for each of these files.
Both directions of a sync share it.

The sync state is a cache: without it, the next sync compares more files. It
also records mount points, so that 'sync --delete' does not delete the objects
of a disk that is not mounted.";

const SHOW_EXAMPLES: &str = "\
Examples:
  pos3-cli manifest show ./data s3://bucket/data
  pos3-cli manifest show ./data s3://bucket/data --json

Each line is a file that was equal in both locations: the checksum of its
content, or '-' if none is known, and its key.";

const FORGET_EXAMPLES: &str = "\
Examples:
  pos3-cli manifest forget ./data s3://bucket/data reports/2024 a.txt
  pos3-cli manifest forget ./data s3://bucket/data --all

pos3 also forgets the mount points at the paths and below them. 'sync --delete'
then treats the files of a disk that is not mounted there as deleted.";

/// The arguments of `pos3-cli manifest`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManifestArgs {
    #[command(subcommand)]
    pub(crate) command: ManifestCommand,
}

/// The subcommands of `pos3-cli manifest`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// Show the manifest rows of two locations
    Show(ManifestShowArgs),
    /// Remove manifest rows, so that the next sync compares the files again
    Forget(ManifestForgetArgs),
}

/// The two locations whose sync state a subcommand uses.
#[derive(Args, Clone, Debug)]
pub(crate) struct PairArgs {
    /// The source of the sync (the order does not matter)
    #[arg(value_name = "SOURCE", value_parser = location())]
    pub(crate) from: Location,

    /// The target of the sync
    #[arg(value_name = "TARGET", value_parser = location())]
    pub(crate) to: Location,

    #[command(flatten)]
    pub(crate) lock: LockArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

/// The arguments of `pos3-cli manifest show`.
// Options that follow the flattened arguments would appear under the heading of the last ones.
#[derive(Args, Clone, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ManifestShowArgs {
    /// Write the rows with their fingerprints to stdout as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) pair: PairArgs,
}

/// The arguments of `pos3-cli manifest forget`.
#[derive(Args, Clone, Debug)]
#[command(after_help = FORGET_EXAMPLES)]
pub(crate) struct ManifestForgetArgs {
    /// Paths relative to both locations; a directory includes everything below it
    #[arg(value_name = "PATH", index = 3, required_unless_present = "all")]
    pub(crate) paths: Vec<String>,

    /// Remove every row
    #[arg(long, conflicts_with = "paths")]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) pair: PairArgs,
}

/// How long to wait while another run uses the same two locations.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LockArgs {
    /// Wait up to SECONDS for another run of the same two locations
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = whole_seconds)]
    lock_wait: u64,
}

fn whole_seconds(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "give a whole number of seconds, 0 or more".to_owned())
}

impl ManifestArgs {
    /// Adds the profile of `--profile` to the locations.
    pub(crate) fn add_profile(&mut self) {
        let pair = match &mut self.command {
            ManifestCommand::Show(args) => &mut args.pair,
            ManifestCommand::Forget(args) => &mut args.pair,
        };
        pair.s3.add_profile([&mut pair.from, &mut pair.to]);
    }

    /// Returns the two locations.
    pub(crate) fn pair(&self) -> &PairArgs {
        match &self.command {
            ManifestCommand::Show(args) => &args.pair,
            ManifestCommand::Forget(args) => &args.pair,
        }
    }
}

impl LockArgs {
    pub(crate) fn wait(self) -> Wait {
        match self.lock_wait {
            0 => Wait::Fail,
            seconds => Wait::For(Duration::from_secs(seconds)),
        }
    }
}
