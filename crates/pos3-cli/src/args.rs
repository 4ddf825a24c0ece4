//! The command line, as it is written: parsed and checked here, before anything in the world is looked at.

mod apply;
mod asked;
mod check;
mod cleanup;
mod concurrency;
mod explain;
mod filter;
mod job;
mod ls;
mod manifest;
mod path;
mod plan;
mod profile;
mod run;
mod s3;
mod session;
mod show;
mod sync;
mod transfer;

use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use pos3::Location;

use crate::name;

pub(crate) use apply::ApplyArgs;
pub(crate) use asked::Asked;
pub(crate) use check::CheckArgs;
pub(crate) use cleanup::CleanupArgs;
pub(crate) use concurrency::ConcurrencyArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use job::JobArgs;
pub(crate) use ls::LsArgs;
pub(crate) use manifest::{LockArgs, ManifestArgs, ManifestCommand, ManifestForgetArgs, ManifestShowArgs, PairArgs};
pub(crate) use plan::PlanArgs;
pub(crate) use run::{Place, RunArgs, Use};
pub(crate) use s3::S3Args;
pub(crate) use session::SessionArgs;
pub(crate) use show::{Detail, Show, ShowArgs};
pub(crate) use sync::{SafetyArgs, SyncArgs, SyncManifestArgs};
pub(crate) use transfer::{DownloadArgs, TransferArgs, UploadArgs};

const HELP: &str = "\
Examples:
  pos3-cli sync ./data s3://bucket/data              upload what is new or changed
  pos3-cli sync s3://bucket/data ./data --delete     make ./data exactly like the bucket
  pos3-cli sync ./data s3://bucket/data -n           show what would be done, do nothing
  pos3-cli plan ./data s3://bucket/data -o plan      write the same to a file, for review
  pos3-cli apply plan                                do what the file says, as far as it still holds
  pos3-cli check ./data s3://bucket/data             compare, change nothing
  pos3-cli explain ./data s3://bucket/data a/b.txt   what would happen to one path, and why
  data=$(pos3-cli download s3://bucket/data)         a local copy; stdout is its path
  pos3-cli upload s3://bucket/out --local ./out      upload once what is there
  pos3-cli run --download data=s3://bucket/data --upload out=s3://bucket/out -- ./train
                                                     a program between its inputs and outputs
  pos3-cli ls s3://bucket/data -r                    everything below data/, as URLs for other commands
  pos3-cli manifest show ./data s3://bucket/data     what is remembered between runs
  pos3-cli cleanup s3://bucket/data                  uploads that were begun and never finished

Locations:
  s3://BUCKET/PREFIX   the prefix is taken as it is written: '#', '?', '%' and spaces need no encoding
  s3://PROFILE@BUCKET  the same on the server of a profile, with its credentials; 'aws' is no profile
  PATH                 a path on this machine (also as file:///PATH, percent-encoded)
  memory://NAME        a store in memory, for trying things out

Environment:
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN   who asks; else the AWS profile (SSO, roles, processes),
                                                                 a web identity, a container, the instance
  AWS_PROFILE, AWS_DEFAULT_PROFILE                               the AWS profile
  AWS_METADATA_SERVICE_TIMEOUT, ..._NUM_ATTEMPTS                 how patiently the instance is asked
  AWS_REGION, AWS_DEFAULT_REGION                                 where (default: us-east-1)
  AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL                          another server than Amazon's
  AWS_CA_BUNDLE                                                  a PEM file of the certificates to trust
  POS3_PROFILES_FILE                                             profiles of servers (default:
                                                                 $XDG_CONFIG_HOME/pos3/profiles.toml or
                                                                 ~/.config/pos3/profiles.toml)
  POS3_STATE_DIR                                                 what is remembered between runs (default:
                                                                 $XDG_STATE_HOME/pos3 or ~/.local/state/pos3)
  POS3_CACHE_ROOT                                                where local copies are kept (default:
                                                                 ~/.cache/positronic/s3)
  NO_COLOR                                                       no colours

Exit codes:
  0    done
  1    something failed, was skipped, or does not exist (a bucket, a prefix, a
       source directory); the rest was done
  2    the command line makes no sense, or a variable or profile that it needs
       (1 for a profile, of 'download', 'upload' and 'ls')
  3    the two locations differ ('check' alone)
  4    refused for safety; nothing was touched
  5    done, but the result could not be written to stdout
  N    'run' alone: the program's own code; 126 and 127 when there is none to run
  130  ended by Ctrl-C (143: SIGTERM, 129: SIGHUP, 131: SIGQUIT); nothing more was
       deleted";

/// Sync directories with S3, safely.
#[derive(Debug, Parser)]
#[command(name = "pos3-cli", version, about, after_help = HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the target like the source
    Sync(Box<SyncArgs>),
    /// Write what a sync would do to a file
    Plan(Box<PlanArgs>),
    /// Do what a plan says, and refuse what is out of date
    Apply(Box<ApplyArgs>),
    /// Compare two locations and change nothing
    Check(Box<CheckArgs>),
    /// Say what a sync would do with one path, and why
    Explain(Box<ExplainArgs>),
    /// Bring a prefix or an object to local disk and print where it is
    Download(Box<DownloadArgs>),
    /// Bring a local directory or file to a prefix or an object
    Upload(Box<UploadArgs>),
    /// Run a program with inputs from S3 and outputs to S3
    Run(Box<RunArgs>),
    /// List what is at a location
    Ls(LsArgs),
    /// Show or forget what is remembered between runs
    Manifest(ManifestArgs),
    /// Find uploads that were begun and never finished, and give them up
    Cleanup(CleanupArgs),
}

impl Command {
    /// True if another program will inherit what is changed about this process.
    pub(crate) fn runs_a_program(&self) -> bool {
        matches!(self, Self::Run(_))
    }
}

/// Reads a command line; its first argument is the name of the program.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut command = without_empty_variables(with_negative_numbers(Cli::command()))
        .bin_name(name::name())
        .display_name(name::name());
    let matches = command.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(cli.located())
}

/// Lets every option have a negative number for its value: what reads the value says better what is wrong with it than a
/// complaint about an unknown option.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let is_option = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_positional();
    let command = command.mut_args(|arg| if is_option(&arg) { arg.allow_negative_numbers(true) } else { arg });
    command.mut_subcommands(with_negative_numbers)
}

/// Treats an empty variable of an option as one that is not set.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(clap::builder::Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty_variables)
}

/// Reads a location; what is none is a usage error.
fn location() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().try_map(|text: OsString| Location::from_os_str(&text))
}

/// Like [`location`], for a place whose content must outlive the process.
fn lasting_location() -> impl TypedValueParser<Value = Location> {
    location().try_map(|location| match &location {
        Location::Remote(remote) if remote.scheme() == "memory" => {
            Err(format!("'{location}' is gone when the program ends: name a directory or a bucket"))
        }
        Location::Remote(_) | Location::Local(_) => Ok(location),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_in_memory_is_a_usage_error() {
        let parse = |place: &str| Cli::try_parse_from(["pos3-cli", "sync", "a", "s3://b", "--backup-dir", place]);
        let error = parse("memory://old").unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation);
        assert!(error.to_string().contains("'memory://old' is gone when the program ends"), "{error}");
        assert!(parse("s3://old").is_ok() && parse("old").is_ok());
        let error = Cli::try_parse_from(["pos3-cli", "apply", "plan", "--backup-dir", "memory://old"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        with_negative_numbers(Cli::command()).debug_assert();
    }
}
