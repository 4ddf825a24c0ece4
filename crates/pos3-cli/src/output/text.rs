//! Lines for people and scripts, made so that only this program begins a line or moves the cursor.
//!
//! Keys, messages of servers, output of credential processes and lines of plan files end up in them. Each line is escaped
//! as a whole when it is added, so no caller can forget to.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::Path;

use pos3::{printable, write_json};
use serde::Serialize;

/// Lines that are shown together.
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
        self.0.push_str(&printable(&line.to_string()).to_string());
        self.0.push('\n');
    }

    /// Returns the lines as they are written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where data goes: lines for people and scripts, or JSON.
pub(crate) struct Out<'a>(&'a mut dyn Write);

impl<'a> Out<'a> {
    /// Returns an output into a stream.
    pub(crate) fn new(stream: &'a mut dyn Write) -> Self {
        Self(stream)
    }

    /// Writes one line: this is what `writeln!` calls.
    pub(crate) fn write_fmt(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        let line = line.to_string();
        self.text(&Text::of(line.strip_suffix('\n').unwrap_or(&line)))
    }

    /// Writes lines.
    pub(crate) fn text(&mut self, text: &Text) -> io::Result<()> {
        self.0.write_all(text.as_str().as_bytes())
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        write_json(self.0, value)?;
        self.0.write_all(b"\n")
    }

    /// Writes a path as one line of exactly its bytes, for `$(…)`.
    pub(crate) fn path(&mut self, path: &Path) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        self.0.write_all(path.as_os_str().as_bytes())?;
        self.0.write_all(b"\n")
    }

    /// Returns the stream for what escapes its JSON itself, such as a plan.
    pub(crate) fn document(&mut self) -> &mut dyn Write {
        self.0
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
        let mut written = Vec::new();
        writeln!(Out::new(&mut written), "copied {name}").unwrap();
        assert_eq!(written, expected.as_bytes());
    }
}
