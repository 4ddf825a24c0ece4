//! The name with which the program was started.
//!
//! Usage, errors and examples contain it, so that users can paste them.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

/// The name in the texts of the source code.
const WRITTEN: &str = "pos3-cli";

/// The name if the caller gave none.
const USUAL: &str = "pos3";

static NAME: OnceLock<String> = OnceLock::new();

/// Takes the name from the first argument of the process.
pub(crate) fn take(argument: Option<&OsStr>) {
    let name = argument.and_then(|argument| Path::new(argument).file_name()).map(|name| name.to_string_lossy());
    let _first = NAME.set(name.filter(|name| !name.is_empty()).map_or(USUAL.to_owned(), Cow::into_owned));
}

/// Returns the name.
pub(crate) fn name() -> &'static str {
    NAME.get().map_or(USUAL, String::as_str)
}

/// Returns a text with this program's name in its examples.
pub(crate) fn renamed(text: &str) -> String {
    text.lines().map(|line| renamed_line(line, name()) + "\n").collect()
}

/// Returns a line with another name. A second column keeps its position if there is room.
fn renamed_line(line: &str, name: &str) -> String {
    let renamed = line.replace(WRITTEN, name);
    let wide = |text: &str| text.chars().count();
    let Some(at) = line.find(WRITTEN).and_then(|at| Some(at + line[at..].find("   ")?)) else { return renamed };
    let (first, second) = line.split_at(at);
    let column = wide(first) + wide(second) - wide(second.trim_start());
    let (first, second) = (first.replace(WRITTEN, name), second.trim_start().replace(WRITTEN, name));
    format!("{first}{:pad$}{second}", "", pad = column.saturating_sub(wide(&first)).max(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_keeps_the_second_column() {
        for (name, expected) in [
            ("pos3-cli", "  pos3-cli ls s3://b   list   it"),
            ("pos3", "  pos3 ls s3://b       list   it"),
            ("a-long-name", "  a-long-name ls s3://b  list   it"),
        ] {
            assert_eq!(renamed_line("  pos3-cli ls s3://b   list   it", name), expected);
        }
        assert_eq!(renamed_line("  $(pos3-cli download X)", "pos3"), "  $(pos3 download X)");
        assert_eq!(renamed_line("  no name   here", "pos3"), "  no name   here");
    }
}
