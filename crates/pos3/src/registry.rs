//! Who opens which scheme: [`Registry`].
//!
//! Without it the schemes would be a `match` somewhere, and a store that is not ours could be used by programs but
//! never be named by a person.

mod file;
mod memory;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::Tree;

use crate::error::Error;
use crate::location::{FILE, Location};
use crate::place::Place;

pub use file::FileProvider;
pub(crate) use file::resolve;
pub use memory::MemoryProvider;

/// What a location is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To be read. What does not exist is a mistake.
    Source,
    /// To be written to. What does not exist is made by the first write.
    Target,
}

/// Opens the locations of one scheme.
#[async_trait]
pub trait Provider: Debug + Send + Sync + 'static {
    /// Returns the tree of everything below a location, taken as a directory. It changes nothing, and sends no request
    /// where that can be avoided.
    async fn open(&self, location: &Location, role: Role) -> Result<Tree, Error>;

    /// Returns the name of where a location really is: a text that ends in `/`, equal for equal places, that starts with
    /// the text of every place it lies inside. Overlapping syncs are refused by it.
    fn place(&self, location: &Location) -> Result<String, Error>;

    /// Returns the name of the directory that local copies from the location's server have among those of others. `_` is
    /// that of every scheme and location without a profile.
    ///
    /// # Errors
    ///
    /// A profile that does not exist, and a name that another server has.
    fn local_name(&self, location: &Location) -> Result<String, Error> {
        let name = || "_".to_owned();
        if location.path().is_some() { Ok(name()) } else { location.without_profile().map(|_| name()) }
    }
}

/// The providers by scheme; cheap to clone.
///
/// The default has `file` (which serves plain paths) and `memory`. `s3` comes with its settings: those of the environment
/// ([`from_env`](Self::from_env)), or `Registry::default().with("s3", S3Provider::new(settings))`.
#[derive(Clone, Debug)]
pub struct Registry {
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

impl Registry {
    /// Returns a registry without any scheme.
    pub fn empty() -> Self {
        Self { providers: BTreeMap::new() }
    }

    /// Returns the default registry and `s3` as the environment has it: endpoint, region and credentials as other programs
    /// find them ([`S3Settings::from_env`](crate::S3Settings::from_env)), and the profiles of the user's file
    /// ([`Profiles::from_env`](crate::Profiles::from_env)). No request is sent, and no credentials are looked for, before
    /// the first location of S3 is opened.
    ///
    /// # Errors
    ///
    /// A variable that makes no sense.
    #[cfg(feature = "s3")]
    pub fn from_env() -> Result<Self, Error> {
        let provider = crate::S3Provider::new(crate::S3Settings::from_env()?);
        Ok(Self::default().with("s3", provider.with_profiles(crate::Profiles::from_env())))
    }

    /// Lets a provider open the locations of a scheme, in place of the one that did. Schemes are in small letters.
    #[must_use]
    pub fn with(mut self, scheme: impl Into<String>, provider: impl Provider) -> Self {
        self.providers.insert(scheme.into(), Arc::new(provider));
        self
    }

    /// Returns the schemes, by name.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }

    /// Returns the tree of everything below a location, taken as a directory.
    ///
    /// # Errors
    ///
    /// An unknown scheme, or the provider's reasons.
    pub async fn open(&self, location: &Location, role: Role) -> Result<Tree, Error> {
        self.provider(location)?.open(location, role).await
    }

    /// Returns where a location really is, to be compared with others.
    ///
    /// # Errors
    ///
    /// An unknown scheme, or the provider's reasons.
    pub fn place(&self, location: &Location) -> Result<Place, Error> {
        let name = self.provider(location)?.place(location)?;
        Ok(match location.path() {
            Some(path) => Place::local(name, path),
            None => Place::named(name),
        })
    }

    /// Returns the name of the directory for local copies; see [`Provider::local_name`].
    ///
    /// # Errors
    ///
    /// An unknown scheme, or the provider's reasons.
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
        assert_eq!(error.to_string(), "'gs://b/k': the scheme 'gs' is not known; there are: file, memory");
    }

    #[tokio::test]
    async fn one_name_is_one_store_in_memory() {
        let registry = Registry::default();
        let open = async |text: &str| registry.open(&text.parse().unwrap(), Role::Source).await.unwrap();
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
