use std::fs;
use std::path::Path;
use std::sync::Arc;

use pos3_core::{MemoryStore, RemoteStore, RemoteStoreExt};
use pos3_local::LocalStore;

use super::*;

const NAME: &str = ".rules";

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn local(path: &Path) -> Tree {
    Tree::new(Arc::new(LocalStore::new(path).unwrap()))
}

async fn remote(objects: &[(&str, &str)]) -> (Arc<MemoryStore>, Tree) {
    let store = Arc::new(MemoryStore::new());
    for (key, text) in objects {
        store.write(&Key::from(format!("p/{key}")), text.as_bytes().to_vec().into()).await.unwrap();
    }
    let tree = Tree::new(store.clone() as Arc<dyn RemoteStore>).at("p/");
    (store, tree)
}

fn names(set: &IgnoreSet) -> Vec<&str> {
    set.texts().map(|text| text.name.as_str()).collect()
}

async fn of(tree: &Tree) -> Result<IgnoreSet, Error> {
    IgnoreFiles::new([NAME]).of(tree, &Filter::default(), &IgnoreSet::new()).await
}

const FILES: &[(&str, &str)] = &[
    (".rules", "out/\n*.log\n"),
    ("d/.rules", "!keep.log\n/deep/\n"),
    ("d/x.txt", "x"),
    ("d/e/.rules", "*.txt\n"),
    ("d/deep/.rules", "!keep.log\n["),
    ("out/.rules", "["),
    ("e/.rules.txt", "["),
];

#[tokio::test]
async fn nested_ignore_files_are_read_on_either_side_and_none_in_an_ignored_directory() {
    let directory = directory(FILES);
    let (_, tree) = remote(FILES).await;
    for tree in [local(directory.path()), tree.recorded(), tree] {
        let set = of(&tree).await.unwrap();
        assert_eq!(names(&set), [".rules", "d/.rules", "d/e/.rules"], "{tree}");
        for (key, is_ignored) in
            [("a.log", true), ("d/keep.log", false), ("d/a.log", true), ("d/x.txt", false), ("d/e/x.txt", true)]
        {
            assert_eq!(set.ignores(key), is_ignored, "{key}");
        }
    }
}

#[tokio::test]
async fn an_excluded_directory_is_not_read() {
    let directory = directory(&[("d/.rules", "[")]);
    let (_, tree) = remote(&[("d/.rules", "[")]).await;
    let filter = Filter::builder().exclude("d/").and_then(pos3_core::FilterBuilder::build).unwrap();
    for tree in [local(directory.path()), tree] {
        let set = IgnoreFiles::new([NAME]).of(&tree, &filter, &IgnoreSet::new()).await.unwrap();
        assert!(set.is_empty());
        of(&tree).await.unwrap_err();
    }
}

#[tokio::test]
async fn an_ignore_file_that_cannot_be_used_is_an_error_that_names_it() {
    let large = "x\n".repeat(600_000);
    for (text, why) in [("ok\n[\n", "line 2"), (large.as_str(), "larger than 1 MiB")] {
        let directory = directory(&[("d/.rules", text)]);
        let (_, tree) = remote(&[("d/.rules", text)]).await;
        for tree in [local(directory.path()), tree] {
            let error = pos3_core::one_line(&of(&tree).await.unwrap_err());
            assert!(error.contains("d/.rules'") && error.contains(why), "{error}");
        }
    }
    let directory = directory(&[]);
    fs::write(directory.path().join(NAME), b"\xff").unwrap();
    let error = pos3_core::one_line(&of(&local(directory.path())).await.unwrap_err());
    assert!(error.contains("not valid UTF-8"), "{error}");
    fs::remove_file(directory.path().join(NAME)).unwrap();
    std::os::unix::fs::symlink("/dev/null", directory.path().join(NAME)).unwrap();
    let error = pos3_core::one_line(&of(&local(directory.path())).await.unwrap_err());
    assert!(error.contains(NAME) && error.contains("not a readable file"), "{error}");
    fs::remove_file(directory.path().join(NAME)).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(directory.path().join(NAME)).status().unwrap().success());
    of(&local(directory.path())).await.unwrap_err();
}

#[tokio::test]
async fn a_linked_directory_is_not_read() {
    let outside = directory(&[(".rules", "[")]);
    let directory = directory(&[("x", "")]);
    std::os::unix::fs::symlink(outside.path(), directory.path().join("link")).unwrap();
    assert!(of(&local(directory.path())).await.unwrap().is_empty());
}

#[tokio::test]
async fn either_side_ignores_for_both_and_an_equal_file_is_not_fetched() {
    let directory = directory(&[(".rules", "*.log\n"), ("d/.rules", "local\n")]);
    let (store, tree) = remote(&[(".rules", "*.log\n"), ("e/.rules", "remote\n")]).await;
    let before = store.usage();
    let ruled = IgnoreFiles::new([NAME]).rule(&tree, &local(directory.path()), &Filter::default()).await.unwrap();
    let used = store.usage().since(&before);
    assert_eq!((used.get("list"), used.get("get"), used.total()), (1, 1, 2));
    for (key, admitted) in [
        ("a.log", false),
        ("d/local", false),
        ("e/remote", false),
        ("d/remote", true),
        (".rules", true),
        ("e/.rules", true),
        // It protects files of the target, and must not be deleted.
        ("d/.rules", false),
    ] {
        assert_eq!(ruled.filter.admits(key), admitted, "{key}");
    }
}

#[tokio::test]
async fn an_ignore_file_that_changes_while_it_is_read_is_an_error() {
    let (store, tree) = remote(&[(".rules", "*.log\n")]).await;
    let tree = tree.recorded();
    tree.store().list_all("p/").await.unwrap();
    store.write(&"p/.rules".into(), "*.txt\n".into()).await.unwrap();
    let error = pos3_core::one_line(&of(&tree).await.unwrap_err());
    assert!(error.contains(".rules'"), "{error}");
}

#[test]
fn a_name_is_escaped_so_that_it_matches_only_itself() {
    for name in [".rules", "#x", "!x", "a b ", "[x]*", "a\\b", "{a,b}", "?"] {
        let set = IgnoreSet::new().file("d/", "test", escaped(name)).unwrap();
        assert!(set.ignores(&format!("d/{name}")) && !set.ignores(name) && !set.ignores("d/x"), "{name}");
    }
    for name in ["", ".", "..", "a/b", "/", "a\0"] {
        assert!(check_ignore_file_name(name).is_err(), "{name:?}");
    }
    assert!(check_ignore_file_name(".gitignore").is_ok());
}
