//! Maps URL schemes to the providers that open them: [`Registry`].
//!
//! Without it, the schemes would be fixed in a `match`. Programs could use a store of their own, but users could not
//! name it in a URL.

mod file;
mod memory;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::{Key, RemoteStore, RemoteStoreExt, ServerPause};
use pos3_local::{LocalStore, OwnFiles};

use crate::error::Error;
use crate::location::{FILE, Location, RemoteLocation};
use crate::place::Place;

pub use file::FileProvider;
pub use memory::MemoryProvider;

/// The side of a sync that a location is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The location is read. As a directory, it must exist.
    Source,
    /// The location is written. If it does not exist, the first write creates it.
    Target,
}

/// Opens the locations of one scheme.
#[async_trait]
pub trait Provider: Debug + Send + Sync + 'static {
    /// Returns the store that contains a location. For a path, it is the store of the directory at that path. This changes
    /// nothing, and sends no request unless it has to.
    async fn open(&self, location: &Location, role: Role) -> Result<Arc<dyn RemoteStore>, Error>;

    /// Returns the key or prefix of a URL in its store. The default is the key of the URL. A trailing slash has a meaning
    /// and must be kept: without one, the location may be an object.
    fn key(&self, location: &Location) -> String {
        match location {
            Location::Local(_) => String::new(),
            Location::Remote(remote) => remote.key().to_owned(),
        }
    }

    /// Returns the canonical name of a location. If two locations may be the same, their names are equal. The name ends
    /// in `/` and starts with the name of each location that contains this one. The check for overlapping syncs compares
    /// these names: equality only forbids something.
    fn place(&self, location: &Location) -> Result<String, Error>;

    /// Returns a name of a location in the form of [`place`](Self::place) that is equal only if two locations are
    /// certainly the same. Such locations share a sync state. The default is the name of the place.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`place`](Self::place).
    fn identity(&self, location: &Location) -> Result<String, Error> {
        self.place(location)
    }

    /// Returns the name of the server of a location, if locations of this scheme have one. Names are equal only if the
    /// servers are certainly the same. A plan file contains the name, so that the plan is not executed on another server.
    ///
    /// # Errors
    ///
    /// Returns an error if the profile of the location cannot be used.
    fn server(&self, location: &Location) -> Result<Option<String>, Error> {
        let _without_server = location;
        Ok(None)
    }

    /// Returns the name of the directory that separates local copies from this location's server from those of other
    /// servers. Locations without a profile, of any scheme, share the name `_`.
    ///
    /// # Errors
    ///
    /// Returns an error if the profile does not exist, or if another server already uses the name.
    fn local_name(&self, location: &Location) -> Result<String, Error> {
        let name = || "_".to_owned();
        if location.path().is_some() { Ok(name()) } else { location.without_profile().map(|_| name()) }
    }

    /// Returns the longest pause that requests to a server make now, before they are sent again, and its cause.
    fn pause(&self) -> Option<ServerPause> {
        None
    }
}

impl Location {
    /// Returns the bucket and key, for a provider whose scheme has no profiles.
    ///
    /// # Errors
    ///
    /// Returns an error for a path, and for a location that names a profile.
    pub fn without_profile(&self) -> Result<&RemoteLocation, Error> {
        match self {
            Self::Local(_) => Err(Error::WrongKind { location: self.to_string() }),
            Self::Remote(remote) => match remote.profile() {
                None => Ok(remote),
                Some(profile) => Err(Error::UnknownProfile { location: self.to_string(), profile: profile.to_owned() }),
            },
        }
    }
}

/// The providers, by scheme. A clone is cheap.
///
/// The default has `file` (which also serves plain paths) and `memory`. `s3` needs settings: use those of the
/// environment ([`from_env`](Self::from_env)), or `Registry::default().with("s3", S3Provider::new(settings))`.
#[derive(Clone, Debug)]
pub struct Registry {
    providers: BTreeMap<String, Arc<dyn Provider>>,
    own_files: OwnFiles,
}

impl Registry {
    /// Returns a registry without schemes.
    pub fn empty() -> Self {
        Self { providers: BTreeMap::new(), own_files: OwnFiles::default() }
    }

    /// Registers the provider of a scheme, and replaces an earlier one. The scheme must be in lower case.
    #[must_use]
    pub fn with(mut self, scheme: impl Into<String>, provider: impl Provider) -> Self {
        self.providers.insert(scheme.into(), Arc::new(provider));
        self
    }

