//! The arguments of the commands of a workspace: `pull`, `push`, `status` and `workspace run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use pos3::{Guards, Location, MaxDelete};

use super::duration::seconds;
use super::job::max_delete;
use super::path::local_path;
use super::{S3Args, ShowArgs, location};

const PULL: &str = "\
Examples:
  pos3-cli pull ./ws s3://bucket/users/7          # the first time
  pos3-cli pull ./ws                              # later: DIR knows its location
  pos3-cli pull ./ws --only src --only notes.md   # only a part
  pos3-cli pull ./ws --max-file-size 100M         # leave large objects out

A pull makes DIR like its location. It fetches what is missing or was changed
there, and removes files whose objects are gone. A file that was changed only
here stays, until you push it. New files, and those that were changed on both
sides, are moved to DIR/.pos3/never-pushed, so nothing is lost. The sync state
and the location are recorded in DIR/.pos3, which is never synced.

Files that match a line of a file .syncignore, on either side, are left alone on
both sides, and so are these, unless a line includes them again:
  .DS_Store Thumbs.db *.swp *.swo *~ node_modules/ __pycache__/ *.pyc .gradle/
  build/ dist/ target/ .idea/ .vscode/ *.iml *.log logs/ *.tmp *.temp .cache/";

const PUSH: &str = "\
Examples:
  pos3-cli push ./ws
  pos3-cli push ./ws s3://bucket/users/7   # if DIR was not pulled before

A push stores new and changed files, and deletes objects whose files you have
removed. It never replaces what somebody else has changed since the last pull:
both versions are stored, yours as 'NAME (conflict DATE HOST).EXT'. After a pull
that was not complete, it deletes nothing.";

const STATUS: &str = "\
Examples:
  pos3-cli status ./ws

Each line is a difference, and a path in DIR:
  pull new|changed|deleted   a pull would fetch or remove it
  push new|changed|deleted   a push would store or delete it
  conflict                   both sides have changed it
  protected                  the last pull failed, so a push leaves it alone";

const RUN: &str = "\
Examples:
  pos3-cli workspace run s3://bucket/users/7 -- python agent.py
  pos3-cli workspace run s3://bucket/users/7 ./ws -- make report

The program runs in DIR, whose path is also in POS3_WORKSPACE. Without DIR, pos3
makes a temporary directory, and removes it if everything was pushed. Ignored
files (see 'pos3-cli pull --help') are removed with it.

pos3 pulls, runs the program, and pushes when it has ended, also if it has failed
or if a signal came; then nothing is deleted at the location. After a pull that
was not complete, the program does not run. pos3 passes signals on to it.

Exit codes:
  N      the exit code of the program
  1      the program succeeded, but not everything was pushed
  126    the program cannot be executed; nothing was pulled
  127    the program does not exist; nothing was pulled
  128+N  signal N ended the program, or prevented the push";

/// The directory of a workspace and its location.
#[derive(Args, Clone, Debug)]
pub(crate) struct DirectoryArgs {
    /// The directory of the workspace
    #[arg(value_name = "DIR", value_parser = local_path())]
    pub(crate) directory: PathBuf,

    /// Its location, such as s3://BUCKET/PREFIX [default: the recorded one]
    #[arg(value_name = "LOCATION", value_parser = location())]
    pub(crate) location: Option<Location>,
}

/// The limits on deletes.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "What to delete")]
pub(crate) struct GuardArgs {
    /// Refuse to delete more than N files, or P% of them [default: 50% of 20 files or more]
    #[arg(long, value_name = "N|P%", value_parser = max_delete)]
    max_delete: Option<MaxDelete>,

    /// Allow everything to be deleted if the other side is empty
    #[arg(long)]
    allow_empty: bool,
}

impl GuardArgs {
    pub(crate) fn guards(self) -> Guards {
        Guards::default().with_allow_empty(self.allow_empty).with_max_delete(self.max_delete.unwrap_or_default())
    }
}

/// What is left alone on both sides.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What to ignore")]
pub(crate) struct IgnoreArgs {
    /// Ignore what matches, in the syntax of gitignore, as the files .syncignore do
    #[arg(long, value_name = "PATTERN")]
    pub(crate) ignore: Vec<String>,

    /// Do not ignore node_modules/, *.log and the other defaults
    #[arg(long)]
    pub(crate) no_default_ignores: bool,
}

/// Whether other machines are kept out.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LeaseArgs {
    /// Keep other machines that use --lease out meanwhile; if this process dies, for TIME, such as 5m
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) lease: Option<Duration>,
}

/// The limits of what is fetched.
#[derive(Args, Clone, Debug)]
pub(crate) struct FetchArgs {
    /// Leave out objects that are larger than SIZE, such as 100M
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_file_size: Option<u64>,

    /// Refuse to pull if all objects together are larger than SIZE, such as 2G
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_size: Option<u64>,

