//! The background task, with a paused clock that advances only when all tasks wait.

use std::fs;
use std::time::Duration;

use pos3_core::{Key, MemoryStore, RemoteStore, RemoteStoreExt};

use super::*;
use crate::registry::{MemoryProvider, Registry};

const MINUTE: Duration = Duration::from_secs(60);

fn world() -> (tempfile::TempDir, std::sync::Arc<MemoryStore>, Session) {
    let disk = tempfile::tempdir().unwrap();
    let memory = MemoryProvider::default();
    let store = memory.store("b");
    let registry = Registry::default().with("memory", memory);
    let session = Session::builder().registry(registry).cache_root(disk.path()).open().unwrap();
    (disk, store, session)
}

fn every_minute() -> UploadOptions {
    UploadOptions::default().with_interval(MINUTE)
}

fn deleting() -> UploadOptions {
    every_minute().with_delete(RemoteDelete::Seen)
}

async fn has(store: &MemoryStore, key: &str) -> bool {
    store.head(&Key::from(key)).await.is_ok()
}

/// Lets the clock go on, and then what it set off come to its end.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    // Files are read on other threads, which the clock does not wait for.
    for _ in 0..50 {
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(2))).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_upload_comes_after_one_interval() {
    let (_disk, store, session) = world();
    let out = session.upload("memory://b/out", every_minute()).await.unwrap();
    fs::write(out.join("a"), "1").unwrap();
    pass(MINUTE.mul_f64(0.9)).await;
    assert!(!has(&store, "out/a").await);
    pass(MINUTE.mul_f64(0.2)).await;
    assert!(has(&store, "out/a").await);
    assert!(session.status()[0].last_upload.is_some());
    session.close().await.into_result().unwrap();
}

