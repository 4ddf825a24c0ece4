//! The JSON object of every `--json`: the same fields in every command, and the fields of the command itself.
//!
//! Programs read the exit code, the error and the warnings in the same place, whatever the command.

use std::io;

use serde::Serialize;

use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::json;
use crate::output::Out;

/// The version of every object. It changes when a field is removed or changes its meaning; fields may be added.
const VERSION: u32 = 1;

/// The object.
#[derive(Serialize)]
pub(crate) struct Envelope<'a, T> {
    #[serde(flatten)]
    pub(crate) head: Head<'a>,
    #[serde(flatten)]
    pub(crate) result: ResultFields<'a>,
    /// The command's own fields.
    #[serde(flatten)]
    pub(crate) data: T,
}

/// The fields that are known before the command starts.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Head<'a> {
    version: u32,
    /// The command; none if a command line names none.
    command: Option<&'a str>,
}

/// The fields that are known when the command has ended.
#[derive(Serialize)]
pub(crate) struct ResultFields<'a> {
    /// The exit code; none while the command runs.
    pub(crate) exit_code: Option<u8>,
    pub(crate) error: Option<&'a CommandError>,
    #[serde(serialize_with = "json::messages")]
    pub(crate) warnings: Vec<String>,
}

/// No fields besides those of every command.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct NoFields {}

impl<'a> Head<'a> {
    pub(crate) fn new(command: Option<&'a str>) -> Self {
        Self { version: VERSION, command }
    }
}

impl<'a> ResultFields<'a> {
    pub(crate) fn new(exit: Exit, error: Option<&'a CommandError>, warnings: Vec<String>) -> Self {
        Self { exit_code: Some(exit.code()), error, warnings }
    }
}

impl<T: Serialize> Envelope<'_, T> {
    /// Writes the object and a newline.
    pub(crate) fn write(&self, out: &mut Out<'_>) -> io::Result<()> {
        out.json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_adds_its_fields_to_those_of_every_command() {
        #[derive(Serialize)]
        struct Data {
            location: &'static str,
        }
        let error = CommandError::usage("no\n").with_hint(Some("so".to_owned()));
        let result = ResultFields::new(error.exit, Some(&error), vec!["a\tb".to_owned()]);
        let object = Envelope { head: Head::new(Some("ls")), result, data: Data { location: "s3://b" } };
        let expected = serde_json::json!({
            "version": 1, "command": "ls", "exit_code": 2, "error": {"message": "no\\n", "hint": "so"},
            "warnings": ["a\\tb"], "location": "s3://b",
        });
        assert_eq!(serde_json::to_value(object).unwrap(), expected);
    }
}
