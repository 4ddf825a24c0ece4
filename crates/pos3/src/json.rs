//! JSON output that is safe to show on a terminal.
//!
//! Plain JSON does not escape DEL, C1 control characters and characters that reorder a line, so a file name or a
//! server's message could deceive the reader. This module escapes them. Programs parse the result to the same text.

use std::io::{self, Write};

use pos3_core::is_deceptive;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

/// Writes a value as one line of JSON, without a newline at the end. Characters that a terminal interprets, hides or
/// reorders are escaped as `\uXXXX`.
///
/// # Errors
///
/// Returns an error if the value cannot be serialized or written.
pub fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Visible))?)
}

/// Compact JSON with more escapes than the standard requires.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut written = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_deceptive(*c)) {
            CompactFormatter.write_string_fragment(out, &fragment[written..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        CompactFormatter.write_string_fragment(out, &fragment[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_read_back() {
        let text = "a\"\\é\n\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{2028}\u{200b}\u{e0041}";
        let mut written = Vec::new();
        write_json(&mut written, &[text]).unwrap();
        let written = String::from_utf8(written).unwrap();
        let expected = r#"["a\"\\é\n\u001b[31m\u007f\u009b\u202e\u2028\u200b\udb40\udc41"]"#;
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_str::<[String; 1]>(&written).unwrap(), [text]);
    }
}
