use std::sync::mpsc;

use pos3_core::{Action, Change, Entry, Key, MemoryStore, Proof, Tree};

use super::*;
use crate::session::{RegistrationKind, Session, UploadOptions};

fn registered(location: &str) -> Registered {
    Registered { location: location.to_owned(), local: "out".into(), kind: RegistrationKind::Upload }
}

#[test]
fn each_registration_has_a_line_until_it_is_done() {
    let progress = Progress::hidden();
    let observer = progress.observer();
    let lines = || observer.0.lines();
    let tree = Tree::new(Arc::new(MemoryStore::default()));
    let (one, two) = (registered("memory://b/one"), registered("memory://b/two\n"));
    let copy = Action::Copy { source: Entry::file("a", 4096), target: None, why: Change::New };
    assert_eq!(lines(), ["comparing, 0 unchanged so far"]);
    for registration in [&one, &two] {
        for event in [Event::Begun(&tree, &tree), Event::Decided(&copy), Event::PlanComplete] {
            observer.session_event(Some(registration), &event);
        }
    }
    let second = "memory://b/two\\n: 0/1 files, 0 B of 4.0 KiB";
    assert_eq!(lines(), ["memory://b/one: 0/1 files, 0 B of 4.0 KiB", second]);
    observer.session_event(Some(&one), &Event::Done(&copy));
    assert_eq!(lines(), [second]);
    let counts = progress.counts();
    assert_eq!((counts.files, counts.files_total, counts.bytes_total), (1, 2, 8192));
    observer.session_event(Some(&one), &Event::Begun(&tree, &tree));
    assert_eq!(lines(), ["memory://b/one: comparing, 0 unchanged so far", second], "it is counted from its beginning");
}

#[tokio::test]
async fn the_transfers_of_a_session_are_counted_together_and_apart() {
    let cache = tempfile::tempdir().unwrap();
    let progress = Progress::hidden();
    let builder = Session::builder().cache_root(cache.path()).session_observer(progress.observer());
    let session = builder.open().unwrap();
    for name in ["one", "two"] {
        let out = session.upload(&format!("memory://b/{name}"), UploadOptions::default()).await.unwrap();
        std::fs::write(out.join("a"), name).unwrap();
    }
    session.flush().await.unwrap();
    session.close().await.into_result().unwrap();
    let counts = progress.counts();
    assert_eq!((counts.files, counts.files_total, counts.bytes, counts.unchanged), (2, 2, 6, 2));
    let shown = progress.observer().0.shown();
    let mut shown: Vec<_> =
        shown.iter().map(|(location, counts)| (location.as_deref().unwrap(), counts.files, counts.unchanged)).collect();
    // The uploads run at once, so either may begin first.
    shown.sort_unstable();
    assert_eq!(shown, [("memory://b/one", 0, 1), ("memory://b/two", 0, 1)]);
}

#[test]
fn a_pause_of_the_server_is_shown_until_everything_is_done() {
    let pause = || Some(ServerPause::new(Duration::from_millis(7500), "the server asked for it (503)"));
    let progress = Progress::hidden().with_pauses(pause);
    let observer = progress.observer();
    let tree = Tree::new(Arc::new(MemoryStore::default()));
    let text = "waiting 8 s because the server asked for it (503)";
    assert_eq!(observer.0.lines(), [text]);
    let one = registered("memory://b/one");
    observer.session_event(Some(&one), &Event::Begun(&tree, &tree));
    assert_eq!(observer.0.lines(), [format!("memory://b/one: {text}")]);
    let key = Key::from("same");
    observer.session_event(Some(&one), &Event::Unchanged(&key, Proof::Size));
    assert_eq!(observer.0.lines(), [format!("memory://b/one: comparing, 1 unchanged so far, {text}")]);
    observer.session_event(Some(&one), &Event::PlanComplete);
    assert_eq!(progress.counts().waiting, None, "nothing waits for the server");
}

#[test]
fn a_wait_for_another_process_is_shown_until_the_run_begins() {
    let tree = Tree::new(Arc::new(MemoryStore::default()));
    let text = "waiting for another process (12) that uses 'memory://b/one'";
    let waiting = Event::Waiting("memory://b/one", Some(12));

    let sync = Progress::hidden().observer();
    sync.event(&waiting);
    assert_eq!((sync.counts().waiting.as_deref(), sync.0.lines()), (Some(text), vec![text.to_owned()]));
    sync.event(&Event::Begun(&tree, &tree));
    assert_eq!(sync.counts().waiting, None);

    let session = Progress::hidden().observer();
    let (one, two) = (registered("memory://b/one"), registered("memory://b/two"));
    session.session_event(Some(&one), &waiting);
    session.session_event(Some(&two), &Event::Begun(&tree, &tree));
    assert_eq!(session.counts().waiting.as_deref(), Some(text), "the other registration does not wait");
    let lines = [format!("memory://b/one: {text}"), "memory://b/two: comparing, 0 unchanged so far".to_owned()];
    assert_eq!(session.0.lines(), lines);
    session.session_event(Some(&one), &Event::Begun(&tree, &tree));
    assert_eq!(session.counts().waiting, None);
}

#[test]
fn without_a_runtime_a_thread_shows_the_lines_until_the_progress_is_dropped() {
    let (send, lines) = mpsc::channel();
    let progress = Progress::lines(Duration::from_millis(5), move |line| {
        let _nobody_reads = send.send(line.to_owned());
    });
    assert_eq!(lines.recv_timeout(Duration::from_secs(60)).unwrap(), "comparing, 0 unchanged so far");
    drop(progress);
    let ended = std::iter::from_fn(|| Some(lines.recv_timeout(Duration::from_secs(60)))).find(Result::is_err);
    assert_eq!(ended, Some(Err(mpsc::RecvTimeoutError::Disconnected)));
}

#[tokio::test(start_paused = true)]
async fn lines_come_at_intervals() {
    let (send, lines) = mpsc::channel();
    let progress = Progress::lines(Duration::from_secs(10), move |line| send.send(line.to_owned()).unwrap());
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(lines.try_iter().count(), 3);
    progress.finish();
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(lines.try_iter().count(), 0);
}
