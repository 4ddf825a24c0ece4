//! Options that are paths on this machine.
//!
//! Taken as it is, `--local s3://bucket/data` would make a directory `s3:` here, and nobody would find what is in it.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};
use pos3::{Location, LocationError};

/// Reads a path. A URL is a usage error, but for one of a path: `file:///PATH`.
pub(super) fn local_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| read(&path))
}

/// The message repeats nothing: a URL may hold a password.
fn read(path: &Path) -> Result<PathBuf, String> {
    match Location::from_os_str(path.as_os_str()) {
        Ok(Location::Local(path)) => Ok(path),
        Err(error @ (LocationError::FileHost { .. } | LocationError::FileEscape { .. })) => Err(error.to_string()),
        Ok(Location::Remote(_)) | Err(_) => {
            Err("give a path on this machine, not a URL; write './' before a path that \
                                                 looks like one"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_url() {
        for (text, path) in [
            ("a/b", "a/b"),
            ("-", "-"),
            ("~/x", "~/x"),
            ("./s3://b", "./s3://b"),
            ("a:b", "a:b"),
            ("file:///a%20b", "/a b"),
        ] {
            assert_eq!(read(Path::new(text)).unwrap(), PathBuf::from(path), "{text}");
        }
        for text in ["s3://b/k", "S3://b", "s3:/b", "https://h/x", "odd+x://y", "://x", "file://host/x"] {
            assert!(read(Path::new(text)).is_err(), "{text}");
        }
        let error = read(Path::new("s3://KEY:SECRET@bucket")).unwrap_err();
        assert!(!error.contains("SECRET"), "{error}");
    }
}
