use std::fmt;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use pos3_core::{
    Backend, Capabilities, Content, DeleteKey, Download, GetOptions, MemoryStore, PutOptions, RemoteStoreExt, Stored,
    Unfinished, Usage,
};

use super::*;
use crate::registry::{MemoryProvider, Provider};

const OBJECT: &str = "object";
const PREFIX: &str = "prefix";
const ABSENT: &str = "absent";

fn name(resolved: &Resolved) -> &'static str {
    match resolved {
        Resolved::Object(_) => OBJECT,
        Resolved::Prefix => PREFIX,
        Resolved::Absent => ABSENT,
    }
}

#[tokio::test]
async fn a_slash_at_the_end_names_a_prefix_and_an_object_comes_first_without_one() {
    let memory = MemoryProvider::default();
    let store = memory.store("m");
    for key in ["obj", "d/x", "d_backup", "both", "both/x", "marked/"] {
        store.write(&Key::from(key), "x".into()).await.unwrap();
    }
    let registry = Registry::default().with("memory", memory);
    // The result for the location, and for the location as a directory, each with the numbers of HEADs and listings.
    for (location, resolved, directory) in [
        ("memory://m", (PREFIX, 0, 0), (PREFIX, 0, 0)),
        ("memory://m/", (PREFIX, 0, 0), (PREFIX, 0, 0)),
        ("memory://m/obj", (OBJECT, 1, 0), (OBJECT, 1, 1)),
        ("memory://m/obj/", (ABSENT, 0, 1), (OBJECT, 1, 1)),
        ("memory://m/obj//", (ABSENT, 0, 1), (ABSENT, 0, 1)),
        ("memory://m/d", (PREFIX, 1, 1), (PREFIX, 0, 1)),
        ("memory://m/d/", (PREFIX, 0, 1), (PREFIX, 0, 1)),
        ("memory://m/both", (OBJECT, 1, 0), (PREFIX, 0, 1)),
        ("memory://m/both/", (PREFIX, 0, 1), (PREFIX, 0, 1)),
        ("memory://m/marked", (PREFIX, 1, 1), (PREFIX, 0, 1)),
        ("memory://m/d_back", (ABSENT, 1, 1), (ABSENT, 1, 1)),
        ("memory://m/none/", (ABSENT, 0, 1), (ABSENT, 1, 1)),
    ] {
        for role in [Role::Source, Role::Target] {
            let opened = registry.open(&location.parse().unwrap(), role).await.unwrap();
            for (expected, found) in [
                (resolved, counted(&store, opened.resolve()).await),
                (directory, counted(&store, opened.resolve_directory()).await),
            ] {
                let found = (name(&found.0), found.1, found.2);
                assert_eq!(found, expected, "{location} {role:?}");
            }
        }
    }
}

/// Resolves a location. Also returns the numbers of HEADs and listings.
async fn counted(store: &MemoryStore, looking: impl Future<Output = Result<Resolved, Error>>) -> (Resolved, u64, u64) {
    let of = |usage: &Usage, kind: &str| usage.iter().find(|(name, _)| *name == kind).map_or(0, |(_, count)| count);
    let before = store.usage();
    let found = looking.await.unwrap();
    let usage = store.usage().since(&before);
    (found, of(&usage, "head"), of(&usage, "list"))
}

#[tokio::test]
async fn a_path_is_what_exists_there() {
    let root = tempfile::tempdir().unwrap();
    let base = root.path();
    fs::create_dir(base.join("empty")).unwrap();
    fs::write(base.join("file"), "x").unwrap();
    std::os::unix::fs::symlink("empty", base.join("link")).unwrap();
    for (path, expected) in [("empty", PREFIX), ("empty/", PREFIX), ("link", PREFIX), ("file", OBJECT), ("no", ABSENT)]
    {
        let location = Location::Local(base.join(path));
        for role in [Role::Source, Role::Target] {
            let opened = Registry::default().open(&location, role).await.unwrap();
            let found = opened.resolve().await.unwrap();
            assert_eq!(name(&found), expected, "{path} {role:?}");
            assert_eq!(opened.resolve_directory().await.unwrap(), found, "{path} {role:?}");
            if let Resolved::Object(file) = found {
                assert_eq!((file.key.as_str(), opened.store().read(&file.key).await.unwrap()), ("file", "x".into()));
            }
        }
    }
}

