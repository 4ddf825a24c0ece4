//! The paths and URLs that users type: [`Location`].
//!
//! A general URL parser would cut `s3://bucket/x#1` at the `#`, decode `%20` and merge doubled slashes. It would then
//! read, replace or delete another object than the one that was named. This parser takes everything after the bucket as
//! it is.

mod file_url;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pos3_core::Key;

/// The scheme of the provider of local paths.
pub(crate) const FILE: &str = "file";

/// Schemes for which `scheme:/path` is treated as a typing error for `scheme://path`.
const USUAL_SCHEMES: [&str; 3] = ["s3", FILE, "memory"];

/// A path or a URL, as a user types it.
///
/// | text | meaning |
/// | --- | --- |
/// | `s3://bucket/key` | an object, or everything below `key/`; the key is taken as it is: `#`, `?`, `%`, `;`, spaces |
/// | `s3://profile@bucket/key` | the same, with the settings of a profile |
/// | `file:///a/b%20c` | the path `/a/b c`: percent-encoding is decoded, as `curl` does; `#` and `?` are kept |
/// | `memory://name/key` | a store in the memory of this process |
/// | anything without `://` | a local path |
///
/// Schemes are in lower case; [`Registry`](crate::Registry) defines which ones are known. The output of `Display`
/// parses to the same location.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A local path.
    Local(PathBuf),
    /// A key or prefix in a bucket.
    Remote(RemoteLocation),
}

/// A key or prefix in a bucket: `scheme://[profile@]bucket[/key]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteLocation {
    scheme: String,
    profile: Option<String>,
    bucket: String,
    key: String,
}

/// The reason why a text is not a location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// The text is empty.
    #[error("the location is empty: give a path or a URL such as s3://bucket/prefix")]
    Empty,
    /// The scheme has upper-case letters, as in `S3://bucket`.
    #[error("'{text}': schemes are lower case: write '{meant}'")]
    UppercaseScheme {
        /// The given text.
        text: String,
        /// The corrected text.
        meant: String,
    },
    /// The scheme is empty or invalid, as in `://bucket` or `1x://bucket`.
    #[error("'{text}' has no scheme before '://': write one such as 's3', or './' before a path")]
    NoScheme {
        /// The given text.
        text: String,
    },
    /// A slash is missing, as in `s3:/bucket/key`.
    #[error("'{text}': write '{meant}', or './{text}' if it is a path")]
    MissingSlashes {
        /// The given text.
        text: String,
        /// The corrected text.
        meant: String,
    },
    /// The bucket is missing, as in `s3:///key`.
    #[error("'{text}' names no bucket: write {scheme}://BUCKET/PREFIX")]
    NoBucket {
        /// The given text.
        text: String,
        /// Its scheme.
        scheme: String,
    },
    /// The profile is empty, as in `s3://@bucket`.
    #[error("'{text}' names no profile before the '@': write {scheme}://PROFILE@BUCKET or leave the '@' out")]
    EmptyProfile {
        /// The given text.
        text: String,
        /// Its scheme.
        scheme: String,
    },
    /// The URL contains credentials, as in `s3://KEY:SECRET@bucket`. The message does not repeat them.
    #[error(
        "credentials do not belong in the URL of '{bucket}': write {scheme}://PROFILE@BUCKET with the name of a profile that \
         has them, or {scheme}://BUCKET"
    )]
    Credentials {
        /// Its bucket.
        bucket: String,
        /// Its scheme.
        scheme: String,
    },
    /// A `file` URL has a host or a relative path.
    #[error("'{text}' is not an absolute local path: write file:///PATH with three slashes, or the path alone")]
    FileHost {
        /// The given text.
        text: String,
    },
    /// A `file` URL has a `%` that is not followed by two hexadecimal digits, or has `%00`.
    #[error("'{text}' has an invalid '%' escape: write '%25' for a percent sign, or the path alone")]
    FileEscape {
        /// The given text.
        text: String,
    },
    /// A URL is not valid UTF-8. Keys are always UTF-8.
    #[error("'{text}' is not valid UTF-8")]
    NotUtf8 {
        /// The given text, with replacement characters.
        text: String,
    },
}

impl Location {
    /// Parses a command-line argument. Unlike a URL, a path need not be UTF-8.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a location.
    pub fn from_os_str(text: &OsStr) -> Result<Self, LocationError> {
        match text.to_str() {
            Some(text) => text.parse(),
            None => match text.to_string_lossy() {
                lossy if lossy.contains("://") => Err(LocationError::NotUtf8 { text: lossy.into_owned() }),
                _ => Ok(Self::Local(PathBuf::from(text))),
            },
        }
    }

    /// Returns the scheme; for a path it is `file`.
    pub fn scheme(&self) -> &str {
        match self {
            Self::Local(_) => FILE,
            Self::Remote(remote) => &remote.scheme,
        }
    }

