//! Maps a remote location to the path of its local copy.
//!
//! A key can be any text, but a path cannot: `../x` would leave the cache root, and `a//b` would be the file of another
//! key. Here, every location has one path, no two locations share a path, and no path leaves the root.

use std::path::{Path, PathBuf};

use pos3_core::Key;
use sha2::{Digest as _, Sha256};

use super::mark::MARKS;
use crate::location::RemoteLocation;

/// The directory in a cache root that records which server the local copies of each bucket belong to.
pub(super) const SERVERS: &str = ".pos3-servers";

/// Returns `<root>/<profile or _>/<bucket>/<key>`. `name` is the provider's name for the local copies of its server. A
/// trailing `/` of the key has no effect.
///
/// A segment of a key cannot be a file name if it is empty, `.` or `..`, contains a NUL, is too long, begins with `%`, or is
/// the name of a directory of pos3 itself: the marks of unsaved output, or the servers of local copies. A key with such a
/// segment has one escaped name in `<root>/<profile or _>/%/<bucket>`. In the directory of the bucket, it would be a part of
/// other local copies, which would be uploaded with its escaped name.
pub(super) fn path(root: &Path, name: &str, remote: &RemoteLocation) -> PathBuf {
    let [usual, escaped] = buckets(root, name, remote);
    let key = remote.key().strip_suffix('/').unwrap_or(remote.key());
    match () {
        () if remote.key().is_empty() => usual,
        () if key.split('/').all(is_plain) => usual.join(key),
        () => escaped.join(segment(key)),
    }
}

/// Returns the directories of all local copies of a bucket.
pub(super) fn buckets(root: &Path, name: &str, remote: &RemoteLocation) -> [PathBuf; 2] {
    let (root, bucket) = (root.join(segment(name)), segment(remote.bucket()));
    // No bucket has this name, because its segment would be escaped.
    [root.join(&bucket), root.join("%").join(&bucket)]
}

/// Returns the names of the record of their server, from the cache root down.
pub(super) fn server_record(name: &str, remote: &RemoteLocation) -> [String; 3] {
    [SERVERS.to_owned(), segment(name), segment(remote.bucket())]
}

fn segment(name: &str) -> String {
    if is_plain(name) {
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

/// Returns true if a segment can be a file name as it is.
fn is_plain(name: &str) -> bool {
    let is_own = [MARKS, SERVERS].contains(&name);
    !name.starts_with('%') && !is_own && Key::from(name).check_path().is_ok() && !name.contains('/')
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
            "s3://b",
            "s3://b//",
            "s3://b///",
            "s3://b/a//",
            "s3://b/%",
            "s3://b/%%",
            "s3://b/.pos3-partial.x",
            "s3://b/.pos3-unsaved",
            "s3://b/.pos3-servers",
            &long,
            &longer,
        ];
        let mut seen = HashSet::new();
        for url in odd {
            let path = of(url);
            assert!(path.starts_with("/cache/_/b") || path.starts_with("/cache/_/%/b"), "{url}: {path:?}");
            let plain = |part: std::path::Component<'_>| !matches!(part, std::path::Component::ParentDir);
            assert!(path.components().all(plain), "{url}: {path:?}");
            assert!(path.file_name().is_none_or(|name| name.len() <= LONGEST), "{url}");
            assert!(seen.insert(path), "{url} shares a path");
        }
        // An escaped name is not inside other local copies.
        for path in seen.iter().filter(|path| path.starts_with("/cache/_/%")) {
            assert!(!seen.iter().any(|other| other != path && path.starts_with(other)), "{path:?}");
        }
    }
}
