//! Two servers with buckets of one name, whose local copies have one path.

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::{ErrorKind, Operation, RemoteStore, RemoteStoreExt, StoreError};

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

/// A server that does not answer.
#[derive(Debug)]
struct Down;

#[async_trait]
impl Provider for Down {
    async fn open(&self, location: &Location, _role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        let source = StoreError::new(ErrorKind::Unavailable, Operation::List);
        Err(Error::Store { location: location.to_string(), source })
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        Ok(format!("//down/{}/", location.without_profile()?.bucket()))
    }

    fn server(&self, _location: &Location) -> Result<Option<String>, Error> {
        Ok(Some("down".to_owned()))
    }
}

fn session(world: &World, memory: &MemoryProvider, server: &'static str) -> SessionBuilder {
    session_at(world, OnServer(memory.clone(), server))
}

fn session_at(world: &World, provider: impl Provider) -> SessionBuilder {
    let registry = Registry::default().with("test", provider);
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
    // Files of the first server may lie on a disk that is not mounted.
    for empty in [false, true] {
        fs::rename(world.path("cache/_/b"), world.path(&format!("disk {empty}"))).unwrap();
        if empty {
            fs::create_dir(world.path("cache/_/b")).unwrap();
        }
        let session = builder().open().unwrap();
        let (downloaded, uploaded) =
            tokio::join!(session.download("test://b/x", download()), session.upload("test://b/x", upload()));
        for refused in [downloaded, uploaded] {
            assert!(matches!(refused, Err(SessionError::OtherServer { .. })), "{refused:?}");
        }
        session.discard();
        let found = fs::read_dir(world.path("cache/_/b")).map(Iterator::count).ok();
        assert_eq!(found, empty.then_some(0));
        fs::create_dir_all(world.path("cache/_/b")).unwrap();
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_or_lacks_an_input_gets_no_directory() {
    let (world, memory) = (World::new(), MemoryProvider::default());
    let down = session_at(&world, Down).open().unwrap();
    let (download, sync) = (DownloadOptions::default, SyncBothOptions::default);
    for (case, failed) in [
        ("download", down.download("test://b/x", download()).await),
        ("download of nothing", down.download("test://b/x", download().with_allow_missing(true)).await),
        ("upload", down.upload("test://b/x", upload()).await),
        ("sync", down.sync("test://b/x", sync()).await),
    ] {
        assert!(matches!(failed, Err(SessionError::Open(_))), "{case}: {failed:?}");
    }
    down.close().await.into_result().unwrap();
    let first = session(&world, &memory, "one").open().unwrap();
    let missing = first.download("test://b/x", download()).await;
    assert!(matches!(missing, Err(SessionError::Missing { .. })), "{missing:?}");
    assert!(!world.path("cache").exists());
    for record in ["download", "upload"] {
        let session = session(&world, &memory, "two").open().unwrap();
        let options = download().with_allow_missing(true);
        match record {
            "download" => session.download("test://b/x", options).await.unwrap(),
            _ => session.upload("test://b/x", upload()).await.unwrap(),
        };
        assert!(world.path("cache/.pos3-servers/_/b").exists(), "{record}");
        session.discard();
        fs::remove_dir_all(world.path("cache")).unwrap();
    }
}

/// The server of an output is recorded before the output is marked, so a mark without a record is of an unknown server.
#[tokio::test]
async fn a_deleted_record_is_written_again_only_if_no_other_session_has_marked_output() {
    let (world, memory) = (World::new(), MemoryProvider::default());
    let record = world.path("cache/.pos3-servers/_/b");
    let first = session(&world, &memory, "one").open().unwrap();
    let path = first.upload("test://b/x", upload()).await.unwrap();
    write(&path, "a", "from one");
    fs::remove_file(&record).unwrap();
    for server in ["one", "two"] {
        let second = session(&world, &memory, server).open().unwrap();
        let (download, sync) = (DownloadOptions::default, SyncBothOptions::default);
        let check = second.check_upload("test://b/y", &upload()).await;
        for (case, refused) in [
            ("download", second.download("test://b/y", download()).await.map(drop)),
            ("upload", second.upload("test://b/y", upload()).await.map(drop)),
            ("sync", second.sync("test://b/y", sync()).await.map(drop)),
            ("plan", second.plan_download("test://b/y", download()).await.map(drop)),
            ("check", check),
        ] {
            let Err(SessionError::OutputOfUnknownServer { output, mark, .. }) = &refused else {
                panic!("{server} {case}: {refused:?}")
            };
            assert_eq!(output.as_ref(), Some(&path), "{server} {case}");
            assert!(mark.starts_with(world.path("cache/.pos3-unsaved")), "{server} {case}");
        }
        second.upload("test://c/x", upload()).await.unwrap();
        second.close().await.into_result().unwrap();
        assert!(!record.exists(), "{server}");
        fs::remove_file(world.path("cache/.pos3-servers/_/c")).unwrap();
    }
    // The session knows the server of its own output.
    first.upload("test://b/z", upload()).await.unwrap();
    let second = session(&world, &memory, "two").open().unwrap();
    let refused = second.upload("test://b/y", upload()).await;
    assert!(matches!(refused, Err(SessionError::OtherServer { .. })), "{refused:?}");
    first.close().await.into_result().unwrap();
    fs::remove_file(&record).unwrap();
    second.upload("test://b/y", upload()).await.unwrap();
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

/// A server that may be the one of another scheme, but is not.
#[derive(Debug)]
struct Alike(OnServer);

#[async_trait]
impl Provider for Alike {
    async fn open(&self, location: &Location, role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        self.0.open(location, role).await
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        let remote = location.without_profile()?;
        Ok(format!("//alike/{}/{}", remote.bucket(), remote.prefix()))
    }

    fn identity(&self, location: &Location) -> Result<String, Error> {
        self.0.place(location)
    }
}

#[tokio::test]
async fn downloads_from_servers_that_are_only_perhaps_the_same_are_two_downloads() {
    let (world, memory) = (World::new(), MemoryProvider::default());
    let alike = |server| Alike(OnServer(memory.clone(), server));
    let registry = Registry::default().with("one", alike("one")).with("two", alike("two"));
    let builder = Session::builder().registry(registry).cache_root(world.path("cache")).state(None);
    let session = builder.open().unwrap();
    let download = |local: &str| DownloadOptions::default().with_local(world.path(local)).with_allow_missing(true);
    session.download("one://b/x", download("local")).await.unwrap();
    session.download("one://b/x", download("local")).await.unwrap();
    for (location, local) in [("two://b/x", "local"), ("two://b/x/y", "local/y")] {
        let refused = session.download(location, download(local)).await;
        assert!(matches!(refused, Err(SessionError::LocalConflict { .. })), "{location}: {refused:?}");
    }
    session.download("one://b/x/y", download("local/y")).await.unwrap();
    session.download("two://b/x", download("other")).await.unwrap();
    let refused = session.upload("two://b/x", upload().with_local(world.path("out"))).await;
    assert!(matches!(refused, Err(SessionError::RemoteConflict { .. })), "{refused:?}");
    session.discard();
}
