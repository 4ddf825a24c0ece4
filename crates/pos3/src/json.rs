//! JSON that a terminal shows as it is.
//!
//! JSON itself lets a file name or a server's message keep DEL, C1 and what reorders a line, so that whoever looks at the
//! output is deceived by it. Escaped, the same text is read by programs.

use std::io::{self, Write};

use pos3_core::is_deceptive;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

/// Writes a value as JSON in one line, without a newline at its end. What a terminal obeys, hides or reorders is escaped
/// as `\uXXXX`.
///
/// # Errors
///
/// What kept it from being written.
pub fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Visible))?)
}

/// Compact JSON with more escapes than JSON asks for.
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
