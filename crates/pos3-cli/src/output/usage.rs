//! What clap has to say: help and version on stdout, a command line that makes no sense on stderr.
//!
//! Clap would print arguments as they were typed, with their control characters and passwords.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use pos3::printable;

use super::{Text, data, text};
use crate::args::Asked;
use crate::exit::Exit;
use crate::json::ErrorJson;
use crate::name;

/// Writes it and returns the exit code.
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
            asked.not_begun(Exit::Usage, ErrorJson { message: "a command is missing".to_owned(), hint });
            Exit::Usage
        }
        _ => {
            let shown: Vec<_> = error.context().filter_map(|(kind, value)| Some((kind, shown(value)?))).collect();
            for (kind, value) in shown {
                error.insert(kind, value);
            }
            let told = invalid_value(&error).unwrap_or_else(|| lines(&error.render().to_string()));
            text(&told);
            asked.not_begun(Exit::Usage, in_json(&told));
            Exit::Usage
        }
    }
}

/// Returns the first paragraph as the message, and the tips as the hint.
fn in_json(told: &Text) -> ErrorJson {
    let lines = || told.as_str().lines().map(str::trim);
    let message = lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let tips = lines().filter_map(|line| line.strip_prefix("tip: ")).collect::<Vec<_>>().join("; ");
    ErrorJson {
        message: message.strip_prefix("error: ").map_or(message.clone(), str::to_owned),
        hint: Some(tips).filter(|tips| !tips.is_empty()),
    }
}

/// Returns what is wrong with a value by the words of what reads it, which repeat the value.
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

/// Returns what clap repeats of the command line in one line. The printer takes passwords out.
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
