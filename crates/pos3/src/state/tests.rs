use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use pos3_core::{Checksum, Digest, Fingerprint, RemoteStore, Row, Side, StartedWrite, Unfinished};
use redb::ReadableDatabase;
use tempfile::TempDir;

use super::*;

/// Two directories and a state directory.
struct World {
    root: TempDir,
    directory: StateDirectory,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::create_dir(root.path().join("b")).unwrap();
        let directory = StateDirectory::new(root.path().join("state/of/mine"));
        Self { root, directory }
    }

    fn location(&self, name: &str) -> Location {
        Location::Local(self.root.path().join(name))
    }

    async fn try_open(&self, from: &str, to: &str) -> Result<State, Error> {
        let (from, to) = (self.location(from), self.location(to));
        State::open(&self.directory, &Registry::default(), &from, &to, Wait::Fail).await
    }

    async fn open(&self, from: &str, to: &str) -> State {
        self.try_open(from, to).await.unwrap()
    }
}

fn row(key: &str) -> Row {
    let source = Fingerprint::new(format!("here {key} \u{0}").into_bytes());
    Row {
        key: key.into(),
        source,
        target: "there".into(),
        digest: Some(Digest::Md5OfParts { digest: [3; 16], parts: 2 }),
    }
}

async fn rows(state: &State) -> Result<Vec<Row>, ManifestError> {
    state.manifest().rows().try_collect().await
}

async fn set(state: &State, keys: impl IntoIterator<Item = String>) {
    let changes = keys.into_iter().map(|key| RowChange::Equal(row(&key))).collect();
    state.manifest().apply(changes).await.unwrap();
}

