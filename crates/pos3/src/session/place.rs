//! From a registration to the two trees of its transfer.
//!
//! A name without a `/` at its end is an object first and a prefix only if there is no such object; one with a `/` is a
//! prefix. Both sides must agree on that, or a single file would be mirrored over a whole prefix.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pos3_core::{ErrorKind, Key, Kind, RemoteStore, Tree};
use pos3_local::{LocalOptions, LocalStore, MissingRoot};

use super::error::SessionError;
use super::registration::Registration;
use crate::error::Error;
use crate::location::Location;
use crate::registry::{Registry, Role};

/// The two sides of a transfer.
pub(super) struct Ends {
    pub(super) remote: Tree,
    pub(super) local: Tree,
}

/// Returns the sides of a download.
pub(super) async fn download(registry: &Registry, registration: &Registration) -> Result<Ends, SessionError> {
    let Registration { location, local, .. } = registration;
    let prefix = registry.open(location, Role::Target).await?;
    match object(location, &prefix).await? {
        None => Ok(Ends { remote: prefix, local: directory(local, MissingRoot::Empty)? }),
        Some(_) if local.is_dir() => {
            Err(SessionError::DirectoryInTheWay { location: location.to_string(), path: local.clone() })
        }
        Some(whole) => single(prefix.store(), whole, local),
    }
}

/// Returns the sides of an upload, or nothing while there is nothing to upload.
pub(super) async fn upload(registry: &Registry, registration: &Registration) -> Result<Option<Ends>, SessionError> {
    let Registration { location, local, .. } = registration;
    let prefix = registry.open(location, Role::Target).await?;
    match fs::metadata(local) {
        Ok(found) if found.is_dir() => Ok(Some(Ends { remote: prefix, local: directory(local, MissingRoot::Error)? })),
        Ok(_) => {
            // `file` to `prefix/` is `prefix/file`.
            let whole = if names_prefix(location) {
                Key::from(file_name(local)?).under(prefix.prefix())
            } else {
                Key::from(prefix.prefix().strip_suffix('/').unwrap_or(prefix.prefix()))
            };
            single(prefix.store(), whole, local).map(Some)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(local, &error.to_string())),
    }
}

/// Returns the key of the object that a location names, if it is one.
async fn object(location: &Location, prefix: &Tree) -> Result<Option<Key>, SessionError> {
    let Some(name) = prefix.prefix().strip_suffix('/').filter(|_| !names_prefix(location)) else { return Ok(None) };
    let whole = Key::from(name);
    match prefix.store().head(&whole).await {
        Ok(entry) => Ok((entry.kind == Kind::File).then_some(whole)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Store { location: location.to_string(), source }.into()),
    }
}

/// Returns true if a location cannot be one object: a bucket, and what ends in `/`.
pub(super) fn names_prefix(location: &Location) -> bool {
    match location {
        Location::Remote(remote) => remote.key().is_empty() || remote.key().ends_with('/'),
        Location::Local(_) => false,
    }
}

fn single(store: &Arc<dyn RemoteStore>, whole: Key, file: &Path) -> Result<Ends, SessionError> {
    let name = Key::from(file_name(file)?);
    let parent = file.parent().unwrap_or(Path::new("/"));
    let local = local_store(parent, MissingRoot::Empty)?;
    Ok(Ends {
        remote: Tree::object(store.clone(), whole, name.clone()),
        local: Tree::object(local, name.clone(), name),
    })
}

fn directory(path: &Path, missing: MissingRoot) -> Result<Tree, SessionError> {
    Ok(Tree::new(local_store(path, missing)?))
}

fn local_store(path: &Path, missing: MissingRoot) -> Result<Arc<dyn RemoteStore>, SessionError> {
    let options = LocalOptions::default().with_missing_root(missing);
    let store = LocalStore::with_options(path, options).map_err(|error| unusable(path, &error.cause()))?;
    Ok(Arc::new(store))
}

fn file_name(path: &Path) -> Result<&str, SessionError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| unusable(path, "its name is not valid UTF-8, which no key can express"))
}

pub(super) fn unusable(path: &Path, cause: &str) -> SessionError {
    SessionError::LocalPath { path: path.to_owned(), cause: cause.to_owned() }
}
