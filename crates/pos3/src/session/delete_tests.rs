//! Uploads do not delete objects whose deletion was not intended.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pos3_core::{Event, Observer, Refusal, Stop};

use super::tests::{World, deleting, upload, write};
use super::*;

/// Keeps the warnings that a session tells.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Observer for Warnings {
    fn event(&self, event: &Event<'_>) {
        if let Event::Warning(warning) = event {
            self.0.lock().unwrap().push((*warning).to_owned());
        }
    }
}

fn empty(directory: &Path) {
    fs::read_dir(directory).unwrap().for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
}

#[tokio::test]
async fn a_directory_that_was_emptied_is_told_and_no_error() {
    let world = World::with(&[("out/theirs", "x")]).await;
    let warnings = Warnings::default();
    let session = world.builder().observer(warnings.clone()).open().unwrap();
    let out = session.upload("memory://b/out", deleting()).await.unwrap();
    write(&out, "a", "1");
    write(&out, "b", "2");
    session.flush().await.unwrap();
    empty(&out);
    session.flush().await.unwrap();
    assert_eq!(session.status()[0].failures, 0);
    let ending = session.close().await;
    assert!(!ending.is_complete() && ending.uploads[0].withheld() == 2, "{ending:?}");
    ending.into_result().unwrap();
    assert_eq!(world.keys().await, ["out/a", "out/b", "out/theirs"]);
    let told = warnings.0.lock().unwrap().clone();
    let expected = format!(
        "'memory://b/out': '{}' has no file now, so the objects of its missing files were not deleted: 2 files",
        out.display()
    );
    assert_eq!(told, [expected], "once");
}

/// Entries that remain in such a directory are uploaded and reported as usual.
#[tokio::test]
async fn what_is_left_in_a_directory_without_files_is_told() {
    let world = World::new();
    let session = world.session();
    let out = session.upload("memory://b/out", deleting()).await.unwrap();
    write(&out, "a", "1");
    session.flush().await.unwrap();
    empty(&out);
    fs::create_dir(out.join("new")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", out.join("link")).unwrap();
    let ending = session.close().await;
    let ended = &ending.uploads[0];
    assert_eq!((ended.withheld(), ended.is_uploaded()), (1, false), "{ending:?}");
    assert_eq!(ended.left_out.iter().map(|left| left.key.as_str()).collect::<Vec<_>>(), ["link"]);
    assert_eq!(world.keys().await, ["out/a", "out/new/"]);
}

#[tokio::test]
async fn nothing_is_deleted_remotely_unless_that_was_asked_for() {
    let world = World::with(&[("run/old", "1"), ("run/kept", "2")]).await;
    assert_eq!(UploadOptions::default().delete, RemoteDelete::Never);
    let session = world.session();
    let run = session.sync("memory://b/run", SyncBothOptions::default()).await.unwrap();
    fs::remove_file(run.join("old")).unwrap();
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["run/kept", "run/old"]);
}

/// A program may flush between any two steps of its work.
#[tokio::test]
async fn a_flush_deletes_nothing() {
    for delete in [RemoteDelete::Seen, RemoteDelete::Extra] {
        let world = World::new();
        let session = world.session();
        let out = session.upload("memory://b/out", upload().with_delete(delete)).await.unwrap();
        write(&out, "model", "1");
        write(&out, "other", "1");
        session.flush().await.unwrap();
        fs::remove_file(out.join("model")).unwrap();
        for _ in 0..3 {
            session.flush().await.unwrap();
        }
        assert_eq!(world.keys().await, ["out/model", "out/other"], "{delete:?}");
        session.give_up().await.into_result().unwrap();
        assert_eq!(world.keys().await, ["out/model", "out/other"], "{delete:?}");
    }
}

#[tokio::test]
async fn what_a_session_fetched_and_the_program_removed_is_deleted() {
    let world = World::with(&[("run/old", "1"), ("run/kept", "2"), ("run/theirs", "3")]).await;
    let session = world.session();
    let run = session.sync("memory://b/run", deleting().into()).await.unwrap();
    fs::remove_file(run.join("old")).unwrap();
    fs::remove_file(run.join("theirs")).unwrap();
    world.put("run/theirs", "replaced").await;
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["run/kept", "run/theirs"]);
}

#[tokio::test]
async fn deletes_of_extra_objects_are_refused_for_a_directory_that_was_emptied() {
    for left in [None, Some("lost+found")] {
        let world = World::new();
        let session = world.session();
        let out = session.upload("memory://b/out", upload().with_delete(RemoteDelete::Extra)).await.unwrap();
        write(&out, "a", "1");
        session.flush().await.unwrap();
        empty(&out);
        left.into_iter().for_each(|name| std::fs::create_dir(out.join(name)).unwrap());
        let error = session.close().await.into_result().unwrap_err();
        assert!(error.to_string().contains("the source is empty"), "{error}");
        assert_eq!(world.keys().await, ["out/a"], "{left:?}");
    }
}

/// Output could be lost with the machine while a user decides about the deletes.
#[tokio::test]
async fn deletes_that_are_too_many_are_an_error_and_keep_no_copy_back() {
    let world = World::new();
    let session = world.session();
    let out = session.upload("memory://b/out", deleting()).await.unwrap();
    (0..30).for_each(|number| write(&out, &format!("old-{number:02}"), "1"));
    session.flush().await.unwrap();
    empty(&out);
    write(&out, "new", "1");
    let ending = session.close().await;
    assert_eq!(world.keys().await.len(), 31);
    assert!(ending.uploads[0].missing.is_empty(), "{ending:?}");
    let Some(SessionError::Transfer { report, .. }) = &ending.uploads[0].error else { panic!("{ending:?}") };
    let refused = matches!(report.0.stopped, Some(Stop::Refused(Refusal::TooManyDeletes { deletes: 30, .. })));
    assert!(refused && report.0.copied == 1, "{report:?}");
}
