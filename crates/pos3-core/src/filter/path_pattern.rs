//! One pattern that is compared with paths from their right end, in the language of Python's `PurePath.match`.
//!
//! `logs` is then every `logs` at any depth and `a/*.tmp` every `.tmp` file directly in any `a`, which is what people mean
//! who write such a pattern without thinking of where the root is. The rules are those of
//! [`FilterBuilder::exclude_matching`](super::FilterBuilder::exclude_matching).

/// The component that is any number of components.
const ANY_NUMBER: &str = "**";

/// A pattern, ready to be compared with paths.
#[derive(Debug)]
pub(super) struct PathPattern {
    text: String,
    /// From the root to any depth, then what was written, then whatever is below it.
    steps: Vec<Step<Name>>,
}

/// One step of a pattern over a sequence: of characters in a name, of names in a path.
#[derive(Debug, PartialEq, Eq)]
enum Step<T> {
    /// Any number of items, none too.
    AnyNumber,
    /// One item.
    One(T),
}

/// What one component of a path may be.
#[derive(Debug, PartialEq, Eq)]
struct Name(Vec<Step<Letter>>);

/// What one character of a name may be.
#[derive(Debug, PartialEq, Eq)]
enum Letter {
    Any,
    Exactly(char),
    Of { ranges: Vec<(char, char)>, negated: bool },
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Why it could match nothing.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        if pattern.starts_with('/') {
            return Err("it begins with '/', and the paths that it is compared with do not: leave that out".to_owned());
        }
        let components = pattern.split('/').filter(|component| !component.is_empty() && *component != ".");
        let written = components.map(|component| match component {
            ANY_NUMBER => Ok(Step::AnyNumber),
            name => Name::new(name).map(Step::One),
        });
        let mut steps = vec![Step::AnyNumber];
        for step in written {
            steps.push(step?);
        }
        if steps.len() == 1 {
            return Err("it is empty, which leaves out nothing".to_owned());
        }
        steps.push(Step::AnyNumber);
        Ok(Self { text: pattern.to_owned(), steps })
    }

    /// Returns the pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if it matches a path or any directory above it. A directory may end in `/`.
    pub(super) fn covers(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        !path.is_empty() && fits(&self.steps, path.split('/'), Name::is)
    }
}

impl Name {
    fn new(component: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = component;
        while let Some(letter) = rest.chars().next() {
            let after = &rest[letter.len_utf8()..];
            let (step, left) = match letter {
                '*' => (Step::AnyNumber, after),
                '?' => (Step::One(Letter::Any), after),
                '[' => match set(after) {
                    Some((set, left)) => (Step::One(Letter::of(set)?), left),
                    None => (Step::One(Letter::Exactly('[')), after),
                },
                letter => (Step::One(Letter::Exactly(letter)), after),
            };
            steps.push(step);
            rest = left;
        }
        Ok(Self(steps))
    }

    fn is(&self, component: &str) -> bool {
        fits(&self.0, component.chars(), Letter::is)
    }
}

/// Splits what follows a `[` at the `]` that closes it, which is none directly after `[` or `[!`.
fn set(text: &str) -> Option<(&str, &str)> {
    let first = usize::from(text.starts_with('!'));
    let first = first + usize::from(text[first..].starts_with(']'));
    let end = first + text[first..].find(']')?;
    Some((&text[..end], &text[end + 1..]))
}

impl Letter {
    /// Reads what stands between `[` and `]`.
    fn of(set: &str) -> Result<Self, String> {
        let (members, negated) = match set.strip_prefix('!') {
            Some(members) => (members, true),
            None => (set, false),
        };
        let members: Vec<char> = members.chars().collect();
        let mut ranges = Vec::new();
        let mut rest = members.as_slice();
        while let [first, after @ ..] = rest {
            let (last, left) = match after {
                ['-', last, left @ ..] => (last, left),
                _ => (first, after),
            };
            if first > last {
                return Err(format!("the range '{first}-{last}' runs backwards"));
            }
            ranges.push((*first, *last));
            rest = left;
        }
        Ok(Self::Of { ranges, negated })
    }

    fn is(&self, letter: char) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(expected) => letter == *expected,
            Self::Of { ranges, negated } => ranges.iter().any(|(from, to)| (from..=to).contains(&&letter)) != *negated,
        }
    }
}

