//! One thing that goes wrong takes nothing else with it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

use pos3::{Event, Observer};

use super::{World, mirror_up, upload, write};

#[tokio::test]
async fn a_missing_bucket_does_not_keep_the_others_from_their_last_upload() {
    let world = World::with(&[]);
    let session = world.session();
    for url in ["s3://nowhere/x", "s3://bucket/good", "s3://nowhere/y"] {
        write(&session.upload(url, upload()).await.unwrap(), "a", "1");
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
async fn a_file_that_vanishes_after_it_was_listed_fails_alone() {
    let world = World::with(&[]);
    let local = world.path("out");
    let session = world.builder().observer(Remove(local.join("m"))).concurrency(1).open().unwrap();
    for name in ["a", "b", "m", "y", "z"] {
        write(&local, name, "1");
    }
    session.upload("s3://bucket/out", upload().with_local(local)).await.unwrap();
    let ending = session.close().await;
    assert_eq!(world.keys(), ["out/a", "out/b", "out/y", "out/z"], "{ending:?}");
    assert_eq!(ending.uploads.len(), 1);
    if let Err(error) = ending.into_result() {
        assert!(error.to_string().contains("'m'") || error.to_string().contains("/m"), "{error}");
    }
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
    let missing: Vec<&str> = ending.uploads[0].missing.iter().map(|key| key.as_str()).collect();
    assert_eq!(missing.len(), 2, "{ending:?}");
    assert!(missing.contains(&"pipe") && missing.iter().any(|key| key.starts_with("bad")), "{missing:?}");
    assert!(ending.into_result().is_err());
}
