//! The options that select how much a command prints, and in which format.

use clap::{ArgAction, Args};

/// The output options, as clap parses them.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct ShowArgs {
    /// Write the result to stdout as one JSON object
    #[arg(long)]
    json: bool,

    /// Print every finished action and every skipped file
    #[arg(short, long, action = ArgAction::SetTrue, conflicts_with = "quiet")]
    verbose: bool,

    /// Print errors only
    #[arg(short, long)]
    quiet: bool,

    /// Do not show progress
    #[arg(long)]
    no_progress: bool,
}

/// How much goes to stderr, and in which format the result goes to stdout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Show {
    pub(crate) json: bool,
    pub(crate) detail: Detail,
    pub(crate) progress: bool,
}

/// How much a command prints to stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Quiet,
    Usual,
    Verbose,
}

impl Show {
    /// Returns the output settings of a command that has no progress and only the options `--json` and `--quiet`.
    pub(crate) fn without_progress(json: bool, quiet: bool) -> Self {
        let detail = if quiet { Detail::Quiet } else { Detail::Usual };
        Self { json, detail, progress: false }
    }
}

impl ShowArgs {
    pub(crate) fn show(self) -> Show {
        let ShowArgs { json, verbose, quiet, no_progress } = self;
        let detail = match (quiet, verbose) {
            (true, _) => Detail::Quiet,
            (false, true) => Detail::Verbose,
            (false, false) => Detail::Usual,
        };
        Show { json, detail, progress: !quiet && !no_progress }
    }
}
