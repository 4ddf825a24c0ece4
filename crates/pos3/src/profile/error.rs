//! Errors of profiles. No message contains a value from a credentials file.

use std::io;
use std::path::{Path, PathBuf};

/// The reason why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No profile has this name.
    #[error("there is no profile '{name}'; {looked}")]
    Unknown {
        /// The name.
        name: String,
        /// Where it was looked up, and the names that exist.
        looked: String,
    },
    /// A profile has the reserved name.
    #[error("the name '{name}' is reserved for locations without a profile; choose another name")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The name cannot be the name of a directory.
    #[error("'{name}' is not a valid profile name: use letters, digits, '_' and '-', but not '_' alone")]
    Name {
        /// The name.
        name: String,
    },
    /// One name was given to two different profiles.
    #[error("the profile '{name}' is already defined with different settings")]
    Different {
        /// The name.
        name: String,
    },
    /// The profiles file exists and cannot be read.
    #[error("cannot read the profiles in '{}'", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The profiles file is not TOML, or contains something other than profiles.
    #[error("'{}' is not a profiles file: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The problem.
        why: String,
    },
    /// A profile is invalid.
    #[error("profile '{name}'{}: {why}", inside(file.as_deref()))]
    Invalid {
        /// Its name.
        name: String,
        /// The file that defines it, unless the program added it.
        file: Option<PathBuf>,
        /// The problem, with the key.
        why: String,
    },
    /// The credentials file of the profile cannot be read.
    #[error("profile '{name}': cannot read the credentials in '{}'", path.display())]
    CredentialsUnreadable {
        /// The profile's name.
        name: String,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The content of the profile's credentials file is invalid.
    #[error("profile '{name}': credentials_file '{}': {why}", path.display())]
    Credentials {
        /// The profile's name.
        name: String,
        /// The file.
        path: PathBuf,
        /// The problem.
        why: String,
    },
    /// The local copies of two endpoints would be in the same directory.
    #[error(
        "the profiles '{name}' ({endpoint}) and '{other}' ({other_endpoint}) have the same local name \
         '{local_name}': set another local_name for one of them"
    )]
    SameLocalName {
        /// The requested profile.
        name: String,
        /// Its endpoint.
        endpoint: String,
        /// The profile that already uses the local name.
        other: String,
        /// Its endpoint.
        other_endpoint: String,
        /// The local name of both.
        local_name: String,
    },
}

fn inside(file: Option<&Path>) -> String {
    file.map(|file| format!(" in '{}'", file.display())).unwrap_or_default()
}
