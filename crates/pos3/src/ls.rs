//! Lists a location: [`ls`].
//!
//! If a location names one file or object, the listing has that entry. If it names a directory or prefix, the listing
//! has its contents.

use std::fmt;
use std::path::Path;
use std::pin::Pin;

use futures::future::ready;
use futures::{StreamExt, stream};
use pos3_core::{Doubts, Entries, Entry, EntryStream, Key, Kind, ListOptions, Protection, StoreError, Tree};

use crate::error::Error;
use crate::local_path::resolve;
use crate::location::Location;
use crate::registry::{Registry, Role};
use crate::resolve::{OpenLocation, Resolved};

/// The depth of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// The entries directly in the directory.
    #[default]
    Level,
    /// All entries below the directory.
    Recursive,
}

/// The result of [`ls`].
pub struct Found {
    /// The tree of the directory, or of the directory that contains the single file.
    pub tree: Tree,
    /// The location of that directory. A path is absolute and has no symbolic links; a URL includes its profile.
    pub directory: Location,
    /// The entries, with full keys. The marker of the directory itself may be among them. In a recursive listing, each
    /// directory below comes before its contents, even if the store has no entry for it.
    pub entries: EntryStream,
    /// The defects found in the part of the listing that has been read so far.
    pub doubts: Doubts,
}

/// An entry and its location, as [`Session::ls`](crate::Session::ls) returns it. Its text is the URL or the path, with
/// control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// The URL with the profile, or the absolute path. That of a directory ends in `/`.
    pub location: Location,
    /// The kind, size, time and other facts of the listing. The key is relative to the listed directory, or to the
    /// directory of a single file.
    pub entry: Entry,
}

impl Listed {
    pub(crate) fn new(directory: &Location, key: Key, entry: Entry) -> Self {
        Self { location: directory.join(&key), entry: Entry { key, ..entry } }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location.escaped())
    }
}

/// Lists a location. `s3://bucket/x/` lists the contents of `x/`. `s3://bucket/x` returns the object `x` if it exists,
/// and lists the contents of `x/` if not.
///
/// # Errors
///
/// Returns an error if the location cannot be opened. If the listing fails later, the stream returns the error.
pub async fn ls(registry: &Registry, location: &Location, depth: Depth) -> Result<Found, Error> {
    let opened = registry.open(location, Role::Source).await?;
    match opened.directory() {
        Ok(tree) => list(&opened, tree, depth).await,
        // A local file, or a path that does not exist.
        Err(_) => match opened.resolve().await? {
            Resolved::Object(file) => Ok(one_object(&opened, *file)),
            Resolved::Prefix | Resolved::Absent => Err(Error::NotFound { location: location.to_string() }),
        },
    }
}

async fn list(opened: &OpenLocation, tree: Tree, depth: Depth) -> Result<Found, Error> {
    let options = ListOptions::default().with_shallow(depth == Depth::Level);
    let listed = Entries::open(&tree, options);
    let doubts = listed.doubts().clone();
    let entries = stream::try_unfold(listed, async |mut listed| {
        let next = listed.next().await?;
        Ok(next.map(|(_relative, entry)| (entry, listed)))
    });
    let mut entries = entries.boxed().peekable();
    match opened.resolve_beside(Pin::new(&mut entries)).await? {
        Resolved::Object(object) => Ok(one_object(opened, *object)),
        Resolved::Prefix | Resolved::Absent => {
            let entries = once_each(entries.boxed());
            let entries = if depth == Depth::Recursive { with_directories(entries, tree.prefix()) } else { entries };
            Ok(Found { directory: directory(opened, tree.prefix()), tree, entries, doubts })
        }
    }
}

fn one_object(opened: &OpenLocation, object: Entry) -> Found {
    let key = object.key.as_str();
    let tree = Tree::new(opened.store().clone()).at(key.rfind('/').map_or("", |slash| &key[..=slash]));
    let directory = directory(opened, tree.prefix());
    Found { tree, directory, entries: stream::iter([Ok(object)]).boxed(), doubts: Doubts::default() }
}

/// Returns the location of a prefix of the same store.
fn directory(opened: &OpenLocation, prefix: &str) -> Location {
    match opened.location() {
        Location::Local(path) => {
            Location::Local(opened.directory_of_file().map_or_else(|| resolve(path), Path::to_owned))
        }
        Location::Remote(remote) => Location::Remote(remote.with_key(prefix)),
    }
}

