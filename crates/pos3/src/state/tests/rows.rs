//! The rows, notes and mount points that a database keeps.

use super::*;
use crate::hidden::{MountPoints, Recorded, Standing};

#[tokio::test]
async fn rows_and_notes_are_there_after_the_file_was_closed() {
    let world = World::new();
    let state = world.open("a", "b").await;
    assert_eq!((state.warning(), state.last_used()), (None, None));
    set(&state, ["b", "a/x", "a", "é", "a-b"].map(String::from)).await;
    state.manifest().apply(vec![RowChange::Forget("b".into()), RowChange::Forget("never".into())]).await.unwrap();
    state.journal().save(&"k".into(), &unfinished("first")).await;
    state.journal().save(&"k".into(), &unfinished("second")).await;
    state.journal().save(&"l".into(), &unfinished("third")).await;
    state.journal().remove(&"l".into()).await;
    drop(state);

    let state = world.open("a", "b").await;
    assert!(state.last_used().is_some_and(|used| used >= state.created()));
    assert_eq!(rows(&state).await.unwrap(), ["a", "a-b", "a/x", "é"].map(row));
    assert_eq!(state.journal().load(&"k".into()).await, Some(unfinished("second")));
    assert_eq!(state.journal().load(&"l".into()).await, None);
    assert_eq!(state.journal().all().await, [("k".into(), unfinished("second"))]);
}

/// Two machines can share a state directory and have the same path, each on its own disk.
#[tokio::test]
async fn rows_of_another_disk_are_dropped() {
    let world = World::new();
    let place = |name: &str| world.root.path().join(name);
    // The path does not exist before the first run has written there.
    let state = world.open("disk/data", "b").await;
    fs::create_dir_all(place("disk/data")).unwrap();
    set(&state, ["k".to_owned()]).await;
    state.journal().save(&"k".into(), &unfinished("first")).await;
    drop(state);
    fs::remove_dir(place("disk/data")).unwrap();
    fs::create_dir(place("disk/data")).unwrap();
    assert_eq!(rows(&world.open("disk/data", "b").await).await.unwrap(), [row("k")], "a program removed the directory");
    fs::rename(place("disk"), place("disk of one")).unwrap();
    assert_eq!(rows(&world.open("disk/data", "b").await).await.unwrap(), [row("k")], "the disk is not mounted");

    fs::create_dir_all(place("disk/data")).unwrap();
    let other = world.open("b", "disk/data").await;
    assert_eq!(rows(&other).await.unwrap(), []);
    assert_eq!(other.journal().all().await, [], "those of the other direction");
    other.manifest().apply(vec![RowChange::Equal(row("l"))]).await.unwrap();
    drop(other);
    assert_eq!(rows(&world.open("b", "disk/data").await).await.unwrap(), [row("l")]);

    fs::rename(place("disk"), place("disk of the other")).unwrap();
    fs::rename(place("disk of one"), place("disk")).unwrap();
    let one = world.open("disk/data", "b").await;
    assert_eq!(rows(&one).await.unwrap(), []);
    assert_eq!(one.journal().load(&"k".into()).await, Some(unfinished("first")), "notes belong to the target");
}

#[tokio::test]
async fn the_opposite_sync_sees_the_rows_turned_and_notes_of_its_own() {
    let world = World::new();
    let there = world.open("a", "b").await;
    set(&there, ["k".to_owned()]).await;
    there.journal().save(&"k".into(), &unfinished("there")).await;
    let path = there.path().to_owned();
    drop(there);

    let back = world.open("b", "a").await;
    assert_eq!(back.path(), path);
    assert_eq!(rows(&back).await.unwrap(), [row("k").reversed()]);
    assert_eq!(back.journal().load(&"k".into()).await, None, "the other store's key of that name");
    back.manifest().apply(vec![RowChange::Equal(row("l"))]).await.unwrap();
    drop(back);

    assert_eq!(rows(&world.open("a", "b").await).await.unwrap(), [row("k"), row("l").reversed()]);
}

