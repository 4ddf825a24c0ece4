//! Determines the two trees of a transfer from a registration.
//!
//! Both sides must agree on whether they are one object or a prefix. Otherwise, a single file could replace a whole
//! prefix.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pos3_core::{Key, RemoteStore, Tree};
use pos3_local::{LocalOptions, LocalStore, MissingRoot, RootPath, in_the_way};

use super::error::{SessionError, unusable};
use super::options::{Shape, excluded_by};
use super::registration::{Kind, Registration};
use crate::location::Location;
use crate::registry::{Registry, Role};
use crate::resolve::{OpenLocation, PathKind, Resolved, names_prefix};

/// What to do about an entry of another kind at a path that the user did not name.
const DELETE_IT: &str = "delete it if nothing in it is needed, or choose another local path";

/// Why a path cannot be one file.
const DIRECTORY_FOUND: &str = "it is a directory, and one file is expected there";

/// Why a path cannot be one regular file.
const SPECIAL_FOUND: &str = "it is a pipe, a socket or a device, and one file is expected there";

/// Why a path cannot be a directory.
const FILE_FOUND: &str = "it is a file, and a directory is expected there";

/// The two sides of a transfer.
pub(super) struct Ends {
    pub(super) remote: Tree,
    pub(super) local: Tree,
    pub(super) copy: LocalCopy,
}

/// The path of the local copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LocalCopy {
    Directory(PathBuf),
    File(PathBuf),
}

impl LocalCopy {
    /// Removes an empty directory that has the path of the file.
    pub(super) fn clear_way(&self) -> Result<(), SessionError> {
        match self {
            Self::File(path) if is_real_directory(path) => {
                fs::remove_dir(path).map_err(|error| unusable(path, &error.to_string()))
            }
            Self::File(_) | Self::Directory(_) => Ok(()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::File(path) => path,
        }
    }

    pub(super) fn into_path(self) -> PathBuf {
        match self {
            Self::Directory(path) | Self::File(path) => path,
        }
    }
}

/// Prepares a local path for the output of a program, and returns it.
pub(super) fn prepare(path: PathBuf, shape: Shape) -> Result<PathBuf, SessionError> {
    let make = |directory: &Path| {
        let cause = |error: std::io::Error| in_the_way(directory).unwrap_or_else(|| error.to_string());
        fs::create_dir_all(directory).map_err(|error| unusable(directory, &cause(error)))
    };
    refuse_special(&path, shape)?;
    match shape {
        _ if path.is_symlink() && !path.is_file() => return Err(is_link(&path)),
        Shape::Auto if path.is_file() => {}
        Shape::Directory if path.is_file() => return Err(unusable(&path, FILE_FOUND)),
        Shape::Auto | Shape::Directory => make(&path)?,
        Shape::File => {
            path.parent().map_or(Ok(()), make)?;
            if path.is_dir() {
                fs::remove_dir(&path).map_err(|_not_empty| unusable(&path, DIRECTORY_FOUND))?;
            }
        }
    }
    Ok(path)
}

/// Returns the sides of a download without changing anything.
pub(super) async fn download(registry: &Registry, registration: &Registration) -> Result<Ends, SessionError> {
    let Registration { location, local, kind, .. } = registration;
    refuse_special(local, kind.shape())?;
    let remote = registry.open(location, Role::Target).await?;
    let object = match kind.shape() {
        Shape::File => Some(remote.key_of_file(file_name(local)?)),
        Shape::Directory => None,
        Shape::Auto => remote.object().await?.map(|object| object.key),
    };
    match object {
        Some(whole) => {
            let file = file_of(registration, &whole)?;
            single(registration, remote.store(), whole, file)
        }
        None if local.is_file() && remote.has_keys().await? => {
            let advice = if kind.has_given_path() { "name a directory" } else { DELETE_IT };
            Err(SessionError::FileInTheWay { location: location.to_string(), path: local.clone(), advice })
        }
        // There is no object, so there is nothing to write to the path of the file.
        None if local.is_file() => {
            single(registration, remote.store(), remote.key_of_file(file_name(local)?), local.clone())
        }
        None => directory(registry, registration, &remote, MissingRoot::Empty),
    }
}

/// Returns the sides of an upload, or `None` while there is nothing to upload.
pub(super) async fn upload(registry: &Registry, registration: &Registration) -> Result<Option<Ends>, SessionError> {
    let Registration { location, local, kind, .. } = registration;
    let remote = registry.open(location, Role::Target).await?;
    let found = match fs::symlink_metadata(local) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(local, &in_the_way(local).unwrap_or_else(|| error.to_string()))),
    };
    match kind.shape() {
        _ if found.is_symlink() && !local.is_file() => Err(is_link(local)),
        _ if !found.is_symlink() && !found.is_file() && !found.is_dir() => {
            refuse_special(local, kind.shape()).map(|()| None)
        }
        Shape::File if found.is_dir() => Err(unusable(local, DIRECTORY_FOUND)),
        Shape::Directory if !found.is_dir() => Err(unusable(local, FILE_FOUND)),
        Shape::Auto => {
            let now = if found.is_dir() { PathKind::Directory } else { PathKind::File };
            unless_remote_differs(registration, &remote, now).await?;
            one_or_all(registry, registration, &remote, now).map(Some)
        }
        Shape::Directory => one_or_all(registry, registration, &remote, PathKind::Directory).map(Some),
        Shape::File => one_or_all(registry, registration, &remote, PathKind::File).map(Some),
    }
}

