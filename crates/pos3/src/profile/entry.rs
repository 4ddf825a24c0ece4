//! One `[profiles.NAME]` as it is written: its keys and their types.
//!
//! A key that is misspelt or has a value of another type would otherwise be as if it were not there, and `public = "false"`
//! would send requests without a signature. No text here holds a value: one may be a secret in the wrong place.

use pos3_core::printable;
use toml::{Table, Value};

/// The keys of a profile.
const KEYS: [&str; 7] = ["endpoint", "region", "public", "credentials_file", "local_name", "path_style", "ca_bundle"];

/// How much of a word may be misspelt for it to be taken for another: one letter in so many.
const LETTERS_PER_MISTAKE: usize = 3;

/// The keys of one profile, all of them known.
pub(super) struct Entry<'w>(&'w Table);

impl<'w> Entry<'w> {
    /// Returns an entry, or what is wrong with its keys.
    pub(super) fn new(written: &'w Value) -> Result<Self, String> {
        let table = written
            .as_table()
            .ok_or_else(|| format!("it is no table but {}; profiles are written [profiles.NAME]", kind(written)))?;
        match table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            Some(key) => Err(unknown(key)),
            None => Ok(Self(table)),
        }
    }

    /// Returns the text of a key, which must not be empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'w str>, String> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(format!("{key} is empty")),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{key} must be a string, such as \"text\", and is {}", kind(other))),
        }
    }

    /// Returns whether a key is true.
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

/// Says what to write in place of a key that there is not.
fn unknown(key: &str) -> String {
    let instead = match key {
        "addressing" => "write path_style = true or path_style = false".to_owned(),
        "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token" => {
            "keys stand in a file of their own, which credentials_file names".to_owned()
        }
        _ => closest(key).map_or_else(
            || format!("a profile can have {}", KEYS.join(", ")),
            |known| format!("did you mean {known}?"),
        ),
    };
    format!("unknown key '{}'; {instead}", printable(key))
}

/// Returns the known key that this is most likely to be.
fn closest(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase();
    let mistakes = |known: &str| strsim::osa_distance(&key, known);
    KEYS.into_iter()
        .min_by_key(|known| mistakes(known))
        .filter(|known| mistakes(known) <= known.len().div_ceil(LETTERS_PER_MISTAKE))
}

/// Returns the kind of a value with its article.
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
