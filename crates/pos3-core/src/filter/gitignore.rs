//! Translates lines in gitignore syntax for the matcher, which reads sets and braces differently from git.
//!
//! In git, a set never matches a `/`, `[[:alpha:]]` stands for a class of ASCII characters, a backslash in a set escapes
//! the next character, and braces are ordinary characters.

use std::iter::Peekable;
use std::str::Chars;

use super::segment;

/// Returns a line as the matcher must read it to match what git matches.
///
/// # Errors
///
/// Returns why the line cannot match anything. git itself silently ignores such a line.
pub(super) fn translate(line: &str) -> Result<String, String> {
    check_segments(line)?;
    if line.starts_with('#') {
        return Ok(line.to_owned());
    }
    let (mark, body) = line.strip_prefix('!').map_or(("", line), |body| ("!", body));
    let translated = translate_body(body)?;
    // A '/' before the end ties a line to the root, in a set too. Translating a set can add or remove a '/'.
    let is_tied = |body: &str| body.trim_end().trim_end_matches('/').contains('/');
    let begin = match (is_tied(body), is_tied(&translated)) {
        (false, true) => "**/",
        (true, false) => "/",
        _ => "",
    };
    Ok(format!("{mark}{begin}{translated}"))
}

fn translate_body(body: &str) -> Result<String, String> {
    let mut translated = String::with_capacity(body.len());
    let mut rest = body.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => translated.extend([character].into_iter().chain(rest.next())),
            '{' | '}' => translated.extend(['\\', character]),
            '*' => {
                // To git, more than two stars are two.
                let others = std::iter::from_fn(|| rest.next_if_eq(&'*')).count();
                translated.push_str(if others == 0 { "*" } else { "**" });
            }
            '[' => translated.push_str(&Set::read(&mut rest)?.glob()?),
            character => translated.push(character),
        }
    }
    Ok(translated)
}

fn check_segments(line: &str) -> Result<(), String> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let path = line.strip_prefix('!').unwrap_or(line);
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/').try_for_each(|segment| match segment {
        "." => Err("no path has a '.' segment; write '/' at its beginning to match at the root only".to_owned()),
        segment => segment::check_is_possible(segment),
    })
}

/// A set of characters, such as `[a-z]`.
struct Set {
    is_negated: bool,
    ranges: Vec<(char, char)>,
}

impl Set {
    /// Reads a set whose `[` has been read.
    fn read(rest: &mut Peekable<Chars<'_>>) -> Result<Self, String> {
        let is_negated = rest.next_if(|next| matches!(next, '!' | '^')).is_some();
        let mut set = Self { is_negated, ranges: Vec::new() };
        let mut is_first = true;
        loop {
            match rest.next() {
                None => return Err("a '[' is not closed; write '\\[' for the character".to_owned()),
                Some(']') if !is_first => return Ok(set),
                Some('[') if rest.peek() == Some(&':') && set.read_class(rest)? => {}
                Some(start) => set.read_range(start, rest)?,
            }
            is_first = false;
        }
    }

    /// Reads a class such as `[:digit:]` whose `[` has been read. Returns false, and reads nothing, if it is not closed.
    fn read_class(&mut self, rest: &mut Peekable<Chars<'_>>) -> Result<bool, String> {
        let after_colon: String = rest.clone().skip(1).collect();
        let Some((name, _)) = after_colon.split_once(":]").filter(|(name, _)| !name.contains(']')) else {
            return Ok(false);
        };
        let ranges = ranges_of_class(name).ok_or_else(|| format!("there is no class '[:{name}:]'"))?;
        self.ranges.extend(ranges);
        rest.nth(name.chars().count() + 2);
        Ok(true)
    }

