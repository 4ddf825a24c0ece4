//! Ends that are interrupted, shared, or missing.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pos3_core::{Event, Key, RemoteStoreExt};

use super::ending::End;
use super::tests::{World, upload, write};
use super::*;

/// Collects the warnings of a session.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl pos3_core::Observer for Heard {
    fn event(&self, event: &Event<'_>) {
        if let Event::Warning(warning) = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((*warning).to_owned());
        }
    }
}

/// A session whose uploads take about ten seconds of a paused clock.
async fn slow(world: &World, heard: &Heard) -> Session {
    let builder = world.builder().upload_limit(1000.0).observer(heard.clone());
    let session = builder.open().unwrap();
    let out = session.upload("memory://b/out", upload().with_interval(None)).await.unwrap();
    fs::write(out.join("large"), vec![7; 11_000]).unwrap();
    session
}

#[tokio::test(start_paused = true)]
async fn a_second_close_joins_the_one_that_was_cancelled() {
    let world = World::new();
    let session = slow(&world, &Heard::default()).await;
    let cancelled = tokio::time::timeout(Duration::from_secs(1), session.close()).await;
    assert!(cancelled.is_err(), "the upload takes longer than that");
    assert_eq!(world.keys().await, [""; 0]);
    let ending = session.close().await;
    assert_eq!(ending.uploads.len(), 1, "{ending:?}");
    assert!(ending.is_complete(), "{ending:?}");
    assert_eq!(ending.uploads[0].uploaded, 1);
    assert_eq!(world.keys().await, ["out/large"]);
    assert_eq!(session.close().await.uploads.len(), 1, "also when it is over");
}

#[tokio::test(start_paused = true)]
async fn a_download_that_still_runs_at_the_end_is_stopped_and_its_output_is_uploaded() {
    for (is_waited_for, how) in [(false, End::Clean), (false, End::Error), (true, End::Clean), (true, End::Error)] {
        let case = format!("{how:?}, waited for: {is_waited_for}");
        let world = World::with(&[("c/small", "1")]).await;
        world.store().write(&Key::from("c/large"), vec![7; 100_000].into()).await.unwrap();
        let session = world.builder().download_limit(10.0).deadline(Duration::from_secs(300)).open().unwrap();
        let local = world.path("cache/_/b/c");
        fs::create_dir_all(&local).unwrap();
        write(&local, "mine", "2");
        let options = upload().with_interval(None).with_delete(RemoteDelete::Extra).with_sync_on_error(true);
        let options = SyncBothOptions::from(options);
        let mut sync = std::pin::pin!(session.sync("memory://b/c", options));
        assert!(tokio::time::timeout(Duration::from_secs(2), &mut sync).await.is_err(), "it takes hours");
        let begin = tokio::time::Instant::now();
        let ending = end::end(&session.inner, how);
        let ending = match is_waited_for {
            true => {
                let (synced, ending) = tokio::join!(sync, ending);
                assert!(synced.is_err(), "{case}");
                ending
            }
            false => ending.await,
        };
        assert!(begin.elapsed() < Duration::from_secs(20), "{case}: {:?}", begin.elapsed());
        assert!(ending.is_complete() && ending.uploads.len() == 1, "{case}: {ending:?}");
        assert_eq!(world.keys().await, ["c/large", "c/mine", "c/small"], "{case}: nothing is deleted");
        assert!(!local.join("large").exists(), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_nobody_waits_for_goes_on() {
    let world = World::new();
    let session = slow(&world, &Heard::default()).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), session.close()).await.is_err());
    for _ in 0..2000 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if !world.keys().await.is_empty() {
            break;
        }
    }
    assert_eq!(world.keys().await, ["out/large"]);
}

#[tokio::test(start_paused = true)]
async fn giving_up_hurries_a_close_that_is_under_way() {
    let world = World::new();
    let builder = world.builder().upload_limit(10.0).deadline(Duration::from_secs(5));
    let session = builder.open().unwrap();
    let out = session.upload("memory://b/out", upload().with_interval(None)).await.unwrap();
    fs::write(out.join("large"), vec![7; 100_000]).unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), session.close()).await.is_err());
    let begin = tokio::time::Instant::now();
    let ending = session.give_up().await;
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert!(!ending.is_complete(), "{ending:?}");
    assert_eq!(ending.uploads[0].missing, [pos3_core::Key::from("large")]);
}

