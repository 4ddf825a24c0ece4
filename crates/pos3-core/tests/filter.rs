//! Compares patterns that match from the right with a second, deliberately simple implementation of their rules.

use pos3_core::Filter;
use proptest::prelude::*;

/// Reads a set at the start of a pattern. Returns whether the set contains the letter, and the rest of the pattern.
fn set(pattern: &[char], letter: char) -> Option<(bool, &[char])> {
    let ['[', text @ ..] = pattern else { return None };
    let negated = text.first() == Some(&'!');
    let text = &text[usize::from(negated)..];
    // A ']' in the first place is a member.
    let end = (1..text.len()).find(|at| text[*at] == ']')?;
    let (mut members, rest) = (&text[..end], &text[end + 1..]);
    let mut has = false;
    while !members.is_empty() {
        let (range, taken) = match members {
            [from, '-', to, ..] => (*from..=*to, 3),
            _ => (members[0]..=members[0], 1),
        };
        has |= range.contains(&letter);
        members = &members[taken..];
    }
    Some((has != negated, rest))
}

fn name_is(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], name) => name.is_empty(),
        (['*', rest @ ..], name) => (0..=name.len()).any(|taken| name_is(rest, &name[taken..])),
        (_, []) => false,
        (pattern, [letter, others @ ..]) => match (set(pattern, *letter), pattern) {
            (Some((has, rest)), _) => has && name_is(rest, others),
            (None, ['?', rest @ ..]) => name_is(rest, others),
            (None, [exactly, rest @ ..]) => exactly == letter && name_is(rest, others),
            (None, []) => false,
        },
    }
}

fn names_are(pattern: &[&str], names: &[&str]) -> bool {
    let letters = |text: &str| text.chars().collect::<Vec<_>>();
    match (pattern, names) {
        ([], names) => names.is_empty(),
        (["**", rest @ ..], names) => (0..=names.len()).any(|taken| names_are(rest, &names[taken..])),
        (_, []) => false,
        ([first, rest @ ..], [name, others @ ..]) => {
            name_is(&letters(first), &letters(name)) && names_are(rest, others)
        }
    }
}

/// Returns true if the pattern matches consecutive names of the path.
fn is_excluded(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').filter(|name| !["", "."].contains(name)).collect();
    let names: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    (1..=names.len()).any(|end| (0..=end).any(|begin| names_are(&pattern, &names[begin..end])))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_pattern_excludes_what_its_rules_say(pattern in "[ab.é*?!/\\[\\]-]{1,9}", path in "[ab.é!-]{1,2}(/[ab.é\\[\\]]{1,3}){0,3}/?") {
        match Filter::builder().exclude_matching(&pattern) {
            Ok(builder) => {
                let filter = builder.build().unwrap();
                let excluded = is_excluded(&pattern, &path);
                prop_assert_eq!(!filter.admits(&path), excluded, "{:?} {:?}", pattern, path);
                if path.ends_with('/') {
                    prop_assert_eq!(filter.prunes(&path), excluded, "{:?} {:?}", pattern, path);
                    let below = format!("{path}x");
                    prop_assert!(!excluded || !filter.admits(&below), "{:?} {:?}", pattern, below);
                }
                prop_assert_eq!(filter.deciding(&path).map(|rule| rule.text), excluded.then_some(pattern));
            }
            Err(error) => {
                let nothing = pattern.split('/').all(|name| ["", "."].contains(&name));
                let nowhere = pattern.split('/').any(|name| name == "..");
                let backwards = error.to_string().contains("runs backwards");
                prop_assert!(nothing || nowhere || pattern.starts_with('/') || backwards, "{}", error);
            }
        }
    }
}
