//! The parts of JSON objects that several commands share.

mod growing;
mod sync;

use std::collections::BTreeMap;

use pos3::{SpillError, Usage, one_line};
use serde::Serialize;
use serde::ser::{Error, SerializeSeq, Serializer};

use crate::output;

pub(crate) use growing::Growing;
pub(crate) use sync::{Skipped, SyncFields};

/// Returns the number of requests of each kind.
pub(crate) fn requests(usage: &Usage) -> BTreeMap<&'static str, u64> {
    usage.iter().collect()
}

/// Writes the text of an error, a hint or a warning, escaped as on stderr.
pub(crate) fn message<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&output::message(text))
}

/// Writes such a text, if there is one.
pub(crate) fn optional_message<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().map(output::message).serialize(serializer)
}

/// Writes such texts.
pub(crate) fn messages<S: Serializer>(texts: impl AsRef<[String]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(texts.as_ref().iter().map(|text| output::message(text)))
}

/// Writes an array element by element, each as it is read.
pub(crate) fn array<T: Serialize, S: Serializer>(
    elements: impl Iterator<Item = Result<T, SpillError>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut array = serializer.serialize_seq(None)?;
    for element in elements {
        array.serialize_element(&element.map_err(|error| S::Error::custom(one_line(&error)))?)?;
    }
    array.end()
}