/// Drops entries that vanished during the listing. Also drops the second entry of a link that was listed both as a file
/// and as a directory because its target was not read.
fn once_each(entries: EntryStream) -> EntryStream {
    let mut to_come: Vec<String> = Vec::new();
    let mut is_first = move |entry: &Result<Entry, StoreError>| {
        let Ok(entry) = entry else { return true };
        let key = entry.key.as_str();
        to_come.retain(|directory| directory.as_str() >= key);
        match &entry.kind {
            Kind::Protected(Protection::Vanished) => false,
            Kind::Protected(_) if key.ends_with('/') => !to_come.iter().any(|directory| directory == key),
            Kind::Protected(_) => {
                to_come.push(format!("{key}/"));
                true
            }
            Kind::File | Kind::Marker | Kind::Directory => true,
        }
    };
    entries.filter(move |entry| ready(is_first(entry))).boxed()
}

/// Adds entries for directories that exist only as parts of keys. If the store lists in order, each one is added once.
fn with_directories(entries: EntryStream, prefix: &str) -> EntryStream {
    let prefix = prefix.to_owned();
    let mut before = prefix.clone();
    let entries = entries.map(move |entry| {
        let Ok(entry) = entry else { return stream::iter(vec![entry]) };
        let key = entry.key.as_str();
        let slashes = key.match_indices('/').map(|(at, _)| &key[..=at]);
        let news = slashes.filter(|directory| {
            directory.len() > prefix.len() && directory.len() < key.len() && !before.starts_with(*directory)
        });
        let mut listed: Vec<_> = news.map(|directory| Ok(Entry::directory(directory))).collect();
        key.clone_into(&mut before);
        listed.push(Ok(entry));
        stream::iter(listed)
    });
    entries.flatten().boxed()
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("tree", &self.tree).field("directory", &self.directory).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures::TryStreamExt;
    use pos3_core::RemoteStoreExt;

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
        for key in ["a", "d/e/x", "d/y", "d_backup/z", "both", "both/x"] {
            memory.store("m").write(&Key::from(key), "x".into()).await.unwrap();
        }
        let registry = Registry::default().with("memory", memory);
        assert_eq!(keys(&registry, "memory://m", Depth::Level).await, ["a", "both", "both/", "d/", "d_backup/"]);
        assert_eq!(keys(&registry, "memory://m/d", Depth::Level).await, ["d/e/", "d/y"]);
        assert_eq!(keys(&registry, "memory://m/d/", Depth::Recursive).await, ["d/e/", "d/e/x", "d/y"]);
        assert_eq!(keys(&registry, "memory://m/both", Depth::Level).await, ["both"]);
        assert_eq!(keys(&registry, "memory://m/both/", Depth::Level).await, ["both/x"]);
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

    #[tokio::test]
    async fn a_directory_is_listed_once_before_what_is_in_it_marker_or_not() {
        let memory = MemoryProvider::default();
        for key in ["p/1", "p/imp/deep/3", "p/imp/deep/4", "p/imp.x", "p/marked/", "p/marked/x", "p/a//b", "p/n/m/"] {
            memory.store("m").write(&Key::from(key), "".into()).await.unwrap();
        }
        let registry = Registry::default().with("memory", memory);
        let expected = [
            "p/1",
            "p/a/",
            "p/a//",
            "p/a//b",
            "p/imp.x",
            "p/imp/",
            "p/imp/deep/",
            "p/imp/deep/3",
            "p/imp/deep/4",
            "p/marked/",
            "p/marked/x",
            "p/n/",
            "p/n/m/",
        ];
        assert_eq!(keys(&registry, "memory://m/p", Depth::Recursive).await, expected);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_is_listed_once() {
        let root = tempfile::tempdir().unwrap();
        for name in ["link", "link-a", "none"] {
            std::os::unix::fs::symlink("elsewhere", root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("link.b"), "x").unwrap();
        for depth in [Depth::Level, Depth::Recursive] {
            let listed = keys(&Registry::default(), root.path().to_str().unwrap(), depth).await;
            assert_eq!(listed, ["link", "link-a", "link.b", "none"], "{depth:?}");
        }
    }
}
