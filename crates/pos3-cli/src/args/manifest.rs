//! `pos3-cli manifest`, and the options about what is remembered.

use std::time::Duration;

use clap::{Args, Subcommand};
use pos3::{Location, Wait};

use super::{S3Args, location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli manifest show ./data s3://bucket/data
  pos3-cli manifest forget ./data s3://bucket/data reports/2024 a.txt
  pos3-cli manifest forget ./data s3://bucket/data --all

A sync remembers which files it found equal, so that the next one need not read them again. All of it may be deleted at
any moment: the next sync compares more, and no data is lost. Both directions between two locations share it.";

/// Show or forget what is remembered between runs
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManifestArgs {
    #[command(subcommand)]
    pub(crate) command: ManifestCommand,
}

/// What is to be done.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// Show what is remembered of two locations
    ///
    /// One line for each file that was equal in both: a digest of its content where one was known, and its key.
    Show(ManifestShowArgs),
    /// Forget what is remembered, so that the next sync compares again
    Forget(ManifestForgetArgs),
}

/// Two locations whose memory is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct PairArgs {
    /// One location, as it was given to sync
    #[arg(value_name = "SOURCE", value_parser = location())]
    pub(crate) from: Location,

    /// The other one
    #[arg(value_name = "TARGET", value_parser = location())]
    pub(crate) to: Location,

    #[command(flatten)]
    pub(crate) lock: LockArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ManifestShowArgs {
    #[command(flatten)]
    pub(crate) pair: PairArgs,

    /// Write one JSON object to stdout, with the fingerprints
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ManifestForgetArgs {
    #[command(flatten)]
    pub(crate) pair: PairArgs,

    /// Keys below the locations; a directory means everything in it
    #[arg(value_name = "PATH", required_unless_present = "all")]
    pub(crate) paths: Vec<String>,

    /// Forget every file
    #[arg(long, conflicts_with = "paths")]
    pub(crate) all: bool,
}

/// What is done while another run uses the same two locations.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LockArgs {
    /// How long to wait for another run between the same two locations; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = whole_seconds)]
    lock_wait: u64,
}

fn whole_seconds(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "give a whole number of seconds, 0 or more".to_owned())
}

impl LockArgs {
    pub(crate) fn wait(self) -> Wait {
        match self.lock_wait {
            0 => Wait::Fail,
            seconds => Wait::For(Duration::from_secs(seconds)),
        }
    }
}
