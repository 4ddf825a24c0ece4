//! The exact name of an object.
//!
//! Without this type, some code would treat a key as a path or a URL, and `a//b`, `dir/`, `a%20b` or `x#1` would
//! silently become the name of another object. A [`Key`] is an opaque UTF-8 string, ordered by its bytes. Only
//! [`Key::check_path`] decides whether it can be a file path.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::text::printable;

/// The prefix of the names of this project's unfinished files; see [`is_partial_name`].
pub const PARTIAL_PREFIX: &str = ".pos3-partial.";

/// The text after [`PARTIAL_PREFIX`] in the name of an unfinished file that a later put can resume.
pub const RESUMABLE_INFIX: &str = "resume.";

/// The prefix of the names of files that this project moves away from their own names; see [`is_moved_name`].
pub const MOVED_PREFIX: &str = ".pos3-moved.";

/// The prefix of the names of new content that waits until its own name is free; see [`is_staged_name`]. A name that only
/// starts like this is that of an ordinary file.
pub const STAGED_PREFIX: &str = ".pos3-new.";

/// The number of hexadecimal digits after [`MOVED_PREFIX`].
pub const MOVED_DIGITS: usize = 40;

/// Returns true for the name of one of this project's unfinished files: [`PARTIAL_PREFIX`], [`RESUMABLE_INFIX`] if it can
/// be resumed, and sixteen hexadecimal digits, which are random or a hash. No listing contains such a file, and no key may
/// use its name. A file whose name only starts like this is an ordinary file.
pub fn is_partial_name(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PARTIAL_PREFIX) else { return false };
    let digits = rest.strip_prefix(RESUMABLE_INFIX).unwrap_or(rest);
    digits.len() == 16 && are_digits(digits)
}

/// Returns true for the name of a file that this project moved away from its own name, in order to replace or delete it:
/// [`MOVED_PREFIX`], [`MOVED_DIGITS`] hexadecimal digits and, unless the name would be too long, `.` and its own name. Such
/// a file may belong to another program, so it is never removed as an unfinished file, and no key may use its name.
pub fn is_moved_name(name: &str) -> bool {
    let Some((digits, own)) = name.strip_prefix(MOVED_PREFIX).and_then(|rest| rest.split_at_checked(MOVED_DIGITS))
    else {
        return false;
    };
    are_digits(digits) && (own.is_empty() || own.strip_prefix('.').is_some_and(|own| !own.is_empty()))
}

