//! The output of clap: help and version on stdout, usage errors on stderr.
//!
//! Clap would print arguments as they were typed, with their control characters and passwords.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use pos3::printable;

use super::Asked;
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::name;
use crate::output::{Text, data, text};

/// Writes the output and returns the exit code.
pub(crate) fn usage(mut error: clap::Error, asked: &Asked) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let help = lines(&name::renamed(&error.render().to_string()));
            data(|out| help.as_str().lines().try_for_each(|line| writeln!(out, "{line}")));
            Exit::Done
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            text(&lines(&name::renamed(&error.render().to_string())));
            let hint = Some(format!("see '{} --help'", name::name()));
            asked.write_error(&CommandError::usage("a command is missing").with_hint(hint));
            Exit::Usage
        }
        _ => {
            let shown: Vec<_> = error.context().filter_map(|(kind, value)| Some((kind, shown(value)?))).collect();
            for (kind, value) in shown {
                error.insert(kind, value);
            }
            let told = invalid_value(&error).unwrap_or_else(|| lines(&error.render().to_string()));
            text(&told);
            asked.write_error(&command_error(&told));
            Exit::Usage
        }
    }
}

/// Returns an error with the first paragraph as its message, and the tips as its hint.
fn command_error(told: &Text) -> CommandError {
    let lines = || told.as_str().lines().map(str::trim);
    let message = lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let tips = lines().filter_map(|line| line.strip_prefix("tip: ")).collect::<Vec<_>>().join("; ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    CommandError::usage(message).with_hint(Some(tips).filter(|tips| !tips.is_empty()))
}

/// Returns the error of an invalid value in the words of its parser, without the line breaks that clap adds.
fn invalid_value(error: &clap::Error) -> Option<Text> {
    let (ErrorKind::ValueValidation, Some(why)) = (error.kind(), error.source()) else { return None };
    let (Some(value), Some(argument)) = (error.get(ContextKind::InvalidValue), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    let mut told = Text::of(format!("error: invalid value '{value}' for '{argument}': {why}"));
    told.line("");
    told.line("For more information, try '--help'.");
    Some(told)
}

fn lines(text: &str) -> Text {
    let mut shown = Text::default();
    text.lines().for_each(|line| shown.line(line));
    shown
}

/// Returns a part of the command line that clap repeats, escaped so that it is one line. The printer removes passwords.
fn shown(value: &ContextValue) -> Option<ContextValue> {
    match value {
        ContextValue::String(text) => Some(ContextValue::String(argument(text))),
        ContextValue::StyledStrs(tips) => {
            let tips = tips.iter().map(ToString::to_string);
            Some(ContextValue::StyledStrs(tips.map(|tip| printable(&tip).to_string().into()).collect()))
        }
        ContextValue::Strings(texts) => Some(ContextValue::Strings(texts.iter().map(|text| argument(text)).collect())),
        _ => None,
    }
}

fn argument(text: &str) -> String {
    printable(text).to_string()
}
