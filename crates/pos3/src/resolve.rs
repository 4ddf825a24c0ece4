//! Resolves a location to one object, a prefix, or nothing.
//!
//! A key without a trailing slash may be an object or a prefix. So this needs requests, and not every user has the
//! permissions for all of them. If each entry point did this itself, they would disagree about the same location.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use futures::future::join;
use futures::stream::Peekable;
use pos3_core::{
    Entries, Entry, EntryStream, ErrorKind, Key, Kind, ListOptions, Operation, RemoteStore, StoreError, Tree,
};

use crate::error::Error;
use crate::local_path::resolve;
use crate::location::{Location, as_prefix, is_prefix};
use crate::registry::{Registry, Role};

/// The result of resolving a location.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// One object or one local file, with its key in the [store](OpenLocation::store).
    Object(Box<Entry>),
    /// Everything below the location. A bucket and an existing local directory may be empty. Any other prefix contains
    /// a key.
    Prefix,
    /// Nothing.
    Absent,
}

/// A location with its open store, as [`Registry::open`](crate::Registry::open) returns it.
///
/// The methods resolve the location by these rules:
///
/// * A location with a trailing slash is a prefix. Without one, it is the object of this name if it exists, and
///   otherwise everything below the name.
/// * A request for the object that is denied does not mean that there is no prefix: permissions may be limited to the
///   keys below it. Then a listing of one key decides.
/// * A local path is what exists there, with links followed.
///
/// ```
/// use pos3::{Registry, Resolved, Role};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = tempfile::tempdir()?;
/// std::fs::write(directory.path().join("a.txt"), "hello")?;
/// let at = async |path: &std::path::Path| {
///     let location = pos3::Location::Local(path.to_owned());
///     Registry::default().open(&location, Role::Source).await?.resolve().await
/// };
///
/// assert_eq!(at(directory.path()).await?, Resolved::Prefix);
/// assert!(matches!(at(&directory.path().join("a.txt")).await?, Resolved::Object(file) if file.size == 5));
/// assert_eq!(at(&directory.path().join("b.txt")).await?, Resolved::Absent);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct OpenLocation {
    location: Location,
    role: Role,
    store: Arc<dyn RemoteStore>,
    at: At,
}

/// The position of a location in its store.
#[derive(Clone, Debug)]
enum At {
    /// A key or prefix, as it is written.
    Key(String),
    /// An existing local directory, which is the whole store.
    Directory,
    /// A local path that does not exist. The store is the directory that a target creates there.
    Missing,
    /// A local file in the directory that is the store. The name is `None` if no key can express it.
    File { directory: PathBuf, name: Option<Key> },
}

/// The kind of a local path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathKind {
    Directory,
    /// Anything that is not a directory.
    File,
}

impl PathKind {
    /// Returns the kind of a path, with links followed.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| if found.is_dir() { Self::Directory } else { Self::File })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File => "file",
        }
    }
}

impl Registry {
    /// Opens a location, to determine [what is there](OpenLocation). For a URL, this sends no request, except for
    /// credentials.
    ///
    /// # Errors
    ///
    /// Returns an error if the scheme is unknown or the provider fails.
    pub async fn open(&self, location: &Location, role: Role) -> Result<OpenLocation, Error> {
        let at = match location.path() {
            Some(path) => At::of_path(path),
            None => At::Key(self.key(location)?),
        };
        let store = match &at {
            At::File { directory, .. } => self.store(&Location::Local(directory.clone()), role).await?,
            At::Key(_) | At::Directory | At::Missing => self.store(location, role).await?,
        };
        Ok(OpenLocation { location: location.clone(), role, store, at })
    }
}

impl At {
    /// Returns the position of a path. If the path cannot be read, its store reports that later.
    fn of_path(path: &Path) -> Self {
        match PathKind::at(path) {
            Ok(PathKind::File) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let name = path.file_name().and_then(|name| name.to_str()).map(Key::from);
                Self::File { directory: resolve(parent), name }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            Ok(PathKind::Directory) | Err(_) => Self::Directory,
        }
    }
}

impl OpenLocation {
    /// Returns the location.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Returns the store. For a local file, it is the directory that contains the file.
    pub fn store(&self) -> &Arc<dyn RemoteStore> {
        &self.store
    }

