//! The entries of a listing, and the errors that end it.

use super::*;
use futures::StreamExt;
use pos3_core::{ErrorKind, Filter};

#[tokio::test]
async fn every_directory_is_an_entry_and_the_root_is_not() {
    let world = World::new();
    world.make(&["a/x", "a-b", "a.txt", "empty/", "deep/only/"]);
    fs::write(world.path("empty/.pos3-partial.0000000000000123"), "left by a crash").unwrap();
    let expected =
        ["a-b file", "a.txt file", "a/ directory", "a/x file", "deep/ directory", "deep/only/ empty", "empty/ empty"];
    assert_eq!(world.shown().await, expected);
    for entry in world.list("", ListOptions::default()).await {
        assert_eq!(world.store().head(&entry.key).await.unwrap(), entry, "head and list agree");
    }
}

#[tokio::test]
async fn a_shallow_listing_opens_no_directory() {
    let world = World::new();
    world.make(&["d/b/x", "d/b-c", "d/empty/", "d/a"]);
    let options = ListOptions::default().with_shallow(true);
    let listed: Vec<_> = world.list("d/", options).await.iter().map(shown).collect();
    assert_eq!(listed, ["d/a file", "d/b-c file", "d/b/ directory", "d/empty/ directory"]);
}

#[tokio::test]
async fn pruned_directories_are_not_opened_and_the_filter_speaks_of_what_follows_the_prefix() {
    let world = World::new();
    world.make(&["p/skip/x", "p/keep/x", "p/skipped"]);
    let filter = Filter::builder().exclude("skip/*").unwrap().build().unwrap();
    let options = || ListOptions::default().with_prune(filter.clone());
    assert_eq!(world.keys("p/", options()).await, ["p/keep/", "p/keep/x", "p/skipped"]);
    assert_eq!(world.keys("", options()).await.len(), 6, "'p/skip/' is another directory");
}

#[tokio::test]
async fn odd_prefixes_list_nothing_and_partial_segments_count() {
    let world = World::new();
    world.make(&["data/x", "dot/.hidden"]);
    for prefix in ["data//", "../root/", "./", "/", "x\0/", "data/x/", "missing/"] {
        assert_eq!(world.keys(prefix, ListOptions::default()).await, [""; 0], "{prefix:?}");
    }
    assert_eq!(world.keys("da", ListOptions::default()).await, ["data/", "data/x"]);
    assert_eq!(world.keys("dot/.", ListOptions::default()).await, ["dot/.hidden"]);
}

#[tokio::test]
async fn a_missing_root_is_an_error_or_empty_as_asked() {
    let world = World::new();
    let missing = world.directory.path().join("missing/root");
    let source = LocalStore::new(&missing).unwrap();
    let error = source.list_all("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("missing/root"), "{error}");
    assert_eq!(source.write(&key("a"), "x".into()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!missing.exists());

    let options = LocalOptions::default().with_missing_root(MissingRoot::Empty);
    let target = LocalStore::with_options(&missing, options).unwrap();
    assert_eq!(target.list_all("").await.unwrap(), []);
    assert!(!missing.exists(), "listing makes nothing");
    target.write(&key("a/b"), "x".into()).await.unwrap();
    assert_eq!(fs::read(missing.join("a/b")).unwrap(), b"x");
}

#[tokio::test]
async fn a_root_that_is_a_file_fails_and_one_that_is_a_link_is_resolved_once() {
    let world = World::new();
    world.make(&["file", "one/x", "two/y"]).link("link", "one");
    let error = LocalStore::new(world.path("file")).unwrap().list_all("").await.unwrap_err();
    assert!(error.to_string().contains("is a file, not a directory"), "{error}");

    let store = LocalStore::new(world.path("link")).unwrap();
    assert_eq!(store.list_all("").await.unwrap().len(), 1);
    fs::remove_file(world.path("link")).unwrap();
    world.link("link", "two");
    assert_eq!(store.list_all("").await.unwrap()[0].key, key("x"), "still the first directory");
}

#[tokio::test]
async fn a_dropped_stream_ends_the_walk() {
    let world = World::new();
    for n in 0..3000 {
        fs::write(world.path(&format!("f{n:04}")), "").unwrap();
    }
    let mut listing = world.store().list("", ListOptions::default());
    assert_eq!(listing.next().await.unwrap().unwrap().key, key("f0000"));
    drop(listing);
    // The runtime waits for its blocking threads when it ends: a walk that went on waiting would hang this test.
}

#[tokio::test]
async fn deeper_trees_than_open_handles_are_walked_in_order() {
    let world = World::new();
    let mut path = String::new();
    for depth in 0..150 {
        path.push_str("d/");
        world.make(&[&format!("{path}a"), &format!("{path}z{depth}")]);
    }
    let listed = world.keys("", ListOptions::default()).await;
    let mut sorted = listed.clone();
    sorted.sort();
    assert_eq!(listed.len(), 450);
    assert_eq!(listed, sorted);
}

#[tokio::test]
async fn a_walk_ends_where_it_meets_the_other_side() {
    let world = World::following();
    world.make(&["s/a", "s/in/b", "t/sub/c", "far/d"]);
    for link in ["t", "t/sub", "far"] {
        world.link("s/link", world.path(link));
        let at = |name: &str, symlinks| {
            LocalStore::with_options(world.path(name), LocalOptions::default().with_symlinks(symlinks)).unwrap()
        };
        let (source, target) = (at("s", Symlinks::Follow), at("t", Symlinks::Skip));
        LocalStore::keep_apart(&source, &target);
        let met = source.list_all("").await.map(|entries| entries.len()).map_err(|error| error.kind());
        assert_eq!(met, if link == "far" { Ok(5) } else { Err(ErrorKind::Overlap) }, "{link}");
        assert!(at("s", Symlinks::Follow).list_all("").await.is_ok());
        fs::remove_file(world.path("s/link")).unwrap();
        // As a mount would show the source inside of the target.
        let (source, target) = (at("s/in", Symlinks::Skip), at("s", Symlinks::Skip));
        LocalStore::keep_apart(&source, &target);
        assert_eq!(target.list_all("").await.unwrap_err().kind(), ErrorKind::Overlap);
    }
}
