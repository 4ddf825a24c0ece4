//! Maps a remote location to the path of its local copy.
//!
//! A key can be any text, but a path cannot: `../x` would leave the cache root, and `a//b` would be the file of another
//! key. Here, every location has one path, no two locations share a path, and no path leaves the root.

use std::path::{Path, PathBuf};

use pos3_core::Key;
use sha2::{Digest as _, Sha256};

use super::mark::MARKS;
use crate::location::RemoteLocation;

/// Returns `<root>/<profile or _>/<bucket>/<key>`. `name` is the provider's name for the local copies of its server. A
/// trailing `/` of the key has no effect.
///
/// A segment that cannot be a file name gets the prefix `%`: one that is empty, `.` or `..`, contains a NUL, is too
/// long, begins with `%`, or is the name of the directory for marks of unsaved output.
pub(super) fn path(root: &Path, name: &str, remote: &RemoteLocation) -> PathBuf {
    let mut path = root.join(segment(name));
    path.push(segment(remote.bucket()));
    let key = remote.key();
    let key = key.strip_suffix('/').unwrap_or(key);
    if !key.is_empty() {
        key.split('/').for_each(|name| path.push(segment(name)));
    }
    path
}

fn segment(name: &str) -> String {
    let is_plain =
        !name.starts_with('%') && name != MARKS && Key::from(name).check_path().is_ok() && !name.contains('/');
    if is_plain {
        return name.to_owned();
    }
    let mut escaped = String::from("%");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    if escaped.len() > LONGEST {
        // A digest of the whole name distinguishes long names.
        let digest = Sha256::digest(name.as_bytes());
        return digest.iter().fold(String::from("%~"), |text, byte| text + &format!("{byte:02x}"));
    }
    escaped
}

/// The longest file name that common file systems accept.
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::location::Location;

    fn of(url: &str) -> PathBuf {
        let Ok(Location::Remote(remote)) = url.parse() else { unreachable!("{url}") };
        path(Path::new("/cache"), remote.profile().unwrap_or("_"), &remote)
    }

    #[test]
    fn a_usual_location_has_the_path_one_expects() {
        for (url, expected) in [
            ("s3://bucket/data/x", "/cache/_/bucket/data/x"),
            ("s3://bucket/data/", "/cache/_/bucket/data"),
            ("s3://bucket", "/cache/_/bucket"),
            ("s3://lab@bucket/run#2", "/cache/lab/bucket/run#2"),
            ("s3://bucket/a%20b", "/cache/_/bucket/a%20b"),
        ] {
            assert_eq!(of(url), Path::new(expected), "{url}");
        }
    }

    #[test]
    fn no_location_leaves_the_cache_or_shares_a_path() {
        let long = format!("s3://b/{}", "x".repeat(300));
        let longer = format!("s3://b/{}", "x".repeat(301));
        let odd = [
            "s3://b/../../../etc",
            "s3://b/a//b",
            "s3://b/a/b",
            "s3://b/a/./b",
            "s3://b/a/%2E/b",
            "s3://b//a",
            "s3://b/a//",
            "s3://b/%",
            "s3://b/%%",
            "s3://b/.pos3-partial.x",
            &long,
            &longer,
        ];
        let mut seen = HashSet::new();
        for url in odd {
            let path = of(url);
            assert!(path.starts_with("/cache/_/b"), "{url}: {path:?}");
            let plain = |part: std::path::Component<'_>| !matches!(part, std::path::Component::ParentDir);
            assert!(path.components().all(plain), "{url}: {path:?}");
            assert!(path.file_name().is_none_or(|name| name.len() <= LONGEST), "{url}");
            assert!(seen.insert(path), "{url} shares a path");
        }
    }
}
