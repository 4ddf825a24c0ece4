//! `pos3-cli download` and `pos3-cli upload`.

use std::path::PathBuf;

use clap::Args;
use pos3::{Guards, MaxDelete, Symlinks};

use super::job::max_delete;
use super::path::local_path;
use super::{SessionArgs, ShowArgs};

const DOWNLOAD: &str = "\
Examples:
  data=$(pos3-cli download s3://bucket/data)         a local copy below the cache root; stdout is its path
  pos3-cli download s3://bucket/data --local ./data  a copy here
  pos3-cli download s3://bucket/model.bin            one object is one file
  pos3-cli download s3://bucket/data -n --delete     what would be done, one line each

's3://bucket/x/' is everything below x/; 's3://bucket/x' is the object x if there is one, else everything below x/.
A place with nothing in it is an error. A second run fetches what has changed.";

const UPLOAD: &str = "\
Examples:
  pos3-cli upload s3://bucket/run --local ./out           upload what is new or changed
  pos3-cli upload s3://bucket/run                         the local copy below the cache root
  pos3-cli upload s3://bucket/dir/ --local model.bin      one file, as dir/model.bin
  pos3-cli upload s3://bucket/run --local ./out --delete  make the prefix exactly like ./out

Nothing is written to stdout.";

/// Bring a prefix or an object to local disk and print where it is
///
/// Fetches what is new or changed, and writes one line to stdout when everything is there: the absolute local path.
#[derive(Args, Clone, Debug)]
#[command(after_help = DOWNLOAD)]
pub(crate) struct DownloadArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

/// Bring a local directory or file to a prefix or an object
///
/// Sends what is new or changed, once. Deletes nothing unless --delete is given.
#[derive(Args, Clone, Debug)]
#[command(after_help = UPLOAD)]
pub(crate) struct UploadArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,

    /// Upload what symbolic links lead to, instead of leaving them out
    #[arg(long, overrides_with = "no_follow_symlinks")]
    follow_symlinks: bool,

    /// Leave symbolic links out (the default)
    #[arg(long, overrides_with = "follow_symlinks")]
    no_follow_symlinks: bool,
}

impl UploadArgs {
    pub(crate) fn symlinks(&self) -> Symlinks {
        if self.follow_symlinks { Symlinks::Follow } else { Symlinks::Skip }
    }
}

/// One transfer between a place in S3 and its local copy.
#[derive(Args, Clone, Debug)]
pub(crate) struct TransferArgs {
    /// The remote place: s3://BUCKET/KEY or s3://PROFILE@BUCKET/KEY
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// The local path: a file for one object, a directory for a prefix; an object goes inside a path that ends in '/'
    /// [default: below the cache root]
    #[arg(long, value_name = "PATH", value_parser = local_path())]
    pub(crate) local: Option<PathBuf>,

    /// Show what would be done, one line each, and do nothing
    #[arg(short = 'n', long, visible_alias = "dryrun")]
    pub(crate) dry_run: bool,

    /// Delete on the receiving side what the sending side does not have
    #[arg(long, help_heading = "What to delete")]
    pub(crate) delete: bool,

    /// Refuse to delete more than N files, or P% of them (default: 50% of 20 or more)
    #[arg(long, value_name = "N|P%", value_parser = max_delete, help_heading = "What to delete")]
    max_delete: Option<MaxDelete>,

    /// Let an empty directory empty the prefix, or an empty prefix the directory
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
