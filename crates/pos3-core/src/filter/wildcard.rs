//! Text with wildcards, in the language of Python's `fnmatch`: `*` matches any text, `?` any single character, and
//! `[...]` and `[!...]` are sets of characters. Every other character matches itself.
//!
//! As in Python, a pattern is translated to a regular expression. A library for path globs would compare bytes, so `?`
//! would not match `é`, which has two. It would also treat more characters as special.

use regex_automata::meta::Regex;
use regex_syntax::escape_into;

/// The text that a pattern is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// A whole key: wildcards also match `/`, and a `[` that is not closed is an error.
    Key,
    /// One component of a path: no wildcard matches `/`, and a `[` that is not closed matches itself.
    Component,
}

impl Scope {
    /// Returns the regular expression of any single character.
    fn any_character(self) -> &'static str {
        match self {
            Self::Key => ".",
            Self::Component => "[^/]",
        }
    }
}

/// Compiles a regular expression that must match the whole text.
///
/// # Errors
///
/// Returns why the expression cannot be used: it is far longer than any key.
pub(super) fn compile(expression: &str) -> Result<Regex, String> {
    Regex::new(&format!("(?s:\\A{expression}\\z)")).map_err(|_| "it is too long".to_owned())
}

/// Translates a pattern to a regular expression.
///
/// # Errors
///
/// Returns why the pattern cannot match anything.
pub(super) fn translate(pattern: &str, scope: Scope) -> Result<String, String> {
    let mut expression = String::with_capacity(2 * pattern.len());
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '*' => {
                // A second `*` adds nothing but work.
                rest = rest.as_str().trim_start_matches('*').chars();
                expression.push_str(scope.any_character());
                expression.push('*');
            }
            '?' => expression.push_str(scope.any_character()),
            '[' => match split_set(rest.as_str()) {
                Some((set, after)) => {
                    expression.push_str(&translate_set(set, scope)?);
                    rest = after.chars();
                }
                None if scope == Scope::Component => expression.push_str("\\["),
                None => return Err("a '[' is not closed by a ']'; '[[]' is the character".to_owned()),
            },
            character => push_escaped(character, &mut expression),
        }
    }
    Ok(expression)
}

/// Splits the text after a `[` at the `]` that closes the set. A `]` directly after `[` or `[!` is a member of the set.
fn split_set(text: &str) -> Option<(&str, &str)> {
    let first = usize::from(text.starts_with('!'));
    let first = first + usize::from(text[first..].starts_with(']'));
    let end = first + text[first..].find(']')?;
    Some((&text[..end], &text[end + 1..]))
}

/// Translates the text between `[` and `]`.
fn translate_set(set: &str, scope: Scope) -> Result<String, String> {
    let (members, negated) = match set.strip_prefix('!') {
        Some(members) => (members, true),
        None => (set, false),
    };
    let members: Vec<char> = members.chars().collect();
    let mut class = String::from(if negated { "[^" } else { "[" });
    let mut rest = members.as_slice();
    while let [first, after @ ..] = rest {
        let (last, left) = match after {
            ['-', last, left @ ..] => (last, left),
            _ => (first, after),
        };
        if first > last {
            return Err(format!("the range '{first}-{last}' runs backwards"));
        }
        push_escaped(*first, &mut class);
        class.push('-');
        push_escaped(*last, &mut class);
        rest = left;
    }
    class.push(']');
    Ok(match scope {
        Scope::Key => class,
        Scope::Component => format!("[{class}&&[^/]]"),
    })
}

fn push_escaped(character: char, expression: &mut String) {
    escape_into(character.encode_utf8(&mut [0; 4]), expression);
}