#[tokio::test]
async fn a_session_that_is_dropped_says_so_to_its_observer() {
    let world = World::new();
    let heard = Heard::default();
    let session = world.builder().observer(heard.clone()).open().unwrap();
    let out = session.upload("memory://b/out", upload()).await.unwrap();
    write(&out, "a", "1");
    drop(session);
    let heard = heard.all();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("'memory://b/out': the session was dropped before its end"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dropped_while_it_ends_says_so() {
    let world = World::new();
    let heard = Heard::default();
    let session = slow(&world, &heard).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), session.close()).await.is_err());
    drop(session);
    assert_eq!(heard.all().len(), 1, "{:?}", heard.all());
}

#[tokio::test]
async fn a_session_that_has_ended_or_is_discarded_says_nothing() {
    let world = World::new();
    let heard = Heard::default();
    for is_discarded in [false, true] {
        let session = world.builder().observer(heard.clone()).open().unwrap();
        session.upload("memory://b/out", upload()).await.unwrap();
        if is_discarded {
            session.discard();
        } else {
            assert!(session.close().await.is_complete());
        }
    }
    assert_eq!(heard.all(), [""; 0]);
}

#[tokio::test]
async fn a_mirror_ends_with_its_work_also_where_that_fails() {
    let world = World::new();
    let heard = Heard::default();
    let entered = Mirror::builder(world.builder().observer(heard.clone()))
        .upload("kept", "memory://b/kept", upload().with_sync_on_error(true))
        .upload("lost", "memory://b/lost", upload())
        .enter()
        .await
        .unwrap();
    let failed = entered
        .scope(async |mirror| {
            write(mirror.path("kept").unwrap(), "a", "1");
            write(mirror.path("lost").unwrap(), "a", "1");
            fs::read(mirror.path("kept").unwrap().join("none")).map_err(|error| error.to_string())?;
            Ok::<_, String>(())
        })
        .await;
    assert!(matches!(failed, Err(ScopeError::Body { .. })), "{failed:?}");
    assert_eq!(world.keys().await, ["kept/a"]);
    let entered = Mirror::builder(world.builder()).upload("lost", "memory://b/lost", upload()).enter().await.unwrap();
    entered.scope(async |_| Ok::<_, String>(())).await.unwrap();
    assert_eq!(world.keys().await, ["kept/a", "lost/a"]);
    assert_eq!(heard.all(), [""; 0]);
}

#[tokio::test]
async fn a_mirror_that_cannot_be_entered_or_is_interrupted_meanwhile_says_nothing_of_uploads() {
    let world = World::new();
    let heard = Heard::default();
    let builder = || {
        Mirror::builder(world.builder().observer(heard.clone())).upload("out", "memory://b/out", upload()).download(
            "typo",
            "memory://b/typo",
            DownloadOptions::default(),
        )
    };
    assert!(builder().enter().await.is_err());
    // Dropped where it first waits.
    assert!(builder().enter().now_or_never().is_none_or(|entered| entered.is_err()));
    assert_eq!(heard.all(), [""; 0]);
}

#[tokio::test]
async fn a_session_error_prints_its_cause() {
    let source = pos3_core::StoreError::new(pos3_core::ErrorKind::NotFound, pos3_core::Operation::List)
        .with_message("there is no bucket");
    let error = SessionError::from(crate::error::Error::Store { location: "s3://b/x".to_owned(), source });
    assert_eq!(error.to_string(), "'s3://b/x' cannot be opened: cannot list: there is no bucket");
    assert!(std::error::Error::source(&error).is_none(), "so no cause is printed twice");
    let several = SessionError::Several(vec![SessionError::Closed, error.clone()]);
    assert!(several.to_string().contains("there is no bucket"), "{several}");
    let ended = Ended {
        deleted: 0,
        is_gone: false,
        withheld_by_others: None,
        is_cut_off: false,
        location: "s3://b/x".to_owned(),
        local: PathBuf::from("x"),
        report: None,
        uploaded: 0,
        uploaded_bytes: 0,
        error: Some(error),
        uploaded_at_end: 0,
        uploaded_bytes_at_end: 0,
        missing: Vec::new(),
        is_planned: true,
        left_out: Vec::new(),
        replaced: Vec::new(),
        withheld_for: None,
        deleted_later: 0,
    };
    let scope = ScopeError::Body { error: "the work failed", ending: Ending { uploads: vec![ended] } };
    let told =
        "the work failed (and 1 upload is incomplete: 's3://b/x' cannot be opened: cannot list: there is no bucket)";
    assert_eq!(scope.to_string(), told);
}
