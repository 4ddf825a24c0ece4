//! A delete removes only the entry that its key names.

use super::*;
use std::time::{Duration, SystemTime};

use pos3_core::ErrorKind;

#[tokio::test]
async fn each_key_has_its_answer_and_one_failure_stops_nothing() {
    let world = World::new();
    world.make(&["a", "dir/x", "empty/", "kept/x", "z"]).link("link", "dir").link("to-file", "a");
    let keys = ["a", "link/x", "link", "kept/", "dir", "empty/", "missing", "a/b", "../root/z", "z"].map(key);
    let answers = world.store().remove_all(&keys).await;
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(pos3_core::StoreError::kind)).collect();
    let expected = [
        None,
        Some(ErrorKind::Unsupported),
        Some(ErrorKind::Precondition),
        None,
        Some(ErrorKind::Precondition),
        None,
        None,
        None,
        Some(ErrorKind::InvalidKey),
        None,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(world.names(""), ["dir", "kept", "link", "to-file"]);
    assert_eq!(fs::read(world.path("dir/x")).unwrap(), b"dir/x");
}

#[tokio::test]
async fn an_empty_directory_goes_with_what_a_crash_left_but_not_with_work_under_way() {
    let world = World::new();
    world.make(&["old/", "new/", "held/"]);
    let lefts = ["old", "new", "held"].map(|directory| {
        let path = world.path(directory).join(".pos3-partial.0000000000000001");
        fs::write(&path, "half").unwrap();
        fs::File::options().write(true).open(path).unwrap()
    });
    for left in [&lefts[0], &lefts[2]] {
        left.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }
    // A file that was renamed a moment ago may be one that is being replaced.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    fs::write(world.path("new/.pos3-partial.0000000000000001"), "half").unwrap();
    rustix::fs::flock(&lefts[2], rustix::fs::FlockOperation::LockExclusive).unwrap();
    for name in ["old/", "new/", "held/"] {
        world.store().remove(&key(name)).await.unwrap();
    }
    assert_eq!(world.names(""), ["held", "new"]);
    for name in ["held", "new"] {
        assert_eq!(world.names(name), [".pos3-partial.0000000000000001"]);
    }
}

#[tokio::test]
async fn no_delete_begins_once_it_is_halted() {
    let world = World::new();
    world.make(&["a", "b"]);
    let halt = pos3_core::CancellationToken::new();
    let asked = ["a", "b"].map(|name| pos3_core::DeleteKey::new(key(name)).until(halt.clone()));
    halt.cancel();
    for answer in world.store().delete(&asked).await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Stopped);
    }
    assert_eq!(world.names(""), ["a", "b"]);
}
