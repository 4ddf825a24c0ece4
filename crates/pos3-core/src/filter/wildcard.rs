//! Text with wildcards, in the language of Python's `fnmatch`: `*` matches any text, `?` any single character, and
//! `[...]` and `[!...]` are sets of characters. Every other character matches itself.
//!
//! A library for path globs would compare bytes, so `?` would not match `é`, which has two. It would also treat more
//! characters as special.

/// One step of a pattern over a sequence: the characters of a name, or the components of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<T> {
    /// Matches any number of items, including none.
    AnyNumber,
    /// Matches exactly one item.
    One(T),
}

/// Text with wildcards.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wildcard(Vec<Step<Letter>>);

/// The characters that one step matches.
#[derive(Debug, PartialEq, Eq)]
enum Letter {
    Any,
    Exactly(char),
    Of { ranges: Vec<(char, char)>, negated: bool },
}

impl Wildcard {
    /// Compiles a pattern. A `[` that is not closed matches itself.
    ///
    /// # Errors
    ///
    /// Returns why the pattern cannot match anything.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = pattern;
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

    /// Returns true if the pattern has a `[` that is not closed.
    pub(super) fn has_open_set(&self) -> bool {
        self.0.contains(&Step::One(Letter::Exactly('[')))
    }

    /// Returns true if the pattern matches the whole text.
    pub(super) fn is(&self, text: &str) -> bool {
        fits(&self.0, text.chars(), Letter::is)
    }
}

/// Splits the text after a `[` at the `]` that closes the set. A `]` directly after `[` or `[!` is a member of the set.
fn set(text: &str) -> Option<(&str, &str)> {
    let first = usize::from(text.starts_with('!'));
    let first = first + usize::from(text[first..].starts_with(']'));
    let end = first + text[first..].find(']')?;
    Some((&text[..end], &text[end + 1..]))
}

impl Letter {
    /// Parses the text between `[` and `]`.
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

/// Returns true if the steps match the whole sequence of items.
///
/// On a mismatch, only the last `AnyNumber` step takes one more item. Earlier ones need not be retried: any item that
/// they could take, the last one can take as well. So the time is at most the product of both lengths.
pub(super) fn fits<T, I: Iterator<Item: Copy> + Clone>(
    steps: &[Step<T>],
    items: I,
    is: impl Fn(&T, I::Item) -> bool,
) -> bool {
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