#[tokio::test]
async fn a_file_whose_name_no_key_can_express_is_an_error_and_not_absent() {
    use std::os::unix::ffi::OsStrExt;

    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    fs::write(&path, "x").unwrap();
    let opened = Registry::default().open(&Location::Local(path), Role::Source).await.unwrap();
    assert!(matches!(opened.directory(), Err(Error::SourceIsFile { .. })));
    let error = opened.resolve().await.unwrap_err();
    assert!(matches!(&error, Error::Store { source, .. } if source.kind() == ErrorKind::InvalidKey), "{error}");
}

#[tokio::test]
async fn a_request_that_is_denied_leaves_the_answer_to_the_other_one() {
    let all = |_: &str| true;
    let below_d = |prefix: &str| prefix.starts_with("d/");
    let none = |_: &str| false;
    let denied = Err(ErrorKind::Denied);
    let table: [(&str, Access, _, _); 11] = [
        ("obj", Access { head: false, list: all }, Ok(OBJECT), Ok(OBJECT)),
        ("d", Access { head: false, list: all }, Ok(PREFIX), Ok(PREFIX)),
        ("none", Access { head: false, list: all }, Ok(ABSENT), Ok(ABSENT)),
        // An object whose name begins with the name is not the object.
        ("o", Access { head: false, list: all }, Ok(ABSENT), Ok(ABSENT)),
        ("d", Access { head: false, list: below_d }, Ok(PREFIX), Ok(PREFIX)),
        ("d/new", Access { head: false, list: below_d }, Ok(ABSENT), Ok(ABSENT)),
        ("obj", Access { head: false, list: below_d }, denied, denied),
        ("obj", Access { head: true, list: none }, Ok(OBJECT), denied),
        ("none", Access { head: true, list: none }, denied, denied),
        ("obj", Access { head: false, list: none }, denied, denied),
        ("d/", Access { head: false, list: none }, denied, denied),
    ];
    for (key, access, resolved, directory) in table {
        let store = MemoryStore::new();
        for key in ["obj", "d/x"] {
            store.write(&Key::from(key), "x".into()).await.unwrap();
        }
        let registry = Registry::empty().with("limited", Limited { store: Arc::new(store), access });
        let location = format!("limited://b/{key}").parse().unwrap();
        let opened = registry.open(&location, Role::Source).await.unwrap();
        assert_eq!(kind(opened.resolve().await), resolved, "{key} {access:?}");
        assert_eq!(kind(opened.resolve_directory().await), directory, "{key} {access:?}");
        let object = opened.object().await.is_ok_and(|object| object.is_some());
        assert_eq!(object, resolved == Ok(OBJECT), "{key} {access:?}");
    }
}

/// Returns what was found, or the kind of the error.
fn kind(found: Result<Resolved, Error>) -> Result<&'static str, ErrorKind> {
    match found {
        Ok(found) => Ok(name(&found)),
        Err(Error::Store { source, .. }) => Err(source.kind()),
        Err(error) => panic!("{error}"),
    }
}

/// The requests that a user may send.
#[derive(Clone, Copy, Debug)]
struct Access {
    head: bool,
    list: fn(&str) -> bool,
}

/// A store, and the provider of it, for a user who may not send every request.
#[derive(Clone, Debug)]
struct Limited {
    store: Arc<MemoryStore>,
    access: Access,
}

#[async_trait]
impl Provider for Limited {
    async fn open(&self, _location: &Location, _role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        Ok(Arc::new(self.clone()))
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        Ok(location.to_string())
    }
}

type Answer<T> = Result<T, StoreError>;

#[async_trait]
impl RemoteStore for Limited {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn backend(&self, key: &Key) -> Option<Backend<'_>> {
        self.store.backend(key)
    }

    fn usage(&self) -> Usage {
        self.store.usage()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        match (self.access.list)(prefix) {
            true => self.store.list(prefix, options),
            false => stream::iter([Err(StoreError::new(ErrorKind::Denied, Operation::List))]).boxed(),
        }
    }

    async fn head(&self, key: &Key) -> Answer<Entry> {
        match self.access.head {
            true => self.store.head(key).await,
            false => Err(StoreError::new(ErrorKind::Denied, Operation::LookUp)),
        }
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Answer<Download> {
        self.store.get(key, options).await
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Answer<Stored> {
        self.store.put(key, content, options).await
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Answer<()>> {
        self.store.delete(keys).await
    }

    async fn unfinished(&self, prefix: &str) -> Answer<Vec<(Key, Unfinished)>> {
        self.store.unfinished(prefix).await
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Answer<()>> {
        self.store.abandon(puts).await
    }

    async fn copy(&self, from: &Key, to: &Key) -> Answer<Entry> {
        self.store.copy(from, to).await
    }
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limited://b")
    }
}