    /// Returns the path of a local location.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Remote(_) => None,
        }
    }

    /// Returns this location with the given profile, unless it already names one or is a path.
    #[must_use]
    pub fn with_default_profile(self, profile: &str) -> Self {
        match self {
            Self::Remote(RemoteLocation { profile: None, scheme, bucket, key }) => {
                Self::Remote(RemoteLocation { profile: Some(profile.to_owned()), scheme, bucket, key })
            }
            other => other,
        }
    }

    /// Splits a location at the first wildcard of its key and returns the location above it and the pattern:
    /// `s3://b/d/` and `*.txt` for `s3://b/d/*.txt`.
    ///
    /// Keys are exact and may contain wildcard characters. So callers use this only as a guess at what the user meant,
    /// if the key does not exist.
    pub fn wildcards(&self) -> Option<(Self, &str)> {
        let Self::Remote(remote) = self else { return None };
        let key = remote.key();
        let set = key.find('[').filter(|at| key[*at..].contains(']'));
        let first = key.find(['*', '?']).into_iter().chain(set).min()?;
        let above = key[..first].rfind('/').map_or(0, |slash| slash + 1);
        Some((Self::Remote(remote.with_key(&key[..above])), &key[above..]))
    }

    /// Returns the location of a relative key below this location, which is treated as a directory.
    #[must_use]
    pub fn join(&self, key: &Key) -> Self {
        match self {
            Self::Local(path) => {
                let mut path = path.clone().into_os_string();
                if !path.as_encoded_bytes().ends_with(b"/") {
                    path.push("/");
                }
                path.push(key.as_str());
                Self::Local(path.into())
            }
            Self::Remote(remote) => Self::Remote(remote.with_key(key.under(&remote.prefix()).as_str())),
        }
    }

    /// Returns the text of the location of a relative key below this location, which is treated as a directory. Control
    /// characters are escaped, so that a key cannot forge a line of output.
    pub fn child(&self, key: &Key) -> String {
        self.join(key).escaped()
    }

    /// Returns the text with control characters escaped. Unlike the output of `Display`, it need not parse to the same
    /// location.
    pub(crate) fn escaped(&self) -> String {
        match self {
            Self::Local(path) => Key::from(path.to_string_lossy().into_owned()).to_string(),
            Self::Remote(remote) => format!("{}{}", remote.root(), Key::from(remote.key())),
        }
    }
}

impl RemoteLocation {
    /// Returns the scheme.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the profile that the location names.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Returns the bucket, or the corresponding part in the URLs of other schemes.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns everything after the `/` that follows the bucket, exactly as written.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the location of another key in the same bucket.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// Returns the prefix of all keys below this location, which is treated as a directory.
    ///
    /// If the key does not end in `/`, one is added, so that `s3://b/data` never includes `data_backup/x`.
    pub fn prefix(&self) -> String {
        as_prefix(&self.key)
    }

    /// Returns `scheme://[profile@]bucket/`.
    fn root(&self) -> String {
        let Self { scheme, profile, bucket, .. } = self;
        match profile {
            Some(profile) => format!("{scheme}://{profile}@{bucket}/"),
            None => format!("{scheme}://{bucket}/"),
        }
    }
}

/// Returns the prefix of all keys below a key, which is treated as a directory.
pub(crate) fn as_prefix(key: &str) -> String {
    let slash = if is_prefix(key) { "" } else { "/" };
    format!("{key}{slash}")
}

/// Returns true if a key cannot name an object, because it is empty or ends in `/`.
pub(crate) fn is_prefix(key: &str) -> bool {
    key.is_empty() || key.ends_with('/')
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        match text.split_once("://") {
            // A '/' before the "://" makes the text a path, such as './odd://name'.
            Some((scheme, rest)) if !scheme.contains('/') => {
                check_credentials(scheme, rest)?;
                check_scheme(scheme, text)?;
                if scheme == FILE { file_url::parse(rest, text).map(Self::Local) } else { remote(scheme, rest, text) }
            }
            _ => local(text),
        }
    }
}

/// Rejects a URL that may contain a secret, before any other error could repeat the text.
fn check_credentials(scheme: &str, rest: &str) -> Result<(), LocationError> {
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    match authority.rsplit_once('@') {
        Some((user, bucket)) if user.contains(':') => {
            Err(LocationError::Credentials { bucket: bucket.to_owned(), scheme: scheme.to_ascii_lowercase() })
        }
        _ => Ok(()),
    }
}

fn check_scheme(scheme: &str, text: &str) -> Result<(), LocationError> {
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme {
        return Err(LocationError::NoScheme { text: text.to_owned() });
    }
    if scheme.contains(|c: char| c.is_ascii_uppercase()) {
        let meant = format!("{}{}", scheme.to_ascii_lowercase(), &text[scheme.len()..]);
        return Err(LocationError::UppercaseScheme { text: text.to_owned(), meant });
    }
    Ok(())
}

fn remote(scheme: &str, rest: &str, text: &str) -> Result<Location, LocationError> {
    let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
    let (profile, bucket) = match authority.rsplit_once('@') {
        Some((profile, bucket)) => (Some(profile), bucket),
        None => (None, authority),
    };
    if profile.is_some_and(str::is_empty) {
        return Err(LocationError::EmptyProfile { text: text.to_owned(), scheme: scheme.to_owned() });
    }
    if bucket.is_empty() {
        return Err(LocationError::NoBucket { text: text.to_owned(), scheme: scheme.to_owned() });
    }
    Ok(Location::Remote(RemoteLocation {
        scheme: scheme.to_owned(),
        profile: profile.map(str::to_owned),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    }))
}

fn local(text: &str) -> Result<Location, LocationError> {
    if text.is_empty() {
        return Err(LocationError::Empty);
    }
    if let Some((scheme, rest)) = text.split_once(':')
        && USUAL_SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())
    {
        let scheme = scheme.to_ascii_lowercase();
        let slashes = if scheme == FILE { ":///" } else { "://" };
        let meant = format!("{scheme}{slashes}{}", rest.trim_start_matches('/'));
        return Err(LocationError::MissingSlashes { text: text.to_owned(), meant });
    }
    Ok(Location::Local(PathBuf::from(text)))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}

impl fmt::Display for RemoteLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = self.root();
        match self.key.as_str() {
            "" => f.write_str(root.trim_end_matches('/')),
            key => write!(f, "{root}{key}"),
        }
    }
}

#[cfg(test)]
mod tests;