/// Returns true for the name of new content that waits until its own name is free: [`STAGED_PREFIX`], a hexadecimal
/// number, `-`, sixteen hexadecimal digits, `.`, and a decimal number. The source still has such content, so it is not
/// synced from a source and not backed up. A later run removes it if its writer was killed.
pub fn is_staged_name(name: &str) -> bool {
    let parts = || {
        let (process, rest) = name.strip_prefix(STAGED_PREFIX)?.split_once('-')?;
        let (time, number) = rest.split_once('.')?;
        Some([process, time, number])
    };
    parts().is_some_and(|[process, time, number]| {
        [process, time, number].iter().all(|digits| !digits.is_empty() && are_digits(digits))
            && time.len() == 16
            && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The longest file name, in bytes, that common file systems accept (`NAME_MAX`).
pub(crate) const LONGEST_FILE_NAME: usize = 255;

/// The longest path, in bytes, that common file systems accept, leaving room for the root (`PATH_MAX` is 4096).
pub(crate) const LONGEST_PATH: usize = 3072;

/// The exact name of an object: an opaque UTF-8 string in byte order, cheap to clone.
///
/// `Display` escapes with [`printable`], so a key with a newline cannot forge a line of output. [`as_str`](Key::as_str)
/// returns the exact text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(Arc<str>);

impl Key {
    /// Returns the key with exactly this text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the exact text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for a key that ends in `/`, which by S3 convention is a placeholder for an empty directory.
    pub fn is_marker(&self) -> bool {
        self.0.ends_with('/')
    }

    /// Returns true if this key is below `file/`. Then `file` would have to be a directory, and cannot also be a file.
    pub fn is_inside(&self, file: &str) -> bool {
        self.0.len() > file.len() && self.0.starts_with(file) && self.0.as_bytes()[file.len()] == b'/'
    }

    /// Returns true if the last part of this key is the name of staged content; see [`is_staged_name`].
    pub(crate) fn is_staged(&self) -> bool {
        is_staged_name(self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name))
    }

    /// Returns this key with `prefix` before it.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Self {
        if prefix.is_empty() { self.clone() } else { Self(format!("{prefix}{}", self.0).into()) }
    }

    /// Checks that this key can be the path of exactly one file or directory below a root, on any common file system.
    ///
    /// A trailing `/` (a marker) is allowed. Only this function refuses dangerous names: empty, `.` and `..` segments
    /// (two keys would become one file, or the path would leave the root), NUL, names that a file system cannot store,
    /// and the names that this project reserves for unfinished and moved files.
    ///
    /// # Errors
    ///
    /// Returns the first rule that the key violates.
    pub fn check_path(&self) -> Result<(), UnsafeKey> {
        let text = self.0.strip_suffix('/').unwrap_or(&self.0);
        if text.len() > LONGEST_PATH {
            return Err(UnsafeKey::TooLong);
        }
        text.split('/').try_for_each(check_segment)
    }
}

fn check_segment(segment: &str) -> Result<(), UnsafeKey> {
    match segment {
        "" => Err(UnsafeKey::EmptySegment),
        "." | ".." => Err(UnsafeKey::DotSegment),
        _ if segment.len() > LONGEST_FILE_NAME => Err(UnsafeKey::TooLong),
        _ if segment.contains('\0') => Err(UnsafeKey::Nul),
        _ if is_partial_name(segment) || is_moved_name(segment) => Err(UnsafeKey::Reserved),
        _ if cfg!(windows) => check_windows_segment(segment),
        _ => Ok(()),
    }
}

fn check_windows_segment(segment: &str) -> Result<(), UnsafeKey> {
    let stem = segment.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")));
    let unfit = segment.ends_with(['.', ' ']) || segment.contains(['\\', ':', '*', '?', '"', '<', '>', '|']);
    if device || unfit || segment.contains(|c: char| c < ' ') { Err(UnsafeKey::Reserved) } else { Ok(()) }
}

/// Why a key cannot become a file path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnsafeKey {
    /// `a//b`, `/lead`, or an empty key: on disk it would be the same file as another key.
    #[error("it has an empty path segment")]
    EmptySegment,
    /// `.` or `..`: on disk it would be the file of another key, or outside the root.
    #[error("it has a '.' or '..' path segment")]
    DotSegment,
    /// A file name longer than 255 bytes or a path longer than 3072 bytes.
    #[error("it is too long for a file name")]
    TooLong,
    /// A NUL character.
    #[error("it has a NUL character")]
    Nul,
    /// A name reserved by this project or by the operating system.
    #[error("it uses a reserved file name")]
    Reserved,
    /// A key that ends in `/` and has content, which a directory cannot have.
    #[error("it ends in '/' but has content, which a directory cannot have")]
    MarkerWithContent,
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printable(&self.0).fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exactly_the_names_that_a_run_gives_to_staged_content_are_reserved_for_it() {
        for name in [".pos3-new.1f-18ab4c2d9e0f1234.0", "a/b/.pos3-new.0-0000000000000000.12"] {
            assert!(Key::from(name).is_staged(), "{name}");
            assert_eq!(Key::from(name).check_path(), Ok(()), "it must be possible to write it");
        }
        for name in [
            ".pos3-new.1f-18ab4c2d9e0f1234.0/",
            ".pos3-new.1f-18ab4c2d9e0f1234.0/x",
            "x.pos3-new.1f-18ab4c2d9e0f1234.0",
            ".pos3-new.1f-18ab4c2d9e0f1234.0.txt",
            ".pos3-new.1f-18ab4c2d9e0f1234.a",
            ".pos3-new.1f-18ab4c2d9e0f1234.",
            ".pos3-new.1F-18ab4c2d9e0f1234.0",
            ".pos3-new.-18ab4c2d9e0f1234.0",
            ".pos3-new.1f-.0",
            ".pos3-new.AbC123",
            ".pos3-new.",
            ".pos3-new.1f.18ab4c2d9e0f1234-0",
            ".pos3-new.1f-18ab.0",
            ".pos3-new.1f-018ab4c2d9e0f1234.0",
        ] {
            assert!(!Key::from(name).is_staged(), "{name}");
        }
    }

    #[test]
    fn a_key_is_ordered_by_its_bytes() {
        let mut keys: Vec<Key> = ["a/x", "a.txt", "a-b", "a", "é", "z"].map(Key::from).into();
        keys.sort();
        assert_eq!(keys, ["a", "a-b", "a.txt", "a/x", "z", "é"].map(Key::from));
    }

    #[test]
    fn dangerous_keys_are_refused_and_odd_ones_are_not() {
        let long = "x".repeat(256);
        let table = [
            ("a/b", Ok(())),
            ("dir/", Ok(())),
            ("a%20b", Ok(())),
            ("x#1", Ok(())),
            ("line\nbreak", Ok(())),
            ("...", Ok(())),
            ("a//b", Err(UnsafeKey::EmptySegment)),
            ("/lead", Err(UnsafeKey::EmptySegment)),
            ("/", Err(UnsafeKey::EmptySegment)),
            ("", Err(UnsafeKey::EmptySegment)),
            ("dir//", Err(UnsafeKey::EmptySegment)),
            ("c/./d", Err(UnsafeKey::DotSegment)),
            ("../up", Err(UnsafeKey::DotSegment)),
            ("up/..", Err(UnsafeKey::DotSegment)),
            ("a\0b", Err(UnsafeKey::Nul)),
            ("d/.pos3-partial.0123456789abcdef", Err(UnsafeKey::Reserved)),
            (".pos3-partial.resume.0123456789abcdef/x", Err(UnsafeKey::Reserved)),
            ("d/.pos3-partial.0123456789abcdeF", Ok(())),
            ("d/.pos3-partial.1", Ok(())),
            (".pos3-partial.notes.txt", Ok(())),
            ("d/.pos3-moved.0123456789abcdef0123456789abcdef01234567.a.txt", Err(UnsafeKey::Reserved)),
            (".pos3-moved.0123456789abcdef0123456789abcdef01234567/x", Err(UnsafeKey::Reserved)),
            (".pos3-moved.0123456789abcdef0123456789abcdef01234567.", Ok(())),
            (".pos3-moved.0123456789abcdef0123456789abcdef0123456.a", Ok(())),
            (".pos3-moved.0123456789abcdef0123456789abcdef0123456é", Ok(())),
            (".pos3-moved.notes.txt", Ok(())),
            (long.as_str(), Err(UnsafeKey::TooLong)),
        ];
        for (key, expected) in table {
            assert_eq!(Key::from(key).check_path(), expected, "{key:?}");
        }
    }

    #[test]
    fn display_escapes_what_a_terminal_obeys() {
        assert_eq!(Key::from("a\nb\u{1b}[31m\u{202e} é").to_string(), "a\\nb\\u{1b}[31m\\u{202e} é");
    }

    #[test]
    fn inside_respects_segment_boundaries() {
        assert!(Key::from("a/x").is_inside("a"));
        assert!(!Key::from("ab/x").is_inside("a"));
        assert!(!Key::from("a").is_inside("a"));
    }
}
