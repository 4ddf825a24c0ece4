//! The INI files of the AWS tools: sections of `key = value` lines.
//!
//! There is no interpolation, and a `#` or `%` inside a value is part of it, because secrets may contain both.
//! Indentation works as in the Python library of the AWS tools: a line that is indented deeper than the last
//! `key = value` belongs to that value; all other lines are independent. So a file whose lines are all indented equally
//! means the same as one without indentation.

/// One line with content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'t> {
    /// `[name]`
    Section(&'t str),
    /// `key = value`. Compare the key without regard to case.
    Pair(&'t str, &'t str),
    /// A `key = value` that is indented deeper than the pair before it and belongs to its value.
    Nested(&'t str, &'t str),
    /// Other text that is indented deeper than the pair before it and continues its value.
    Continued(&'t str),
    /// Anything else.
    Unknown,
}

/// Returns the lines with content, numbered from 1. Empty lines and comments, which start with `#` or `;`, are left
/// out.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, Line<'_>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::default();
    text.lines().enumerate().filter_map(move |(index, line)| Some((index + 1, reader.read(line)?)))
}

/// The state that is needed to interpret the next line.
#[derive(Default)]
struct Reader {
    /// The indentation of the last pair, which a deeper line continues.
    pair: Option<usize>,
}

impl Reader {
    fn read<'t>(&mut self, line: &'t str) -> Option<Line<'t>> {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            return None;
        }
        let depth = line.len() - line.trim_start().len();
        let pair = content.split_once(['=', ':']).map(|(key, value)| (key.trim_end(), value.trim_start()));
        Some(match (content.strip_prefix('['), pair) {
            (_, Some((key, value))) if self.goes_on(depth) => Line::Nested(key, value),
            (_, None) if self.goes_on(depth) => Line::Continued(content),
            (Some(rest), _) => {
                self.pair = None;
                section(rest).map_or(Line::Unknown, Line::Section)
            }
            (None, Some((key, value))) => {
                self.pair = Some(depth);
                Line::Pair(key, value)
            }
            (None, None) => Line::Unknown,
        })
    }

    fn goes_on(&self, depth: usize) -> bool {
        self.pair.is_some_and(|pair| depth > pair)
    }
}

/// Returns the name of a section. It ends at the first `]` that is followed by nothing or by a comment.
fn section(rest: &str) -> Option<&str> {
    let ends = rest.match_indices(']').map(|(at, _)| (&rest[..at], rest[at + 1..].trim_start()));
    let mut names = ends.filter(|(_, after)| after.is_empty() || after.starts_with(['#', ';']));
    names.next().map(|(name, _)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, Line<'_>)> {
        lines(text).collect()
    }

    #[test]
    fn lines_are_what_they_look_like() {
        let text = "\u{feff}# comment\n[ one ] ; note\nkey = a#b%c=d;e \n\n; comment\ns3 =\n  nested: x\n  more\nnonsense\n\
                    [open\r\n[a]b]\n[a] b\n";
        let expected = [
            (2, Line::Section("one")),
            (3, Line::Pair("key", "a#b%c=d;e")),
            (6, Line::Pair("s3", "")),
            (7, Line::Nested("nested", "x")),
            (8, Line::Continued("more")),
            (9, Line::Unknown),
            (10, Line::Unknown),
            (11, Line::Section("a]b")),
            (12, Line::Unknown),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_file_that_is_indented_says_the_same_as_one_that_is_not() {
        let plain = "[profile lab]\nregion = x\ns3 =\n  endpoint_url = y\n[default]\nregion = z\n";
        for depth in [" ", "\t", "      "] {
            let indented: String = plain.lines().map(|line| format!("{depth}{line}\n")).collect();
            assert_eq!(read(&indented), read(plain), "{depth:?}");
        }
        // Only a line that is deeper than the pair continues it, and a section resets the indentation.
        let stairs = "[a]\n  x = 1\n    y = 2\n z = 3\n  [b]\n[b]\n    x = 1\n  [c]\n";
        let expected = [
            (1, Line::Section("a")),
            (2, Line::Pair("x", "1")),
            (3, Line::Nested("y", "2")),
            (4, Line::Pair("z", "3")),
            (5, Line::Continued("[b]")),
            (6, Line::Section("b")),
            (7, Line::Pair("x", "1")),
            (8, Line::Section("c")),
        ];
        assert_eq!(read(stairs), expected);
    }
}
