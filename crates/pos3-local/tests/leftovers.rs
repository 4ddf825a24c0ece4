//! Unfinished files of dead writers are listed and removed; those of running writers are not touched.

use super::*;
use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

use pos3_core::{Content, ErrorKind, Expect, PutOptions, Unfinished};
use rustix::fs::FlockOperation;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes an unfinished file that was last written `age` ago.
fn leave(world: &World, name: &str, age: Duration) -> File {
    world.make(&[name]);
    let file = File::options().write(true).open(world.path(name)).unwrap();
    file.set_times(FileTimes::new().set_modified(SystemTime::now() - age)).unwrap();
    file
}

/// Locks a file as its writer does.
fn hold(file: &File) {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).unwrap();
}

async fn found(world: &World, prefix: &str) -> Vec<(Key, Unfinished)> {
    world.store().unfinished(prefix).await.unwrap()
}

async fn keys_of_unfinished(world: &World, prefix: &str) -> Vec<String> {
    found(world, prefix).await.iter().map(|(key, _)| key.as_str().to_owned()).collect()
}

#[tokio::test]
async fn what_nobody_writes_is_unfinished_and_what_somebody_writes_is_not() {
    let world = World::new();
    let outside = world.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join(".pos3-partial.0000000000000004"), "x").unwrap();
    world
        .make(&["d/e/file", "file"])
        .link("d/link", "../../outside")
        .link("d/.pos3-partial.0000000000000005", "../file");
    leave(&world, ".pos3-partial.0000000000000001", DAY);
    leave(&world, "d/e/.pos3-partial.0000000000000002", DAY);
    let held = leave(&world, "d/.pos3-partial.0000000000000003", DAY);
    hold(&held);
    assert_eq!(
        keys_of_unfinished(&world, "").await,
        [".pos3-partial.0000000000000001", "d/e/.pos3-partial.0000000000000002"]
    );
    assert_eq!(keys_of_unfinished(&world, "d/").await, ["d/e/.pos3-partial.0000000000000002"]);
    assert_eq!(keys_of_unfinished(&world, "d/e").await, ["d/e/.pos3-partial.0000000000000002"]);
    assert_eq!(keys_of_unfinished(&world, "e").await, [""; 0]);
    assert_eq!(keys_of_unfinished(&world, "none/").await, [""; 0]);
    let (key, put) = found(&world, "d/").await.remove(0);
    assert_eq!(
        (key.as_str(), put.id.as_str()),
        ("d/e/.pos3-partial.0000000000000002", ".pos3-partial.0000000000000002")
    );
    assert!(SystemTime::now().duration_since(put.since.unwrap()).unwrap() >= DAY);
    rustix::fs::flock(&held, FlockOperation::Unlock).unwrap();
    assert_eq!(
        keys_of_unfinished(&world, "d/").await,
        ["d/.pos3-partial.0000000000000003", "d/e/.pos3-partial.0000000000000002"]
    );
}

#[tokio::test]
async fn only_unfinished_files_that_nobody_writes_can_be_abandoned() {
    let world = World::new();
    let outside = world.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join(".pos3-partial.0000000000000001"), "x").unwrap();
    world.make(&["d/file", "file"]).link("link", "../outside").link(".pos3-partial.00000000000000e0", "file");
    leave(&world, "d/.pos3-partial.0000000000000001", DAY);
    leave(&world, "d/.pos3-partial.0000000000000002", DAY);
    hold(&leave(&world, "d/.pos3-partial.0000000000000003", DAY));
    let held = leave(&world, "d/.pos3-partial.0000000000000004", DAY);
    hold(&held);
    let put = |name: &str, id: &str| (key(name), Unfinished { id: id.into(), since: None, state: Vec::new() });
    let table = [
        (put("d/.pos3-partial.0000000000000001", ".pos3-partial.0000000000000001"), None),
        (put("d/the-target", ".pos3-partial.0000000000000002"), None),
        (put("d/.pos3-partial.0000000000000003", ".pos3-partial.0000000000000003"), None),
        (put("d/.pos3-partial.0000000000000004", ".pos3-partial.0000000000000004"), Some(ErrorKind::Precondition)),
        (put("d/.pos3-partial.0000000000000009", ".pos3-partial.0000000000000009"), None),
        (put("none/f", ".pos3-partial.0000000000000009"), None),
        (put("d/file", "file"), Some(ErrorKind::InvalidKey)),
        (put("d/file", ".pos3-partial.x/../file"), Some(ErrorKind::InvalidKey)),
        (put("d/../file", ".pos3-partial.0000000000000001"), Some(ErrorKind::InvalidKey)),
        (put("link/.pos3-partial.0000000000000001", ".pos3-partial.0000000000000001"), Some(ErrorKind::Unsupported)),
        (put(".pos3-partial.00000000000000e0", ".pos3-partial.00000000000000e0"), Some(ErrorKind::Unsupported)),
    ];
    let (puts, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    let answers = world.store().abandon(&puts).await;
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(pos3_core::StoreError::kind)).collect();
    assert_eq!(kinds, expected);
    assert_eq!(world.names("d"), [".pos3-partial.0000000000000004", "file"]);
    assert_eq!(world.names(""), [".pos3-partial.00000000000000e0", "d", "file", "link"]);
    assert_eq!(fs::read(outside.join(".pos3-partial.0000000000000001")).unwrap(), b"x");
}