    /// Returns the tree below the location, which is treated as a directory. Sends no request.
    ///
    /// # Errors
    ///
    /// Returns an error if the location is a local file, or a local source that does not exist.
    pub fn directory(&self) -> Result<Tree, Error> {
        let location = || self.location.to_string();
        match (&self.at, self.role) {
            (At::Key(key), _) => Ok(Tree::new(self.store.clone()).at(as_prefix(key))),
            (At::Directory, _) | (At::Missing, Role::Target) => Ok(Tree::new(self.store.clone())),
            (At::Missing, Role::Source) => Err(Error::SourceMissing { location: location() }),
            (At::File { .. }, Role::Source) if self.is_special() => {
                Err(Error::SourceIsSpecial { location: location() })
            }
            (At::File { .. }, Role::Source) => Err(Error::SourceIsFile { location: location() }),
            (At::File { .. }, Role::Target) => Err(Error::TargetIsFile { location: location() }),
        }
    }

    /// Returns true for a local pipe, socket or device.
    fn is_special(&self) -> bool {
        let facts = self.location.path().and_then(|path| fs::metadata(path).ok());
        facts.is_some_and(|facts| !facts.is_file() && !facts.is_dir())
    }

    /// Returns true if the location cannot be one object, because it is a bucket or ends in `/`, or because a local
    /// directory exists there.
    pub fn names_prefix(&self) -> bool {
        match &self.at {
            At::Key(key) => is_prefix(key),
            At::Directory => true,
            At::Missing | At::File { .. } => false,
        }
    }

    /// Returns the key of a file with this name that is written to the location: `x/name` for `x/`, and `x` for `x`.
    pub fn key_of_file(&self, name: &str) -> Key {
        match &self.at {
            At::Key(key) if !is_prefix(key) => Key::from(key.as_str()),
            At::Key(prefix) => Key::from(name).under(prefix),
            At::Directory | At::Missing | At::File { .. } => Key::from(name),
        }
    }

    /// Resolves the location. An object takes precedence over a prefix of the same name.
    ///
    /// # Errors
    ///
    /// Returns an error if the requests fail.
    pub async fn resolve(&self) -> Result<Resolved, Error> {
        match (self.look_up().await?, &self.at) {
            (Some(resolved), _) => Ok(resolved),
            (None, At::Key(key)) if !key.is_empty() => {
                Ok(if self.has_keys().await? { Resolved::Prefix } else { Resolved::Absent })
            }
            (None, _) => Ok(self.nothing()),
        }
    }

    /// Resolves a location that is meant as a directory. A prefix takes precedence over an object of the same name, and
    /// an object is found even if the location has a trailing slash that the object lacks.
    ///
    /// # Errors
    ///
    /// Returns an error if the requests fail.
    pub async fn resolve_directory(&self) -> Result<Resolved, Error> {
        match &self.at {
            At::Key(key) if key.is_empty() => Ok(Resolved::Prefix),
            At::Key(_) if self.has_keys().await? => Ok(Resolved::Prefix),
            At::Key(_) => Ok(self.object_without_slash().await?.map_or(Resolved::Absent, Resolved::from)),
            At::Directory | At::Missing | At::File { .. } => self.resolve().await,
        }
    }

    /// Returns the object at the location, if there is one. Unlike [`resolve`](Self::resolve), this sends no request to
    /// tell a prefix from nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails.
    pub async fn object(&self) -> Result<Option<Entry>, Error> {
        Ok(self.look_up().await?.and_then(Resolved::into_object))
    }

    /// Returns the object that a location without any key below it would name without its trailing slash, if there is one.
    pub(crate) async fn object_without_slash(&self) -> Result<Option<Entry>, Error> {
        let At::Key(key) = &self.at else { return Ok(None) };
        match self.head(key.strip_suffix('/').unwrap_or(key)).await {
            Ok(object) => Ok(object),
            Err(error) => Ok(self.without_head(key, error, false).await?.into_object()),
        }
    }

    /// Returns true if there is any key below the location. It lists one key.
    ///
    /// # Errors
    ///
    /// Returns an error if the location is a local file or cannot be listed.
    pub async fn has_keys(&self) -> Result<bool, Error> {
        let first = first_key(&self.directory()?, ListOptions::default().with_shallow(true)).await;
        first.map(|first| first.is_some()).map_err(|source| self.failed(source))
    }

