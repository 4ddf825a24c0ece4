//! Lines of output, escaped so that external text can neither begin a line nor control the terminal.
//!
//! Lines contain keys, messages of servers, output of credential processes and text of plan files. Each line is escaped as a
//! whole when it is added, and passwords in URLs of messages are removed then, so callers cannot forget either.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::Path;

use pos3::{printable, redacted, write_json};
use serde::Serialize;

/// Returns the text of a message in one line, escaped for a terminal and without passwords in URLs. It is the same on stderr
/// and in JSON.
pub(crate) fn message(text: &str) -> String {
    printable(&redacted(text)).to_string()
}

/// Lines of messages that are printed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    /// Returns one line.
    pub(crate) fn of(line: impl Display) -> Self {
        let mut text = Self::default();
        text.line(line);
        text
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: impl Display) {
        self.0.push_str(&message(&line.to_string()));
        self.0.push('\n');
    }

    /// Returns the lines as they are written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An output for lines or JSON.
pub(crate) struct Out<'a> {
    stream: &'a mut dyn Write,
    content: Content,
}

/// The content of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Keys and locations, which are exact except for escapes.
    Data,
    /// Sentences, which may repeat arguments, and so passwords.
    Messages,
}

impl<'a> Out<'a> {
    /// Returns an output of data into a stream.
    pub(crate) fn for_data(stream: &'a mut dyn Write) -> Self {
        Self { stream, content: Content::Data }
    }

    /// Returns an output of messages into a stream.
    pub(crate) fn for_messages(stream: &'a mut dyn Write) -> Self {
        Self { stream, content: Content::Messages }
    }

    /// Writes one line: this is what `writeln!` calls.
    pub(crate) fn write_fmt(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        let line = line.to_string();
        let line = line.strip_suffix('\n').unwrap_or(&line);
        match self.content {
            Content::Data => self.stream.write_all(format!("{}\n", printable(line)).as_bytes()),
            Content::Messages => self.text(&Text::of(line)),
        }
    }

    /// Writes lines.
    pub(crate) fn text(&mut self, text: &Text) -> io::Result<()> {
        self.stream.write_all(text.as_str().as_bytes())
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        write_json(self.stream, value)?;
        self.stream.write_all(b"\n")
    }

    /// Writes a path as one line of exactly its bytes, for `$(…)`.
    pub(crate) fn path(&mut self, path: &Path) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        self.stream.write_all(path.as_os_str().as_bytes())?;
        self.stream.write_all(b"\n")
    }

    /// Returns the stream for content that is already escaped, such as a plan.
    pub(crate) fn document(&mut self) -> &mut dyn Write {
        self.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_begin_another() {
        let name = "a\nerror: forged\u{1b}[2K\u{202e}";
        let expected = "copied a\\nerror: forged\\u{1b}[2K\\u{202e}\n";
        assert_eq!(Text::of(format!("copied {name}")).as_str(), expected);
        let (mut data, mut messages) = (Vec::new(), Vec::new());
        writeln!(Out::for_data(&mut data), "copied {name}").unwrap();
        writeln!(Out::for_messages(&mut messages), "copied {name}").unwrap();
        assert_eq!((data.as_slice(), messages.as_slice()), (expected.as_bytes(), expected.as_bytes()));
    }

    #[test]
    fn messages_lose_passwords_and_data_is_exact() {
        let key = "copied s3://b/https://user:PASSWORD@h";
        let (mut data, mut messages) = (Vec::new(), Vec::new());
        writeln!(Out::for_data(&mut data), "{key}").unwrap();
        writeln!(Out::for_messages(&mut messages), "{key}").unwrap();
        assert_eq!(data, format!("{key}\n").as_bytes());
        assert_eq!(messages, b"copied s3://b/https://***@h\n");
    }
}
