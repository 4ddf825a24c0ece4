//! The INI files of the AWS tools: sections of `key = value` lines.
//!
//! Nothing is interpolated and nothing is cut off: a secret may hold a `%`, and a `#` inside a value is part of it. What
//! belongs to what is told by the indentation, as the Python library of the AWS tools reads it: a line that is indented
//! deeper than the `key = value` before it goes on with that value, and everything else stands for itself. So a file of
//! which every line is indented says the same as one without.

/// One line that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'t> {
    /// `[name]`
    Section(&'t str),
    /// `key = value`; the key is to be compared without regard to case.
    Pair(&'t str, &'t str),
    /// A `key = value` that is indented deeper than the pair before it, to which it belongs.
    Nested(&'t str, &'t str),
    /// Other text that is indented deeper than the pair before it, whose value goes on.
    Continued(&'t str),
    /// Anything else.
    Unknown,
}

/// Returns the lines that say something, with their numbers from 1. Comments start with `#` or `;`.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, Line<'_>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::default();
    text.lines().enumerate().filter_map(move |(index, line)| Some((index + 1, reader.read(line)?)))
}

/// What is known of the lines before.
#[derive(Default)]
struct Reader {
    /// How deep the pair is indented that could go on.
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

/// Returns the name of a section, which ends at the first `]` that nothing follows but a comment.
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
        // Only deeper than the pair, and a section begins anew.
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
