//! The INI files of the AWS tools: sections of `key = value` lines.
//!
//! Nothing is interpolated and nothing is cut off: a secret may hold a `%`, and a `#` inside a value is part of it.

/// One line that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'t> {
    /// `[name]`
    Section(&'t str),
    /// `key = value`; the key is to be compared without regard to case.
    Pair(&'t str, &'t str),
    /// An indented `key = value`, which belongs to the pair before it.
    Nested(&'t str, &'t str),
    /// Anything else.
    Unknown,
}

/// Returns the lines that say something, with their numbers from 1. Comments start with `#` or `;`.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, Line<'_>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, read(line)?)))
}

fn read(line: &str) -> Option<Line<'_>> {
    let content = line.trim();
    if content.is_empty() || content.starts_with(['#', ';']) {
        return None;
    }
    if let Some(rest) = content.strip_prefix('[') {
        // A comment may follow the bracket.
        return Some(rest.split_once(']').map_or(Line::Unknown, |(name, _)| Line::Section(name.trim())));
    }
    Some(match content.split_once(['=', ':']) {
        None => Line::Unknown,
        Some((key, value)) if line.starts_with([' ', '\t']) => Line::Nested(key.trim_end(), value.trim_start()),
        Some((key, value)) => Line::Pair(key.trim_end(), value.trim_start()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_they_look_like() {
        let text =
            "\u{feff}# comment\n[ one ] ; note\nkey = a#b%c=d;e \n\n; comment\ns3 =\n  nested: x\nnonsense\n[open\r\n";
        let found: Vec<_> = lines(text).collect();
        assert_eq!(
            found,
            [
                (2, Line::Section("one")),
                (3, Line::Pair("key", "a#b%c=d;e")),
                (6, Line::Pair("s3", "")),
                (7, Line::Nested("nested", "x")),
                (8, Line::Unknown),
                (9, Line::Unknown),
            ]
        );
    }
}