/// Returns the local side of an upload if the file or directory exists. Sends no request.
pub(super) fn local_side(registration: &Registration) -> Result<Option<Tree>, SessionError> {
    let Registration { location, local, .. } = registration;
    if is_real_directory(local) {
        return Ok(Some(Tree::new(local_store(registration, local, MissingRoot::Empty)?)));
    }
    if !local.is_file() {
        return Ok(None);
    }
    let own = Key::from(file_name(local)?);
    let name = match location {
        Location::Remote(remote) if !names_prefix(location) => last_name(&Key::from(remote.key())),
        Location::Remote(_) | Location::Local(_) => None,
    };
    let store = local_store(registration, local.parent().unwrap_or(Path::new("/")), MissingRoot::Empty)?;
    Ok(Some(Tree::object(store, own.clone(), name.unwrap_or(own))))
}

/// Returns the sides of an upload whose directory is gone, as if the directory were empty.
pub(super) async fn gone(registry: &Registry, registration: &Registration) -> Result<Ends, SessionError> {
    let remote = registry.open(&registration.location, Role::Target).await?;
    directory(registry, registration, &remote, MissingRoot::Empty)
}

fn one_or_all(
    registry: &Registry,
    registration: &Registration,
    remote: &OpenLocation,
    kind: PathKind,
) -> Result<Ends, SessionError> {
    match kind {
        PathKind::Directory => directory(registry, registration, remote, MissingRoot::Error),
        PathKind::File => {
            let whole = remote.key_of_file(file_name(&registration.local)?);
            single(registration, remote.store(), whole, registration.local.clone())
        }
    }
}

/// Rejects an output that was a directory and is a file now, or the other way round, if the remote location still has
/// the earlier shape. Otherwise, an object `x` would hide everything below `x/`.
async fn unless_remote_differs(
    registration: &Registration,
    remote: &OpenLocation,
    now: PathKind,
) -> Result<(), SessionError> {
    let Registration { location, local, .. } = registration;
    let Some(then) = registration.begun_as.get().filter(|then| **then != now && !remote.names_prefix()) else {
        return Ok(());
    };
    let is_there = match then {
        PathKind::Directory => remote.has_keys().await?,
        PathKind::File => remote.object().await?.is_some(),
    };
    let (was, is) = (then.as_str(), now.as_str());
    let changed = || SessionError::OtherShape { location: location.to_string(), path: local.clone(), was, is };
    if is_there { Err(changed()) } else { Ok(()) }
}

/// Lists the first entry of a location. An error means that the location cannot be uploaded to.
pub(super) async fn look_at(registry: &Registry, location: &Location) -> Result<(), SessionError> {
    registry.open(location, Role::Target).await?.has_keys().await?;
    Ok(())
}

/// Returns true if there is anything at a location. An error means that its server has not answered for the location.
pub(super) async fn has_anything(registry: &Registry, location: &Location) -> Result<bool, SessionError> {
    let remote = registry.open(location, Role::Target).await?;
    Ok(remote.object().await?.is_some() || remote.has_keys().await?)
}

/// Returns why requests to a location currently fail, if they do.
pub(super) async fn trouble(registry: &Registry, location: &Location) -> Option<String> {
    registry.open(location, Role::Target).await.ok()?.store().trouble()
}

/// Returns true if a location without any key would name an object without its trailing slash.
pub(super) async fn is_object_with_slash(registry: &Registry, location: &Location) -> bool {
    let Ok(remote) = registry.open(location, Role::Target).await else { return false };
    remote.names_prefix() && matches!(remote.object_without_slash().await, Ok(Some(_)))
}

/// Returns the path of the file that an object is downloaded to.
fn file_of(registration: &Registration, whole: &Key) -> Result<PathBuf, SessionError> {
    let Registration { location, local, kind, .. } = registration;
    if kind.goes_inside() {
        let name = last_name(whole).ok_or_else(|| unusable(local, "the name of the object cannot be a file name"))?;
        return Ok(local.join(name.as_str()));
    }
    let is_in_the_way = is_real_directory(local) && !(kind.owns_its_path() && is_empty(local));
    if is_in_the_way {
        let advice = match kind {
            Kind::Download(_) if kind.has_given_path() => "name the file, or end the path in '/' to put it inside",
            _ if kind.has_given_path() => "name the file",
            _ => DELETE_IT,
        };
        return Err(SessionError::DirectoryInTheWay { location: location.to_string(), path: local.clone(), advice });
    }
    Ok(local.clone())
}

