//! Reads the keys of a profile from its credentials file, in INI format.

use std::path::Path;

use super::error::ProfileError;
use super::keys::Keys;
use crate::ini::{self, Line};

const KEY_ID: &str = "aws_access_key_id";
const SECRET_KEY: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";
const DEFAULT: &str = "default";

/// Reads the keys of a profile from the section `[name]`, else `[default]`. Keys that are unknown here are ignored,
/// because other programs use them.
pub(super) fn read(name: &str, path: &Path) -> Result<Keys, ProfileError> {
    let unreadable =
        |source| ProfileError::CredentialsUnreadable { name: name.to_owned(), path: path.to_owned(), source };
    let text = crate::small_file::read_small_text(path).map_err(unreadable)?;
    parse(name, &text).map_err(|why| ProfileError::Credentials { name: name.to_owned(), path: path.to_owned(), why })
}

/// Returns true if users other than the owner can read the file.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o044 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

fn parse(name: &str, text: &str) -> Result<Keys, String> {
    let mut sections: Vec<&str> = Vec::new();
    for (number, line) in ini::lines(text) {
        match line {
            Line::Section(section) if sections.contains(&section) => {
                return Err(format!("line {number}: duplicate section [{section}]"));
            }
            Line::Section(section) => sections.push(section),
            Line::Pair(..) | Line::Nested(..) if sections.is_empty() => {
                return Err(format!("line {number} comes before the first [section]"));
            }
            Line::Pair(..) | Line::Nested(..) => {}
            Line::Continued(_) | Line::Unknown => {
                return Err(format!("line {number} is neither a [section] nor 'key = value'"));
            }
        }
    }
    let wanted = [name, DEFAULT].into_iter().find(|wanted| sections.contains(wanted)).ok_or_else(|| {
        let found: Vec<String> = sections.iter().map(|section| format!("[{section}]")).collect();
        let found = if found.is_empty() { "no section".to_owned() } else { found.join(", ") };
        format!("a section [{name}] or [{DEFAULT}] is needed; it has {found}")
    })?;
    keys(wanted, text)
}

fn keys(wanted: &str, text: &str) -> Result<Keys, String> {
    let mut inside = false;
    let mut found: [Option<&str>; 3] = [None; 3];
    for (number, line) in ini::lines(text) {
        match line {
            Line::Section(section) => inside = section == wanted,
            Line::Pair(key, value) | Line::Nested(key, value) if inside => {
                let names = [KEY_ID, SECRET_KEY, TOKEN];
                let Some(index) = names.iter().position(|name| name.eq_ignore_ascii_case(key)) else { continue };
                if found[index].replace(value).is_some() {
                    return Err(format!("line {number}: duplicate key {} in [{wanted}]", names[index]));
                }
            }
            _ => {}
        }
    }
    let [key_id, secret_key, token] = found.map(|value| value.filter(|value| !value.is_empty()));
    let needed = |key: &str, value: Option<&str>| {
        value.map(str::to_owned).ok_or_else(|| format!("[{wanted}] has no {key}; {KEY_ID} and {SECRET_KEY} are needed"))
    };
    Ok(Keys {
        key_id: needed(KEY_ID, key_id)?,
        secret_key: needed(SECRET_KEY, secret_key)?,
        token: token.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "\u{feff}# keys\n[default]\naws_access_key_id = d\naws_secret_access_key = %(home)s#1\n\n\
                       [work]\nAWS_ACCESS_KEY_ID=w\naws_secret_access_key : s\naws_session_token = t\nregion = x\n";

    #[test]
    fn the_section_of_the_name_comes_before_the_default() {
        let keys = parse("work", TWO).unwrap();
        assert_eq!((&*keys.key_id, &*keys.secret_key, keys.token.as_deref()), ("w", "s", Some("t")));
        let keys = parse("other", TWO).unwrap();
        assert_eq!((&*keys.key_id, &*keys.secret_key, keys.token), ("d", "%(home)s#1", None));
    }

    #[test]
    fn what_is_wrong_is_said_without_any_secret() {
        let half = "[work]\naws_access_key_id = w\naws_secret_access_key =\n[default]\naws_access_key_id = d";
        for (text, expected) in [
            ("", "a section [work] or [default] is needed; it has no section"),
            ("[a]\n[b]", "a section [work] or [default] is needed; it has [a], [b]"),
            (half, "[work] has no aws_secret_access_key; aws_access_key_id and aws_secret_access_key are needed"),
            ("aws_access_key_id = w", "line 1 comes before the first [section]"),
            ("[work]\nhush", "line 2 is neither a [section] nor 'key = value'"),
            ("[work]\n[work]", "line 2: duplicate section [work]"),
            ("[work]\naws_access_key_id=a\naws_access_key_id=b", "line 3: duplicate key aws_access_key_id in [work]"),
        ] {
            assert_eq!(parse("work", text).unwrap_err(), expected, "{text:?}");
        }
    }
}
