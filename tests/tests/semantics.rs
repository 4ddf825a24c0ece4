//! A sync between real directories and an object store in memory: the parts of `docs/SEMANTICS.md` that need a disk.

mod early_end;
mod meanwhile;
mod withheld;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pos3_core::{
    Deletion, Key, MemoryStore, RemoteStore, RemoteStoreExt, Report, SkipReason, SyncJob, SyncOptions, Tree,
};
use pos3_local::{LocalOptions, LocalStore, MissingRoot};
use tempfile::TempDir;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with('/') { fs::create_dir_all(path).unwrap() } else { fs::write(path, content).unwrap() }
    }
    directory
}

fn disk(path: &Path) -> Arc<LocalStore> {
    let options = LocalOptions::default().with_missing_root(MissingRoot::Empty);
    Arc::new(LocalStore::with_options(path, options).unwrap())
}

async fn bucket(objects: &[(&str, &'static str)]) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    for (key, content) in objects {
        store.write(&Key::from(*key), (*content).into()).await.unwrap();
    }
    store
}

fn job(source: Arc<dyn RemoteStore>, target: Arc<dyn RemoteStore>, deletion: Deletion) -> SyncJob {
    SyncJob::new(Tree::new(source), Tree::new(target), SyncOptions::default().with_deletion(deletion))
}

async fn mirror(source: Arc<dyn RemoteStore>, target: Arc<dyn RemoteStore>) -> Report {
    job(source, target, Deletion::Extra).run().await
}

async fn keys(store: &MemoryStore) -> Vec<String> {
    store.list_all("").await.unwrap().into_iter().map(|entry| entry.key.as_str().to_owned()).collect()
}

/// Every path below a directory, directories with `/`.
fn paths(root: &Path) -> Vec<String> {
    let output = Command::new("find")
        .arg(root)
        .args(["-mindepth", "1", "-type", "d", "-printf", "%P/\n", "-o", "-printf", "%P\n"])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut paths: Vec<String> = text.lines().map(str::to_owned).collect();
    paths.sort();
    paths
}

fn reasons(report: &Report) -> Vec<(String, String)> {
    report.skipped.iter().map(Result::unwrap).map(|(key, why)| (key.as_str().to_owned(), why.to_string())).collect()
}

#[tokio::test]
async fn a_tree_with_empty_directories_goes_up_and_comes_back() {
    let source = directory(&[("a/x", "1"), ("a-b", "2"), ("a.txt", "3"), ("empty/", ""), ("deep/er/empty/", "")]);
    let store = bucket(&[]).await;
    let up = mirror(disk(source.path()), store.clone()).await.into_result().unwrap();
    assert_eq!(up.copied, 5);
    assert_eq!(keys(&store).await, ["a-b", "a.txt", "a/x", "deep/er/empty/", "empty/"]);
    let back = tempfile::tempdir().unwrap();
    assert!(mirror(store.clone(), disk(&back.path().join("new"))).await.is_clean());
    assert_eq!(paths(&back.path().join("new")), paths(source.path()));
    let again = mirror(store.clone(), disk(&back.path().join("new"))).await.into_result().unwrap();
    assert_eq!((again.copied, again.deleted), (0, 0));
    let again = mirror(disk(source.path()), store).await.into_result().unwrap();
    assert_eq!((again.copied, again.deleted), (0, 0));
}

#[tokio::test]
async fn a_downloaded_file_has_the_objects_time_and_an_uploaded_one_keeps_its_own() {
    let store = bucket(&[("a", "1")]).await;
    let target = tempfile::tempdir().unwrap();
    assert!(mirror(store.clone(), disk(target.path())).await.is_clean());
    let modified = store.head(&Key::from("a")).await.unwrap().modified.unwrap();
    assert_eq!(fs::metadata(target.path().join("a")).unwrap().modified().unwrap(), modified);
    let before = fs::metadata(target.path().join("a")).unwrap();
    assert!(mirror(disk(target.path()), bucket(&[]).await).await.is_clean());
    let after = fs::metadata(target.path().join("a")).unwrap();
    assert_eq!(
        (before.mtime_nsec(), before.ctime_nsec()),
        (after.mtime_nsec(), after.ctime_nsec()),
        "a source is only read"
    );
}

#[tokio::test]
async fn a_symbolic_link_is_left_out_and_never_absent() {
    let source = directory(&[("file", "1"), ("elsewhere/x", "2")]);
    symlink("file", source.path().join("link")).unwrap();
    symlink("elsewhere", source.path().join("linked")).unwrap();
    let store = bucket(&[("link", "old"), ("linked/x", "old"), ("linked-not", "gone"), ("file", "0")]).await;
    let report = mirror(disk(source.path()), store.clone()).await;
    assert!(report.is_clean(), "a link is policy, not a failure: {report:?}");
    assert_eq!(reasons(&report).len(), 2, "each link is told once: {:?}", report.skipped);
    assert_eq!(keys(&store).await, ["elsewhere/x", "file", "link", "linked/x"]);
    assert_eq!(store.read(&Key::from("link")).await.unwrap(), "old");
}

#[tokio::test]
async fn nothing_is_written_through_a_link_in_the_target() {
    let outside = directory(&[("x", "precious"), ("file", "precious")]);
    let target = directory(&[]);
    symlink(outside.path(), target.path().join("linked")).unwrap();
    symlink(outside.path().join("file"), target.path().join("file")).unwrap();
    let store = bucket(&[("linked/x", "evil"), ("linked/new", "evil"), ("file", "evil"), ("fine", "1")]).await;
    let report = mirror(store, disk(target.path())).await;
    assert_eq!((report.copied, report.skipped.len(), report.is_clean()), (1, 3, false));
    assert!(reasons(&report)[0].1.contains("symbolic link"), "{:?}", reasons(&report));
    assert_eq!(paths(outside.path()), ["file", "x"]);
    assert_eq!(fs::read_to_string(outside.path().join("x")).unwrap(), "precious");
    assert!(target.path().join("linked").is_symlink() && target.path().join("file").is_symlink());
}

#[tokio::test]
async fn what_is_no_regular_file_is_skipped_with_a_reason_and_protected() {
    let source = directory(&[("file", "1")]);
    assert!(Command::new("mkfifo").arg(source.path().join("pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(source.path().join("socket")).unwrap();
    fs::write(source.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "latin").unwrap();
    let store = bucket(&[("pipe", "old"), ("socket", "old"), ("caf\u{fffd}", "old"), ("x", "gone")]).await;
    let report = mirror(disk(source.path()), store.clone()).await;
    assert!(!report.is_clean());
    assert_eq!(report.skipped.len(), 3, "{:?}", reasons(&report));
    assert_eq!((report.deleted, report.withheld), (0, 1), "a file whose name is no text could not be copied");
    assert_eq!(keys(&store).await, ["caf\u{fffd}", "file", "pipe", "socket", "x"]);
    fs::remove_file(source.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"))).unwrap();
    let report = mirror(disk(source.path()), store.clone()).await;
    assert_eq!((report.skipped.len(), report.deleted), (2, 2), "pipes and sockets hold nothing to copy");
    assert_eq!(keys(&store).await, ["file", "pipe", "socket"]);
}

#[tokio::test]
async fn dangerous_keys_are_refused_one_by_one_and_the_rest_is_synced() {
    let objects = [
        ("fine", "1"),
        ("a//b", "x"),
        ("/lead", "x"),
        ("c/./d", "x"),
        ("../up", "x"),
        ("a%20b", "2"),
        ("x#1", "3"),
        ("y?z", "4"),
        ("line\nbreak", "5"),
        ("caf\u{e9}", "6"),
        ("cafe\u{301}", "7"),
        ("full/", "a directory with content"),
    ];
    let (store, parent) = (bucket(&objects).await, tempfile::tempdir().unwrap());
    let target = parent.path().join("target");
    let report = mirror(store.clone(), disk(&target)).await;
    let refused: Vec<String> = reasons(&report).into_iter().map(|(key, _)| key).collect();
    assert_eq!(refused, ["../up", "/lead", "a//b", "c/./d", "full/"]);
    assert!(!report.skipped.any(|why| !matches!(why, SkipReason::Unsafe(_))), "{:?}", report.skipped);
    assert_eq!((report.copied, report.is_clean()), (7, false));
    assert_eq!(paths(parent.path()).len(), 1 + 7 + 1, "seven files, one with two lines, and the target itself");
    let again = bucket(&[]).await;
    let up = mirror(disk(&target), again.clone()).await.into_result().unwrap();
    assert_eq!(up.copied, 7);
    for (key, content) in objects.iter().filter(|(key, _)| !refused.iter().any(|refused| refused == key)) {
        assert_eq!(again.read(&Key::from(*key)).await.unwrap(), *content, "{key:?}");
    }
}

#[tokio::test]
async fn a_file_and_a_directory_of_one_name_clash_and_nothing_is_deleted() {
    let store = bucket(&[("a", "file"), ("a-b", "1"), ("a/x", "below"), ("dir", "file"), ("dir/", "")]).await;
    let target = directory(&[("old", "kept")]);
    let report = mirror(store.clone(), disk(target.path())).await;
    let clashes: Vec<(String, String)> = reasons(&report);
    let expected = [
        ("a/x", "'a' exists, and a name cannot be a file and a directory at once"),
        ("dir/", "'dir' exists, and a name cannot be a file and a directory at once"),
    ];
    assert_eq!(clashes, expected.map(|(key, why)| (key.to_owned(), why.to_owned())));
    assert_eq!((report.copied, report.deleted, report.withheld), (3, 0, 1));
    assert_eq!(paths(target.path()), ["a", "a-b", "dir", "old"]);
}

#[tokio::test]
async fn another_kind_is_left_alone_without_deletes_and_replaced_with_them() {
    for (object, on_disk) in [("a", "a/x"), ("a/x", "a")] {
        let store: Arc<MemoryStore> = Arc::new(MemoryStore::new());
        store.write(&Key::from(object), "new".into()).await.unwrap();
        store.write(&Key::from("fine"), "1".into()).await.unwrap();
        let target = directory(&[(on_disk, "old")]);
        let report = job(store.clone(), disk(target.path()), Deletion::Keep).run().await;
        assert!(!report.is_clean());
        assert_eq!((report.copied, report.deleted), (1, 0), "{report:?}");
        assert_eq!(fs::read_to_string(target.path().join(on_disk)).unwrap(), "old");

        let report = mirror(store, disk(target.path())).await.into_result().unwrap();
        assert_eq!((report.copied, report.deleted), (1, 1), "{report:?}");
        assert_eq!(fs::read_to_string(target.path().join(object)).unwrap(), "new");
    }
}

#[tokio::test]
async fn deleting_removes_files_then_the_directories_they_leave_empty() {
    let target =
        directory(&[("keep/a", "1"), ("gone/deep/er/b", "2"), ("gone/c", "3"), ("keep/sub/d", "4"), ("bare/", "")]);
    let store = bucket(&[("keep/a", "1")]).await;
    let plan = job(store.clone(), disk(target.path()), Deletion::Extra).plan().await.unwrap();
    assert!(plan.counts().deletes + plan.counts().directories > 0);
    assert_eq!(paths(target.path()).len(), 10, "a plan touches nothing");
    let report = mirror(store, disk(target.path())).await.into_result().unwrap();
    assert_eq!(report.deleted, 4, "three files and an empty directory");
    assert_eq!(paths(target.path()), ["keep/", "keep/a"]);
}

#[tokio::test]
async fn an_excluded_file_keeps_its_directory() {
    let target = directory(&[("d/keep.log", "1"), ("d/x", "2")]);
    let filter = pos3_core::Filter::builder().exclude("*.log").unwrap().build().unwrap();
    let options = SyncOptions::default().with_deletion(Deletion::Extra).with_filter(filter);
    let job = SyncJob::new(Tree::new(bucket(&[("y", "1")]).await), Tree::new(disk(target.path())), options);
    assert!(job.run().await.is_clean());
    assert_eq!(paths(target.path()), ["d/", "d/keep.log", "y"]);
}

#[tokio::test]
async fn a_missing_source_deletes_nothing_and_is_named() {
    let missing = Arc::new(LocalStore::new("/nonexistent/source").unwrap());
    let store = bucket(&[("a", "1")]).await;
    let report = mirror(missing, store.clone()).await;
    let said = report.into_result().unwrap_err().to_string();
    assert!(said.contains("source") && said.contains("/nonexistent/source"), "{said}");
    assert_eq!(keys(&store).await, ["a"]);
}

#[tokio::test]
async fn a_failed_download_leaves_the_old_file() {
    let store = bucket(&[("a", "a longer new content")]).await;
    let cut = Arc::new(pos3_core::conformance::FaultStore::over_shared(store).cutting_bodies_after(5));
    let target = directory(&[("a", "old"), ("extra", "1")]);
    let report = mirror(cut, disk(target.path())).await;
    assert_eq!((report.failed.len(), report.withheld), (1, 1));
    assert_eq!(paths(target.path()), ["a", "extra"]);
    assert_eq!(fs::read_to_string(target.path().join("a")).unwrap(), "old");
}
