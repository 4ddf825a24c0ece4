//! The name of the copy that keeps a version of this workspace if another writer has changed the same file.

use std::time::SystemTime;

use jiff::Timestamp;
use pos3_core::{ErrorKind, Key, StoreError, Tree};

/// The largest number of names that are tried for one copy.
const NAMES: u32 = 100;

/// The longest name of a file, in bytes.
const LONGEST: usize = 255;

/// The longest part of a host name in the name of a copy.
const LONGEST_HOST: usize = 40;

/// Moves the file of this workspace to the first free name of a copy, and returns that. A name is free if neither side
/// has it.
///
/// # Errors
///
/// Returns the error of a store. Then the file stays.
pub(super) async fn move_to_copy(local: &Tree, remote: &Tree, key: &Key) -> Result<Key, StoreError> {
    let (day, host) = (today(), host());
    let mut taken = None;
    for number in 1..=NAMES {
        let copy = Key::from(copy_name(key.as_str(), &day, &host, number));
        match remote.store().head(&remote.key(&copy)).await {
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        match local.store().rename(&local.key(key), &local.key(&copy)).await {
            Ok(_) => return Ok(copy),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => taken = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(taken.unwrap_or_else(|| StoreError::new(ErrorKind::AlreadyExists, pos3_core::Operation::Write).with_key(key)))
}

/// Returns `report (conflict 2026-11-29 host).md` for `report.md`. A `number` above 1 follows the host.
fn copy_name(key: &str, day: &str, host: &str, number: u32) -> String {
    let (parent, name) = key.rsplit_once('/').map_or(("", key), |(parent, name)| (parent, name));
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    let number = if number > 1 { format!(" {number}") } else { String::new() };
    let label = format!(" (conflict {day} {host}{number})");
    let extension = if extension.len() + label.len() < LONGEST { extension } else { "" };
    let stem = shortened(stem, LONGEST.saturating_sub(label.len() + extension.len()));
    let separator = if parent.is_empty() { "" } else { "/" };
    format!("{parent}{separator}{stem}{label}{extension}")
}

/// Returns the longest beginning of a text with at most this many bytes.
fn shortened(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

fn today() -> String {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
    now.strftime("%Y-%m-%d").to_string()
}

/// Returns the name of this machine, as far as it can be a part of a file name.
pub(super) fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let name: String = name.chars().map(|character| if is_plain(character) { character } else { '-' }).collect();
    match shortened(&name, LONGEST_HOST) {
        "" => "host".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_copy_says_what_it_is_and_keeps_the_extension() {
        let long = "é".repeat(150);
        for (key, number, expected) in [
            ("report.md", 1, "report (conflict 2026-11-29 host).md"),
            ("a/b/report.md", 2, "a/b/report (conflict 2026-11-29 host 2).md"),
            ("README", 1, "README (conflict 2026-11-29 host)"),
            (".env", 1, ".env (conflict 2026-11-29 host)"),
            ("a.b/c", 1, "a.b/c (conflict 2026-11-29 host)"),
            ("x.tar.gz", 1, "x.tar (conflict 2026-11-29 host).gz"),
        ] {
            assert_eq!(copy_name(key, "2026-11-29", "host", number), expected);
        }
        for key in [format!("d/{long}.txt"), format!("x.{long}")] {
            let name = copy_name(&key, "2026-11-29", "host", 100);
            let name = name.rsplit('/').next().unwrap();
            assert!(name.len() <= LONGEST && name.contains("(conflict 2026-11-29 host 100)"), "{name}");
        }
        assert!(!host().is_empty() && !host().contains('/'));
    }
}