#[tokio::test]
async fn started_writes_are_kept_until_the_next_row_of_their_key() {
    let write = |key: &str, size| StartedWrite {
        key: key.into(),
        written: Side::Target,
        read: "here".into(),
        size,
        digest: Some(Digest::Md5([7; 16])),
        checksum: Some(Checksum::Crc64Nvme(9)),
    };
    let world = World::new();
    let there = world.open("a", "b").await;
    let start = |key, size| RowChange::Started(write(key, size));
    let changes = vec![start("k", 1), start("l", 1), start("k", 2), start("k", 2), start("m", 1), start("n", 1)];
    there.manifest().apply(changes).await.unwrap();
    there.manifest().apply((1..10).map(|size| start("many", size)).collect()).await.unwrap();
    there.manifest().apply(vec![RowChange::Equal(row("l")), RowChange::Forget("m".into())]).await.unwrap();
    drop(there);

    let back = world.open("b", "a").await;
    let last = (6..10).map(|size| write("many", size));
    let expected = [write("k", 1), write("k", 2)].into_iter().chain(last).chain([write("n", 1)]);
    let expected: Vec<_> = expected.map(StartedWrite::reversed).collect();
    assert_eq!(back.manifest().started().await.unwrap(), expected);
    assert_eq!(expected[0].written, Side::Source);
    back.forget_all().await.unwrap();
    assert_eq!(back.manifest().started().await.unwrap(), []);
}

#[tokio::test]
async fn more_rows_than_one_chunk_come_once_and_in_order_as_they_were_when_asked() {
    let world = World::new();
    let state = world.open("a", "b").await;
    let keys: Vec<String> = (0..5000).map(|number| format!("{number:05}")).collect();
    set(&state, keys.clone()).await;

    let mut reading = state.manifest().rows();
    let first = reading.try_next().await.unwrap().unwrap();
    state.manifest().apply(keys.iter().map(|key| RowChange::Forget(key.as_str().into())).collect()).await.unwrap();
    let rest: Vec<Row> = reading.try_collect().await.unwrap();
    assert!([first].iter().chain(&rest).map(|row| row.key.as_str()).eq(keys.iter().map(String::as_str)));
    assert_eq!(rows(&state).await.unwrap(), []);
}

#[tokio::test]
async fn forgetting_takes_a_key_and_what_is_below_it() {
    let world = World::new();
    let state = world.open("a", "b").await;
    set(&state, ["d", "d-e", "d/x", "d/y/z", "other"].map(String::from)).await;
    state.journal().save(&"k".into(), &unfinished("first")).await;

    assert_eq!(state.forget("d/").await.unwrap(), Some(3));
    assert_eq!(rows(&state).await.unwrap(), ["d-e", "other"].map(row));
    assert_eq!(state.forget("nothing").await.unwrap(), None);
    assert_eq!(state.forget_all().await.unwrap(), 2);
    assert_eq!(rows(&state).await.unwrap(), []);
    assert!(state.journal().load(&"k".into()).await.is_some());
}

#[tokio::test]
async fn concurrent_notes_are_all_written() {
    let world = World::new();
    let state = world.open("a", "b").await;
    let journal = state.journal();
    let keys: Vec<Key> = (0..500).map(|number| Key::from(format!("{number:03}"))).collect();
    let saves = keys.iter().map(async |key| journal.save(key, &unfinished(key.as_str())).await);
    futures::future::join_all(saves).await;
    drop((state, journal));

    let notes = world.open("b", "a").await.journal().all().await;
    assert_eq!(notes, [], "they are of the other direction");
    let notes = world.open("a", "b").await.journal().all().await;
    assert!(notes.iter().map(|(key, _)| key).eq(&keys));
}

#[tokio::test]
async fn mount_points_are_kept_until_they_are_forgotten() {
    let world = World::new();
    let recorded = |(point, inode): (&str, Option<u8>)| {
        let mounted = inode.map(|inode| postcard::from_bytes(&[inode, 0, 0]).unwrap());
        (point.to_owned(), Recorded { standing: Standing::Known, mounted })
    };
    let points: MountPoints = [("a/", Some(1)), ("a/b/", None), ("ab/", Some(2))].into_iter().map(recorded).collect();
    let state = world.open("a", "b").await;
    assert_eq!(state.mount_points(Side::Source).await, None, "nothing is known at first");
    state.remember_mount_points(Side::Source, &points).await.unwrap();
    drop(state);
    let state = world.open("a", "b").await;
    assert_eq!(state.mount_points(Side::Source).await, Some(points));
    state.forget("a/").await.unwrap();
    let left = state.mount_points(Side::Source).await.unwrap();
    assert_eq!(left.keys().collect::<Vec<_>>(), ["ab/"]);
    drop(state);
    let reverse = world.open("b", "a").await;
    assert_eq!(reverse.mount_points(Side::Source).await, None, "those of the other place");
    assert_eq!(reverse.mount_points(Side::Target).await, Some(left), "a place has them in both directions");
    drop(reverse);
    let state = world.open("a", "b").await;
    state.forget_all().await.unwrap();
    assert_eq!(state.mount_points(Side::Source).await, None);
}
