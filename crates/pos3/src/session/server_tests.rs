//! Two servers with buckets of one name, whose local copies have one path.

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::{RemoteStore, RemoteStoreExt};

use super::tests::{World, upload, write};
use super::*;
use crate::error::Error;
use crate::registry::{MemoryProvider, Provider, Registry, Role};

/// Stores that outlive the process, on a server.
#[derive(Debug)]
struct OnServer(MemoryProvider, &'static str);

#[async_trait]
impl Provider for OnServer {
    async fn open(&self, location: &Location, _role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        Ok(self.0.store(&format!("{}/{}", self.1, location.without_profile()?.bucket())))
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        let remote = location.without_profile()?;
        Ok(format!("//{}/{}/{}", self.1, remote.bucket(), remote.prefix()))
    }

    fn server(&self, _location: &Location) -> Result<Option<String>, Error> {
        Ok(Some(self.1.to_owned()))
    }
}

fn session(world: &World, memory: &MemoryProvider, server: &'static str) -> SessionBuilder {
    let registry = Registry::default().with("test", OnServer(memory.clone(), server));
    Session::builder().registry(registry).cache_root(world.path("cache")).state(None)
}

#[tokio::test]
async fn every_entry_point_refuses_the_local_copies_of_another_server_and_changes_nothing() {
    let (world, memory) = (World::new(), MemoryProvider::default());
    let first = session(&world, &memory, "one").open().unwrap();
    let path = first.upload("test://b/x", upload()).await.unwrap();
    write(&path, "a", "from one");
    first.close().await.into_result().unwrap();

    let builder = || session(&world, &memory, "two");
    let second = builder().open().unwrap();
    let out = second.upload("test://b/x", upload().with_local(world.path("out"))).await.unwrap();
    write(&out, "a", "from two");
    second.flush().await.unwrap();
    let (download, sync) = (DownloadOptions::default, SyncBothOptions::default);
    let mirror = || Mirror::builder(builder()).download("other", "test://c/y", download().with_allow_missing(true));
    for (case, refused) in [
        ("download", second.download("test://b/x", download()).await.map(drop)),
        ("a part", second.download("test://b/x/a", download()).await.map(drop)),
        ("another prefix", second.upload("test://b/z", upload()).await.map(drop)),
        ("sync", second.sync("test://b/x", sync()).await.map(drop)),
        ("plan of a download", second.plan_download("test://b/x", download()).await.map(drop)),
        ("plan of an upload", second.plan_upload("test://b/x", upload()).await.map(drop)),
        ("mirror", mirror().sync("x", "test://b/x", sync()).enter().await.map(drop)),
    ] {
        assert!(matches!(refused, Err(SessionError::OtherServer { .. })), "{case}: {refused:?}");
    }
    assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "from one");
    assert!(!world.path("cache/_/c").exists() && !world.path("cache/.pos3-servers/_/c").exists());
    // Another path, another bucket and another cache root are separate.
    let third = builder().open().unwrap();
    let local = download().with_local(world.path("local"));
    assert_eq!(third.download("test://b/x", local).await.unwrap(), world.path("local"));
    third.upload("test://c/x", upload()).await.unwrap();
    third.discard();
    let elsewhere = builder().cache_root(world.path("cache 2")).open().unwrap();
    elsewhere.download("test://b/x", download()).await.unwrap();
    second.discard();
}

#[tokio::test]
async fn the_records_of_servers_are_not_uploaded() {
    let (world, memory) = (World::new(), MemoryProvider::default());
    let first = session(&world, &memory, "one").open().unwrap();
    let path = first.upload("test://b/x", upload()).await.unwrap();
    write(&path, "a", "1");
    first.close().await.into_result().unwrap();
    let second = session(&world, &memory, "one").open().unwrap();
    second.upload("test://all/y", upload().with_local(world.path("cache"))).await.unwrap();
    second.close().await.into_result().unwrap();
    let keys = memory.store("one/all").list_all("").await.unwrap();
    let keys: Vec<_> = keys.iter().map(|entry| entry.key.as_str()).filter(|key| !key.contains("unsaved")).collect();
    assert_eq!(keys, ["y/_/b/x/a"]);
}
