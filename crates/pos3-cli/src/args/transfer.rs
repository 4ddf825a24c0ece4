//! The arguments of `pos3-cli download` and `pos3-cli upload`.

use std::path::PathBuf;

use clap::Args;
use pos3::{Guards, MaxDelete, Symlinks};

use super::job::max_delete;
use super::path::local_path;
use super::session::PATTERNS;
use super::{SessionArgs, ShowArgs};

const DOWNLOAD: &str = "\
Examples:
  data=$(pos3-cli download s3://bucket/data)         # into the cache root
  pos3-cli download s3://bucket/data --local ./data  # into ./data
  pos3-cli download s3://bucket/model.bin            # one object, as one file
  pos3-cli download s3://bucket/data -n --delete     # only print the actions

pos3 downloads new and changed objects, then writes the absolute local path to
stdout. Without --local, the path is below the cache root.

's3://bucket/x/' is everything below x/. 's3://bucket/x' is the object x if it
exists, otherwise everything below x/. If neither exists, the download fails.
An object is downloaded to the file PATH, or into PATH if it ends in '/'.";

const UPLOAD: &str = "\
Examples:
  pos3-cli upload s3://bucket/run --local ./out           # a directory
  pos3-cli upload s3://bucket/dir/ --local a.bin          # a file, as dir/a.bin
  pos3-cli upload s3://bucket/run                         # from the cache root
  pos3-cli upload s3://bucket/run --local ./out --delete  # make run like ./out

pos3 uploads new and changed files once, and writes nothing to stdout. Without
--local, it uploads the local copy of URL below the cache root.";

/// The arguments of `pos3-cli download`.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{DOWNLOAD}\n\n{PATTERNS}"))]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// The arguments of `pos3-cli upload`.
// Options that follow the flattened arguments would appear under the heading of the last ones.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{UPLOAD}\n\n{PATTERNS}"))]
pub(crate) struct UploadArgs {
    /// Follow symbolic links instead of skipping them
    #[arg(long, overrides_with = "no_follow_symlinks")]
    follow_symlinks: bool,

    /// Skip symbolic links (the default)
    #[arg(long, overrides_with = "follow_symlinks")]
    no_follow_symlinks: bool,

    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

impl DownloadArgs {
    /// Does nothing: the command parses its URL when it starts, and adds the profile then.
    pub(crate) fn add_profile(&mut self) {}
}

impl UploadArgs {
    /// Does nothing: the command parses its URL when it starts, and adds the profile then.
    pub(crate) fn add_profile(&mut self) {}

    pub(crate) fn symlinks(&self) -> Symlinks {
        if self.follow_symlinks { Symlinks::Follow } else { Symlinks::Skip }
    }
}

/// One transfer between a remote location and its local copy.
#[derive(Args, Clone, Debug)]
pub(crate) struct TransferArgs {
    /// The remote location: s3://BUCKET/KEY or s3://PROFILE@BUCKET/KEY
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Use this local file or directory [default: below the cache root]
    #[arg(long, value_name = "PATH", value_parser = local_path())]
    pub(crate) local: Option<PathBuf>,

    /// Print the actions without executing them
    #[arg(short = 'n', long, visible_alias = "dryrun")]
    pub(crate) dry_run: bool,

    /// Delete files in the target that the source does not have
    #[arg(long, help_heading = "What to delete")]
    pub(crate) delete: bool,

    /// Refuse to delete more than N files, or P% of the target [default: 50% if the target has 20 files or more]
    #[arg(long, value_name = "N|P%", value_parser = max_delete, help_heading = "What to delete")]
    max_delete: Option<MaxDelete>,

    /// Allow --delete to empty the target if the source is empty
    #[arg(long, help_heading = "What to delete")]
    pub(crate) allow_empty: bool,

    #[command(flatten)]
    pub(crate) session: SessionArgs,

    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

impl TransferArgs {
    pub(crate) fn guards(&self) -> Guards {
        Guards::default().with_allow_empty(self.allow_empty).with_max_delete(self.max_delete.unwrap_or_default())
    }
}
