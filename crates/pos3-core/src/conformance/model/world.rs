//! The content of a store as a map.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};

use crate::entry::Kind;
use crate::error::ErrorKind;
use crate::key::Key;
use crate::store::{Namespace, RemoteStoreExt};
use crate::tree::Tree;

/// Contents by key. A key that ends in `/` is a marker, which is an empty directory on a disk.
pub(super) type Objects = BTreeMap<String, String>;

/// The number of concurrent requests if the order does not matter. It is enough for a whole small tree.
const REQUESTS: usize = 32;

/// The content of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct World {
    pub(super) namespace: Namespace,
    pub(super) objects: Objects,
    pub(super) links: BTreeSet<String>,
}

impl World {
    /// Returns the content of the tree.
    pub(super) async fn of(tree: &Tree) -> Self {
        let mut entries = tree.store().list_all(tree.prefix()).await.unwrap();
        // The marker of the prefix itself is the tree.
        entries.retain(|entry| entry.key.as_str() != tree.prefix());
        let relative = |key: &Key| tree.relative(key).unwrap().as_str().to_owned();
        let is_link = |kind: &Kind| matches!(kind, Kind::Protected(_));
        let links = entries.iter().filter(|entry| is_link(&entry.kind) && !entry.key.is_marker());
        let namespace = tree.store().capabilities().namespace;
        let contents = entries.iter().filter(|entry| entry.has_content()).map(async |entry| {
            let is_directory = namespace == Namespace::Hierarchical && entry.kind == Kind::Marker;
            let content = if is_directory { "".into() } else { tree.store().read(&entry.key).await.unwrap() };
            (relative(&entry.key), String::from_utf8(content.to_vec()).unwrap())
        });
        Self {
            namespace,
            links: links.map(|entry| relative(&entry.key)).collect(),
            objects: stream::iter(contents).buffer_unordered(REQUESTS).collect().await,
        }
    }

    /// Returns every existing directory, on a disk both empty and other ones.
    pub(super) fn directories(&self) -> BTreeSet<String> {
        match self.namespace {
            Namespace::Flat => BTreeSet::new(),
            Namespace::Hierarchical => self.objects.keys().flat_map(|key| above(key)).collect(),
        }
    }

    /// Returns true if `key` is a link, or lies below one.
    pub(super) fn is_linked(&self, key: &str) -> bool {
        self.links.iter().any(|link| key == link || is_below(key, link))
    }
}

/// Returns true if `key` is the directory `file/`, or lies in it.
pub(super) fn is_below(key: &str, file: &str) -> bool {
    key.strip_prefix(file).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the directories that contain a key, including the key itself if it is a directory.
pub(super) fn above(key: &str) -> impl Iterator<Item = String> + '_ {
    key.match_indices('/').map(|(at, _)| key[..=at].to_owned())
}

/// Stores objects, as far as the store can hold them: a disk refuses some keys, and the later of two that clash.
pub(super) async fn fill(tree: &Tree, objects: &Objects) {
    let is_disk = tree.store().capabilities().namespace == Namespace::Hierarchical;
    let writes = objects.iter().map(async |(key, content)| {
        let written =
            tree.store().write(&tree.key(&Key::from(key.as_str())), content.clone().into_bytes().into()).await;
        match written {
            Err(error) if is_disk && matches!(error.kind(), ErrorKind::InvalidKey | ErrorKind::AlreadyExists) => {}
            written => drop(written.unwrap()),
        }
    });
    let at_once = if is_disk { 1 } else { REQUESTS };
    stream::iter(writes).buffer_unordered(at_once).collect::<Vec<()>>().await;
}

/// Like [`fill`], if other entries may have the same paths. A disk then preserves those.
pub(super) async fn overwrite(tree: &Tree, objects: &Objects) {
    let is_disk = tree.store().capabilities().namespace == Namespace::Hierarchical;
    for (key, content) in objects {
        let written =
            tree.store().write(&tree.key(&Key::from(key.as_str())), content.clone().into_bytes().into()).await;
        assert!(is_disk || written.is_ok(), "{written:?}");
    }
}
