//! The file of a database: its lock, its format, damage, and other files at its path.

use super::*;

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
