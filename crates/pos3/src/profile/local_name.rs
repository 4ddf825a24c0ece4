//! The name of a profile's directory among local copies.

/// What stands there without a profile, and so can be no profile's.
pub(crate) const NONE: &str = "_";

/// The rule in words.
pub(super) const RULE: &str = "cannot be a directory's name: letters, digits, '_' and '-' can, and not '_' alone";

/// Returns true if this can be the name.
pub(super) fn is_valid(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name != NONE && name.bytes().all(allowed)
}
