//! The arguments of `pos3-cli apply`.

use std::path::PathBuf;

use clap::Args;
use pos3::{Preconditions, Shard, SyncOptions};

use super::path::local_path;
use super::{ConcurrencyArgs, S3Args, SafetyArgs, ShowArgs};

const EXAMPLES: &str = "\
Examples:
  pos3-cli apply plan.jsonl -n
  pos3-cli apply plan.jsonl --backup-dir s3://bucket/old
  pos3-cli apply plan.jsonl --shard 1/3     # with 2/3 and 3/3 on other machines

pos3 reads the whole plan first. If the file is truncated or was changed, pos3
exits with code 4 and does nothing. A plan has a checksum of itself, so to change
it, make a new plan.

An action is stale if its key has changed on either side since the plan was
made. pos3 skips and reports stale actions, executes the others, and exits with
code 1. Deletes come last, and only if every copy of this run succeeded. An
action that was already executed is stale, so a plan can be applied twice.

The parts of a plan can run at the same time on different machines. No action is
in two parts. If a copy fails, pos3 withholds only the deletes of its part.

--backup-dir never replaces an earlier backup: if the name is taken, it appends
the time to the name of the new one.";

/// The arguments of `pos3-cli apply`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApplyArgs {
    /// The file written by 'pos3-cli plan'; '-' is stdin
    #[arg(value_name = "PLAN", value_parser = local_path())]
    pub(crate) plan: PathBuf,

    /// Execute only part I of N
    #[arg(long, value_name = "I/N", default_value_t)]
    pub(crate) shard: Shard,

    /// Print the actions without executing them
    #[arg(short = 'n', long, visible_alias = "dryrun")]
    pub(crate) dry_run: bool,

    /// Delete even if the source no longer has any file
    #[arg(long)]
    pub(crate) allow_empty: bool,

    #[command(flatten)]
    pub(crate) concurrency: ConcurrencyArgs,

    #[command(flatten)]
    pub(crate) safety: SafetyArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,

    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

impl ApplyArgs {
    /// Adds the profile of `--profile` to the backup location. The plan file has its locations with their profiles.
    pub(crate) fn add_profile(&mut self) {
        self.s3.add_profile(&mut self.safety.backup_dir);
    }

    pub(crate) fn options(&self) -> SyncOptions {
        SyncOptions::default()
            .with_preconditions(Preconditions::Strict)
            .with_verify(self.safety.verify())
            .with_budget(self.concurrency.budget())
    }
}
