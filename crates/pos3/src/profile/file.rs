//! The TOML file of profiles.
//!
//! It is read when the first profile is asked for, and only that one is looked into: a mistake in another must not stop
//! the work.

use std::path::{Path, PathBuf};
use std::{fs, io};

use pos3_s3::Addressing;
use serde::Deserialize;
use toml::Table;

use super::error::ProfileError;
use super::{Identity, Profile, local_name};

/// The one table of the file.
const PROFILES: &str = "profiles";

/// A file of profiles, which need not exist, and the home directory for its `~`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProfilesFile {
    path: PathBuf,
    home: Option<PathBuf>,
}

/// What the file holds: each profile as it is written.
pub(super) type Written = Table;

/// `[profiles.NAME]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    endpoint: String,
    region: Option<String>,
    public: Option<bool>,
    credentials_file: Option<PathBuf>,
    local_name: Option<String>,
    addressing: Option<WrittenAddressing>,
    ca_bundle: Option<PathBuf>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenAddressing {
    Path,
    Virtual,
}

impl ProfilesFile {
    pub(super) fn new(path: &Path, home: Option<PathBuf>) -> Self {
        Self { path: expanded(path, home.as_deref()), home }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file; one that is missing has no profiles.
    pub(super) fn read(&self) -> Result<Written, ProfileError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Table::new()),
            Err(source) => return Err(ProfileError::Unreadable { path: self.path.clone(), source }),
        };
        let refuse = |why: String| ProfileError::File { path: self.path.clone(), why };
        let mut file: Table =
            text.trim_start_matches('\u{feff}').parse().map_err(|error| refuse(told(&error, &text)))?;
        let profiles = file.remove(PROFILES);
        if let Some(key) = file.keys().next() {
            return Err(refuse(format!("unknown key '{key}'; profiles are written [{PROFILES}.NAME]")));
        }
        match profiles {
            None => Ok(Table::new()),
            Some(toml::Value::Table(profiles)) => Ok(profiles),
            Some(_) => Err(refuse(format!("'{PROFILES}' is no table; profiles are written [{PROFILES}.NAME]"))),
        }
    }

    /// Returns one profile out of what was read.
    pub(super) fn profile(&self, name: &str, written: &toml::Value) -> Result<Profile, ProfileError> {
        let refuse = |why: String| ProfileError::Invalid { name: name.to_owned(), why };
        let entry: Entry =
            written.clone().try_into().map_err(|error: toml::de::Error| refuse(one_line(&error.to_string())))?;
        if entry.endpoint.is_empty() {
            return Err(refuse("endpoint is empty".to_owned()));
        }
        if let Some(local_name) = entry.local_name.as_deref().filter(|name| !local_name::is_valid(name)) {
            return Err(refuse(format!("local_name '{local_name}' {}", local_name::RULE)));
        }
        let identity = match (entry.public, entry.credentials_file) {
            (Some(true), Some(_)) => {
                return Err(refuse("public = true sends no credentials, so credentials_file has no place".to_owned()));
            }
            (Some(true), None) => Identity::Anonymous,
            (_, Some(file)) => Identity::File(self.beside(&file)),
            (_, None) => Identity::Standard,
        };
        Ok(Profile {
            endpoint: entry.endpoint,
            region: entry.region,
            identity,
            local_name: entry.local_name,
            addressing: entry.addressing.map(Addressing::from),
            ca_bundle: entry.ca_bundle.map(|path| self.beside(&path)),
        })
    }

    /// Returns a path of the file: what is relative is relative to the file's own directory.
    fn beside(&self, path: &Path) -> PathBuf {
        let path = expanded(path, self.home.as_deref());
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

impl From<WrittenAddressing> for Addressing {
    fn from(written: WrittenAddressing) -> Self {
        match written {
            WrittenAddressing::Path => Self::Path,
            WrittenAddressing::Virtual => Self::VirtualHosted,
        }
    }
}

/// Returns a path with the home directory in place of a leading `~`.
fn expanded(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// Returns what is wrong with the file and in which line, without the line itself: it may hold a secret.
fn told(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {}", before.matches('\n').count() + 1, one_line(error.message())),
        None => one_line(error.message()),
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
