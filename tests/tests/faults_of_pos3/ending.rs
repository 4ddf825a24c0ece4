//! One failure does not prevent the other uploads at the end of a session.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pos3::{Event, Observer, SessionError};

use super::{World, download, mirror_down, mirror_up, tree, upload, write};

#[tokio::test]
async fn a_missing_bucket_does_not_keep_the_others_from_their_last_upload() {
    let world = World::with(&[]);
    let session = world.session();
    for url in ["s3://nowhere/x", "s3://bucket/good", "s3://nowhere/y"] {
        // In the cache, no server without the bucket gets a directory.
        let local = world.path(url.rsplit('/').next().unwrap());
        write(&session.upload(url, upload().with_local(local)).await.unwrap(), "a", "1");
    }
    let ending = session.close().await;
    let failed: Vec<&str> =
        ending.uploads.iter().filter(|ended| ended.error.is_some()).map(|ended| ended.location.as_str()).collect();
    assert_eq!(failed, ["s3://nowhere/x", "s3://nowhere/y"], "each is told: {ending:?}");
    assert_eq!(world.keys(), ["good/a"]);
}

#[tokio::test]
async fn an_error_uploads_what_was_asked_for_and_deletes_nothing() {
    let world = World::with(&[("kept/theirs", "x")]);
    let session = world.session();
    let kept = session.upload("s3://bucket/kept", mirror_up().with_sync_on_error(true)).await.unwrap();
    let dropped = session.upload("s3://bucket/dropped", mirror_up()).await.unwrap();
    write(&kept, "ours", "1");
    write(&dropped, "half", "1");
    let ended = session.scope(async |_| Err::<(), _>("it failed".to_owned())).await.unwrap_err();
    assert_eq!(ended.to_string(), "it failed");
    assert_eq!(world.keys(), ["kept/ours", "kept/theirs"]);
}

/// Removes a file as soon as it was listed, before anything is sent.
struct Remove(PathBuf);

impl Observer for Remove {
    fn event(&self, event: &Event<'_>) {
        if let Event::Decided(action) = event
            && action.key().as_str() == "m"
        {
            let _gone = fs::remove_file(&self.0);
        }
    }
}

#[tokio::test]
async fn a_file_that_vanishes_after_it_was_listed_is_looked_for_again_and_missed_by_nobody() {
    let world = World::with(&[]);
    let local = world.path("out");
    let session = world.builder().observer(Remove(local.join("m"))).concurrency(1).open().unwrap();
    for name in ["a", "b", "m", "y", "z"] {
        write(&local, name, "1");
    }
    session.upload("s3://bucket/out", upload().with_local(local)).await.unwrap();
    let ending = session.close().await;
    assert_eq!(world.keys(), ["out/a", "out/b", "out/y", "out/z"], "{ending:?}");
    assert!(ending.uploads.len() == 1 && ending.is_complete(), "{ending:?}");
}

/// Writes a file as soon as it was listed, before it is downloaded.
struct Write(PathBuf);

impl Observer for Write {
    fn event(&self, event: &Event<'_>) {
        if let Event::Decided(action) = event
            && action.key().as_str() == "m"
        {
            fs::write(&self.0, "written meanwhile").unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_that_somebody_writes_during_its_download_is_kept() {
    let world = World::with(&[("data/a", "1"), ("data/m", "2"), ("data/z", "3")]);
    let local = world.path("here");
    fs::create_dir(&local).unwrap();
    for options in [download(), mirror_down()] {
        let session = world.builder().observer(Write(local.join("m"))).open().unwrap();
        let error = session.download("s3://bucket/data", options.with_local(local.clone())).await.unwrap_err();
        assert!(error.to_string().contains("cannot copy 'm'"), "{error}");
        assert_eq!(fs::read_to_string(local.join("m")).unwrap(), "written meanwhile");
        assert_eq!(tree(&local), ["a", "m", "z"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_and_go_while_they_are_listed_stop_no_upload() {
    let world = World::with(&[]);
    let session = world.session();
    let out = session.upload("s3://bucket/out", upload()).await.unwrap();
    for number in 0..50 {
        write(&out, &format!("steady/{number:02}"), "1");
    }
    let churning = out.join("churn");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let churn = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            for number in 0..40 {
                write(&churning, &format!("{number}/deep/file"), "x");
            }
            fs::remove_dir_all(&churning).unwrap();
            fs::write(&churning, "a file now").unwrap();
            fs::remove_file(&churning).unwrap();
        }
    });
    for _ in 0..15 {
        if let Err(SessionError::Several(errors)) = session.flush().await {
            for error in errors {
                let SessionError::Transfer { report, .. } = &error else { panic!("{error}") };
                assert!(report.0.stopped.is_none(), "{error}");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    churn.join().unwrap();
    session.close().await.into_result().unwrap();
    let steady = world.keys().into_iter().filter(|key| key.starts_with("out/steady/")).count();
    assert_eq!(steady, 50);
}

#[tokio::test]
async fn pipes_and_names_that_are_no_text_are_told_and_hold_nothing_up() {
    let world = World::with(&[]);
    let session = world.session();
    let out = session.upload("s3://bucket/out", upload()).await.unwrap();
    write(&out, "fine", "1");
    fs::write(out.join(OsStr::from_bytes(b"bad\xff")), "x").unwrap();
    assert!(Command::new("mkfifo").arg(out.join("pipe")).status().unwrap().success());
    let ending = session.close().await;
    assert_eq!(world.keys(), ["out/fine"]);
    let missing: Vec<&str> = ending.uploads[0].missing.iter().map(pos3::Key::as_str).collect();
    assert_eq!(missing.len(), 2, "{ending:?}");
    assert!(missing.contains(&"pipe") && missing.iter().any(|key| key.starts_with("bad")), "{missing:?}");
    assert!(ending.into_result().is_err());
}
