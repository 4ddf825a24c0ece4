//! A run uses one root directory, even if its path leads to another one later.

use super::*;

use pos3_core::{ErrorKind, GetOptions, PutOptions};

/// A world whose root is a directory inside the temporary one, so that it can be renamed.
async fn begun() -> (TempDir, LocalStore) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("root")).unwrap();
    fs::write(directory.path().join("root/f"), "ours").unwrap();
    let store = LocalStore::new(directory.path().join("root")).unwrap();
    store.begin_run();
    let listed: Vec<Entry> = store.list("", ListOptions::default()).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    (directory, store)
}

#[tokio::test]
async fn in_a_run_nothing_is_done_in_another_directory() {
    let (directory, store) = begun().await;
    let path = |name: &str| directory.path().join(name);
    fs::rename(path("root"), path("away")).unwrap();
    fs::create_dir(path("root")).unwrap();
    fs::write(path("root/f"), "theirs").unwrap();

    let refused = [
        store.get(&key("f"), GetOptions::default()).await.map(drop),
        store.head(&key("f")).await.map(drop),
        store.put(&key("new"), b"x".to_vec().into(), PutOptions::default()).await.map(drop),
        store.remove_all(&[key("f")]).await.remove(0),
        store.list("", ListOptions::default()).try_collect::<Vec<_>>().await.map(drop),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
        assert!(error.to_string().contains("another directory than at the beginning of the run"), "{error}");
    }
    assert_eq!(fs::read(path("root/f")).unwrap(), b"theirs");
    assert!(!path("root/new").exists());
    assert_eq!(store.end_run().unwrap_err().kind(), ErrorKind::Precondition);

    // The next run uses the directory that is there now.
    store.begin_run();
    store.head(&key("f")).await.unwrap();
    store.end_run().unwrap();
}

#[tokio::test]
async fn a_directory_that_is_back_at_the_end_is_the_same_one() {
    let (directory, store) = begun().await;
    fs::rename(directory.path().join("root"), directory.path().join("away")).unwrap();
    assert_eq!(store.head(&key("f")).await.unwrap_err().kind(), ErrorKind::NotFound);
    fs::rename(directory.path().join("away"), directory.path().join("root")).unwrap();
    store.head(&key("f")).await.unwrap();
    store.end_run().unwrap();
}