#[tokio::test]
async fn a_write_removes_the_stale_leftovers_that_a_listing_met_and_a_listing_alone_nothing() {
    let world = World::new();
    let resumable = |name: &str| format!("d/.pos3-partial.resume.{name:0>16}");
    leave(&world, ".pos3-partial.00000000000000a0", Duration::from_secs(60));
    leave(&world, "d/.pos3-partial.00000000000000a0", DAY);
    leave(&world, "d/e/.pos3-partial.00000000000000a0", DAY);
    // A file that was renamed a moment ago may be one that is being replaced.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    leave(&world, "d/.pos3-partial.00000000000000b0", Duration::ZERO);
    leave(&world, &resumable("d0"), 6 * DAY);
    leave(&world, &resumable("a0"), 8 * DAY);
    let held = leave(&world, "d/.pos3-partial.00000000000000c0", DAY);
    hold(&held);
    let unlisted = ["d/.pos3-partial.00000000000000c0", "d/.pos3-partial.00000000000000b0", &resumable("d0")];
    let store = world.store();
    let before = (world.names(""), world.names("d"), world.names("d/e"));
    assert_eq!(store.list_all("").await.unwrap().iter().map(shown).collect::<Vec<_>>(), ["d/ directory", "d/e/ empty"]);
    assert_eq!((world.names(""), world.names("d"), world.names("d/e")), before, "reading changes nothing");

    store.put(&key("new"), Content::from("x"), PutOptions::default()).await.unwrap();
    let stale = [
        ".pos3-partial.00000000000000a0",
        "d/.pos3-partial.00000000000000a0",
        "d/e/.pos3-partial.00000000000000a0",
        &resumable("a0"),
    ];
    while stale.iter().any(|name| world.path(name).exists()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for name in unlisted {
        assert!(world.path(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn a_file_whose_name_only_starts_like_ours_is_a_file_like_all_others() {
    let world = World::new();
    let names = [".pos3-partial.", ".pos3-partial.0123", ".pos3-partial.notes.txt", ".pos3-partial.resume.me"];
    let unlike = ".pos3-partial.00000000000000AB";
    for name in names.iter().copied().chain([unlike]) {
        leave(&world, &format!("d/{name}"), DAY);
    }
    world.make(&["d/.pos3-partial.0123456789abcdef/x"]);
    let listed = world.keys("d/", ListOptions::default()).await;
    for name in names.iter().copied().chain([unlike, ".pos3-partial.0123456789abcdef/x"]) {
        assert!(listed.contains(&format!("d/{name}")), "{name} {listed:?}");
    }
    assert_eq!(keys_of_unfinished(&world, "").await, [""; 0]);
    let store = world.store();
    store.list_all("").await.unwrap();
    store.put(&key("d/.pos3-partial.mine"), Content::from("x"), PutOptions::default()).await.unwrap();
    store.remove(&key("d/")).await.unwrap();
    assert_eq!(world.names("d").len(), names.len() + 3, "nothing was removed");
}

/// Lets a directory only gain names, or ends that. Returns false if the user or the file system does not permit it.
#[cfg(target_os = "linux")]
fn set_append_only(directory: &std::path::Path, mark: &str) -> bool {
    let changed = std::process::Command::new("chattr").arg(mark).arg(directory).output();
    changed.is_ok_and(|output| output.status.success())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_in_a_directory_that_only_gains_names_is_reported_as_complete_with_its_other_name() {
    let world = World::new();
    let root = world.path("");
    if !set_append_only(&root, "+a") {
        eprintln!("no directory can be made append-only here, so nothing is tested");
        return;
    }
    let options = PutOptions::default().with_expect(Expect::Absent);
    let put = world.store().put(&key("new"), "content".into(), options).await;
    let names = world.names("");
    assert!(set_append_only(&root, "-a"));
    let error = put.unwrap_err().to_string();
    assert_eq!(fs::read(world.path("new")).unwrap(), b"content");
    let other = names.iter().find(|name| name.starts_with(".pos3-partial.")).unwrap();
    assert!(
        error.contains(&format!("the file is complete, but pos3 could not remove its other name '{other}'")),
        "{error}"
    );
    assert!(error.contains("is append-only (chattr +a)"), "{error}");
}
