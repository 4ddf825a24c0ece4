//! The parser of options that take a local path.
//!
//! It rejects URLs. Otherwise, `--local s3://bucket/data` would create a local directory `s3:`.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};
use pos3::{Location, LocationError};

/// Returns a parser of local paths. A URL other than `file:///PATH` is a usage error.
pub(super) fn local_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| read(&path))
}

/// Parses a path. The error message does not repeat the text, because a URL may contain a password.
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
