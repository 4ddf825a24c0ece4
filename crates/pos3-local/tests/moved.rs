//! A file that a killed run moved to a reserved name is not read, replaced or deleted as an entry, and hides no other
//! entry.

use super::*;
use std::time::{Duration, Instant};

use pos3_core::{Content, ErrorKind, PutOptions};

/// The name of a moved file of unknown status, which is treated as another program's file.
fn moved(own: &str) -> String {
    format!(".pos3-moved.0123456789abcdef0123456789abcdef01234567.{own}")
}

/// A root with a file that was moved away from a free name, one whose name is taken, and one that has no name of its own.
async fn world() -> World {
    let world = World::new();
    world.make(&[
        &format!("d/{}", moved("free")),
        "e/taken",
        &format!("e/{}", moved("taken")),
        &format!("f/{}", moved("x").trim_end_matches(".x")),
    ]);
    // A file that was moved a moment ago is being compared.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world
}

#[tokio::test]
async fn a_moved_file_protects_its_name_or_is_listed_as_protected() {
    let world = world().await;
    let shown = world.shown().await;
    let expected = [
        "d/ directory",
        "d/free a run that was killed moved it away: it is '",
        "e/ directory",
        &format!("e/{} a run that was killed moved it away: another file may have the name 'taken'", moved("taken")),
        "e/taken file",
        "f/ directory",
        &format!("f/{} a run that was killed", moved("x").trim_end_matches(".x")),
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:?}");
    for (shown, expected) in shown.iter().zip(expected) {
        assert!(shown.starts_with(expected), "{shown}");
    }
    assert_eq!(world.list("d/fr", ListOptions::default()).await.len(), 1);
    assert_eq!(world.store().unfinished("").await.unwrap(), [], "nothing may abandon it");
}

/// A process that was killed a moment ago may have moved it.
#[tokio::test]
async fn a_listing_waits_for_a_file_that_was_moved_a_moment_ago() {
    for is_restored in [false, true] {
        let (world, begun) = (World::new(), Instant::now());
        world.make(&[&format!("d/{}", moved("free"))]);
        let store = world.store();
        store.restore_moved(is_restored);
        let listed = store.list_all("").await.unwrap();
        // Until then, another process may compare it.
        assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
        let found = listed.iter().find(|entry| entry.key == key("d/free")).unwrap();
        if is_restored {
            assert_eq!((&found.kind, world.names("d")), (&Kind::File, vec!["free".to_owned()]));
        } else {
            assert!(matches!(found.kind, Kind::Protected(Protection::Moved(_))), "{found:?}");
        }
    }
}

#[tokio::test]
async fn no_key_reaches_a_moved_file_and_its_directory_stays() {
    let world = world().await;
    let store = world.store();
    for (directory, own) in [("d", "free"), ("e", "taken")] {
        let key = key(&format!("{directory}/{}", moved(own)));
        let refused = |error: pos3_core::StoreError| assert_eq!(error.kind(), ErrorKind::InvalidKey, "{error}");
        refused(store.head(&key).await.unwrap_err());
        refused(store.put(&key, Content::from("x"), PutOptions::default()).await.unwrap_err());
        refused(store.remove(&key).await.unwrap_err());
        let put = pos3_core::Unfinished { id: moved(own), since: None, state: Vec::new() };
        refused(store.abandon(&[(key, put)]).await.remove(0).unwrap_err());
        assert_eq!(
            fs::read_to_string(world.path(directory).join(moved(own))).unwrap(),
            format!("{directory}/{}", moved(own))
        );
    }
    store.remove(&key("d/")).await.unwrap();
    assert!(world.path("d").exists());
}

#[tokio::test]
async fn a_write_moves_it_back_to_a_free_name_and_a_listing_alone_does_not() {
    for deletes in [false, true] {
        let world = world().await;
        let store = world.store();
        store.list_all("").await.unwrap();
        assert_eq!(world.names("d"), [moved("free")]);
        if deletes {
            store.remove(&key("none")).await.unwrap();
        } else {
            store.put(&key("new"), Content::from("x"), PutOptions::default()).await.unwrap();
        }
        while !world.path("d/free").exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(world.names("d"), ["free"]);
        assert_eq!(world.names("e"), [moved("taken").as_str(), "taken"]);
        assert_eq!(world.names("f").len(), 1);
    }
}

#[tokio::test]
async fn a_listing_for_a_run_that_may_change_the_directory_moves_it_back() {
    let world = world().await;
    let store = world.store();
    store.restore_moved(true);
    let listed: Vec<String> = store.list_all("").await.unwrap().iter().map(shown).collect();
    assert_eq!(listed[..2], ["d/ directory", "d/free file"]);
    assert_eq!(world.names("d"), ["free"]);
    assert_eq!(fs::read_to_string(world.path("d/free")).unwrap(), format!("d/{}", moved("free")));
    assert_eq!(world.names("e"), [moved("taken").as_str(), "taken"], "a name that is taken is not");
    assert_eq!(world.names("f").len(), 1);
    assert_eq!(listed.len(), 7, "{listed:?}");

    fs::rename(world.path("d/free"), world.path("d").join(moved("free"))).unwrap();
    store.restore_moved(false);
    store.list_all("").await.unwrap();
    assert_eq!(world.names("d"), [moved("free")]);
}

#[tokio::test]
async fn what_is_not_a_file_of_such_a_name_is_an_ordinary_entry() {
    let world = World::new();
    world.make(&["d/.pos3-moved.notes", &format!("d/{}/x", moved("dir"))]).link(&format!("d/{}", moved("link")), "x");
    let listed = world.keys("d/", ListOptions::default()).await;
    for name in [".pos3-moved.notes", &format!("{}/x", moved("dir")), &moved("link")] {
        assert!(listed.contains(&format!("d/{name}")), "{name} {listed:?}");
    }
}
