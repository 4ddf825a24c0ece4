//! The arguments of `pos3-cli sync`, and the options about safety and the sync state, which other commands share.

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

pos3 copies new and changed files. With --delete, it also deletes, but only
after every copy has succeeded. Excluded keys are neither copied nor deleted. A
'/' at the end of a location has no effect.

By default, pos3 compares sizes first, then uses the cheapest evidence that
decides: the sync state, times or checksums.

--backup-dir never replaces an earlier backup: if the name is taken, it appends
the time to the name of the new one. LOCATION must not overlap the source or the
target, unless --exclude excludes it.

See 'pos3-cli --help' for exit codes and the environment.";

/// The arguments of `pos3-cli sync`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SyncArgs {
    /// Print the actions without executing them
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

/// Protection against data loss.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArgs {
    /// Copy each file to LOCATION before it is overwritten or deleted
    #[arg(long, value_name = "LOCATION", value_parser = lasting_location())]
    pub(crate) backup_dir: Option<Location>,

    /// Treat a copy as failed if no checksum can verify it
    #[arg(long)]
    verify: bool,
}

impl SyncArgs {
    /// Adds the profile of `--profile` to the locations.
    pub(crate) fn add_profile(&mut self) {
        self.job.add_profile();
        self.job.s3.add_profile(&mut self.safety.backup_dir);
    }
}

impl SafetyArgs {
    pub(crate) fn verify(&self) -> Verify {
        if self.verify { Verify::Require } else { Verify::WhereKnown }
    }
}

/// The use of the sync state.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Sync state")]
pub(crate) struct SyncManifestArgs {
    /// Do not use the sync state (see 'pos3-cli manifest --help')
    #[arg(long)]
    pub(crate) no_manifest: bool,

    #[command(flatten)]
    pub(crate) lock: LockArgs,
}
