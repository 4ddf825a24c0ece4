//! The table of commands, and the function that parses the arguments into one of them.

mod asked;
mod usage;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::args::{
    ApplyArgs, CheckArgs, CleanupArgs, DownloadArgs, ExplainArgs, LsArgs, ManifestArgs, PlanArgs, PullArgs, PushArgs,
    RunArgs, StatusArgs, SyncArgs, UploadArgs, WorkspaceArgs,
};
use crate::exit::Exit;
use crate::invocation::{self, Execute};
use crate::{hints, name};

pub(crate) use asked::Asked;
pub(crate) use usage::usage;

const HELP: &str = "\
Examples:
  pos3-cli sync ./data s3://bucket/data            # upload new or changed files
  pos3-cli sync s3://bucket/data ./data --delete   # make ./data exactly like it
  pos3-cli sync ./data s3://bucket/data -n         # only print the actions
  pos3-cli plan ./data s3://bucket/data -o plan    # write the actions to a file
  pos3-cli apply plan                              # execute that file
  pos3-cli check ./data s3://bucket/data           # compare, change nothing
  pos3-cli explain ./data s3://bucket/data a.txt   # explain one action
  data=$(pos3-cli download s3://bucket/data)       # download, print the path
  pos3-cli upload s3://bucket/out --local ./out    # upload a directory once
  pos3-cli ls s3://bucket/data -r                  # list everything below data/
  pos3-cli manifest show ./data s3://bucket/data   # show the sync state
  pos3-cli cleanup s3://bucket/data                # list unfinished uploads
  pos3-cli run --download in=s3://bucket/data --upload out=s3://bucket/out \\
    -- sh -c 'cp -r \"$POS3_PATH_IN\"/. \"$POS3_PATH_OUT\"'
  pos3-cli pull ./ws s3://bucket/users/7           # restore a workspace
  pos3-cli push ./ws                               # store its changes

Locations:
  s3://BUCKET/PREFIX   a prefix or an object, exactly as written: '#', '?', '%'
                       and spaces need no encoding
  s3://PROFILE@BUCKET  a bucket on the server of a profile, with the profile's
                       credentials; the name 'aws' means no profile
  PATH                 a local path (also file:///PATH, percent-encoded)
  memory://NAME        a store in memory, for experiments

Environment:
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
                       credentials; if they are not set, pos3 tries the AWS
                       profile, a web identity, a container and the instance
  AWS_PROFILE, AWS_DEFAULT_PROFILE
                       the AWS profile
  AWS_METADATA_SERVICE_TIMEOUT, AWS_METADATA_SERVICE_NUM_ATTEMPTS
                       how many seconds to wait for the credentials of the
                       instance, and how often to try
  AWS_REGION, AWS_DEFAULT_REGION
                       the region [default: us-east-1]
  AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL
                       the URL of the S3 server [default: Amazon S3]
  AWS_CA_BUNDLE        a PEM file; https trusts only its certificates
  POS3_PROFILES_FILE   the file that defines the profiles
                       [default: $XDG_CONFIG_HOME/pos3/profiles.toml, else
                       ~/.config/pos3/profiles.toml]
  POS3_STATE_DIR       the directory of the sync state
                       [default: $XDG_STATE_HOME/pos3, else ~/.local/state/pos3]
  POS3_CACHE_ROOT      the directory of local copies
                       [default: ~/.cache/positronic/s3]
  TMPDIR               the directory of temporary files [default: /tmp]
  NO_COLOR             if set, the output has no colours

Exit codes:
  0    success
  1    a file failed or was skipped (the others were still processed), or a
       bucket, prefix or source directory does not exist
  2    invalid arguments, environment or profile
       ('download', 'upload' and 'ls' exit with 1 if a profile is invalid)
  3    the two locations differ ('check' only)
  4    refused for safety; nothing was deleted
  5    success, but the result could not be written to stdout
  N    the exit code of the program ('run' only); 127 if the program does not
       exist, 126 if it cannot be executed
  130  ended by Ctrl-C (143: SIGTERM, 129: SIGHUP, 131: SIGQUIT); after the
       signal, no delete was started";

/// The command line of pos3.
#[derive(Debug, Parser)]
#[command(name = "pos3-cli", version, about, after_help = HELP, max_term_width = 80)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Makes an enum from the table of commands. A line of the table is the name of a command and the type of its arguments,
/// which implements [`Execute`]. The doc comment is the description in the help; the doc comment of
/// the arguments is not shown.
macro_rules! commands {
    ($($(#[$help:meta])* $name:ident($arguments:ty),)*) => {
        /// A command with its arguments.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($(#[$help])* $name(Box<$arguments>),)*
        }

        impl Command {
            /// Executes the command and returns its exit code.
            pub(crate) async fn execute(&self) -> Exit {
                match self {
                    $(Self::$name(arguments) => execute(&**arguments).await,)*
                }
            }

            /// Adds the profile of `--profile` to every `s3://` location that names none. So every saved plan and every
            /// message names the server.
            fn add_profile(&mut self) {
                match self {
                    $(Self::$name(arguments) => arguments.add_profile(),)*
                }
            }
        }
    };
}

commands! {
    /// Make the target like the source
    Sync(SyncArgs),
    /// Write the actions of a sync to a file
    Plan(PlanArgs),
    /// Execute a plan, except for actions that are stale
    Apply(ApplyArgs),
    /// Compare two locations without changing them
    Check(CheckArgs),
    /// Explain what a sync would do with one path
    Explain(ExplainArgs),
    /// Download a prefix or an object and print its local path
    Download(DownloadArgs),
    /// Upload a local directory or file
    Upload(UploadArgs),
    /// Run a program with inputs from S3 and outputs to S3
    Run(RunArgs),
    /// Make a workspace like its location
    Pull(PullArgs),
    /// Store the changes of a workspace
    Push(PushArgs),
    /// Show what a pull and a push would do
    Status(StatusArgs),
    /// Pull a workspace, run a program, and push
    Workspace(WorkspaceArgs),
    /// List the contents of a location
    Ls(LsArgs),
    /// Show or remove the sync state of two locations
    Manifest(ManifestArgs),
    /// List or abort unfinished uploads
    Cleanup(CleanupArgs),
}

async fn execute(command: &impl Execute) -> Exit {
    hints::begin(has_option(command.name(), hints::CONCURRENCY));
    invocation::execute(command).await
}

impl Command {
    /// Returns true if the command starts another program, which inherits the limits and signal actions of this process.
    pub(crate) fn runs_a_program(&self) -> bool {
        matches!(self, Self::Run(_))
    }
}

/// Returns true if a command has an option.
pub(crate) fn has_option(command: &str, option: &str) -> bool {
    let cli = Cli::command();
    let command = cli.find_subcommand(command);
    command.is_some_and(|command| command.get_arguments().any(|argument| argument.get_long() == Some(option)))
}

/// Parses a command line, whose first argument is the name of the program.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut command = without_empty_variables(with_negative_numbers(Cli::command()))
        .bin_name(name::name())
        .display_name(name::name());
    let matches = command.try_get_matches_from_mut(arguments)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    cli.command.add_profile();
    Ok(cli)
}

/// Lets every option take a negative number as its value. The parser of the value then reports the error; clap alone
/// would report an unknown option `-1`.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let is_option = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_positional();
    let command = command.mut_args(|arg| if is_option(&arg) { arg.allow_negative_numbers(true) } else { arg });
    command.mut_subcommands(with_negative_numbers)
}

/// Treats an empty environment variable of an option as not set.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(clap::builder::Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Command {
        parse(line.split(' ').map(OsString::from).collect()).unwrap().command
    }

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

    #[test]
    fn a_profile_is_for_the_locations_of_s3_that_name_none() {
        let line = "pos3-cli check s3://b/k s3://own@b --profile lab";
        let Command::Check(args) = parsed(line) else { panic!() };
        assert_eq!((args.from.to_string(), args.to.to_string()), ("s3://lab@b/k".into(), "s3://own@b".into()));

        let line = "pos3-cli sync . memory://m --backup-dir s3://old --profile lab";
        let Command::Sync(args) = parsed(line) else { panic!() };
        assert_eq!((args.job.from.to_string(), args.job.to.to_string()), (".".into(), "memory://m".into()));
        assert_eq!(args.safety.backup_dir.unwrap().to_string(), "s3://lab@old");
    }

    #[test]
    fn a_profile_says_everything_about_its_server() {
        for option in ["--endpoint-url http://h", "--region r", "--no-sign-request"] {
            let line = format!("pos3-cli ls s3://b --profile lab {option}");
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{option}");
        }
    }
}
