//! Named servers: [`Profile`] and [`Profiles`].
//!
//! A name such as `lab` in `s3://lab@bucket/key` selects an endpoint, a region and the credentials for them. Without
//! profiles, one command could use only one server. A profile with its own credentials never falls back to others, so
//! that keys for one server are never sent to another.

mod credentials_file;
mod entry;
mod error;
mod file;
mod keys;
mod local_name;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pos3_core::Url;
use pos3_s3::Addressing;

use file::{ProfilesFile, Written};

pub use error::ProfileError;
pub(crate) use keys::Keys;
pub(crate) use local_name::NONE as NO_LOCAL_NAME;

/// The reserved name: `s3://aws@bucket` uses the settings without a profile, even if a default profile is set.
pub(crate) const RESERVED: &str = "aws";

const FILE: &str = "POS3_PROFILES_FILE";
const XDG: &str = "XDG_CONFIG_HOME";
const HOME: &str = "HOME";

/// One server, and the credentials for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(crate) endpoint: Url,
    pub(crate) region: Option<String>,
    pub(crate) identity: Identity,
    local_name: Option<String>,
    pub(crate) addressing: Option<Addressing>,
    pub(crate) has_opaque_etags: bool,
    pub(crate) ca_bundle: Option<PathBuf>,
}

/// The credentials that a profile uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The credentials that are used without a profile.
    Standard,
    /// None; requests are not signed.
    Anonymous,
    /// Those in a credentials file.
    File(PathBuf),
    /// These keys.
    Keys(Keys),
}

impl Profile {
    /// Returns the profile of a server, such as `http://127.0.0.1:9000`. It uses the credentials that are used without
    /// a profile.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: Url::from(endpoint.into()),
            region: None,
            identity: Identity::Standard,
            local_name: None,
            addressing: None,
            has_opaque_etags: false,
            ca_bundle: None,
        }
    }

    /// Sets the region. Default: `us-east-1`.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sends requests without a signature, as public buckets allow.
    #[must_use]
    pub fn with_anonymous(mut self) -> Self {
        self.identity = Identity::Anonymous;
        self
    }

    /// Sets the credentials. Temporary credentials need the session token.
    #[must_use]
    pub fn with_credentials(
        mut self,
        key_id: impl Into<String>,
        secret_key: impl Into<String>,
        token: Option<String>,
    ) -> Self {
        self.identity = Identity::Keys(Keys { key_id: key_id.into(), secret_key: secret_key.into(), token });
        self
    }

    /// Sets an INI file that contains the credentials, in the section with the profile's name, else in `[default]`.
    #[must_use]
    pub fn with_credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identity = Identity::File(path.into());
        self
    }

    /// Sets the name of the directory of local copies: letters, digits, `_` and `-`, but not `_` alone. Default: the
    /// name of the profile.
    #[must_use]
    pub fn with_local_name(mut self, name: impl Into<String>) -> Self {
        self.local_name = Some(name.into());
        self
    }

    /// Sets whether requests name the bucket in the host or in the path. Default: in the path.
    #[must_use]
    pub fn with_addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = Some(addressing);
        self
    }

    /// States that the ETags of the server look like digests but are not. Content is then compared only with the checksums
    /// that the server stores.
    #[must_use]
    pub fn with_opaque_etags(mut self) -> Self {
        self.has_opaque_etags = true;
        self
    }

    /// Sets a file of certificates in PEM format. HTTPS connections then trust only these. Default: as without a
    /// profile.
    #[must_use]
    pub fn with_ca_bundle(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_bundle = Some(path.into());
        self
    }

    /// Returns the name of the directory of local copies.
    pub(crate) fn local_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.local_name.as_deref().unwrap_or(name)
    }
}

/// Profiles by name: those added by the program take precedence over those in the file.
///
/// The file is read when a profile is first requested, and only the requested profile is checked. The parsed file is
/// kept for this value and its clones; a failure is not kept, so the next request reads the file again. The default has
/// no profiles.
#[derive(Clone, Default)]
pub struct Profiles {
    given: BTreeMap<String, Profile>,
    file: Option<ProfilesFile>,
    written: Arc<OnceLock<Written>>,
}