fn unfinished(id: &str) -> Unfinished {
    Unfinished { id: id.into(), since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7)), state: vec![1, 2, 3] }
}

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
async fn one_pair_is_open_once_and_free_again_when_it_is_dropped() {
    let world = World::new();
    let state = world.open("a", "b").await;
    let error = world.try_open("b", "a").await.unwrap_err();
    let expected = format!(
        "process {} uses '{}': a sync between these two locations is running",
        std::process::id(),
        state.path().display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(world.try_open("a", "c").await.is_ok(), "another pair");

    let (from, to) = (world.location("a"), world.location("b"));
    let (directory, registry) = (world.directory.clone(), Registry::default());
    let wait = Wait::For(Duration::from_secs(3600));
    let waiting = tokio::spawn(async move { State::open(&directory, &registry, &from, &to, wait).await });
    // A reader still uses the file, although the `State` has been dropped.
    set(&state, ["k".to_owned()]).await;
    let reading = state.manifest().rows();
    drop(state);
    assert!(matches!(world.try_open("a", "b").await, Err(Error::State(StateError::Locked { .. }))));
    assert_eq!(reading.try_collect::<Vec<Row>>().await.unwrap(), [row("k")]);
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn the_lock_of_the_database_itself_holds_when_the_lock_file_was_deleted() {
    let world = World::new();
    let state = world.open("a", "b").await;
    fs::remove_file(state.path().with_extension("lock")).unwrap();
    assert!(matches!(world.try_open("a", "b").await, Err(Error::State(StateError::Locked { holder: None, .. }))));
    assert_eq!(rows(&state).await.unwrap(), []);
}

#[tokio::test]
async fn the_directory_can_go_at_any_moment() {
    let world = World::new();
    let state = world.open("a", "b").await;
    set(&state, ["k".to_owned()]).await;
    fs::remove_dir_all(world.directory.path()).unwrap();

    set(&state, ["l".to_owned()]).await;
    assert_eq!(rows(&state).await.unwrap(), ["k", "l"].map(row));
    let other = world.open("a", "b").await;
    assert_eq!((rows(&other).await.unwrap(), other.warning()), (vec![], None));
}

#[tokio::test]
async fn whatever_is_in_the_place_of_the_file_is_replaced_with_a_warning() {
    let world = World::new();
    let state = world.open("a", "b").await;
    set(&state, (0..2000).map(|number| format!("{number:05}"))).await;
    let path = state.path().to_owned();
    drop(state);
    let whole = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        bytes
    };
    let cases = [
        ("text", b"this is no database".to_vec()),
        ("one byte", vec![0]),
        ("a page of nothing", vec![0; 4096]),
        ("cut in the middle", whole[..whole.len() / 2].to_vec()),
        ("cut by a byte", whole[..whole.len() - 1].to_vec()),
        ("its first byte", flipped(0)),
    ];
    for (case, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let state = world.open("a", "b").await;
        let warning = state.warning().unwrap_or_else(|| panic!("{case}")).to_owned();
        assert!(warning.contains(path.to_str().unwrap()), "{case}: {warning}");
        assert_eq!(rows(&state).await.unwrap(), [], "{case}");
        set(&state, ["new".to_owned()]).await;
        drop(state);
        assert_eq!(rows(&world.open("a", "b").await).await.unwrap(), [row("new")], "{case}");
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_one() {
    let world = World::new();
    let path = world.open("a", "b").await.path().to_owned();
    fs::write(&path, "").unwrap();
    let state = world.open("a", "b").await;
    assert_eq!((rows(&state).await.unwrap(), state.warning()), (vec![], None));
}

/// The damage can be anywhere. It must never create a row that was not recorded.
#[tokio::test]
async fn damage_loses_rows_and_never_makes_one() {
    let world = World::new();
    let state = world.open("a", "b").await;
    let keys: Vec<String> = (0..2000).map(|number| format!("{number:05}")).collect();
    set(&state, keys.clone()).await;
    let path = state.path().to_owned();
    drop(state);
    let whole = fs::read(&path).unwrap();
    let pages = whole.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    let mut replaced = 0;
    for (page, _) in pages {
        let at = page * 4096 + page * 97 % 4000;
        let mut bytes = whole.clone();
        bytes[at..at + 32].iter_mut().for_each(|byte| *byte ^= 0xa7);
        fs::write(&path, bytes).unwrap();

        let state = world.open("a", "b").await;
        let found = rows(&state).await.unwrap();
        assert!(found.iter().all(|found| *found == row(found.key.as_str())), "at {at}");
        assert!(state.warning().is_some() || found.len() == keys.len(), "at {at}: rows are missing without a word");
        replaced += u32::from(state.warning().is_some());
    }
    assert!(replaced > 20, "the damage hit what is in use {replaced} times");
}

/// Damage while the file is open, after the checks on opening.
#[tokio::test]
async fn damage_under_an_open_file_is_an_error_or_a_missing_row() {
    let world = World::new();
    let state = world.open("a", "b").await;
    // More than fits into the cache.
    for batch in 0..14 {
        set(&state, (0..5000).map(|number| format!("{batch:02}/{number:05}/{}", "x".repeat(100)))).await;
    }
    let length = fs::metadata(state.path()).unwrap().len();
    let mut file = fs::OpenOptions::new().write(true).open(state.path()).unwrap();
    for at in (4096 * 64..length).step_by(4096 * 61) {
        file.seek(SeekFrom::Start(at + 700)).unwrap();
        file.write_all(&[0xa7; 64]).unwrap();
    }
    let mut reading = state.manifest().rows();
    let mut found = 0;
    while let Ok(Some(next)) = reading.try_next().await {
        assert_eq!(next, row(next.key.as_str()));
        found += 1;
    }
    assert!(found < 70_000, "nothing was damaged");
    drop((reading, state));

    let state = world.open("a", "b").await;
    assert!(state.warning().is_some());
    assert_eq!(rows(&state).await.unwrap(), []);
}

/// Changes the header of a closed file.
fn edit_header(path: &Path, key: &[u8], value: &[u8]) {
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&[u8], &[u8]>::new("header");
    transaction.open_table(table).unwrap().insert(key, value).unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let world = World::new();
    let path = world.open("a", "b").await.path().to_owned();
    edit_header(&path, b"format", &2_u32.to_le_bytes());
    edit_header(&path, b"left", b"in other words");

    let error = world.try_open("a", "b").await.unwrap_err();
    let expected = format!(
        "'{}' was written by a newer version of pos3: its format is 2, and this version supports 1",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    let database = redb::Database::open(&path).unwrap();
    let table = database.begin_read().unwrap().open_table(redb::TableDefinition::<&[u8], &[u8]>::new("header"));
    assert_eq!(table.unwrap().get(&b"left"[..]).unwrap().unwrap().value(), b"in other words");
}

#[tokio::test]
async fn a_file_of_an_older_format_or_of_other_places_is_begun_anew() {
    let world = World::new();
    for (key, value) in [("format", &0_u32.to_le_bytes()[..]), ("right", b"file:///elsewhere/"), ("format", b"odd")] {
        let state = world.open("a", "b").await;
        set(&state, ["k".to_owned()]).await;
        let path = state.path().to_owned();
        drop(state);
        edit_header(&path, key.as_bytes(), value);
        let state = world.open("a", "b").await;
        assert!(state.warning().is_some(), "{key}");
        assert_eq!(rows(&state).await.unwrap(), [], "{key}");
    }
}

fn without_tag(fingerprint: &Fingerprint) -> Fingerprint {
    let token = fingerprint.untagged(0xff).unwrap();
    assert_eq!(token.len(), 32);
    Fingerprint::new(token)
}

#[tokio::test]
async fn rows_of_a_version_without_tags_are_still_rows_of_the_same_files() {
    let world = World::new();
    let (from, to) = (world.location("a"), world.location("b"));
    // The files differ in their content alone. A row that matches them says that they are equal.
    for (name, content) in [("a", "1111"), ("b", "2222")] {
        let path = world.root.path().join(name).join("k");
        fs::write(&path, content).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    }
    let entry = async |location: &Location| {
        let store = pos3_local::LocalStore::new(location.path().unwrap()).unwrap();
        store.head(&"k".into()).await.unwrap()
    };
    let row = Row::of(&entry(&from).await, &entry(&to).await).unwrap();
    let earlier = Row { source: without_tag(&row.source), target: without_tag(&row.target), ..row.clone() };
    let write = |written, read: &Fingerprint| StartedWrite {
        key: "l".into(),
        written,
        read: read.clone(),
        size: 4,
        digest: Some(Digest::Md5([7; 16])),
        checksum: None,
    };
    let state = world.open("a", "b").await;
    let started = [(Side::Target, &earlier.source), (Side::Source, &earlier.target)];
    let started = started.map(|(written, read)| RowChange::Started(write(written, read)));
    state.manifest().apply([vec![RowChange::Equal(earlier)], started.to_vec()].concat()).await.unwrap();
    drop(state);

    let state = world.open("a", "b").await;
    assert_eq!(rows(&state).await.unwrap(), std::slice::from_ref(&row));
    let started = [write(Side::Target, &row.source), write(Side::Source, &row.target)];
    assert_eq!(state.manifest().started().await.unwrap(), started);
    let sync =
        crate::PreparedSync::open(&Registry::default(), &from, &to, pos3_core::SyncOptions::default()).await.unwrap();
    let report = sync.with_state(state).run().await.unwrap().into_result().unwrap();
    assert_eq!((report.copied, report.tally.unchanged), (0, 1), "the row decides, so nothing is read");

    let options = pos3_core::SyncOptions::default();
    let state = world.open("a", "b").await;
    state.forget_all().await.unwrap();
    let sync = crate::PreparedSync::open(&Registry::default(), &from, &to, options).await.unwrap();
    let report = sync.with_state(state).run().await.unwrap().into_result().unwrap();
    assert_eq!(report.copied, 1, "without the row, the content decides");
}

#[tokio::test]
async fn what_ends_with_the_process_is_not_remembered() {
    let world = World::new();
    let memory = "memory://m".parse().unwrap();
    let local = world.location("a");
    for (from, to) in [(&memory, &local), (&local, &memory)] {
        let opened = State::open(&world.directory, &Registry::default(), from, to, Wait::Fail).await;
        assert!(matches!(opened, Err(Error::State(StateError::Fleeting { .. }))));
    }
    assert!(!world.directory.path().exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let world = World::new();
    fs::write(world.root.path().join("state"), "a file").unwrap();
    let error = world.try_open("a", "b").await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot use '{}'", world.directory.path().display()));
}

#[tokio::test]
async fn looking_for_a_memory_makes_none() {
    let world = World::new();
    let (from, to) = (world.location("a"), world.location("b"));
    let look =
        async || State::open_existing(&world.directory, &Registry::default(), &from, &to, Wait::Fail).await.unwrap();
    assert!(look().await.is_none());
    assert!(!world.directory.path().exists());
    drop(world.open("b", "a").await);
    assert!(look().await.is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_their_owners_alone_also_in_a_directory_that_is_open_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    fs::create_dir_all(world.directory.path()).unwrap();
    fs::set_permissions(world.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = world.open("a", "b").await;
    set(&state, ["a".to_owned()]).await;
    let files: Vec<_> = fs::read_dir(world.directory.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
}

/// Creates something at a path.
type Plant<'a> = &'a dyn Fn(&std::path::Path);

/// Creates something at the paths of both files of the pair.
fn plant(world: &World, plant: impl Fn(&std::path::Path)) {
    let names: Vec<_> = fs::read_dir(world.directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for name in names {
        fs::remove_file(&name).unwrap();
        plant(&name);
    }
}

#[tokio::test]
async fn what_others_plant_in_the_state_directory_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let victim = world.root.path().join("victim");
    let plants: &[(&str, Plant<'_>)] = &[
        ("a symbolic link", &|name| std::os::unix::fs::symlink(&victim, name).unwrap()),
        ("a second hard link", &|name| fs::hard_link(&victim, name).unwrap()),
        // `mkfifo` is called directly: a child process would inherit the locks of other tests for a moment.
        #[cfg(target_os = "linux")]
        ("not a regular file", &|name| {
            rustix::fs::mkfifoat(rustix::fs::CWD, name, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        }),
        ("other users can write to it", &|name| {
            fs::write(name, "precious").unwrap();
            fs::set_permissions(name, fs::Permissions::from_mode(0o666)).unwrap();
        }),
        ("cannot use", &|name| fs::create_dir(name).unwrap()),
    ];
    for (what, planting) in plants {
        drop(world.open("a", "b").await);
        fs::write(&victim, "precious").unwrap();
        plant(&world, planting);
        let error = world.try_open("a", "b").await.unwrap_err();
        assert!(pos3_core::one_line(&error).contains(what), "{what}: {error}");
        assert!(matches!(error, Error::State(StateError::Unsafe { .. } | StateError::Io { .. })), "{what}: {error:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{what}");
        fs::remove_dir_all(world.directory.path()).unwrap();
    }
}

#[tokio::test]
async fn a_state_directory_that_others_can_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    for (mode, is_used) in [(0o777, false), (0o770, false), (0o1777, true), (0o755, true), (0o700, true)] {
        let world = World::new();
        fs::create_dir_all(world.directory.path()).unwrap();
        fs::set_permissions(world.directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let opened = world.try_open("a", "b").await;
        assert_eq!(opened.is_ok(), is_used, "{mode:o}: {opened:?}");
        assert_eq!(fs::read_dir(world.directory.path()).unwrap().count(), if is_used { 2 } else { 0 });
    }
}

#[tokio::test]
async fn mount_points_are_kept_until_they_are_forgotten() {
    let world = World::new();
    let points: crate::hidden::MountPoints =
        ["a/", "a/b/", "ab/"].iter().map(|point| ((*point).to_owned(), crate::hidden::Standing::Known)).collect();
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
