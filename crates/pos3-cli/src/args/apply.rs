//! `pos3-cli apply`.

use std::path::PathBuf;

use clap::Args;
use pos3::{Preconditions, Shard, SyncOptions};

use super::path::local_path;
use super::{ConcurrencyArgs, S3Args, SafetyArgs, ShowArgs};

const EXAMPLES: &str = "\
Examples:
  pos3-cli apply plan.jsonl -n
  pos3-cli apply plan.jsonl --backup-dir s3://bucket/old
  pos3-cli apply plan.jsonl --shard 1/3        on one machine, 2/3 and 3/3 on others

The file is read to its end first: one that was cut or changed is refused with exit code 4, and nothing is done. Each
action is then held against both sides: what is no longer as the plan saw it is left alone and told, and the rest is
done (exit code 1). Deletes come last, and only if all copies of this run went well. The parts of a plan share nothing
and can run at the same time; which part an action is in depends on its key alone. With parts, each run vouches for
its own copies only. Applying a plan again does nothing twice: what was done is out of date.";

/// Do what a plan says, and refuse what is out of date
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApplyArgs {
    /// A file that 'pos3-cli plan' wrote; '-' is stdin
    #[arg(value_name = "PLAN", value_parser = local_path())]
    pub(crate) plan: PathBuf,

    /// Do only one part of the plan, such as 2/3
    #[arg(long, value_name = "I/N", default_value_t)]
    pub(crate) shard: Shard,

    /// Show what would be done, one line each, and do nothing
    #[arg(short = 'n', long, visible_alias = "dryrun")]
    pub(crate) dry_run: bool,

    /// Delete also when nothing is left at the source
    #[arg(long)]
    pub(crate) allow_empty: bool,

    #[command(flatten)]
    concurrency: ConcurrencyArgs,

    #[command(flatten)]
    pub(crate) safety: SafetyArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,

    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

impl ApplyArgs {
    pub(crate) fn options(&self) -> SyncOptions {
        SyncOptions::default()
            .with_preconditions(Preconditions::Strict)
            .with_verify(self.safety.verify())
            .with_budget(self.concurrency.budget())
    }
}
