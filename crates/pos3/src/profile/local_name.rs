//! The name of a profile's directory of local copies.

/// The name that is used without a profile. No profile can have it.
pub(crate) const NONE: &str = "_";

/// The rule, for messages.
pub(super) const RULE: &str = "is not a valid directory name: use letters, digits, '_' and '-', but not '_' alone";

/// Returns true if the name is valid.
pub(super) fn is_valid(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name != NONE && name.bytes().all(allowed)
}
