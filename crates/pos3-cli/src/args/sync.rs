//! `pos3-cli sync`.

use clap::Args;
use pos3::{Location, Verify};

use super::{JobArgs, LockArgs, ShowArgs, lasting_location};

const EXAMPLES: &str = "\
Examples:
  pos3-cli sync ./data s3://bucket/data
  pos3-cli sync s3://bucket/data ./data --delete --max-delete 10%
  pos3-cli sync . s3://bucket/src --exclude '*' --include '*.rs' -n
  pos3-cli sync s3://bucket/a s3://bucket/b --json
  pos3-cli sync ./data s3://bucket/data --delete --backup-dir s3://bucket/old

A '/' at the end of a location changes nothing. Excluded keys are neither copied nor deleted.
See 'pos3-cli --help' for exit codes and the environment.";

/// Make the target like the source
///
/// Copies what is new or changed. Deletes nothing unless --delete is given, and then only after everything was copied
/// without a failure.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SyncArgs {
    /// Show what would be done, one line each, and do nothing
    #[arg(short = 'n', long, visible_alias = "dryrun")]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) job: JobArgs,

    #[command(flatten)]
    pub(crate) safety: SafetyArgs,

    #[command(flatten)]
    pub(crate) manifest: SyncManifestArgs,

    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

/// What is done besides copying and deleting, so that nothing is lost.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArgs {
    /// Copy what would be overwritten or deleted to this location first, under the same names; older copies there are
    /// kept, and the new ones get a time in their names. It must not lie inside the source or the target, unless
    /// --exclude leaves it out
    #[arg(long, value_name = "LOCATION", value_parser = lasting_location())]
    pub(crate) backup_dir: Option<Location>,

    /// Count a copy as failed that no checksum of either side covers, although it was made
    #[arg(long)]
    verify: bool,
}

impl SafetyArgs {
    pub(crate) fn verify(&self) -> Verify {
        if self.verify { Verify::Require } else { Verify::WhereKnown }
    }
}

/// What is remembered between runs.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "What to remember")]
pub(crate) struct SyncManifestArgs {
    /// Neither use nor write what is remembered between runs ('pos3-cli manifest --help')
    #[arg(long)]
    pub(crate) no_manifest: bool,

    #[command(flatten)]
    pub(crate) lock: LockArgs,
}
