//! Sessions between a temporary directory and stores in memory, with a paused clock that advances only when all tasks
//! wait.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pos3_core::{Event, Guards, Key, MaxDelete, MemoryStore, Observer, RemoteStore, RemoteStoreExt};

use super::*;
use crate::registry::{MemoryProvider, Registry};

pub(super) struct World {
    disk: tempfile::TempDir,
    memory: MemoryProvider,
}

impl World {
    pub(super) fn new() -> Self {
        Self { disk: tempfile::tempdir().unwrap(), memory: MemoryProvider::default() }
    }

    pub(super) async fn with(objects: &[(&str, &'static str)]) -> Self {
        let world = Self::new();
        for (key, content) in objects {
            world.put(key, content).await;
        }
        world
    }

    pub(super) async fn put(&self, key: &str, content: &'static str) {
        self.store().write(&Key::from(key), content.into()).await.unwrap();
    }

    pub(super) fn store(&self) -> Arc<MemoryStore> {
        self.memory.store("b")
    }

    pub(super) async fn keys(&self) -> Vec<String> {
        self.store().list_all("").await.unwrap().into_iter().map(|entry| entry.key.to_string()).collect()
    }

    pub(super) async fn read(&self, key: &str) -> String {
        String::from_utf8(self.store().read(&Key::from(key)).await.unwrap().to_vec()).unwrap()
    }

    pub(super) fn builder(&self) -> SessionBuilder {
        let registry = Registry::default().with("memory", self.memory.clone());
        Session::builder().registry(registry).cache_root(self.disk.path().join("cache"))
    }

    pub(super) fn session(&self) -> Session {
        self.builder().open().unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.disk.path().join(name)
    }
}

pub(super) fn upload() -> UploadOptions {
    UploadOptions::default()
}

/// Returns options of an upload that deletes what the program removed.
pub(super) fn deleting() -> UploadOptions {
    upload().with_delete(RemoteDelete::Seen)
}

pub(super) fn write(directory: &Path, name: &str, content: &str) {
    fs::write(directory.join(name), content).unwrap();
}

#[tokio::test]
async fn opening_a_session_touches_nothing() {
    let world = World::new();
    let session = world.session();
    assert!(!world.path("cache").exists());
    assert_eq!(world.store().usage().total(), 0);
    session.close().await.into_result().unwrap();
}

#[tokio::test]
async fn a_download_is_one_transfer_for_all_who_ask() {
    let world = World::with(&[("data/a", "1"), ("data/d/b", "2"), ("data_backup/x", "3")]).await;
    let session = world.session();
    let before = world.store().usage().get("get");
    let ask = || session.download("memory://b/data", DownloadOptions::default());
    let (one, two) = tokio::join!(ask(), ask());
    let path = one.unwrap();
    assert_eq!(path, two.unwrap());
    assert_eq!(path, world.path("cache/_/b/data"));
    assert_eq!(fs::read_to_string(path.join("d/b")).unwrap(), "2");
    assert_eq!(world.store().usage().get("get") - before, 2);
    assert!(!path.join("x").exists());
}

#[tokio::test]
async fn an_object_comes_before_the_prefix_and_a_slash_means_the_prefix() {
    let world = World::with(&[("x", "object"), ("x/a", "below")]).await;
    let session = world.session();
    let object =
        session.download("memory://b/x", DownloadOptions::default().with_local(world.path("o"))).await.unwrap();
    assert_eq!(fs::read_to_string(object).unwrap(), "object");
    let other = world.session();
    let prefix = other.download("memory://b/x/", DownloadOptions::default().with_local(world.path("p"))).await.unwrap();
    assert_eq!(fs::read_to_string(prefix.join("a")).unwrap(), "below");
    let third = world.session();
    let error = third.download("memory://b/x", DownloadOptions::default().with_local(world.path("p"))).await;
    assert!(matches!(error, Err(SessionError::DirectoryInTheWay { .. })), "{error:?}");
}

#[tokio::test]
async fn a_missing_place_is_an_error_and_deletes_nothing() {
    let world = World::new();
    let local = world.path("here");
    fs::create_dir(&local).unwrap();
    write(&local, "precious", "x");
    let session = world.session();
    let options = DownloadOptions::default().with_local(local.clone()).with_delete(true);
    let error = session.download("memory://b/typo", options.clone()).await.unwrap_err();
    assert!(matches!(error, SessionError::Missing { .. }), "{error}");
    assert!(local.join("precious").exists());
    assert!(session.status().is_empty(), "it may be asked for again");
    world.put("typo/a", "1").await;
    session.download("memory://b/typo", options).await.unwrap();
}

#[tokio::test]
async fn local_paths_are_passed_through() {
    let world = World::new();
    let session = world.session();
    let data = world.path("data");
    let name = data.to_str().unwrap();
    let error = session.download(name, DownloadOptions::default()).await.unwrap_err();
    assert!(matches!(error, SessionError::NoLocalPath(_)));
    assert_eq!(session.upload(name, upload()).await.unwrap(), data);
    assert!(data.is_dir());
    assert_eq!(session.download(name, DownloadOptions::default()).await.unwrap(), data);
    assert!(session.status().is_empty());
}

/// Renames a file when its upload begins, as a program does that writes under another name first.
struct Renaming(PathBuf);

impl Observer for Renaming {
    fn event(&self, event: &Event<'_>) {
        if let Event::Started(action) = event
            && action.key().as_str() == "a.tmp"
        {
            fs::rename(self.0.join("a.tmp"), self.0.join("a")).unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_that_is_renamed_while_it_is_uploaded_is_uploaded_under_its_new_name() {
    for is_at_the_end in [false, true] {
        let world = World::new();
        let out = world.path("cache/_/b/out");
        let session = world.builder().observer(Renaming(out.clone())).open().unwrap();
        assert_eq!(session.upload("memory://b/out", upload()).await.unwrap(), out);
        write(&out, "a.tmp", "1");
        if !is_at_the_end {
            session.flush().await.unwrap();
        }
        let ending = session.close().await;
        assert!(ending.is_complete(), "{ending:?}");
        assert_eq!(world.keys().await, ["out/a"]);
    }
}

#[tokio::test]
async fn nothing_is_sent_before_the_end_without_an_interval() {
    let world = World::new();
    let session = world.session();
    let out = session.upload("memory://b/out", upload().with_interval(None)).await.unwrap();
    write(&out, "a", "1");
    assert_eq!(world.keys().await, [""; 0]);
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["out/a"]);
    assert!(matches!(session.flush().await, Err(SessionError::Closed)));
}

#[tokio::test]
async fn a_fresh_or_empty_directory_empties_nothing() {
    let world = World::with(&[("out/old-1", "x"), ("out/old-2", "x")]).await;
    for delete in [RemoteDelete::Seen, RemoteDelete::Extra] {
        let session = world.session();
        session.upload("memory://b/out", upload().with_delete(delete)).await.unwrap();
        let ended = session.close().await;
        assert_eq!(world.keys().await, ["out/old-1", "out/old-2"], "{delete:?}: {ended:?}");
    }
}

#[tokio::test]
async fn only_what_was_seen_is_deleted_and_what_others_store_survives() {
    let world = World::with(&[("out/old", "x")]).await;
    let session = world.session();
    let out = session.upload("memory://b/out", deleting()).await.unwrap();
    write(&out, "a", "1");
    write(&out, "b", "2");
    write(&out, "c", "3");
    session.flush().await.unwrap();
    world.put("out/theirs", "x").await;
    world.put("out/b", "replaced by others").await;
    fs::remove_file(out.join("a")).unwrap();
    fs::remove_file(out.join("b")).unwrap();
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["out/b", "out/c", "out/old", "out/theirs"]);
}

#[tokio::test]
async fn deletes_of_extra_objects_spare_what_appeared_after_the_registration() {
    let world = World::with(&[("out/old", "x"), ("out/same", "1")]).await;
    let session = world.session();
    let out = session.upload("memory://b/out", upload().with_delete(RemoteDelete::Extra)).await.unwrap();
    write(&out, "same", "1");
    world.put("out/theirs", "x").await;
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["out/same", "out/theirs"]);
}

#[tokio::test]
async fn a_single_file_is_uploaded_and_its_siblings_stay() {
    let world = World::with(&[("dir/other", "x")]).await;
    let file = world.path("x.json");
    fs::write(&file, "{}").unwrap();
    let session = world.session();
    let mirror = upload().with_local(file).with_delete(RemoteDelete::Extra);
    session.upload("memory://b/dir/", mirror.clone()).await.unwrap();
    session.flush().await.unwrap();
    assert_eq!(world.keys().await, ["dir/other", "dir/x.json"]);
    let other = world.session();
    other.upload("memory://b/named", mirror).await.unwrap();
    other.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["dir/other", "dir/x.json", "named"]);
}

#[tokio::test]
async fn what_others_replace_is_not_overwritten_by_what_a_sync_fetched() {
    let world = World::with(&[("run/config", "ours"), ("run/log", "1")]).await;
    let session = world.session();
    let run = session.sync("memory://b/run", SyncBothOptions::default()).await.unwrap();
    world.put("run/config", "THEIRS").await;
    world.put("run/log", "theirs too").await;
    write(&run, "log", "1, 2");
    session.flush().await.unwrap();
    let ending = session.close().await;
    assert!(ending.is_complete(), "{ending:?}");
    assert_eq!(world.read("run/config").await, "THEIRS", "nobody changed it here");
    assert_eq!(world.read("run/log").await, "1, 2", "what the program wrote is its output");
}

#[tokio::test]
async fn after_an_error_only_what_was_asked_for_is_uploaded_and_nothing_deleted() {
    let world = World::new();
    let session = world.session();
    let options = deleting().with_sync_on_error(true);
    let kept = session.upload("memory://b/kept", options.clone()).await.unwrap();
    write(&kept, "a", "1");
    write(&kept, "gone", "1");
    session.flush().await.unwrap();
    let error = session
        .scope(async |session| {
            let dropped = session.upload("memory://b/dropped", upload()).await.map_err(|error| error.to_string())?;
            write(&dropped, "half", "x");
            fs::remove_file(kept.join("gone")).unwrap();
            write(&kept, "b", "2");
            Err::<(), _>("the work failed".to_owned())
        })
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the work failed");
    assert_eq!(world.keys().await, ["kept/a", "kept/b", "kept/gone"]);
}

#[tokio::test]
async fn a_panic_is_an_error_too() {
    let world = World::new();
    let session = world.session();
    let out = session.upload("memory://b/out", upload().with_sync_on_error(true)).await.unwrap();
    write(&out, "a", "1");
    let body = async |_: &Session| -> Result<(), String> { panic!("on purpose") };
    let scope = std::panic::AssertUnwindSafe(session.scope(body)).catch_unwind().await;
    assert!(scope.is_err());
    assert_eq!(world.keys().await, ["out/a"]);
}

#[tokio::test]
async fn a_dropped_session_does_nothing() {
    let world = World::with(&[("out/old", "x")]).await;
    let session = world.session();
    let out = session.upload("memory://b/out", upload()).await.unwrap();
    write(&out, "a", "1");
    drop(session);
    tokio::task::yield_now().await;
    assert_eq!(world.keys().await, ["out/old"]);
}

#[tokio::test]
async fn a_plan_is_what_the_run_does() {
    let world = World::with(&[("x/a", "1")]).await;
    let session = world.session();
    let plan = session.plan_download("memory://b/x", DownloadOptions::default()).await.unwrap();
    let target = world.path("cache/_/b/x/a").display().to_string();
    assert_eq!(plan.copies().map(Result::unwrap).collect::<Vec<_>>(), [("memory://b/x/a".to_owned(), target)]);
    let local = world.path("other-name");
    let one = DownloadOptions::default().with_local(local.clone());
    let plan = session.plan_download("memory://b/x/a", one.clone()).await.unwrap();
    assert_eq!(
        plan.copies().map(Result::unwrap).collect::<Vec<_>>(),
        [("memory://b/x/a".to_owned(), local.display().to_string())]
    );
    assert!(!world.path("cache").exists() && !local.exists());
    assert!(session.status().is_empty());
    let error = session.plan_download("memory://b/typo", DownloadOptions::default()).await.unwrap_err();
    assert!(matches!(error, SessionError::Missing { .. }), "{error}");
    let error = session.plan_upload("memory://b/x", upload()).await.unwrap_err();
    assert!(matches!(error, SessionError::NoLocalPath(_)), "{error}");

    assert_eq!(session.download("memory://b/x/a", one).await.unwrap(), local);
    fs::write(&local, "22").unwrap();
    let named = upload().with_local(local.clone()).with_delete(RemoteDelete::Extra);
    let plan = session.plan_upload("memory://b/y", named).await.unwrap();
    assert_eq!(
        plan.copies().map(Result::unwrap).collect::<Vec<_>>(),
        [(local.display().to_string(), "memory://b/y".to_owned())]
    );
    assert_eq!(plan.deletes().count(), 0);
    assert_eq!(world.keys().await, ["x/a"]);
}

#[tokio::test]
async fn the_plan_of_an_upload_contains_what_the_upload_does_with_files_from_before_the_session() {
    let world = World::with(&[("x/changed", "theirs"), ("x/same", "s"), ("one", "theirs")]).await;
    fs::create_dir(world.path("files")).unwrap();
    for (name, content) in [("changed", "from an earlier run"), ("same", "s"), ("new", "n")] {
        write(&world.path("files"), name, content);
    }
    let directory = upload().with_local(world.path("files"));
    let file = upload().with_local(world.path("files/changed"));
    for (remote, options, copied) in
        [("memory://b/x", directory, vec!["memory://b/x/new"]), ("memory://b/one", file, vec![])]
    {
        let session = world.session();
        let plan = session.plan_upload(remote, options.clone()).await.unwrap();
        let planned: Vec<_> = plan.copies().map(|copy| copy.unwrap().1).collect();
        assert_eq!(planned, copied, "{remote}");
        assert_eq!(session.status().len(), 0, "{remote}");

        session.upload(remote, options).await.unwrap();
        let ending = session.close().await;
        assert!(ending.into_result().is_err(), "{remote}: it is a conflict");
    }
    assert_eq!(world.keys().await, ["one", "x/changed", "x/new", "x/same"]);
    assert_eq!(world.read("x/changed").await, "theirs");
    assert_eq!(world.read("one").await, "theirs");
}

#[tokio::test]
async fn what_a_session_that_is_stopped_did_not_upload_is_named() {
    let world = World::new();
    let session = world.session();
    let options = upload().with_sync_on_error(true);
    let out = session.upload("memory://b/out", options).await.unwrap();
    write(&out, "a", "1");
    session.urge(Urgency::Stop);
    let ending = session.give_up().await;
    assert_eq!((ending.uploads.len(), ending.uploads[0].local.as_path()), (1, out.as_path()));
    let error = ending.into_result().unwrap_err().to_string();
    assert!(error.contains("the deadline passed before the missing files were known"), "{error}");
    assert_eq!(world.keys().await, [""; 0]);
}

#[tokio::test]
async fn guards_can_be_set_for_each_registration() {
    let world = World::with(&[("out/a", "1"), ("out/b", "2")]).await;
    let mirror = |guards| upload().with_delete(RemoteDelete::Extra).with_guards(guards);
    for (guards, left) in [
        (Guards::default(), 2),
        (Guards::default().with_allow_empty(true).with_max_delete(MaxDelete::Count(1)), 2),
        (Guards::default().with_allow_empty(true), 0),
    ] {
        let session = world.session();
        session.upload("memory://b/out", mirror(guards)).await.unwrap();
        assert_eq!(session.close().await.into_result().is_ok(), left == 0, "{guards:?}");
        assert_eq!(world.keys().await.len(), left, "{guards:?}");
    }
}

#[tokio::test]
async fn an_input_that_cannot_be_brought_uploads_nothing() {
    let world = World::new();
    fs::create_dir_all(world.path("cache/_/b/out")).unwrap();
    fs::write(world.path("cache/_/b/out/left"), "from an earlier run").unwrap();
    let entered = Mirror::builder(world.builder())
        .upload("out", "memory://b/out", upload().with_sync_on_error(true))
        .download("typo", "memory://b/typo", DownloadOptions::default())
        .enter()
        .await;
    assert!(entered.is_err());
    assert_eq!(world.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_sync_keeps_what_a_run_made_that_died_before_it_was_uploaded() {
    let world = World::with(&[("run/ckpt", "old"), ("run/other", "x")]).await;
    let state = crate::state::StateDirectory::new(world.path("state"));
    let registry = Registry::default().with("memory", world.memory.clone());
    let open = || Session::builder().registry(registry.clone()).cache_root(world.path("cache")).state(state.clone());
    let first = open().open().unwrap();
    let run = first.sync("memory://b/run", SyncBothOptions::default()).await.unwrap();
    write(&run, "ckpt", "new");
    write(&run, "ckpt-2", "newer");
    // The registration's memory outlives a download that is asked for again, as a database outlives the process.
    let registration = first.inner.registrations()[0].clone();
    transfer::download(first.inner.clone(), registration).await.unwrap();
    assert_eq!(fs::read_to_string(run.join("ckpt")).unwrap(), "new");
    assert_eq!(fs::read_to_string(run.join("ckpt-2")).unwrap(), "newer");
    first.close().await.into_result().unwrap();
    assert_eq!(world.read("run/ckpt").await, "new");
}
