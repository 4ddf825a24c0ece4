//! What is at a location: [`ls`].
//!
//! A person who names one file wants to see it, and one who names a prefix wants to see what is in it; the stores know
//! only keys.

use std::path::Path;

use futures::{StreamExt, stream};
use pos3_core::{EntryStream, ErrorKind, Key, ListOptions, StoreError, Tree};

use crate::error::Error;
use crate::location::Location;
use crate::registry::{Registry, Role};

/// How deep a listing goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// What stands directly in the directory.
    #[default]
    Level,
    /// Everything below it.
    Recursive,
}

/// What was found at a location.
pub struct Found {
    /// The directory, or the one the single file is in.
    pub tree: Tree,
    /// The entries, with whole keys; that of the directory's own marker may be among them.
    pub entries: EntryStream,
}

/// Lists what is in a location, taken as a directory; if there is nothing, the one file or object of that name.
///
/// # Errors
///
/// Whatever keeps the location from being opened. A listing that fails later says so in the stream.
pub async fn ls(registry: &Registry, location: &Location, depth: Depth) -> Result<Found, Error> {
    let tree = match (registry.open(location, Role::Source).await, location.path()) {
        (Err(Error::SourceIsFile { .. }), Some(path)) => return one_file(registry, location, path).await,
        (Err(Error::SourceMissing { location }), _) => return Err(Error::NotFound { location }),
        (opened, _) => opened?,
    };
    let options = ListOptions::default().with_shallow(depth == Depth::Level);
    let mut entries = tree.store().list(tree.prefix(), options);
    match (entries.next().await, tree.prefix().strip_suffix('/')) {
        (Some(first), _) => Ok(Found { tree, entries: stream::iter([first]).chain(entries).boxed() }),
        (None, Some(name)) => {
            let name = Key::from(name);
            one_object(location, tree, &name).await
        }
        (None, None) => Ok(Found { tree, entries }),
    }
}

async fn one_object(location: &Location, tree: Tree, name: &Key) -> Result<Found, Error> {
    let entries = match tree.store().head(name).await {
        Ok(entry) => vec![Ok(entry)],
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(failed(location, source)),
    };
    let parent = name.as_str().rfind('/').map_or("", |slash| &name.as_str()[..=slash]);
    Ok(Found { tree: tree.at(parent), entries: stream::iter(entries).boxed() })
}

async fn one_file(registry: &Registry, location: &Location, path: &Path) -> Result<Found, Error> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let tree = registry.open(&Location::Local(parent.to_owned()), Role::Source).await?;
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        let error = StoreError::new(ErrorKind::InvalidKey, "look up").with_message("its name is not valid UTF-8");
        return Err(failed(location, error));
    };
    let entry = tree.store().head(&Key::from(name)).await.map_err(|source| failed(location, source))?;
    Ok(Found { tree, entries: stream::iter([Ok(entry)]).boxed() })
}

fn failed(location: &Location, source: StoreError) -> Error {
    Error::Store { location: location.to_string(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures::TryStreamExt;
    use pos3_core::{Entry, RemoteStoreExt};

    use super::*;
    use crate::registry::MemoryProvider;

    async fn keys(registry: &Registry, location: &str, depth: Depth) -> Vec<String> {
        let found = ls(registry, &location.parse().unwrap(), depth).await.unwrap();
        let entries: Vec<Entry> = found.entries.try_collect().await.unwrap();
        entries.into_iter().map(|entry| entry.key.as_str().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_prefix_shows_what_is_in_it_and_an_object_shows_itself() {
        let memory = MemoryProvider::default();
        for key in ["a", "d/e/x", "d/y", "d_backup/z"] {
            memory.store("m").write(&Key::from(key), "x".into()).await.unwrap();
        }
        let registry = Registry::default().with("memory", memory);
        assert_eq!(keys(&registry, "memory://m", Depth::Level).await, ["a", "d/", "d_backup/"]);
        assert_eq!(keys(&registry, "memory://m/d", Depth::Level).await, ["d/e/", "d/y"]);
        assert_eq!(keys(&registry, "memory://m/d/", Depth::Recursive).await, ["d/e/x", "d/y"]);
        assert_eq!(keys(&registry, "memory://m/d/y", Depth::Level).await, ["d/y"]);
        assert_eq!(keys(&registry, "memory://m/none", Depth::Level).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_local_file_shows_itself() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "x").unwrap();
        let path = root.path().join("file");
        assert_eq!(keys(&Registry::default(), path.to_str().unwrap(), Depth::Level).await, ["file"]);
        assert_eq!(keys(&Registry::default(), root.path().to_str().unwrap(), Depth::Level).await, ["file"]);
    }
}