/// Returns true if the steps take all items.
///
/// Where something does not fit, the last step of any number takes one item more: no earlier one has to, for whatever it
/// could take the last one can. So the time is at most the product of both lengths.
fn fits<T, I: Iterator<Item: Copy> + Clone>(steps: &[Step<T>], items: I, is: impl Fn(&T, I::Item) -> bool) -> bool {
    let mut now = (steps, items);
    let mut again = None;
    loop {
        let mut after = now.1.clone();
        match (now.0, after.next()) {
            ([], None) => return true,
            ([Step::AnyNumber, steps @ ..], _) => {
                again = Some((steps, now.1.clone()));
                now.0 = steps;
                continue;
            }
            ([Step::One(expected), steps @ ..], Some(item)) if is(expected, item) => {
                now = (steps, after);
                continue;
            }
            _ => {}
        }
        let Some((steps, mut items)) = again else { return false };
        if items.next().is_none() {
            return false;
        }
        now = (steps, items.clone());
        again = Some((steps, items));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        PathPattern::new(pattern).unwrap_or_else(|why| panic!("{pattern:?}: {why}")).covers(path)
    }

    #[test]
    fn a_pattern_is_compared_from_the_right_name_by_name() {
        let table: &[(&str, &str, bool)] = &[
            // What the Python program was seen to do.
            ("logs", "x/logs", true),
            ("logs", "logs/", true),
            ("logs", "logs_old", false),
            ("logs/**", "logs/x", true),
            ("logs/**", "foo/logs/x", true),
            ("a/**/z", "a/b/z", true),
            ("*.tmp", "d/.hidden.tmp", true),
            ("*", ".hidden", true),
            ("logs/", "x/logs", true),
            ("Logs", "logs", false),
            ("a/*", "b/c", false),
            ("a/b", "b", false),
            // A directory that matches takes everything below it.
            ("logs", "logs/a/b", true),
            ("logs", "x/logs/a", true),
            ("a/b", "x/a/b/c/d/", true),
            ("a/b", "a/x/b", false),
            // Where it differs: two stars are any number of names, none too.
            ("logs/**", "logs/sub/x", true),
            ("logs/**", "logs/", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "a/z", true),
            ("**/z", "z", true),
            ("**", "x", true),
            ("a**z", "a/z", false),
            ("a**z", "abz", true),
            // Nothing crosses a slash.
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("a[!x]b", "a/b", false),
            ("a[b/c]d", "a[b/c]d", true),
            // Sets, and what only looks like one.
            ("[ab]c", "bc", true),
            ("[!ab]c", "bc", false),
            ("[a-c]", "b", true),
            ("[a-]", "-", true),
            ("[]a]", "]", true),
            ("[!]a]", "b", true),
            ("[!]a]", "]", false),
            ("[^a]", "^", true),
            ("[^a]", "b", false),
            ("a[b", "a[b", true),
            ("[!]", "[!]", true),
            ("[]", "[]", true),
            // Everything else is itself.
            ("a\\*", "a\\b", true),
            ("a\\*", "a*", false),
            ("!x", "!x", true),
            ("#x", "#x", true),
            ("{a,b}", "a", false),
            ("a b ", "a b ", true),
            ("a\nb", "a\nb", true),
            ("x?z", "xéz", true),
            ("x[é-ü]z", "xöz", true),
            // What a path library leaves out of a pattern.
            ("./a", "x/a", true),
            ("a/./b//", "a/b", true),
            ("..", "a/../b", true),
            ("a", "", false),
            ("**", "", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(covers(pattern, path), *expected, "{pattern:?} {path:?}");
        }
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_an_error() {
        for (pattern, why) in [
            ("", "it is empty"),
            (".", "it is empty"),
            ("./", "it is empty"),
            ("/", "it begins with '/'"),
            ("/logs", "it begins with '/'"),
            ("//", "it begins with '/'"),
            ("x/[z-a]", "the range 'z-a' runs backwards"),
        ] {
            let told = PathPattern::new(pattern).map(|_| ()).unwrap_err();
            assert!(told.contains(why), "{pattern:?}: {told}");
        }
    }

    #[test]
    fn many_stars_take_no_longer() {
        let (pattern, name) = ("*a".repeat(200), "a".repeat(5000) + "b");
        assert!(!covers(&pattern, &name));
        let (pattern, path) = ("**/a/".repeat(200), "a/".repeat(1000) + "b");
        assert!(covers(&pattern, &path));
        assert!(!covers(&format!("{pattern}c"), &path));
    }
}
