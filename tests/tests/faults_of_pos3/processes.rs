//! Many processes of one machine share a cache: they make one transfer, and the death of one process does not affect
//! the others.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::join_all;
use pos3::{Session, StateDirectory};
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, World, contents, download, mirror_down, mirror_up, tree, upload, write};

const OBJECTS: usize = 60;

/// How the names of unfinished files begin.
const UNFINISHED: &str = ".pos3-partial.";

/// A world whose downloads take a while: half a second of requests, at the usual concurrency more than one round.
fn world() -> World {
    let world = World::with(&[]);
    for number in 0..OBJECTS {
        world.server.put(BUCKET, &format!("data/{number:02}"), content(number));
    }
    world
}

fn content(number: usize) -> String {
    format!("{number} ").repeat(20_000)
}

/// Starts a session with only a cache root; all other settings come from the environment.
fn start(world: &World) -> Child {
    command(world).env("HOME", world.path("home")).spawn().unwrap()
}

fn command(world: &World) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-copy"));
    command
        .arg(world.path("cache"))
        .arg("s3://bucket/data")
        .env_clear()
        .env("AWS_ENDPOINT_URL", world.server.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", world.server.access_key())
        .env("AWS_SECRET_ACCESS_KEY", world.server.secret_key())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Returns where a session remembers whose user has this home.
fn state(world: &World) -> StateDirectory {
    StateDirectory::new(world.path("home/.local/state/pos3"))
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a process that must go well, and for the whole of what it has brought; returns what it said.
fn assert_complete(child: Child) -> String {
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
    let path = String::from_utf8(ended.stdout).unwrap();
    assert_contents(Path::new(path.trim_end()));
    said
}

fn assert_contents(path: &Path) {
    let mut found = contents(path);
    // What a dying process still held a lock on goes with a later write.
    found.retain(|name, _| !name.starts_with(UNFINISHED));
    assert_eq!(found.len(), OBJECTS, "{:?}", found.keys());
    for (number, (name, content)) in found.into_iter().enumerate() {
        assert!(name == format!("{number:02}") && content == self::content(number), "{name}");
    }
}

#[test]
fn processes_with_one_cache_make_one_transfer_and_all_see_whole_files() {
    let world = world();
    world.server.configure(|settings| settings.latency = Duration::from_millis(50));
    for child in [start(&world), start(&world), start(&world), start(&world)] {
        assert_complete(child);
    }
    assert_eq!(world.server.requests().of(Operation::GetObject), OBJECTS);
    assert!(
        state(&world).path().is_dir() && !world.path("state").exists(),
        "it is remembered where every program looks"
    );
}

#[test]
fn a_process_that_can_remember_nothing_warns_once_and_works() {
    let world = world();
    std::fs::write(world.path("file"), "in the way").unwrap();
    let mut homeless = command(&world);
    homeless.env_remove("HOME");
    let mut blocked = command(&world);
    blocked.env("HOME", world.path("file"));
    for (mut command, why) in
        [(homeless, "none of POS3_STATE_DIR, XDG_STATE_HOME and HOME is set"), (blocked, "ot a directory")]
    {
        let said = assert_complete(command.spawn().unwrap());
        assert!(
            said.starts_with("warning: the sync state is kept in memory and not shared with other processes: "),
            "{said}"
        );
        assert!(said.lines().count() == 1 && said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_process_that_is_killed_blocks_no_other() {
    let world = world();
    world.record_server().await;
    let fault = Fault::on(Operation::GetObject).key("data/33").always();
    world.server.fault(fault.answer(Answer::StallBody { after: 1000 }));
    let mut first = start(&world);
    wait_until("the first did not begin", || world.server.requests().of(Operation::GetObject) >= OBJECTS);
    let second = start(&world);
    wait_until("the second does not wait", || holds_open(&second, state(&world).path()));
    let third = start(&world);
    wait_until("the third does not wait", || holds_open(&third, state(&world).path()));
    // It says so after a second.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(world.server.requests().of(Operation::ListObjectsV2), 1, "the others do nothing yet");
    assert!(first.try_wait().unwrap().is_none(), "the first has not ended");
    let cache = world.path("cache/_/bucket/data");
    wait_until("the first does not bring the rest", || files(&cache) == OBJECTS - 1);
    first.kill().unwrap();
    first.wait().unwrap();
    world.server.clear_faults();
    let before = world.server.requests().of(Operation::GetObject);
    let waiting = format!("waiting for Some({}), which has s3://bucket/data\n", first.id());
    for child in [second, third] {
        assert_eq!(assert_complete(child), waiting);
    }
    let fetched = world.server.requests().of(Operation::GetObject) - before;
    assert_eq!(fetched, 1, "what the first had brought is not fetched again");
}

/// An unusable state directory causes one warning, not one for each location.
#[tokio::test]
async fn a_session_that_can_remember_nothing_warns_once_for_all_its_places() {
    let world = World::with(&[("one/a", "1"), ("two/a", "1")]);
    // A directory in which no user can create a file. The error of each location has another file name.
    let session = world.builder().state(StateDirectory::new("/proc")).open().unwrap();
    for url in ["s3://bucket/one", "s3://bucket/two"] {
        session.download(url, download()).await.unwrap();
    }
    let out = session.upload("s3://bucket/out", upload()).await.unwrap();
    write(&out, "a", "1");
    session.close().await.into_result().unwrap();
    let reports = session.status().into_iter().map(|status| status.last_report.unwrap().warnings.len());
    assert_eq!(reports.collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(world.keys(), ["one/a", "out/a", "two/a"]);
}

/// True if a process has a file open that lies below a directory.
fn holds_open(child: &Child, directory: &Path) -> bool {
    let Ok(handles) = std::fs::read_dir(format!("/proc/{}/fd", child.id())) else { return false };
    let links = handles.filter_map(Result::ok).filter_map(|handle| std::fs::read_link(handle.path()).ok());
    links.into_iter().any(|path| path.starts_with(directory))
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_one_cache_and_no_memory_do_each_other_no_harm() {
    for round in 0..10 {
        let world = world();
        let sessions = [(); 3].map(|()| world.builder().state(None).open().unwrap());
        let downloads = sessions.iter().map(|session| session.download("s3://bucket/data", mirror_down()));
        for downloaded in join_all(downloads).await {
            let path = downloaded.unwrap_or_else(|error| panic!("round {round}: {error}"));
            assert_contents(&path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_upload_one_directory_at_once_do_each_other_no_harm() {
    for round in 0..6 {
        let world = World::with(&[]);
        let local = world.path("out");
        (0..OBJECTS).for_each(|number| write(&local, &format!("{number:02}"), &content(number)));
        let sessions = [(); 3].map(|()| world.builder().state(None).open().unwrap());
        for session in &sessions {
            let options = upload().with_local(local.clone()).with_sync_on_error(true);
            session.upload("s3://bucket/out", options).await.unwrap();
        }
        // After an error as after work that was done.
        let end =
            async |session: &Session| if round % 2 == 0 { session.close().await } else { session.give_up().await };
        for ending in join_all(sessions.iter().map(end)).await {
            assert_eq!(ending.uploads[0].missing, [], "round {round}");
            ending.into_result().unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        assert_eq!(world.keys().len(), OBJECTS);
    }
}

#[tokio::test]
async fn an_upload_after_a_killed_download_sends_no_leftover_and_deletes_no_object() {
    let world = World::with(&[("data/small", "1")]);
    world.server.put(BUCKET, "data/large", vec![7; 30_000_000]);
    let fault = Fault::on(Operation::GetObject).key("data/large").always();
    world.server.fault(fault.answer(Answer::StallBody { after: 1_000_000 }));
    let mut child = start(&world);
    let cache = world.path("cache/_/bucket/data");
    wait_until("nothing came", || cache.join("small").exists() && leftovers(&cache) > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    world.server.clear_faults();

    // The object whose file is missing was never here as a whole.
    let session = world.builder().state(state(&world)).open().unwrap();
    session.upload("s3://bucket/data", upload()).await.unwrap();
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys(), ["data/large", "data/small"]);
    let session = world.session();
    let mirror = session.plan_upload("s3://bucket/data", mirror_up()).await.unwrap();
    assert_eq!(mirror.copies().count(), 0, "no leftover is a file");

    let data = world.session().download("s3://bucket/data", download()).await.unwrap();
    assert_eq!(std::fs::metadata(data.join("large")).unwrap().len(), 30_000_000);
    let visible: Vec<String> = tree(&data).into_iter().filter(|name| !name.starts_with(UNFINISHED)).collect();
    assert_eq!(visible, ["large", "small"]);
}

/// Returns how many files there are in a directory that have no final name.
fn leftovers(directory: &Path) -> usize {
    names(directory).filter(|name| name.starts_with(UNFINISHED)).count()
}

/// Returns how many files there are in a directory that are whole.
fn files(directory: &Path) -> usize {
    names(directory).filter(|name| !name.starts_with(UNFINISHED)).count()
}

fn names(directory: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
}