impl Profiles {
    /// Returns the profiles in the file that the environment selects: `$POS3_PROFILES_FILE`, else
    /// `$XDG_CONFIG_HOME/pos3/profiles.toml`, else `~/.config/pos3/profiles.toml`. An empty variable is treated as not
    /// set, and so is a relative `XDG_CONFIG_HOME`, as its specification requires. A missing file has no profiles.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// Returns the profiles in this file; a missing file has none. `~` in the file is not expanded, because only
    /// [`from_env`](Self::from_env) knows the home directory.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self { file: Some(ProfilesFile::new(&path.into(), None)), ..Self::default() }
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path(HOME);
        let named = path(FILE)
            .or_else(|| path(XDG).filter(|xdg| xdg.is_absolute()).map(|xdg| xdg.join("pos3/profiles.toml")))
            .or_else(|| home.as_ref().map(|home| home.join(".config/pos3/profiles.toml")));
        Self { file: named.map(|path| ProfilesFile::new(&path, home)), ..Self::default() }
    }

    /// Adds a profile. It takes precedence over a profile of the same name in the file. Adding an equal profile again
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the name cannot be written in a location or is the reserved name `aws`, if the local name is
    /// invalid, or if a different profile with this name was added before.
    pub fn with(mut self, name: impl Into<String>, profile: Profile) -> Result<Self, ProfileError> {
        let name = name.into();
        check_name(&name)?;
        if let Some(local_name) = profile.local_name.as_deref().filter(|name| !local_name::is_valid(name)) {
            let why = format!("local_name '{local_name}' {}", local_name::RULE);
            return Err(ProfileError::Invalid { name, file: None, why });
        }
        if self.given.get(&name).is_some_and(|given| *given != profile) {
            return Err(ProfileError::Different { name });
        }
        self.given.insert(name, profile);
        Ok(self)
    }

    /// Returns the profile with this name.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is unknown, the file cannot be read or the profile is invalid. Mistakes in other
    /// profiles do not matter.
    pub fn get(&self, name: &str) -> Result<Profile, ProfileError> {
        if name == RESERVED {
            return Err(ProfileError::Reserved { name: name.to_owned() });
        }
        if let Some(profile) = self.given.get(name) {
            return Ok(profile.clone());
        }
        let written = self.written()?;
        match (&self.file, written.get(name)) {
            (Some(file), Some(found)) => check_name(name).and_then(|()| file.profile(name, found)),
            _ => Err(ProfileError::Unknown { name: name.to_owned(), looked: self.looked(written) }),
        }
    }

    /// Returns the names of all profiles in alphabetical order.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read.
    pub fn names(&self) -> Result<Vec<String>, ProfileError> {
        let mut names: Vec<String> = self.given.keys().chain(self.written()?.keys()).cloned().collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Returns the path of the profiles file, which need not exist.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(ProfilesFile::path)
    }

    /// Returns the keys in the credentials file of a profile. Calls `warn` if other users can read the file.
    pub(crate) fn keys(&self, name: &str, path: &Path, warn: impl FnOnce(&str)) -> Result<Keys, ProfileError> {
        let keys = credentials_file::read(name, path)?;
        if credentials_file::is_open_to_others(path) {
            warn(&format!("other users can read the credentials in '{}'; restrict it with chmod 600", path.display()));
        }
        Ok(keys)
    }

    /// Returns an error if the file defines a profile with the reserved name, which would never be used.
    pub(crate) fn check_reserved(&self) -> Result<(), ProfileError> {
        if self.written()?.contains_key(RESERVED) {
            return Err(ProfileError::Reserved { name: RESERVED.to_owned() });
        }
        Ok(())
    }

    fn written(&self) -> Result<&Written, ProfileError> {
        if let Some(written) = self.written.get() {
            return Ok(written);
        }
        let read = self.file.as_ref().map_or_else(|| Ok(Written::new()), ProfilesFile::read)?;
        Ok(self.written.get_or_init(|| read))
    }

    /// Describes where an unknown name was looked up.
    fn looked(&self, written: &Written) -> String {
        let listed = |names: &mut dyn Iterator<Item = &String>| {
            names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
        };
        let given = listed(&mut self.given.keys());
        let given = if given.is_empty() { String::new() } else { format!("the program has {given}; ") };
        let file = match &self.file {
            None => "no profiles file is configured".to_owned(),
            Some(file) if written.is_empty() && !file.path().exists() => {
                format!("the file '{}' does not exist", file.path().display())
            }
            Some(file) if written.is_empty() => format!("'{}' has none", file.path().display()),
            Some(file) => format!("'{}' has {}", file.path().display(), listed(&mut written.keys())),
        };
        format!("{given}{file}")
    }
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiles").field("given", &self.given).field("file", &self.file).finish_non_exhaustive()
    }
}

/// Checks the name of a profile. Without a local name, it is also the name of a directory.
fn check_name(name: &str) -> Result<(), ProfileError> {
    match name {
        RESERVED => Err(ProfileError::Reserved { name: name.to_owned() }),
        _ if local_name::is_valid(name) => Ok(()),
        _ => Err(ProfileError::Name { name: name.to_owned() }),
    }
}