    /// Fetch at most N files at once
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) downloads: u16,
}

/// The limit of what is stored at once.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct StoreArgs {
    /// Store at most N files at once
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) uploads: u16,
}

/// The arguments of `pos3-cli pull`.
#[derive(Args, Clone, Debug)]
#[command(after_help = PULL)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    pub(crate) place: DirectoryArgs,

    /// Pull only this file, or this directory and everything in it
    #[arg(long, value_name = "PATH")]
    pub(crate) only: Vec<String>,

    #[command(flatten)]
    pub(crate) fetch: FetchArgs,

    #[command(flatten)]
    pub(crate) lease: LeaseArgs,

    #[command(flatten)]
    pub(crate) ignore: IgnoreArgs,

    #[command(flatten)]
    pub(crate) guards: GuardArgs,

    #[command(flatten)]
    pub(crate) show: ShowArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

/// The arguments of `pos3-cli push`.
#[derive(Args, Clone, Debug)]
#[command(after_help = PUSH)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub(crate) place: DirectoryArgs,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) lease: LeaseArgs,

    #[command(flatten)]
    pub(crate) ignore: IgnoreArgs,

    #[command(flatten)]
    pub(crate) guards: GuardArgs,

    #[command(flatten)]
    pub(crate) show: ShowArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

/// The arguments of `pos3-cli status`.
#[derive(Args, Clone, Debug)]
#[command(after_help = STATUS)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) place: DirectoryArgs,

    /// Write the result to stdout as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) ignore: IgnoreArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

/// The arguments of `pos3-cli workspace`.
#[derive(Args, Clone, Debug)]
pub(crate) struct WorkspaceArgs {
    #[command(subcommand)]
    pub(crate) command: WorkspaceCommand,
}

/// The commands of `pos3-cli workspace`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// Pull, run a program, and push
    Run(Box<WorkspaceRunArgs>),
}

/// The arguments of `pos3-cli workspace run`.
#[derive(Args, Clone, Debug)]
#[command(after_help = RUN)]
pub(crate) struct WorkspaceRunArgs {
    /// The location of the workspace, such as s3://BUCKET/PREFIX
    #[arg(value_name = "LOCATION", value_parser = location())]
    pub(crate) location: Location,

    /// The directory of the workspace [default: a temporary directory]
    #[arg(value_name = "DIR", value_parser = local_path())]
    pub(crate) directory: Option<PathBuf>,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,

    #[command(flatten)]
    pub(crate) fetch: FetchArgs,

    #[command(flatten)]
    pub(crate) lease: LeaseArgs,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Kill the program and its processes SECONDS after a signal
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) grace: Duration,

    /// Stop the push SECONDS after a signal; files in flight get 10 seconds more
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    pub(crate) deadline: Duration,

    /// Write the result of the pull, the program and the push to FILE as one JSON object
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    pub(crate) json_report: Option<PathBuf>,

    /// Print errors only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) ignore: IgnoreArgs,

    #[command(flatten)]
    pub(crate) guards: GuardArgs,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

impl PullArgs {
    /// Adds the profile of `--profile` to the location.
    pub(crate) fn add_profile(&mut self) {
        self.s3.add_profile(&mut self.place.location);
    }
}

impl PushArgs {
    /// Adds the profile of `--profile` to the location.
    pub(crate) fn add_profile(&mut self) {
        self.s3.add_profile(&mut self.place.location);
    }
}

impl StatusArgs {
    /// Adds the profile of `--profile` to the location.
    pub(crate) fn add_profile(&mut self) {
        self.s3.add_profile(&mut self.place.location);
    }
}

impl WorkspaceArgs {
    /// Adds the profile of `--profile` to the location.
    pub(crate) fn add_profile(&mut self) {
        let WorkspaceCommand::Run(run) = &mut self.command;
        run.s3.add_profile([&mut run.location]);
    }
}

/// Parses a number of bytes, with an optional unit: K, M, G and T are powers of 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let advice = || "give a number of bytes, such as 500K, 100M or 2G".to_owned();
    let bare = text.strip_suffix("iB").or_else(|| text.strip_suffix('B')).unwrap_or(text);
    let (number, power) = match bare.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => {
            let power = "KMGT".find(unit.to_ascii_uppercase()).ok_or_else(advice)?;
            (&bare[..at], power + 1)
        }
        _ => (bare, 0),
    };
    let number: u64 = number.parse().map_err(|_| advice())?;
    number.checked_mul(1 << (10 * power)).ok_or_else(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_a_unit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("2K", Some(2048)),
            ("100MiB", Some(104_857_600)),
            ("1gB", Some(1 << 30)),
            ("3T", Some(3 << 40)),
            ("1.5G", None),
            ("-1", None),
            ("K", None),
            ("1X", None),
            ("99999999999T", None),
            ("", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text:?}");
        }
    }
}
