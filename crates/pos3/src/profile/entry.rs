//! One `[profiles.NAME]` table of the file: its keys and their types.
//!
//! Unknown keys and wrong types are errors. If they were ignored, `public = "false"` would send requests without a
//! signature. The messages contain no values, because a value may be a secret in the wrong place.

use pos3_core::printable;
use toml::{Table, Value};

/// The keys of a profile.
const KEYS: [&str; 8] =
    ["endpoint", "region", "public", "credentials_file", "local_name", "path_style", "opaque_etags", "ca_bundle"];

/// A word is treated as a misspelt key if at most one letter in this many is wrong.
const LETTERS_PER_MISTAKE: usize = 3;

/// The keys of one profile. All of them are known.
pub(super) struct Entry<'w>(&'w Table);

impl<'w> Entry<'w> {
    /// Returns an entry, or the problem with its keys.
    pub(super) fn new(written: &'w Value) -> Result<Self, String> {
        let table = written
            .as_table()
            .ok_or_else(|| format!("it is {}, not a table; write profiles as [profiles.NAME]", kind(written)))?;
        match table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            Some(key) => Err(unknown(key)),
            None => Ok(Self(table)),
        }
    }

    /// Returns the string value of a key. It must not be empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'w str>, String> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(format!("{key} is empty")),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{key} must be a string, such as \"text\", and is {}", kind(other))),
        }
    }

    /// Returns the boolean value of a key.
    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>, String> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Boolean(truth)) => Ok(Some(*truth)),
            Some(other) => {
                Err(format!("{key} must be a boolean, true or false without quotes, and is {}", kind(other)))
            }
        }
    }
}

/// Returns the error for an unknown key, with a suggestion.
fn unknown(key: &str) -> String {
    let instead = match key {
        "addressing" => "write path_style = true or path_style = false".to_owned(),
        "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token" => {
            "put the keys into a separate file and set credentials_file to it".to_owned()
        }
        _ => closest(key).map_or_else(
            || format!("a profile can have {}", KEYS.join(", ")),
            |known| format!("did you mean {known}?"),
        ),
    };
    format!("unknown key '{}'; {instead}", printable(key))
}

/// Returns the known key that is the closest to this word, if it is close enough.
fn closest(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase();
    let mistakes = |known: &str| strsim::osa_distance(&key, known);
    KEYS.into_iter()
        .min_by_key(|known| mistakes(known))
        .filter(|known| mistakes(known) <= known.len().div_ceil(LETTERS_PER_MISTAKE))
}

/// Returns the type of a value with its article.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}