/// Returns the sides for one object and one file. Both use the name of the object, which patterns are compared with.
fn single(
    registration: &Registration,
    store: &Arc<dyn RemoteStore>,
    whole: Key,
    file: PathBuf,
) -> Result<Ends, SessionError> {
    let own = Key::from(file_name(&file)?);
    let name = last_name(&whole).unwrap_or_else(|| own.clone());
    let parent = file.parent().unwrap_or(Path::new("/"));
    let local = local_store(registration, parent, MissingRoot::Empty)?;
    Ok(Ends {
        remote: Tree::object(store.clone(), whole, name.clone()),
        local: Tree::object(local, own, name),
        copy: LocalCopy::File(file),
    })
}

/// Returns the error if an output that is one file is excluded.
pub(super) fn unless_excluded(registration: &Registration) -> Result<(), SessionError> {
    let Registration { location, local, kind, .. } = registration;
    let Location::Remote(remote) = location else { return Ok(()) };
    let is_one_file = kind.shape() == Shape::File || local.is_file();
    if kind.upload().is_none() || !is_one_file || kind.exclude().is_empty() {
        return Ok(());
    }
    let named = if names_prefix(location) { None } else { last_name(&Key::from(remote.key())) };
    let name = named.map_or_else(|| file_name(local).map(Key::from), Ok)?;
    unless_pattern(location, kind.exclude(), &name)
}

fn unless_pattern(location: &Location, patterns: &[String], name: &Key) -> Result<(), SessionError> {
    let Some(pattern) = excluded_by(patterns, name) else { return Ok(()) };
    Err(SessionError::FileExcluded { location: location.to_string(), pattern: pattern.clone() })
}

/// Returns the error of a location in which a download found nothing.
pub(super) async fn nothing_found(registry: &Registry, registration: &Registration) -> Result<(), SessionError> {
    let Registration { location, kind, .. } = registration;
    if !kind.may_exclude() {
        return Ok(());
    }
    match registry.open(location, Role::Target).await?.resolve().await? {
        Resolved::Absent => Ok(()),
        Resolved::Object(object) => {
            let name = last_name(&object.key).unwrap_or(object.key);
            unless_pattern(location, kind.exclude(), &name)
        }
        Resolved::Prefix => Err(SessionError::AllExcluded { location: location.to_string() }),
    }
}

/// Returns the last name of a key, if it can be a file name.
fn last_name(whole: &Key) -> Option<Key> {
    let name = Key::from(whole.as_str().rsplit('/').next()?);
    name.check_path().is_ok().then_some(name)
}

fn directory(
    registry: &Registry,
    registration: &Registration,
    remote: &OpenLocation,
    missing: MissingRoot,
) -> Result<Ends, SessionError> {
    let remote = remote.directory()?;
    let path = registration.local.clone();
    let store = local_store(registration, &path, missing)?;
    store.protect_own(registry.own_files());
    Ok(Ends { remote, local: Tree::new(store), copy: LocalCopy::Directory(path) })
}

/// Returns the store of a directory. The registration has resolved the links in its path. Links that appeared since
/// then are not followed: if a program replaces its output with a link, pos3 must not upload another directory.
fn local_store(
    registration: &Registration,
    path: &Path,
    missing: MissingRoot,
) -> Result<Arc<LocalStore>, SessionError> {
    let options = LocalOptions::default()
        .with_missing_root(missing)
        .with_root_path(RootPath::Exact)
        .with_symlinks(registration.kind.symlinks());
    let store = LocalStore::with_options(path, options).map_err(|error| unusable(path, &error.cause()))?;
    Ok(Arc::new(store))
}

/// Rejects a FIFO, a socket or a device.
fn refuse_special(path: &Path, shape: Shape) -> Result<(), SessionError> {
    let is_special = |found: fs::Metadata| !found.is_file() && !found.is_dir() && !found.is_symlink();
    match fs::symlink_metadata(path).is_ok_and(is_special) {
        true if shape == Shape::File => Err(unusable(path, SPECIAL_FOUND)),
        true => Err(unusable(path, &in_the_way(path).unwrap_or_default())),
        false => Ok(()),
    }
}

fn is_real_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut names| names.next().is_none())
}

fn is_link(path: &Path) -> SessionError {
    let target = fs::read_link(path).unwrap_or_default();
    SessionError::IsLink { path: path.to_owned(), target }
}

fn file_name(path: &Path) -> Result<&str, SessionError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| unusable(path, "its name is not valid UTF-8, which no key can express"))
}