#[tokio::test(start_paused = true)]
async fn ticks_that_were_missed_do_not_pile_up() {
    let (_disk, store, session) = world();
    session.upload("memory://b/out", every_minute()).await.unwrap();
    let listed = || store.usage().get("list");
    let registration = session.inner.registrations()[0].clone();
    let running = registration.running.lock().await;
    pass(10 * MINUTE).await;
    assert_eq!(listed(), 0);
    drop(running);
    pass(MINUTE / 2).await;
    assert_eq!(listed(), 1, "one upload, not ten");
    session.close().await.into_result().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_failed_is_tried_again_soon_and_is_told() {
    let (_disk, store, session) = world();
    let out = session.upload("memory://b/out", every_minute()).await.unwrap();
    std::process::Command::new("mkfifo").arg(out.join("pipe")).status().unwrap();
    fs::write(out.join("a"), "1").unwrap();
    pass(MINUTE.mul_f64(1.1)).await;
    let status = session.status()[0].clone();
    assert!(status.failures >= 1, "{status:?}");
    assert!(status.last_error.is_some() && has(&store, "out/a").await);
    let failures = status.failures;
    pass(MINUTE).await;
    assert!(session.status()[0].failures > failures, "it is tried again before the interval is over");
    assert!(session.flush().await.is_err());
    fs::remove_file(out.join("pipe")).unwrap();
    session.flush().await.unwrap();
    assert_eq!(session.status()[0].failures, 0);
    session.close().await.into_result().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_by_an_error_keeps_its_deadline_and_names_what_is_missing() {
    let disk = tempfile::tempdir().unwrap();
    let memory = MemoryProvider::default();
    let store = memory.store("b");
    let registry = Registry::default().with("memory", memory);
    let session = Session::builder()
        .registry(registry)
        .cache_root(disk.path())
        .upload_limit(1000.0)
        .concurrency(1)
        .deadline(Duration::from_secs(5))
        .open()
        .unwrap();
    let options = |priority| every_minute().with_sync_on_error(true).with_priority(priority);
    let later = session.upload("memory://b/later", options(0)).await.unwrap();
    let first = session.upload("memory://b/first", options(9)).await.unwrap();
    fs::write(first.join("small"), [7; 1000]).unwrap();
    fs::write(later.join("large"), vec![7; 1_000_000]).unwrap();
    let begin = tokio::time::Instant::now();
    let ending = session.give_up().await;
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert!(has(&store, "first/small").await && !has(&store, "later/large").await);
    let ended = &ending.uploads[1];
    assert_eq!((ended.location.as_str(), ended.missing.len()), ("memory://b/later", 1), "{ended:?}");
    assert!(matches!(ended.error, Some(SessionError::Deadline { .. })), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_still_empty_is_no_failure() {
    let (_disk, store, session) = world();
    store.write(&Key::from("out/old"), "x".into()).await.unwrap();
    session.upload("memory://b/out", every_minute()).await.unwrap();
    pass(MINUTE * 4).await;
    let status = session.status()[0].clone();
    assert!(store.usage().get("list") >= 3, "it was looked at");
    assert!(status.failures == 0 && status.last_error.is_none() && status.last_upload.is_some(), "{status:?}");
    assert!(status.last_report.unwrap().warnings.is_empty());
    session.close().await.into_result().unwrap();
    assert!(has(&store, "out/old").await);
}

#[tokio::test(start_paused = true)]
async fn an_upload_under_way_when_the_work_fails_deletes_nothing_any_more() {
    let disk = tempfile::tempdir().unwrap();
    let memory = MemoryProvider::default();
    let store = memory.store("b");
    let registry = Registry::default().with("memory", memory);
    let session = Session::builder().registry(registry).cache_root(disk.path()).upload_limit(1000.0).open().unwrap();
    let out = session.upload("memory://b/out", deleting()).await.unwrap();
    fs::write(out.join("gone"), "1").unwrap();
    fs::write(out.join("kept"), "1").unwrap();
    session.flush().await.unwrap();
    fs::remove_file(out.join("gone")).unwrap();
    pass(MINUTE.mul_f64(1.1)).await;
    fs::write(out.join("large"), vec![7; 20_000]).unwrap();
    tokio::time::sleep(MINUTE.mul_f64(1.1)).await;
    assert!(session.status()[0].running);
    let ending = session.give_up().await;
    assert!(ending.uploads.is_empty());
    assert!(has(&store, "out/large").await && has(&store, "out/gone").await);
}

/// Returns a session that needs five seconds for what it has to upload, and has that: a small file, and one that is large.
async fn slow_session() -> (tempfile::TempDir, std::sync::Arc<MemoryStore>, Session) {
    let disk = tempfile::tempdir().unwrap();
    let memory = MemoryProvider::default();
    let store = memory.store("b");
    let session = Session::builder()
        .registry(Registry::default().with("memory", memory))
        .cache_root(disk.path())
        .upload_limit(1000.0)
        .concurrency(1)
        .deadline(Duration::from_secs(3))
        .open()
        .unwrap();
    let out = session.upload("memory://b/out", deleting().with_interval(None)).await.unwrap();
    fs::write(out.join("gone"), "1").unwrap();
    session.flush().await.unwrap();
    fs::remove_file(out.join("gone")).unwrap();
    fs::write(out.join("large"), vec![7; 5_000]).unwrap();
    fs::write(out.join("later"), [7; 1_000]).unwrap();
    (disk, store, session)
}

#[tokio::test(start_paused = true)]
async fn an_end_takes_its_time_and_deletes() {
    let (_disk, store, session) = slow_session().await;
    let ending = session.close().await;
    assert!(ending.is_complete(), "{ending:?}");
    assert!(has(&store, "out/large").await && has(&store, "out/later").await && !has(&store, "out/gone").await);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_hurried_keeps_the_deadline_deletes_nothing_and_names_what_is_missing() {
    let (_disk, store, session) = slow_session().await;
    let begin = tokio::time::Instant::now();
    let hurry = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        session.urge(Urgency::Hurry);
    };
    let (ending, ()) = tokio::join!(session.close(), hurry);
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert!(has(&store, "out/large").await, "what is in flight has ten seconds more");
    assert!(!has(&store, "out/later").await && has(&store, "out/gone").await);
    let ended = &ending.uploads[0];
    assert_eq!(ended.missing, [Key::from("later")], "{ended:?}");
    assert!(matches!(ended.error, Some(SessionError::Deadline { missing: Some(1), .. })), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_hurried_and_makes_it_has_only_its_deletes_withheld() {
    let (_disk, store, session) = slow_session().await;
    session.urge(Urgency::Hurry);
    fs::remove_file(session.status()[0].local.join("large")).unwrap();
    let ending = session.close().await;
    assert!(has(&store, "out/later").await && has(&store, "out/gone").await);
    assert!(!ending.is_complete() && ending.uploads[0].withheld() == 1, "{ending:?}");
    ending.into_result().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_abandoned_is_over_at_once_and_names_what_is_missing() {
    let (_disk, store, session) = slow_session().await;
    let begin = tokio::time::Instant::now();
    let abandon = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        session.urge(Urgency::Hurry);
        session.urge(Urgency::Abandon);
    };
    let (ending, ()) = tokio::join!(session.close(), abandon);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert_eq!(ending.uploads[0].missing, [Key::from("large"), Key::from("later")], "{ending:?}");
    assert!(!has(&store, "out/large").await && has(&store, "out/gone").await);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_only_stopped_returns_its_report() {
    let (_disk, store, session) = slow_session().await;
    let begin = tokio::time::Instant::now();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        session.urge(Urgency::Stop);
    };
    let (ending, ()) = tokio::join!(session.close(), stop);
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    let ended = &ending.uploads[0];
    assert!(matches!(ended.error, Some(SessionError::Transfer { .. })), "{ended:?}");
    assert_eq!(ended.done().map(|report| report.copied), Some(1), "what is in flight has ten seconds more: {ended:?}");
    assert_eq!(ended.missing, [Key::from("later")], "{ended:?}");
    assert!(has(&store, "out/large").await && !has(&store, "out/later").await && has(&store, "out/gone").await);
}

#[tokio::test(start_paused = true)]
async fn an_absent_file_keeps_its_object_until_a_clean_end() {
    for delete in [RemoteDelete::Seen, RemoteDelete::Extra] {
        let (_disk, store, session) = world();
        let out = session.upload("memory://b/out", every_minute().with_delete(delete)).await.unwrap();
        fs::write(out.join("model"), "1").unwrap();
        fs::write(out.join("other"), "1").unwrap();
        pass(MINUTE.mul_f64(1.1)).await;
        fs::remove_file(out.join("model")).unwrap();
        pass(MINUTE.mul_f64(10.0)).await;
        session.flush().await.unwrap();
        assert!(has(&store, "out/model").await, "{delete:?}");
        session.close().await.into_result().unwrap();
        assert!(!has(&store, "out/model").await && has(&store, "out/other").await, "{delete:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn deletes_are_withheld_and_counted_while_other_processes_may_write() {
    let (_disk, store, session) = world();
    let out = session.upload("memory://b/out", deleting()).await.unwrap();
    fs::write(out.join("model"), "1").unwrap();
    fs::write(out.join("other"), "1").unwrap();
    session.flush().await.unwrap();
    fs::remove_file(out.join("model")).unwrap();
    session.still_written();
    let ending = session.close().await;
    assert_eq!((ending.uploads[0].withheld(), has(&store, "out/model").await), (1, true), "{ending:?}");
    ending.into_result().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_emptied_directory_deletes_only_where_it_is_allowed_or_has_contents_again() {
    for (allowed, contents, is_deleted) in [(false, None, false), (false, Some("b"), true), (true, None, true)] {
        let (_disk, store, session) = world();
        let options = deleting().with_guards(pos3_core::Guards::default().with_allow_empty(allowed));
        let out = session.upload("memory://b/out", options).await.unwrap();
        fs::write(out.join("a"), "1").unwrap();
        session.flush().await.unwrap();
        fs::remove_file(out.join("a")).unwrap();
        pass(MINUTE.mul_f64(2.2)).await;
        assert!(has(&store, "out/a").await);
        contents.into_iter().for_each(|name| fs::write(out.join(name), "2").unwrap());
        let ending = session.close().await;
        assert_eq!(ending.uploads[0].withheld(), u64::from(!is_deleted), "{allowed} {contents:?}");
        assert_eq!(has(&store, "out/a").await, !is_deleted, "{allowed} {contents:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_shows_the_next_upload_and_the_totals_of_both_directions() {
    let (_disk, store, session) = world();
    store.write(&Key::from("both/in"), "abc".into()).await.unwrap();
    let both = session.sync("memory://b/both", deleting().into()).await.unwrap();
    let status = || session.status()[0].clone();
    let next_upload = || status().next_upload.unwrap().duration_since(std::time::SystemTime::now()).unwrap();
    assert_eq!((status().kind, status().location.as_str()), (RegistrationKind::Sync, "memory://b/both"));
    assert_eq!((status().downloaded, status().uploaded), (totals(1, 3, 0), totals(0, 0, 0)));
    assert!(status().last_download.is_some() && status().last_upload.is_none());
    let due = next_upload();
    assert!(due > MINUTE.mul_f64(0.9) && due <= MINUTE.mul_f64(1.05), "{due:?}");
    pass(MINUTE / 2).await;
    assert!(next_upload() < due - MINUTE.mul_f64(0.4), "{:?} after {due:?}", next_upload());

    fs::write(both.join("out"), "12345").unwrap();
    pass(MINUTE).await;
    assert_eq!((status().downloaded, status().uploaded), (totals(1, 3, 0), totals(1, 5, 0)));
    assert!(status().last_upload.is_some() && next_upload() <= MINUTE.mul_f64(1.05));
    fs::write(both.join("out"), "123456").unwrap();
    session.flush().await.unwrap();
    assert_eq!(status().uploaded, totals(2, 11, 0), "each upload of the same file counts");

    fs::remove_file(both.join("in")).unwrap();
    session.close().await.into_result().unwrap();
    assert_eq!((status().uploaded, status().next_upload), (totals(2, 11, 1), None));
}

#[tokio::test(start_paused = true)]
async fn a_status_without_background_uploads_has_no_next_upload() {
    let (disk, store, session) = world();
    store.write(&Key::from("data/in"), "abc".into()).await.unwrap();
    let local = disk.path().join("data");
    fs::create_dir(&local).unwrap();
    fs::write(local.join("extra"), "1").unwrap();
    let options = DownloadOptions::default().with_local(local).with_delete(true);
    session.download("memory://b/data", options).await.unwrap();
    session.upload("memory://b/out", every_minute().with_interval(None).with_sync_on_error(true)).await.unwrap();
    let [download, upload] = session.status().try_into().unwrap();
    assert_eq!((download.kind, download.downloaded), (RegistrationKind::Download, totals(1, 3, 1)));
    assert_eq!((download.next_upload, upload.next_upload), (None, None));
    let ending = session.give_up().await;
    assert!(ending.is_complete(), "{ending:?}");
    assert!(session.status()[1].last_upload.is_some(), "the upload of an end by an error was complete, too");
}

fn totals(files: u64, bytes: u64, deleted: u64) -> Totals {
    Totals { files, bytes, deleted }
}
