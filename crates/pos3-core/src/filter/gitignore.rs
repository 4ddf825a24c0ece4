//! Translates lines in gitignore syntax for the matcher, which reads sets and braces differently from git.
//!
//! In git, a set never matches a `/`, `[[:alpha:]]` stands for a class of ASCII characters, a backslash in a set escapes
//! the next character, and braces are ordinary characters.

use std::iter::Peekable;
use std::str::Chars;

use super::segment;

/// Returns a line without what git removes from its end: a carriage return, then spaces that no backslash escapes. Other
/// white space is a part of the pattern.
pub(super) fn trim(line: &str) -> &str {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let trimmed = line.trim_end_matches(' ');
    let is_escaped = trimmed.len() < line.len() && ends_in_open_escape(trimmed);
    &line[..trimmed.len() + usize::from(is_escaped)]
}

/// Returns true if the last backslash of the text escapes a character that follows the text.
fn ends_in_open_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Returns a trimmed line as the matcher must read it to match what git matches.
///
/// # Errors
///
/// Returns why the line cannot match anything. git itself silently ignores such a line.
pub(super) fn translate(line: &str) -> Result<String, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(line.to_owned());
    }
    let (mark, body) = line.strip_prefix('!').map_or(("", line), |body| ("!", body));
    check_segments(body)?;
    let (body, end) = body.strip_suffix('/').map_or((body, ""), |body| (body, "/"));
    if ends_in_open_escape(body) {
        return Err("nothing follows the '\\' that it ends in; write '\\\\' for the character".to_owned());
    }
    if let Some(translated) = translate_stars_behind_text(body)? {
        return Ok(format!("{mark}/{translated}{end}"));
    }
    let translated = translate_body(body)?;
    // A '/' before the end ties a line to the root, in a set too. Translating a set can add or remove a '/'.
    let begin = match (body.contains('/'), translated.contains('/')) {
        (false, true) => "**/",
        (true, false) => "/",
        _ => "",
    };
    Ok(format!("{mark}{begin}{translated}{end}"))
}

/// Translates a pattern such as `a**/x` with a `/`. git compares the text before the first wildcard on its own. A `**`
/// right after it is then at the beginning of the rest, so it matches any number of directories.
fn translate_stars_behind_text(body: &str) -> Result<Option<String>, String> {
    let path = body.strip_prefix('/').unwrap_or(body);
    let (text, rest) = path.split_at(path.find(['*', '?', '[', '\\']).unwrap_or(path.len()));
    if !body.contains('/') || text.is_empty() || text.ends_with('/') || !rest.starts_with("**") {
        return Ok(None);
    }
    let mut rest = rest;
    let mut has_directories = false;
    while let Some(after) = rest.strip_prefix("**").and_then(|after| after.trim_start_matches('*').strip_prefix('/')) {
        (rest, has_directories) = (after, true);
    }
    let text = translate_body(text)?;
    if rest.len() >= 2 && rest.bytes().all(|byte| byte == b'*') {
        return Ok(Some(format!("{{{text}*,{text}*/**}}")));
    }
    if !has_directories {
        return Ok(None);
    }
    let rest = translate_body(rest)?;
    Ok(Some(format!("{{{text}{rest},{text}*/**/{rest}}}")))
}

fn translate_body(body: &str) -> Result<String, String> {
    let mut translated = String::with_capacity(body.len());
    let mut rest = body.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some(white) if white.is_whitespace() => translated.extend(['{', white, '}']),
                escaped => translated.extend([character].into_iter().chain(escaped)),
            },
            // The matcher would remove white space at the end of a line, and compares the characters of a set by bytes.
            white if white.is_whitespace() => translated.extend(['{', white, '}']),
            '{' | '}' | ',' => translated.extend(['\\', character]),
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

fn check_segments(body: &str) -> Result<(), String> {
    let path = body.strip_prefix('/').unwrap_or(body);
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
        // To git, a reversed range has only its first character.
        self.ranges.push((start, if start <= end { end } else { start }));
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
            ("{a,b}", "\\{a\\,b\\}"),
            ("[b-a]", "[b]"),
            ("a b\t", "a{ }b{\t}"),
            ("a\\ ", "a{ }"),
            ("a**/x", "/{ax,a*/**/x}"),
            ("!/a**/***/x/", "!/{ax,a*/**/x}/"),
            ("/a**", "/{a*,a*/**}"),
            ("a**", "a**"),
            ("/a**b", "/a**b"),
            ("a?**/x", "a?**/x"),
            ("a/**/x", "a/**/x"),
            ("\\[x", "\\[x"),
            ("# [", "# ["),
            ("[[:x]", "[[:x]"),
            ("[/[a]*/", "/[[a]*/"),
        ] {
            assert_eq!(translate(line).as_deref(), Ok(translated), "{line}");
        }
    }

    #[test]
    fn only_spaces_and_a_carriage_return_are_removed_from_the_end_of_a_line() {
        for (line, trimmed) in [
            ("a \r", "a"),
            ("a\r\r", "a\r"),
            ("a\t", "a\t"),
            ("a\t ", "a\t"),
            ("a\u{3000}", "a\u{3000}"),
            ("a\\  ", "a\\ "),
            ("a\\\\  ", "a\\\\"),
            ("  ", ""),
        ] {
            assert_eq!(trim(line), trimmed, "{line:?}");
        }
    }

    #[test]
    fn a_set_that_can_match_nothing_is_an_error() {
        for (line, why) in [
            ("[a*", "is not closed"),
            ("[[:letter:]]", "there is no class '[:letter:]'"),
            ("x[/]y", "has no character"),
            ("x\\", "nothing follows the '\\'"),
            ("x\\/", "nothing follows the '\\'"),
        ] {
            let reason = translate(line).unwrap_err();
            assert!(reason.contains(why), "{line}: {reason}");
        }
    }
}