    /// Resolves a location while its keys are already being listed, so that neither request has to wait for the other.
    /// If the listing fails, the location is a prefix, and the reader of the listing gets the error.
    pub(crate) async fn resolve_beside(&self, listed: Pin<&mut Peekable<EntryStream>>) -> Result<Resolved, Error> {
        let At::Key(key) = &self.at else { return self.resolve().await };
        let head = async { if is_prefix(key) { Ok(None) } else { self.head(key).await } };
        let (head, first) = join(head, listed.peek()).await;
        match head {
            Ok(Some(object)) => Ok(Resolved::from(object)),
            _ if first.is_some() => Ok(Resolved::Prefix),
            Ok(None) => Ok(self.nothing()),
            Err(error) => self.without_head(key, error, false).await,
        }
    }

    /// Looks up the object of the location. `None` means that there is no object, and that it is not yet known whether there
    /// is a prefix.
    async fn look_up(&self) -> Result<Option<Resolved>, Error> {
        match &self.at {
            At::Key(key) if is_prefix(key) => Ok(None),
            At::Key(key) => match self.head(key).await {
                Ok(object) => Ok(object.map(Resolved::from)),
                Err(error) => self.without_head(key, error, true).await.map(Some),
            },
            At::File { name: Some(name), .. } => {
                let file = self.store.head(name).await.map_err(|source| self.failed(source))?;
                Ok(Some(Resolved::from(file)))
            }
            At::File { name: None, .. } => {
                let error = StoreError::new(ErrorKind::InvalidKey, Operation::LookUp);
                Err(self.failed(error.with_message("its name is not valid UTF-8")))
            }
            At::Directory | At::Missing => Ok(None),
        }
    }

    async fn head(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        if is_prefix(name) {
            return Ok(None);
        }
        match self.store.head(&Key::from(name)).await {
            Ok(entry) => Ok(Some(entry).filter(|entry| !matches!(entry.kind, Kind::Marker | Kind::Directory))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Decides by listings if the request for the object was denied. `may_have_keys` is false if a listing has already
    /// shown that there is no key below the location.
    async fn without_head(&self, key: &str, denied: StoreError, may_have_keys: bool) -> Result<Resolved, Error> {
        if denied.kind() != ErrorKind::Denied {
            return Err(self.failed(denied));
        }
        if may_have_keys {
            match self.has_keys().await {
                Ok(true) => return Ok(Resolved::Prefix),
                Ok(false) => {}
                Err(_) => return Err(self.failed(denied)),
            }
        }
        let name = Key::from(key.strip_suffix('/').unwrap_or(key));
        // In the order of keys, an object comes before all other keys that begin with its name. If this listing is denied
        // too, the permissions are limited to the keys below the location, and there are none.
        match first_key(&Tree::new(self.store.clone()).at(name.as_str()), ListOptions::default()).await {
            Ok(Some(entry)) if entry.key == name => Ok(Resolved::from(entry)),
            Ok(_) | Err(_) => Ok(Resolved::Absent),
        }
    }

    /// Resolves a location that has neither an object nor a key.
    fn nothing(&self) -> Resolved {
        match &self.at {
            At::Key(key) if key.is_empty() => Resolved::Prefix,
            At::Directory => Resolved::Prefix,
            At::Key(_) | At::Missing | At::File { .. } => Resolved::Absent,
        }
    }

    /// Returns the directory that contains the local file at this location.
    pub(crate) fn directory_of_file(&self) -> Option<&Path> {
        match &self.at {
            At::File { directory, .. } => Some(directory),
            At::Key(_) | At::Directory | At::Missing => None,
        }
    }

    pub(crate) fn failed(&self, source: StoreError) -> Error {
        Error::Store { location: self.location.to_string(), source }
    }
}

impl Resolved {
    /// Returns the object.
    pub fn into_object(self) -> Option<Entry> {
        match self {
            Self::Object(entry) => Some(*entry),
            Self::Prefix | Self::Absent => None,
        }
    }
}

impl From<Entry> for Resolved {
    fn from(object: Entry) -> Self {
        Self::Object(Box::new(object))
    }
}

/// Returns true if a location cannot be one object or file, because it is a bucket or ends in `/`.
pub(crate) fn names_prefix(location: &Location) -> bool {
    match location {
        Location::Remote(remote) => is_prefix(remote.key()),
        Location::Local(path) => ends_in_slash(path),
    }
}

/// Returns true if a path is written with a `/` at its end, so it means a directory.
pub(crate) fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// Returns the first entry of a tree, which is one request.
async fn first_key(tree: &Tree, options: ListOptions) -> Result<Option<Entry>, StoreError> {
    Ok(Entries::open(tree, options).next().await?.map(|(_relative, entry)| entry))
}

#[cfg(test)]
mod tests;
