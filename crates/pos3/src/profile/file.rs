//! The profiles file, in TOML.
//!
//! It is read when a profile is first requested, and only that profile is checked. A mistake in one profile does not
//! make the others unusable.

use std::io;
use std::path::{Path, PathBuf};

use pos3_s3::Addressing;
use toml::Table;

use super::entry::Entry;
use super::error::ProfileError;
use super::{Identity, Profile, local_name};

/// The only table of the file.
const PROFILES: &str = "profiles";

/// A profiles file, which need not exist, and the home directory that replaces `~` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProfilesFile {
    path: PathBuf,
    home: Option<PathBuf>,
}

/// The content of the file: the profiles, not yet checked.
pub(super) type Written = Table;

impl ProfilesFile {
    pub(super) fn new(path: &Path, home: Option<PathBuf>) -> Self {
        Self { path: expanded(path, home.as_deref()), home }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file. A missing file has no profiles.
    pub(super) fn read(&self) -> Result<Written, ProfileError> {
        let text = match crate::small_file::read_small_text(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Table::new()),
            Err(source) => return Err(ProfileError::Unreadable { path: self.path.clone(), source }),
        };
        let refuse = |why: String| ProfileError::File { path: self.path.clone(), why };
        let mut file: Table =
            text.trim_start_matches('\u{feff}').parse().map_err(|error| refuse(told(&error, &text)))?;
        let profiles = file.remove(PROFILES);
        if let Some(key) = file.keys().next() {
            return Err(refuse(format!("unknown key '{key}'; write profiles as [{PROFILES}.NAME]")));
        }
        match profiles {
            None => Ok(Table::new()),
            Some(toml::Value::Table(profiles)) => Ok(profiles),
            Some(_) => Err(refuse(format!("'{PROFILES}' is not a table; write profiles as [{PROFILES}.NAME]"))),
        }
    }

    /// Returns one profile of the parsed file.
    pub(super) fn profile(&self, name: &str, written: &toml::Value) -> Result<Profile, ProfileError> {
        let refuse = |why| ProfileError::Invalid { name: name.to_owned(), file: Some(self.path.clone()), why };
        self.read_entry(written).map_err(refuse)
    }

    fn read_entry(&self, written: &toml::Value) -> Result<Profile, String> {
        let entry = Entry::new(written)?;
        let local_name = entry.text("local_name")?;
        if let Some(local_name) = local_name.filter(|name| !local_name::is_valid(name)) {
            return Err(format!("local_name '{local_name}' {}", local_name::RULE));
        }
        let identity = match (entry.truth("public")?, entry.text("credentials_file")?) {
            (Some(true), Some(_)) => {
                return Err("public = true sends no credentials, so credentials_file must not be set".to_owned());
            }
            (Some(true), None) => Identity::Anonymous,
            (_, Some(file)) => Identity::File(self.beside(Path::new(file))),
            (_, None) => Identity::Standard,
        };
        let addressing = entry.truth("path_style")?.map(|by_path| match by_path {
            true => Addressing::Path,
            false => Addressing::VirtualHosted,
        });
        Ok(Profile {
            endpoint: entry.text("endpoint")?.ok_or("endpoint is missing")?.into(),
            region: entry.text("region")?.map(str::to_owned),
            identity,
            local_name: local_name.map(str::to_owned),
            addressing,
            has_opaque_etags: entry.truth("opaque_etags")?.unwrap_or_default(),
            ca_bundle: entry.text("ca_bundle")?.map(|path| self.beside(Path::new(path))),
        })
    }

    /// Resolves a path in the file. A relative path is relative to the directory of the file.
    fn beside(&self, path: &Path) -> PathBuf {
        let path = expanded(path, self.home.as_deref());
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// Replaces a leading `~` with the home directory.
fn expanded(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// Returns the parser's message and the number of the line, but not the line itself, which may contain a secret.
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
