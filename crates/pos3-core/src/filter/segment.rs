//! Which segments of a pattern can match nothing, in every language of filters.
//!
//! A pattern that matches nothing protects nothing: with `--delete`, the files that it was meant to spare would be
//! deleted. So it is an error when it is read.

/// Refuses a pattern without visible text, such as a variable that is not set leaves behind.
///
/// # Errors
///
/// Why it can match nothing.
pub(super) fn check_not_blank(pattern: &str) -> Result<(), String> {
    match pattern.trim() {
        "" if pattern.is_empty() => Err("it is empty, which matches nothing".to_owned()),
        "" => Err("it is blank; write '[ ]' for a name that is a space".to_owned()),
        _ => Ok(()),
    }
}

/// Refuses a segment that no path has. Only keys of buckets can have one, and sets still express those.
///
/// # Errors
///
/// Why it can match nothing.
pub(super) fn check(segment: &str) -> Result<(), String> {
    let instead = match segment {
        "" => "'/[/]'",
        "." => "'[.]'",
        ".." => "'[.].'",
        _ => return Ok(()),
    };
    let segment = if segment.is_empty() { "an empty" } else { &format!("a '{segment}'") };
    Err(format!("no path has {segment} segment; write {instead} for a key that has one"))
}
