//! What is wrong with a profile. No text here holds a value out of a file of credentials.

use std::io;
use std::path::{Path, PathBuf};

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No profile has this name.
    #[error("there is no profile '{name}'; {looked}")]
    Unknown {
        /// The name.
        name: String,
        /// Where it was looked for, and which names there are.
        looked: String,
    },
    /// The reserved name was given to a profile.
    #[error("the name '{name}' is reserved for what there is without a profile; give this one another")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A name that cannot be a directory's.
    #[error("'{name}' cannot be the name of a profile: letters, digits, '_' and '-' can, and not '_' alone")]
    Name {
        /// The name.
        name: String,
    },
    /// One name for two different profiles.
    #[error("there is another profile '{name}' with other settings")]
    Different {
        /// The name.
        name: String,
    },
    /// The file of profiles is there and cannot be read.
    #[error("cannot read the profiles in '{}'", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The file of profiles is no TOML, or holds something else than profiles.
    #[error("'{}' is no file of profiles: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// One profile is wrong.
    #[error("profile '{name}'{}: {why}", inside(file.as_deref()))]
    Invalid {
        /// Its name.
        name: String,
        /// The file it stands in, if it does not come from the program.
        file: Option<PathBuf>,
        /// What is wrong, with the key.
        why: String,
    },
    /// The profile's file of credentials cannot be read.
    #[error("profile '{name}': cannot read the credentials in '{}'", path.display())]
    CredentialsUnreadable {
        /// The profile's name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The profile's file of credentials does not hold what it should.
    #[error("profile '{name}': credentials_file '{}': {why}", path.display())]
    Credentials {
        /// The profile's name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Two endpoints would keep their local copies in one place.
    #[error(
        "the profiles '{name}' ({endpoint}) and '{other}' ({other_endpoint}) have the local name '{local_name}' in \
         common: give one of them another local_name"
    )]
    SameLocalName {
        /// The profile that was asked for.
        name: String,
        /// Its endpoint.
        endpoint: String,
        /// The one that is in use.
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
