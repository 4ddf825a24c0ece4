//! Content under a name that is reserved for staged content: hidden, protected by its writer, and a leftover afterwards.

use super::*;
use std::time::Duration;

use pos3_core::{Content, ErrorKind, PutOptions, Unfinished};

const STAGED: &str = ".pos3-new.1f-18ab4c2d9e0f1234.0";

const OTHER: &str = ".pos3-new.20-18ab4c2d9e0f1234.7";

fn asked(name: &str) -> (Key, Unfinished) {
    let id = name.rsplit('/').next().unwrap().to_owned();
    (key(name), Unfinished { id, since: None, state: Vec::new() })
}

async fn unfinished(world: &World) -> Vec<String> {
    let found = world.store().unfinished("").await.unwrap();
    found.into_iter().map(|(key, _)| key.as_str().to_owned()).collect()
}

async fn put(store: &LocalStore, name: &str) {
    store.put(&key(name), Content::from("new"), PutOptions::default()).await.unwrap();
}

/// Waits until a leftover is old enough to be removed by a write.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

#[tokio::test]
async fn staged_content_of_a_killed_run_is_hidden_and_removed_only_at_the_end_of_a_run() {
    let world = World::new();
    world.make(&["d/file", &format!("d/{STAGED}"), &format!("empty/{STAGED}"), STAGED]);
    assert_eq!(world.shown().await, ["d/ directory", "d/file file", "empty/ empty"]);
    assert_eq!(unfinished(&world).await, [STAGED.to_owned(), format!("d/{STAGED}"), format!("empty/{STAGED}")]);
    let store = world.store();
    store.list_all("").await.unwrap();
    store.tidy().await;
    assert!(world.path(STAGED).exists(), "it may have been written a moment ago");

    settle().await;
    store.list_all("").await.unwrap();
    put(&store, "early").await;
    put(&store, "late").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(world.path(STAGED).exists(), "until the end of a run, it may be all that is left of an entry");
    store.tidy().await;
    assert!([STAGED.to_owned(), format!("d/{STAGED}")].iter().all(|name| !world.path(name).exists()));
    store.remove(&key("empty/")).await.unwrap();
    assert_eq!(world.names(""), ["d", "early", "late"]);
}

#[tokio::test]
async fn staged_content_that_has_a_writer_is_removed_by_nothing() {
    let world = World::new();
    world.make(&["d/"]);
    let (writer, other) = (world.store(), world.store());
    put(&writer, &format!("d/{STAGED}")).await;
    // A second writer stages in the same directory.
    put(&other, &format!("d/{OTHER}")).await;
    settle().await;

    let third = world.store();
    assert_eq!(third.list_all("").await.unwrap().len(), 1);
    put(&third, "new").await;
    third.tidy().await;
    let error = third.abandon(&[asked(&format!("d/{STAGED}"))]).await.remove(0).unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Precondition, true), "{error}");
    assert_eq!((unfinished(&world).await, world.names("d")), (vec![], vec![STAGED.to_owned(), OTHER.to_owned()]));

    writer.rename(&key(&format!("d/{STAGED}")), &key("d/x")).await.unwrap();
    assert_eq!(unfinished(&world).await, [""; 0], "the other writer is not done");
    other.remove(&key(&format!("d/{OTHER}"))).await.unwrap();
    world.make(&[&format!("d/{OTHER}")]);
    assert_eq!(unfinished(&world).await, [format!("d/{OTHER}")]);
    third.abandon(&[asked(&format!("d/{OTHER}"))]).await.remove(0).unwrap();
    assert_eq!(world.names("d"), ["x"]);
}

#[tokio::test]
async fn a_writer_that_fails_or_ends_leaves_no_lock() {
    let world = World::new();
    world.make(&[&format!("d/{STAGED}")]);
    let writer = world.store();
    let absent = PutOptions::default().with_expect(pos3_core::Expect::Absent);
    let failed = writer.put(&key(&format!("d/{STAGED}")), Content::from("new"), absent).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(unfinished(&world).await, [format!("d/{STAGED}")]);

    put(&writer, &format!("d/{OTHER}")).await;
    assert_eq!(unfinished(&world).await, [""; 0]);
    drop(writer);
    assert_eq!(unfinished(&world).await, [format!("d/{STAGED}"), format!("d/{OTHER}")]);
}

#[tokio::test]
async fn a_name_that_only_resembles_that_of_staged_content_is_an_ordinary_one() {
    let world = World::new();
    let names = [
        ".pos3-new.",
        ".pos3-new.1f-18ab.0",
        ".pos3-new.1f-18ab4c2d9e0f1234.0.txt",
        ".pos3-new.1f-18ab4c2d9e0f1234.x",
        ".pos3-new.AbC123",
        ".pos3-new.notes.txt",
    ];
    for name in names {
        world.make(&[&format!("d/{name}")]);
    }
    // Neither a directory nor a link with the exact name is staged content.
    world.make(&[&format!("e/{STAGED}/x"), "file"]).link(&format!("f{OTHER}"), "file");
    world.link(OTHER, "file");
    let listed = world.keys("", ListOptions::default()).await;
    for name in names {
        assert!(listed.contains(&format!("d/{name}")), "{name} {listed:?}");
    }
    assert!(listed.contains(&format!("e/{STAGED}/x")), "{listed:?}");
    assert_eq!(unfinished(&world).await, [""; 0]);
    settle().await;
    let store = world.store();
    store.list_all("").await.unwrap();
    put(&store, "new").await;
    store.tidy().await;
    assert_eq!(world.names("d").len(), names.len());
    assert!(world.path(&format!("e/{STAGED}/x")).exists() && world.path(OTHER).is_symlink());
}
