//! Rejects segments of a pattern that cannot match anything, in all pattern languages.
//!
//! A pattern that matches nothing protects nothing: with `--delete`, pos3 would delete the files that it was meant to
//! protect. So such a pattern is an error as soon as it is parsed.

/// Rejects a pattern without visible text, such as the result of an unset variable.
///
/// # Errors
///
/// Returns why the pattern cannot match anything.
pub(super) fn check_not_blank(pattern: &str) -> Result<(), String> {
    match pattern.trim() {
        "" if pattern.is_empty() => Err("it is empty, which matches nothing".to_owned()),
        "" => Err("it is blank; write '[ ]' for a name that is a space".to_owned()),
        _ => Ok(()),
    }
}

/// Rejects a segment that no path has.
///
/// # Errors
///
/// Returns why the segment cannot match anything.
pub(super) fn check_is_possible(segment: &str) -> Result<(), String> {
    match segment {
        "" => Err("no path has an empty segment".to_owned()),
        "." | ".." => Err(format!("no path has a '{segment}' segment")),
        _ => Ok(()),
    }
}

/// Rejects a segment that no path has. Only keys of buckets can have one, and a pattern can still match them with a
/// set.
///
/// # Errors
///
/// Returns why the segment cannot match anything, and the set to write instead.
pub(super) fn check(segment: &str) -> Result<(), String> {
    let instead = match segment {
        "" => "'/[/]'",
        "." => "'[.]'",
        _ => "'[.].'",
    };
    check_is_possible(segment).map_err(|why| format!("{why}; write {instead} for a key that has one"))
}
