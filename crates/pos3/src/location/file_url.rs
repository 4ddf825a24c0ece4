//! `file` URLs. They are the only percent-encoded locations, because all programs that write such URLs encode them.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::LocationError;

/// Returns the path of `file://rest`, where `rest` is a percent-encoded `/path` or `localhost/path`.
///
/// `#` and `?` are part of the path: fragments and queries have no meaning in a file URL, and a shortened path would
/// name another file.
pub(super) fn parse(rest: &str, text: &str) -> Result<PathBuf, LocationError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(LocationError::FileHost { text: text.to_owned() });
    }
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if !escapes_are_whole(path) || bytes.contains(&0) {
        return Err(LocationError::FileEscape { text: text.to_owned() });
    }
    path_of(bytes).ok_or_else(|| LocationError::NotUtf8 { text: text.to_owned() })
}

fn escapes_are_whole(path: &str) -> bool {
    path.split('%').skip(1).all(|after| {
        let digits = after.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}