    /// Reads the rest of a character or range.
    fn read_range(&mut self, start: char, rest: &mut Peekable<Chars<'_>>) -> Result<(), String> {
        let escaped = |character, rest: &mut Peekable<Chars<'_>>| match character {
            '\\' => rest.next(),
            character => Some(character),
        };
        let unclosed = || "a '[' is not closed".to_owned();
        let start = escaped(start, rest).ok_or_else(unclosed)?;
        let mut ahead = rest.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']');
        let mut end = start;
        if is_range {
            rest.next();
            end = rest.next().and_then(|end| escaped(end, rest)).ok_or_else(unclosed)?;
        }
        // To git, a reversed range has no characters.
        self.ranges.extend(Some((start, end)).filter(|_| start <= end));
        Ok(())
    }

    /// Returns the set in the language of the matcher, where a set matches a `/` unless it excludes it, and where only the
    /// position of `]`, `-`, `!` and `^` makes them ordinary characters.
    fn glob(self) -> Result<String, String> {
        let is_negated = self.is_negated;
        let has = |wanted: char| self.ranges.iter().any(|(start, end)| (*start..=*end).contains(&wanted));
        let [has_bracket, has_hyphen] = [']', '-'].map(has);
        let marks: String = ['^', '!'].into_iter().filter(|mark| has(*mark)).collect();
        let mut ranges = self.ranges;
        for special in ['/', ']', '-', '!', '^'] {
            ranges = ranges.into_iter().flat_map(|range| without(range, special)).collect();
        }
        let mut inner = String::new();
        inner.extend(has_bracket.then_some(']'));
        for (start, end) in ranges {
            inner.push(start);
            if start < end {
                inner.extend(['-', end]);
            }
        }
        match (is_negated, inner.is_empty(), marks.len()) {
            (true, ..) => {
                let hyphen = if has_hyphen { "-" } else { "" };
                // A leading '/' keeps the marks from being read as a second negation.
                Ok(format!("[!{inner}/{marks}{hyphen}]"))
            }
            (false, false, _) => Ok(format!("[{inner}{marks}{}]", if has_hyphen { "-" } else { "" })),
            (false, true, _) if has_hyphen => Ok(format!("[-{marks}]")),
            (false, true, 0) => Err("a set has no character that can be in a name".to_owned()),
            (false, true, 1) => Ok(format!("\\{marks}")),
            (false, true, _) => Ok("{\\^,\\!}".to_owned()),
        }
    }
}

/// Returns the parts of a range on both sides of a character.
fn without((start, end): (char, char), removed: char) -> impl Iterator<Item = (char, char)> {
    let (before, after) = (u32::from(removed) - 1, u32::from(removed) + 1);
    let below = char::from_u32(before).map(|before| (start, end.min(before)));
    let above = char::from_u32(after).map(|after| (start.max(after), end));
    [below, above].into_iter().flatten().filter(|(start, end)| start <= end)
}

/// Returns the ASCII characters of a POSIX class.
fn ranges_of_class(name: &str) -> Option<impl Iterator<Item = (char, char)>> {
    let ranges: &[(char, char)] = match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    };
    Some(ranges.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_braces_are_read_as_git_reads_them() {
        for (line, translated) in [
            ("run[!a-z]1", "**/run[!a-z/]1"),
            ("d/x[^a]", "d/x[!a/]"),
            ("[[:digit:]]*", "[0-9]*"),
            ("![![:space:]x]", "!**/[!\t-\r x/]"),
            ("a[+-9]", "a[+-,.0-9-]"),
            ("a[+--]", "a[+-,-]"),
            ("[]a]", "[]a]"),
            ("[a\\]]", "[]a]"),
            ("[a-]", "[a-]"),
            ("/[!]-]", "/[!]/-]"),
            ("/[!!]", "/[!/!]"),
            ("[\\!]", "\\!"),
            ("[\\^!]", "{\\^,\\!}"),
            ("/[!-]", "/[!/-]"),
            ("{a,b}", "\\{a,b\\}"),
            ("\\[x", "\\[x"),
            ("# [", "# ["),
            ("[[:x]", "[[:x]"),
            ("[/[a]*/", "/[[a]*/"),
        ] {
            assert_eq!(translate(line).as_deref(), Ok(translated), "{line}");
        }
    }

    #[test]
    fn a_set_that_can_match_nothing_is_an_error() {
        for (line, why) in [
            ("[a*", "is not closed"),
            ("[[:letter:]]", "there is no class '[:letter:]'"),
            ("x[/]y", "has no character"),
            ("[z-a]", "has no character"),
        ] {
            let reason = translate(line).unwrap_err();
            assert!(reason.contains(why), "{line}: {reason}");
        }
    }
}
