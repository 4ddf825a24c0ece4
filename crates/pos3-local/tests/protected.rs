//! Entries that pos3 must not touch are listed as protected, never left out.

use super::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use pos3_core::{ErrorKind, GetOptions};
use rustix::fs::{CWD, FileType, Mode, mknodat};

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
}

#[tokio::test]
async fn links_stand_in_both_places_and_special_files_in_one() {
    let world = World::new();
    world.make(&["file", "dir/x"]).link("dir-link", "dir").link("link", "file").link("broken", "nowhere");
    fifo(&world.path("fifo"));
    let _socket = UnixListener::bind(world.path("socket")).unwrap();
    let expected = [
        "broken link",
        "broken/ link",
        "dir-link link",
        "dir-link/ link",
        "dir/ directory",
        "dir/x file",
        "fifo it is a FIFO",
        "file file",
        "link link",
        "link/ link",
        "socket it is a socket",
    ];
    assert_eq!(world.shown().await, expected);
}

#[tokio::test]
async fn protected_things_are_not_read() {
    let world = World::new();
    world.make(&["file", "dir/x"]).link("dir-link", "dir").link("link", "file");
    fifo(&world.path("fifo"));
    let _socket = UnixListener::bind(world.path("socket")).unwrap();
    for name in ["link", "dir-link/x", "fifo", "socket", "link/"] {
        let error = world.store().get(&key(name), GetOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
    }
    for name in ["link", "link/", "fifo", "socket"] {
        assert!(matches!(world.store().head(&key(name)).await.unwrap().kind, Kind::Protected(_)), "{name}");
    }
}

#[tokio::test]
async fn names_that_are_not_utf8_are_shown_apart_and_protected() {
    let world = World::new();
    world.make(&["x\u{fffd}", "y"]);
    for name in [&b"x\xff"[..], b"x\xfe"] {
        fs::write(world.root().join(OsStr::from_bytes(name)), "").unwrap();
    }
    fs::create_dir_all(world.root().join(OsStr::from_bytes(b"d\xff/below"))).unwrap();
    let shown = world.shown().await;
    let expected = [
        "d\u{fffd}/ not UTF-8",
        "x\u{fffd} file",
        "x\u{fffd}\u{fffd} not UTF-8",
        "x\u{fffd}\u{fffd}\u{fffd} not UTF-8",
        "y file",
    ];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn followed_links_are_what_they_point_to_and_loops_are_named() {
    let world = World::following();
    world.make(&["a/x", "file"]).link("a/loop", "..").link("link", "file").link("to-a", "a").link("broken", "nowhere");
    world.link("round", "around").link("around", "round");
    let listed = world.shown().await;
    let broken = "it cannot be read: it is a broken symbolic link";
    let circle = "it is a symbolic link that forms a loop";
    let expected = [
        "a/ directory",
        &format!("a/loop/ {circle}"),
        "a/x file",
        &format!("around {circle}"),
        &format!("around/ {circle}"),
        &format!("broken {broken}"),
        &format!("broken/ {broken}"),
        "file file",
        "link file",
        &format!("round {circle}"),
        &format!("round/ {circle}"),
        "to-a/ directory",
        &format!("to-a/loop/ {circle}"),
        "to-a/x file",
    ];
    assert_eq!(listed, expected);
    assert_eq!(world.store().read(&key("to-a/x")).await.unwrap(), "a/x");
    let below: Vec<_> = world.list("a/", ListOptions::default()).await.iter().map(shown).collect();
    assert_eq!(below, [&*format!("a/loop/ {circle}"), "a/x file"], "a loop is one from wherever the listing starts");
    for name in ["a/loop/", "round", "to-a/loop/"] {
        let kind = world.store().head(&key(name)).await.unwrap().kind;
        assert_eq!(kind, Kind::Protected(pos3_core::Protection::LinkLoop), "{name}");
    }
    assert!(world.store().list_all("broken/").await.is_err(), "what lies behind is not known to be absent");
}

#[tokio::test]
async fn a_prefix_behind_a_link_is_an_error_not_an_empty_listing() {
    let world = World::new();
    world.make(&["dir/x"]).link("link", "dir");
    let error = world.store().list_all("link/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_protects_all_below() {
    let world = World::new();
    world.make(&["a", "closed/x", "z"]);
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(world.path("closed")).is_ok() {
        eprintln!("skipped: this user reads directories without permission");
        return;
    }
    let denied = "it cannot be read: Permission denied (os error 13)";
    assert_eq!(world.shown().await, ["a file", &format!("closed/ {denied}"), "z file"]);
    assert_eq!(world.store().list_all("closed/").await.unwrap_err().kind(), ErrorKind::Denied);
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o444)).unwrap();
    let expected =
        ["a file", "closed/ directory", &format!("closed/x {denied}"), &format!("closed/x/ {denied}"), "z file"];
    assert_eq!(world.shown().await, expected, "names can be read, files cannot");
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_root_whose_path_becomes_a_link_is_an_error_that_names_it() {
    let world = World::new();
    world.make(&["above/root/a", "etc/root/passwd"]);
    let base = std::fs::canonicalize(world.path("")).unwrap();
    let options = LocalOptions::default().with_root_path(RootPath::Exact).with_missing_root(MissingRoot::Empty);
    let store = LocalStore::with_options(base.join("above/root"), options).unwrap();
    assert_eq!(store.list_all("").await.unwrap().len(), 1);

    std::fs::rename(base.join("above"), base.join("moved")).unwrap();
    std::os::unix::fs::symlink("etc", base.join("above")).unwrap();
    let key = Key::from("passwd");
    let listed = store.list_all("").await.unwrap_err();
    let read = store.get(&key, GetOptions::default()).await.map(drop).unwrap_err();
    let written = store.write(&key, "x".into()).await.map(drop).unwrap_err();
    let deleted = store.remove(&key).await.unwrap_err();
    for error in [listed, read, written, deleted] {
        let named = format!("'{}' is a symbolic link to 'etc', which is not followed", base.join("above").display());
        assert!(error.to_string().contains(&named), "{error}");
    }
    assert_eq!(std::fs::read_to_string(base.join("etc/root/passwd")).unwrap(), "etc/root/passwd");

    // A directory that is made again is the root again.
    std::fs::remove_file(base.join("above")).unwrap();
    std::fs::create_dir_all(base.join("above/root")).unwrap();
    assert_eq!(store.list_all("").await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_the_program_will_write_is_protected_before_it_exists() {
    let world = World::new();
    world.make(&["a/b/x", "plan.json.bak", "z"]);
    let own = pos3_local::OwnFiles::default();
    own.add(world.path("plan.json"));
    own.add(world.path("a/b/../b/log"));
    own.add(world.path("elsewhere/deep/report"));
    own.add_directory(world.path("a/state"));
    let store = world.store();
    store.protect_own(&own);
    let listed = || async { store.list_all("").await.unwrap().iter().map(shown).collect::<Vec<_>>() };
    let why = "this command writes it itself";
    let expected = vec![
        "a/ directory".to_owned(),
        "a/b/ directory".to_owned(),
        format!("a/b/log {why}"),
        "a/b/x file".to_owned(),
        format!("a/state/ {why}"),
        format!("plan.json {why}"),
        "plan.json.bak file".to_owned(),
        "z file".to_owned(),
    ];
    assert_eq!(listed().await, expected);
    world.make(&["plan.json", "a/b/log", "a/state/database"]);
    assert_eq!(listed().await, expected, "once they exist");
    let below: Vec<_> = store.list_all("a/b/l").await.unwrap().iter().map(shown).collect();
    assert_eq!(below, [format!("a/b/log {why}")]);
    assert_eq!(store.list_all("a/b/x").await.unwrap().len(), 1);
    fs::remove_file(world.path("plan.json")).unwrap();
    fs::rename(world.path("a"), world.path("c")).unwrap();
    world.make(&["elsewhere/other"]);
    let expected = vec![
        "c/ directory".to_owned(),
        "c/b/ directory".to_owned(),
        "c/b/log file".to_owned(),
        "c/b/x file".to_owned(),
        "c/state/ directory".to_owned(),
        "c/state/database file".to_owned(),
        "elsewhere/ directory".to_owned(),
        "elsewhere/other file".to_owned(),
        format!("plan.json {why}"),
        "plan.json.bak file".to_owned(),
        "z file".to_owned(),
    ];
    assert_eq!(listed().await, expected);
}
