//! What of a run is shown, and in which form.

use clap::{ArgAction, Args};

/// What is shown.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct ShowArgs {
    /// Write one JSON object to stdout: what was done, or what would be
    #[arg(long)]
    json: bool,

    /// Tell of every finished action, and list everything skipped
    #[arg(short, long, action = ArgAction::SetTrue, conflicts_with = "quiet")]
    verbose: bool,

    /// Show errors only
    #[arg(short, long)]
    quiet: bool,

    /// Show no progress
    #[arg(long)]
    no_progress: bool,
}

/// What a person wants to see on stderr, and in which form the result goes to stdout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Show {
    pub(crate) json: bool,
    pub(crate) detail: Detail,
    pub(crate) progress: bool,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Quiet,
    Usual,
    Verbose,
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
