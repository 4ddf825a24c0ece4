//! Two workspaces of one location, in the memory of the tests.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use pos3_core::{Key, MemoryStore, RemoteStoreExt};

use super::*;

struct World {
    disk: tempfile::TempDir,
    store: Arc<MemoryStore>,
}

impl World {
    fn new() -> Self {
        Self { disk: tempfile::tempdir().unwrap(), store: Arc::new(MemoryStore::new()) }
    }

    fn workspace(&self, name: &str) -> Workspace {
        self.builder(name).open().unwrap()
    }

    fn builder(&self, name: &str) -> WorkspaceBuilder {
        Workspace::builder("memory://bucket/tenant/ws", self.path(name)).store(self.store.clone())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.disk.path().join(name)
    }

    async fn put(&self, key: &str, text: &str) {
        self.store.write(&Key::from(format!("tenant/ws/{key}")), text.as_bytes().to_vec().into()).await.unwrap();
    }

    async fn objects(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in self.store.list_all("tenant/ws/").await.unwrap() {
            let text = self.store.read(&entry.key).await.unwrap();
            let key = entry.key.as_str().strip_prefix("tenant/ws/").unwrap().to_owned();
            found.push((key, String::from_utf8(text.to_vec()).unwrap()));
        }
        found
    }
}

