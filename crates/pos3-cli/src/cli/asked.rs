//! Detects `--json` and the command in a command line that may be invalid.
//!
//! A program that requests JSON must receive JSON even if its command line is wrong.

use std::ffi::OsString;

use clap::CommandFactory;

use super::Cli;
use crate::command_error::CommandError;
use crate::envelope::{Envelope, Head, NoFields, ResultFields};
use crate::output;

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

    /// Writes the error to stdout as JSON, if the command line has `--json`.
    pub(crate) fn write_error(&self, error: &CommandError) {
        if !self.json {
            return;
        }
        let result = ResultFields::new(error.exit, Some(error), Vec::new());
        let envelope = Envelope { head: Head::new(self.command.as_deref()), result, data: NoFields {} };
        output::data(|out| envelope.write(out));
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
