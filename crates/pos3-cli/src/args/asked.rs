//! Detects `--json` and the command in a command line that may be invalid.
//!
//! A program that requests JSON must receive JSON even if its command line is wrong.

use std::ffi::OsString;

use clap::CommandFactory;

use super::Cli;
use crate::exit::Exit;
use crate::json::{self, ErrorJson};

/// The command and the output format of a command line that may be invalid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    command: Option<String>,
    json: bool,
}

impl Asked {
    /// Examines a command line, whose first argument is the name of the program.
    pub(crate) fn of(arguments: &[OsString]) -> Self {
        // The arguments after `--` belong to another program.
        let ours = || arguments.iter().skip(1).take_while(|argument| *argument != "--");
        let cli = Cli::command();
        let is_command = |argument: &&str| cli.find_subcommand(argument).is_some();
        let command = ours().filter_map(|argument| argument.to_str()).find(is_command).map(str::to_owned);
        Self { command, json: ours().any(|argument| argument == "--json") }
    }

    /// Writes the error that prevented the command from starting, if JSON was requested.
    pub(crate) fn not_begun(&self, exit: Exit, error: ErrorJson) {
        if self.json {
            json::not_begun(self.command.as_deref(), exit, error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_by_our_own_arguments() {
        for (line, command, json) in [
            ("pos3 sync a --json", Some("sync"), true),
            ("pos3 --json ls", Some("ls"), true),
            ("pos3 --json", None, true),
            ("pos3 run -- x --json", Some("run"), false),
            ("pos3 sync a b", Some("sync"), false),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let expected = Asked { command: command.map(str::to_owned), json };
            assert_eq!(Asked::of(&arguments), expected, "{line}");
        }
    }
}