    /// Sets the files and directories that the program itself writes. In the directories that this registry opens, they are
    /// left out: pos3 neither copies nor replaces nor deletes them, on either side, and warns.
    #[must_use]
    pub fn with_own_files(mut self, own_files: OwnFiles) -> Self {
        self.own_files = own_files;
        self
    }

    /// Returns the files and directories that the program itself writes.
    pub fn own_files(&self) -> &OwnFiles {
        &self.own_files
    }

    /// Returns the registered schemes in alphabetical order.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }

    /// Returns the longest pause that requests to a server make now, before they are sent again, and its cause. A program
    /// that shows it does not look as if it hangs: [`Progress::with_pauses`](crate::Progress::with_pauses).
    pub fn pause(&self) -> Option<ServerPause> {
        self.providers.values().filter_map(|provider| provider.pause()).max_by_key(|pause| pause.left)
    }

    /// Returns the store that contains a location.
    pub(crate) async fn store(&self, location: &Location, role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        let opened = self.provider(location)?.open(location, role).await?;
        if let Some(store) = local_store(&*opened) {
            store.protect_own(&self.own_files);
        }
        Ok(opened)
    }

    /// Returns the key or prefix of a location in its store.
    pub(crate) fn key(&self, location: &Location) -> Result<String, Error> {
        Ok(self.provider(location)?.key(location))
    }

    /// Returns the canonical place of a location, so that it can be compared with others.
    ///
    /// # Errors
    ///
    /// Returns an error if the scheme is unknown or the provider fails.
    pub fn place(&self, location: &Location) -> Result<Place, Error> {
        let provider = self.provider(location)?;
        let name = provider.place(location)?;
        Ok(match location.path() {
            Some(path) => Place::local(name, path),
            None => Place::remote(name, provider.identity(location)?),
        })
    }

    /// Returns the name of the server of a location; see [`Provider::server`].
    ///
    /// # Errors
    ///
    /// Returns an error if the scheme is unknown or the provider fails.
    pub fn server(&self, location: &Location) -> Result<Option<String>, Error> {
        self.provider(location)?.server(location)
    }

    /// Returns the name of the directory of local copies; see [`Provider::local_name`].
    ///
    /// # Errors
    ///
    /// Returns an error if the scheme is unknown or the provider fails.
    pub fn local_name(&self, location: &Location) -> Result<String, Error> {
        self.provider(location)?.local_name(location)
    }

    fn provider(&self, location: &Location) -> Result<&dyn Provider, Error> {
        let scheme = location.scheme();
        self.providers.get(scheme).map(|provider| &**provider).ok_or_else(|| Error::UnknownScheme {
            location: location.to_string(),
            scheme: scheme.to_owned(),
            known: self.schemes().collect::<Vec<_>>().join(", "),
        })
    }
}

/// Returns the local directory that has the data of a store, behind any wrappers.
pub(crate) fn local_store(store: &dyn RemoteStore) -> Option<&LocalStore> {
    store.backend_as::<LocalStore>(&Key::from("")).map(|(store, _)| store)
}

impl Default for Registry {
    fn default() -> Self {
        Self::empty().with(FILE, FileProvider::default()).with("memory", MemoryProvider::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_scheme_is_named_with_those_there_are() {
        let location = "gs://b/k".parse().unwrap();
        let error = Registry::default().open(&location, Role::Source).await.unwrap_err();
        assert_eq!(error.to_string(), "'gs://b/k': unknown scheme 'gs'; the known schemes are file, memory");
    }

    #[tokio::test]
    async fn one_name_is_one_store_in_memory() {
        let registry = Registry::default();
        let open = async |text: &str| {
            let opened = registry.open(&text.parse().unwrap(), Role::Source).await.unwrap();
            opened.directory().unwrap()
        };
        let (first, second, other) =
            (open("memory://m/a").await, open("memory://m/b/").await, open("memory://n").await);
        assert!(Arc::ptr_eq(first.store(), second.store()));
        assert!(!Arc::ptr_eq(first.store(), other.store()));
        assert_eq!((first.prefix(), second.prefix(), other.prefix()), ("a/", "b/", ""));
    }

    #[tokio::test]
    async fn a_profile_that_does_not_exist_is_named() {
        let error = Registry::default().open(&"memory://p@m".parse().unwrap(), Role::Source).await.unwrap_err();
        assert_eq!(error.to_string(), "'memory://p@m': there is no profile 'p'");
    }
}
