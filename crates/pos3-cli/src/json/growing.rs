//! A JSON object that is written in parts, because one of its arrays is too large for memory.

use std::io;

use pos3::write_json;
use serde::Serialize;

use crate::output::Out;

/// An object with one array that is written element by element, between the fields before it and the fields after it.
pub(crate) struct Growing {
    separator: &'static str,
}

impl Growing {
    /// Returns an object before anything is written.
    pub(crate) fn new() -> Self {
        Self { separator: "" }
    }

    /// Writes the fields before the array, and the name of the array.
    pub(crate) fn begin(&self, out: &mut Out<'_>, fields: &impl Serialize, array: &str) -> io::Result<()> {
        let mut object = Vec::new();
        write_json(&mut object, fields)?;
        let out = out.document();
        out.write_all(object.strip_suffix(b"}").unwrap_or(&object))?;
        write!(out, ",\"{array}\":[")
    }

    /// Writes an element.
    pub(crate) fn push(&mut self, out: &mut Out<'_>, element: &impl Serialize) -> io::Result<()> {
        let out = out.document();
        out.write_all(std::mem::replace(&mut self.separator, ",").as_bytes())?;
        write_json(out, element)
    }

    /// Writes the fields after the array and ends the object.
    pub(crate) fn end(self, out: &mut Out<'_>, fields: &impl Serialize) -> io::Result<()> {
        let mut object = Vec::new();
        write_json(&mut object, fields)?;
        let out = out.document();
        out.write_all(b"],")?;
        out.write_all(object.strip_prefix(b"{").unwrap_or(&object))?;
        out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_grows_is_one_object() {
        for elements in [vec![], vec![1], vec![1, 2, 3]] {
            let mut written = Vec::new();
            let mut out = Out::for_data(&mut written);
            let mut object = Growing::new();
            object.begin(&mut out, &serde_json::json!({"version": 1, "nested": {"a": {}}}), "numbers").unwrap();
            elements.iter().for_each(|element| object.push(&mut out, element).unwrap());
            object.end(&mut out, &serde_json::json!({"end": {"b": {}}})).unwrap();
            let expected = serde_json::json!(
                {"version": 1, "nested": {"a": {}}, "numbers": elements, "end": {"b": {}}});
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), expected);
        }
    }
}