/// Returns the files of a directory with their contents, without the records.
fn files(root: &Path) -> Vec<(String, String)> {
    fn walk(root: &Path, below: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            match path.is_dir() {
                true if name == scope::RECORDS => {}
                true => walk(root, &path, found),
                false => found.push((name, fs::read_to_string(&path).unwrap())),
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn a_pull_restores_and_a_push_stores_only_the_changes() {
    let world = World::new();
    world.put("a.txt", "a1").await;
    world.put("d/b.txt", "b1").await;
    let one = world.workspace("one");
    let report = one.pull().await.unwrap();
    assert!(report.success && report.downloaded == 2, "{report:?}");
    assert_eq!(files(one.path()), pairs(&[("a.txt", "a1"), ("d/b.txt", "b1")]));

    fs::write(one.path().join("a.txt"), "a2").unwrap();
    fs::write(one.path().join("new"), "n").unwrap();
    fs::remove_file(one.path().join("d/b.txt")).unwrap();
    let report = one.push().await.unwrap();
    assert!(report.success && (report.uploaded, report.deleted) == (2, 1), "{report:?}");
    assert_eq!(world.objects().await, pairs(&[("a.txt", "a2"), ("new", "n")]));
    let report = one.push().await.unwrap();
    assert_eq!((report.uploaded, report.deleted, report.unchanged), (0, 0, 2));
}

#[tokio::test]
async fn a_pull_removes_what_was_stored_and_moves_aside_what_was_not() {
    let world = World::new();
    for (key, text) in [("edited", "1"), ("both", "1"), ("gone/a", "1"), ("gone, edited", "1")] {
        world.put(key, text).await;
    }
    let one = world.workspace("one");
    let _report = one.pull().await.unwrap();
    for path in ["edited", "both", "gone, edited", "local", "tab\tand\nline"] {
        fs::write(one.path().join(path), "mine").unwrap();
    }
    fs::create_dir_all(one.path().join("made/by/user")).unwrap();
    world.put("both", "theirs").await;
    for key in ["gone/a", "gone, edited"] {
        world.store.remove(&Key::from(format!("tenant/ws/{key}"))).await.unwrap();
    }
    let report = one.pull().await.unwrap();
    assert!(report.success, "{report:?}");
    assert_eq!((report.deleted, report.downloaded), (1, 1), "{report:?}");
    assert_eq!(files(one.path()), pairs(&[("both", "theirs"), ("edited", "mine"), ("gone, edited", "mine")]));
    assert!(one.path().join("made/by/user").is_dir() && !one.path().join("gone").exists());
    let aside: Vec<_> = report.set_aside.iter().map(|aside| aside.path.as_str()).collect();
    assert_eq!(aside, ["both", "local", "tab\tand\nline"]);
    assert!(report.set_aside.iter().all(|aside| fs::read_to_string(one.path().join(&aside.now)).unwrap() == "mine"));
    let report = one.pull().await.unwrap();
    assert_eq!((report.downloaded, report.deleted, report.set_aside.len()), (0, 0, 0), "{report:?}");
    let report = one.push().await.unwrap();
    assert!(report.success && (report.uploaded, report.conflicts.len()) == (2, 0), "{report:?}");
}

#[tokio::test]
async fn a_workspace_that_is_moved_keeps_its_state_and_one_without_its_record_deletes_nothing() {
    let world = World::new();
    let store = || Workspace::builder(world.path("store/p").to_str().unwrap(), world.path("one"));
    fs::create_dir_all(world.path("store/p")).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(world.path("store/p").join(name), "1").unwrap();
    }
    assert_eq!(store().open().unwrap().pull().await.unwrap().downloaded, 3);
    fs::rename(world.path("one"), world.path("two")).unwrap();
    let two = Workspace::existing(world.path("two")).unwrap().open().unwrap();
    fs::write(two.path().join("a"), "2").unwrap();
    fs::remove_file(two.path().join("b")).unwrap();
    let report = two.push().await.unwrap();
    assert!((report.uploaded, report.deleted, report.conflicts.len()) == (1, 1, 0), "{report:?}");
    fs::remove_file(two.path().join(".pos3/workspace.json")).unwrap();
    fs::remove_file(two.path().join("c")).unwrap();
    let two = Workspace::builder(format!("{}/", world.path("store/p").display()), world.path("two")).open().unwrap();
    let report = two.push().await.unwrap();
    assert_eq!((report.deleted, report.warnings.len()), (0, 1), "{report:?}");
    assert!(world.path("store/p/c").exists());
}

#[tokio::test]
async fn a_push_before_any_pull_deletes_nothing_and_replaces_nothing() {
    let world = World::new();
    world.put("theirs", "t").await;
    world.put("same name", "theirs").await;
    let one = world.workspace("one");
    fs::create_dir(one.path()).unwrap();
    fs::write(one.path().join("same name"), "ours").unwrap();
    fs::write(one.path().join("new"), "n").unwrap();
    let report = one.push().await.unwrap();
    assert!(report.success && report.deleted == 0, "{report:?}");
    let copy = report.conflicts[0].copy.clone();
    assert!(copy.starts_with("same name (conflict 20"), "{copy}");
    let expected = pairs(&[("new", "n"), ("same name", "theirs"), (&copy, "ours"), ("theirs", "t")]);
    assert_eq!(world.objects().await, expected);
    let local = pairs(&[("new", "n"), ("same name", "theirs"), (&copy, "ours")]);
    assert_eq!(files(one.path()), local);
}

#[tokio::test]
async fn both_versions_of_a_conflict_survive_and_both_workspaces_converge() {
    let world = World::new();
    world.put("report.md", "v1").await;
    let (one, two) = (world.workspace("one"), world.workspace("two"));
    let _reports = (one.pull().await.unwrap(), two.pull().await.unwrap());
    fs::write(one.path().join("report.md"), "of one").unwrap();
    fs::write(two.path().join("report.md"), "of two").unwrap();
    let report = one.push().await.unwrap();
    assert!(report.success && report.conflicts.is_empty());
    let report = two.push().await.unwrap();
    assert!(report.success && report.conflicts.len() == 1, "{report:?}");
    assert_eq!(report.conflicts[0].path, "report.md");
    let _report = one.pull().await.unwrap();
    assert_eq!(files(one.path()), files(two.path()));
    assert_eq!(files(one.path()), world.objects().await);
    let texts: Vec<_> = files(one.path()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["of two", "of one"]);
}

#[tokio::test]
async fn what_one_deletes_and_the_other_changes_stays() {
    let world = World::new();
    world.put("a", "v1").await;
    world.put("b", "v1").await;
    let (one, two) = (world.workspace("one"), world.workspace("two"));
    let _reports = (one.pull().await.unwrap(), two.pull().await.unwrap());
    fs::remove_file(one.path().join("a")).unwrap();
    fs::write(one.path().join("b"), "v2").unwrap();
    fs::write(two.path().join("a"), "v2").unwrap();
    fs::remove_file(two.path().join("b")).unwrap();
    let report = one.push().await.unwrap();
    assert_eq!((report.uploaded, report.deleted), (1, 1), "{report:?}");
    let report = two.push().await.unwrap();
    assert_eq!((report.uploaded, report.deleted), (1, 0), "{report:?}");
    let _reports = (one.pull().await.unwrap(), two.pull().await.unwrap());
    assert_eq!(files(one.path()), pairs(&[("a", "v2"), ("b", "v2")]));
    assert_eq!(files(one.path()), files(two.path()));
}

#[tokio::test]
async fn a_pull_in_the_background_has_priority_and_single_files_first() {
    let world = World::new();
    for number in 0..40 {
        world.put(&format!("f{number}"), "text").await;
    }
    let one = world.builder("one").priority(["f7"]).open().unwrap();
    assert!(!one.is_pull_complete() && one.wait_for_pull().await.unwrap().is_none());
    one.start_background_pull();
    one.start_background_pull();
    let _first = one.wait_for_priority().await.unwrap();
    assert!(one.path().join("f7").exists());
    let text = std::io::read_to_string(one.open_file("f39").await.unwrap()).unwrap();
    assert_eq!(text, "text");
    fs::write(one.path().join("mine"), "written meanwhile").unwrap();
    let report = one.wait_for_pull().await.unwrap().unwrap();
    assert!(report.success && report.set_aside.is_empty() && one.is_pull_complete(), "{report:?}");
    assert!(one.path().join("mine").exists());
    let report = one.push().await.unwrap();
    assert!((report.uploaded, report.deleted, report.conflicts.len()) == (1, 0, 0), "{report:?}");
    std::os::unix::fs::symlink("/etc", one.path().join("link")).unwrap();
    for path in ["../x", "", "d/", ".pos3/workspace.json", "/etc/passwd", "none", "link/passwd"] {
        assert!(matches!(one.open_file(path).await, Err(WorkspaceError::File { .. })), "{path}");
    }
}

#[tokio::test]
async fn a_status_shows_what_a_pull_and_a_push_would_do() {
    let world = World::new();
    for key in ["a", "b", "c", "d"] {
        world.put(key, "v1").await;
    }
    let one = world.workspace("one");
    let _report = one.pull().await.unwrap();
    assert!(one.status().await.unwrap().is_clean());
    fs::write(one.path().join("a"), "v2").unwrap();
    fs::remove_file(one.path().join("b")).unwrap();
    fs::write(one.path().join("new"), "n").unwrap();
    world.put("c", "v2").await;
    world.put("a", "other").await;
    world.put("other", "o").await;
    world.store.remove(&Key::from("tenant/ws/d")).await.unwrap();
    let status = one.status().await.unwrap();
    let (new, changed, deleted) = (PathStatus::New, PathStatus::Changed, PathStatus::Deleted);
    assert_eq!(status.push, [new("new".into()), deleted("b".into())]);
    assert_eq!(status.pull, [changed("c".into()), new("other".into()), deleted("d".into())]);
    assert_eq!(status.conflicts, ["a"]);
    assert_eq!(files(one.path()), pairs(&[("a", "v2"), ("c", "v1"), ("d", "v1"), ("new", "n")]));
}

#[tokio::test]
async fn a_part_of_a_workspace_can_be_pulled_and_the_rest_is_never_deleted() {
    let world = World::new();
    for key in ["a/1", "a/2", "b/1", "c"] {
        world.put(key, key).await;
    }
    let one = world.workspace("one");
    let report = one.pull_only(["a", "./c"]).await.unwrap();
    assert_eq!(report.downloaded, 3, "{report:?}");
    fs::remove_file(one.path().join("a/1")).unwrap();
    let report = one.push().await.unwrap();
    assert_eq!((report.uploaded, report.deleted), (0, 1), "{report:?}");
    assert_eq!(world.objects().await, pairs(&[("a/2", "a/2"), ("b/1", "b/1"), ("c", "c")]));
    let report = one.pull_only(["none"]).await.unwrap();
    assert_eq!((report.downloaded, report.warnings.len()), (0, 1), "{report:?}");
}

#[tokio::test]
async fn a_pull_that_does_not_fit_fetches_nothing() {
    let world = World::new();
    world.put("a", "12345").await;
    let one = world.builder("one").size_limit(4).open().unwrap();
    let error = one.pull().await.unwrap_err();
    assert!(matches!(error, WorkspaceError::TooLarge { total: 5, limit: 4, .. }), "{error}");
    assert_eq!(files(one.path()), []);
    assert!(world.builder("one").size_limit(5).open().unwrap().pull().await.unwrap().success);
}

#[tokio::test]
async fn objects_over_the_limit_are_left_out_and_never_deleted() {
    let world = World::new();
    world.put("large", "123456").await;
    world.put("small", "12").await;
    let one = world.builder("one").file_size_limit(5).size_limit(5).open().unwrap();
    let report = one.pull().await.unwrap();
    assert!(report.success && (report.downloaded, report.skipped) == (1, 1), "{report:?}");
    let report = one.push().await.unwrap();
    assert!(report.success && report.deleted == 0, "{report:?}");
    assert_eq!(std::io::read_to_string(one.open_file("large").await.unwrap()).unwrap(), "123456");
}

#[tokio::test]
async fn what_either_side_ignores_is_left_alone_on_both() {
    let world = World::new();
    for (key, text) in
        [(".syncignore", "*.bin\n!keep.log\n"), ("a.bin", "1"), ("keep.log", "1"), ("x.log", "1"), ("b", "1")]
    {
        world.put(key, text).await;
    }
    let one = world.builder("one").ignore(["secret/"]).open().unwrap();
    fs::create_dir_all(one.path().join("secret")).unwrap();
    fs::write(one.path().join("secret/key"), "s").unwrap();
    fs::write(one.path().join("mine.bin"), "m").unwrap();
    let report = one.pull().await.unwrap();
    assert!(report.success && (report.downloaded, report.deleted, report.set_aside.len()) == (3, 0, 0), "{report:?}");
    let local =
        [(".syncignore", "*.bin\n!keep.log\n"), ("b", "1"), ("keep.log", "1"), ("mine.bin", "m"), ("secret/key", "s")];
    assert_eq!(files(one.path()), pairs(&local));
    // A pattern that is added later deletes nothing on either side.
    fs::write(one.path().join(".syncignore"), "*.bin\nb\n").unwrap();
    fs::remove_file(one.path().join("b")).unwrap();
    let report = one.push().await.unwrap();
    assert_eq!((report.uploaded, report.deleted), (1, 0), "{report:?}");
    let keys: Vec<_> = world.objects().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [".syncignore", "a.bin", "b", "keep.log", "x.log"]);
}

#[tokio::test]
async fn an_empty_location_does_not_empty_a_directory() {
    let world = World::new();
    let one = world.workspace("one");
    assert!(one.pull().await.unwrap().success, "a new workspace");
    fs::write(one.path().join("never pushed"), "x").unwrap();
    let error = one.pull().await.unwrap_err();
    assert!(matches!(error, WorkspaceError::NothingToPull { .. }), "{error}");
    assert_eq!(files(one.path()), pairs(&[("never pushed", "x")]));
    let _report = one.push().await.unwrap();
    world.store.remove(&Key::from("tenant/ws/never pushed")).await.unwrap();
    let error = one.pull().await.unwrap_err();
    assert!(error.refusal().is_some(), "{error}");
    assert_eq!(files(one.path()), pairs(&[("never pushed", "x")]));
}

#[test]
fn a_workspace_needs_a_prefix_and_a_concurrency() {
    let open = |location: &str| Workspace::builder(location, "/nowhere").open();
    for location in ["s3://bucket", "s3://bucket/", "memory://b//"] {
        assert!(matches!(open(location), Err(WorkspaceError::NoPrefix { .. })), "{location}");
    }
    assert!(open("s3://bucket/p").is_ok() && open("").is_err());
    let none = Workspace::builder("s3://bucket/p", "/nowhere").download_concurrency(0).open();
    assert!(matches!(none, Err(WorkspaceError::NoConcurrency { what: "download concurrency" })));
    let none = Workspace::builder("s3://bucket/p", "/nowhere").upload_concurrency(0).open();
    assert!(matches!(none, Err(WorkspaceError::NoConcurrency { what: "upload concurrency" })));
}
