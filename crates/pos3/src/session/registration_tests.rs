//! Which registrations are allowed, which are identical, and which are in conflict.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pos3_core::RemoteStore;

use super::tests::{World, upload, write};
use super::*;

#[tokio::test]
async fn conflicts_name_both_and_respect_segments() {
    let world = World::with(&[("data/a", "1")]).await;
    let session = world.session();
    session.download("memory://b/data", DownloadOptions::default()).await.unwrap();
    session.upload("memory://b/data_backup", upload()).await.unwrap();
    let error = session.upload("memory://b/data/sub", upload()).await.unwrap_err();
    assert_eq!(error.to_string(), "upload 'memory://b/data/sub' overlaps with download 'memory://b/data'");
    let error = session.upload("memory://b", upload()).await.unwrap_err();
    assert!(matches!(error, SessionError::RemoteConflict { .. }), "{error}");
    let error = session.upload("memory://b/data_backup", upload().with_priority(1)).await.unwrap_err();
    assert!(matches!(error, SessionError::Different { .. }), "{error}");
    session.upload("memory://b/data_backup/", upload()).await.unwrap();
    let elsewhere = upload().with_local(world.path("cache/_/b/data_backup/inside"));
    let error = session.upload("memory://b/other", elsewhere).await.unwrap_err();
    assert!(matches!(error, SessionError::LocalConflict { .. }), "{error}");
}

#[tokio::test]
async fn two_downloads_share_a_path_only_where_one_is_a_part_of_the_other() {
    let world = World::with(&[("data/a", "1"), ("data/sub/b", "2"), ("other/a", "3")]).await;
    let session = world.session();
    let data = session.download("memory://b/data", DownloadOptions::default()).await.unwrap();
    let part = session.download("memory://b/data/sub", DownloadOptions::default()).await.unwrap();
    assert_eq!(part, data.join("sub"));
    for (place, local) in [("other", data.clone()), ("other", part), ("other/a", data.join("a"))] {
        let options = DownloadOptions::default().with_local(local.clone());
        let error = session.download(&format!("memory://b/{place}"), options).await.unwrap_err();
        assert!(matches!(error, SessionError::LocalConflict { .. }), "{}: {error}", local.display());
    }
    assert_eq!(fs::read_to_string(data.join("a")).unwrap(), "1");
}

#[tokio::test]
async fn what_is_below_a_name_is_not_the_object_of_that_name() {
    let world = World::with(&[("x", "object"), ("x/a", "below"), ("y/a", "below")]).await;
    let session = world.session();
    let object = session.download("memory://b/x", DownloadOptions::default()).await.unwrap();
    assert_eq!(fs::read_to_string(&object).unwrap(), "object");
    let error = session.download("memory://b/x/", DownloadOptions::default()).await.unwrap_err();
    assert!(matches!(error, SessionError::LocalConflict { .. }), "{error}");
    assert_eq!(session.download("memory://b/x", DownloadOptions::default()).await.unwrap(), object);
    let prefix = session.download("memory://b/y", DownloadOptions::default()).await.unwrap();
    assert_eq!(session.download("memory://b/y/", DownloadOptions::default()).await.unwrap(), prefix);
}

#[tokio::test]
async fn a_sync_is_one_registration() {
    let world = World::with(&[("run/ckpt-1", "one")]).await;
    let session = world.session();
    let run = session.sync("memory://b/run", SyncBothOptions::default()).await.unwrap();
    assert_eq!(session.sync("memory://b/run/", SyncBothOptions::default()).await.unwrap(), run);
    assert_eq!(fs::read_to_string(run.join("ckpt-1")).unwrap(), "one");
    write(&run, "ckpt-1", "ONE");
    write(&run, "ckpt-2", "two");
    session.close().await.into_result().unwrap();
    assert_eq!(world.read("run/ckpt-1").await, "ONE", "an overwrite of equal size");
    assert_eq!(world.read("run/ckpt-2").await, "two");
}

#[tokio::test]
async fn one_registration_in_other_words_is_the_same() {
    let world = World::with(&[("data/a", "1")]).await;
    let session = world.session();
    let out = session.upload("memory://b/out", upload()).await.unwrap();
    let named = out.join("..").join("out");
    assert_eq!(session.upload("memory://b/out/", upload().with_local(named)).await.unwrap(), out);
    let data = session.download("memory://b/data", DownloadOptions::default()).await.unwrap();
    let named = DownloadOptions::default().with_local(data.clone());
    assert_eq!(session.download("memory://b/data", named).await.unwrap(), data);
    assert_eq!(session.status().len(), 2);
    session.close().await.into_result().unwrap();
}

#[tokio::test]
async fn an_upload_whose_directory_cannot_be_made_is_not_registered() {
    let world = World::new();
    let session = world.session();
    fs::write(world.path("file"), "x").unwrap();
    let below_a_file = upload().with_local(world.path("file").join("out"));
    session.upload("memory://b/out", below_a_file.clone()).await.unwrap_err();
    session.sync("memory://b/run", below_a_file.into()).await.unwrap_err();
    assert!(session.status().is_empty(), "{:?}", session.status());
    let out = session.upload("memory://b/out", upload()).await.unwrap();
    write(&out, "a", "1");
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["out/a"]);
}

#[tokio::test]
async fn an_upload_that_is_asked_for_again_in_vain_stays_registered() {
    let world = World::new();
    let session = world.session();
    let options = upload().with_local(world.path("parent").join("out"));
    session.upload("memory://b/out", options.clone()).await.unwrap();
    fs::rename(world.path("parent"), world.path("aside")).unwrap();
    fs::write(world.path("parent"), "in the way").unwrap();
    session.upload("memory://b/out", options).await.unwrap_err();
    fs::remove_file(world.path("parent")).unwrap();
    fs::rename(world.path("aside"), world.path("parent")).unwrap();
    fs::write(world.path("parent").join("out").join("a"), "1").unwrap();
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["out/a"]);
}

#[tokio::test]
async fn one_bad_registration_does_not_keep_the_others_from_being_uploaded() {
    let world = World::new();
    let session = world.session();
    let good = session.upload("memory://b/good", upload()).await.unwrap();
    write(&good, "a", "1");
    let bad = session.upload("memory://b/bad", upload().with_local(world.path("bad"))).await.unwrap();
    write(&bad, "x", "1");
    std::process::Command::new("mkfifo").arg(bad.join("pipe")).status().unwrap();
    let ending = session.close().await;
    assert_eq!(world.keys().await, ["bad/x", "good/a"]);
    let error = ending.into_result().unwrap_err();
    assert!(error.to_string().contains("memory://b/bad"), "{error}");
}

#[tokio::test]
async fn all_conflicts_of_declared_paths_are_told_at_once() {
    let world = World::new();
    let error = Mirror::builder(world.builder())
        .upload("one", "memory://b/x", upload())
        .upload("two", "memory://b/x/y", upload())
        .download("three", "memory://b/x/z", DownloadOptions::default())
        .enter()
        .await
        .unwrap_err();
    let SessionError::Conflicts(conflicts) = error else { unreachable!("{error}") };
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
    assert_eq!(world.store().usage().total(), 0);
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let world = World::new();
    for rate in [0.0, -1.0, f64::NAN] {
        assert!(matches!(world.builder().upload_limit(rate).open(), Err(SessionError::BadRate(_))));
    }
    let session = world.session();
    let error = session.upload("memory://b/x", upload().with_interval(Duration::ZERO)).await;
    assert!(matches!(error, Err(SessionError::NoInterval { .. })));
    let pattern = vec!["*.tmp".to_owned(), "/top".to_owned()];
    let error = session.upload("memory://b/x", upload().with_exclude(pattern)).await.unwrap_err();
    assert!(error.to_string().starts_with("the pattern '/top' cannot be used: it begins with '/'"), "{error}");
    assert!(session.upload("memory:///x", upload()).await.is_err());
    assert!(session.upload("memory://nobody@b/x", upload()).await.is_err());
}

#[tokio::test]
async fn two_names_of_one_directory_are_one_directory() {
    let world = World::new();
    let session = world.session();
    fs::create_dir(world.path("real")).unwrap();
    std::os::unix::fs::symlink(world.path("real"), world.path("link")).unwrap();
    let at = |path: &str| upload().with_local(world.path(path));
    let path = session.upload("memory://b/one", at("link/in")).await.unwrap();
    assert_eq!(path, world.path("real/in"));
    for other in ["real/in", "none/../real/in/side", "link"] {
        let error = session.upload("memory://b/two", at(other)).await.unwrap_err();
        assert!(matches!(error, SessionError::LocalConflict { .. }), "{other}: {error}");
    }
}

#[tokio::test]
async fn an_output_of_one_file_is_left_to_the_program() {
    for is_synced in [false, true] {
        let world = World::new();
        fs::create_dir_all(world.path("cache/_/b/m/model.ckpt")).unwrap();
        let session = world.session();
        let one = upload().with_shape(Shape::File);
        let path = if is_synced {
            session.sync("memory://b/m/model.ckpt", one.into()).await.unwrap()
        } else {
            session.upload("memory://b/m/model.ckpt", one).await.unwrap()
        };
        assert!(path.parent().unwrap().is_dir() && !path.exists(), "{path:?}");
        session.flush().await.unwrap();
        fs::write(&path, "weights").unwrap();
        session.close().await.into_result().unwrap();
        assert_eq!(world.keys().await, ["m/model.ckpt"]);
    }
}

#[tokio::test]
async fn an_output_that_has_another_shape_than_announced_is_an_error() {
    let world = World::new();
    let session = world.session();
    let file = session.upload("memory://b/file", upload().with_shape(Shape::File)).await.unwrap();
    let directory = session.upload("memory://b/directory", upload().with_shape(Shape::Directory)).await.unwrap();
    fs::create_dir(&file).unwrap();
    write(&file, "a", "1");
    fs::remove_dir(&directory).unwrap();
    fs::write(&directory, "1").unwrap();
    let error = session.close().await.into_result().unwrap_err().to_string();
    assert!(error.contains("it is a directory, and one file is expected there"), "{error}");
    assert!(error.contains("it is a file, and a directory is expected there"), "{error}");
    assert_eq!(world.keys().await, [""; 0]);
    let other = world.session();
    let error = other.upload("memory://b/x/", upload().with_shape(Shape::File)).await.unwrap_err();
    assert!(matches!(error, SessionError::NotOneFile { .. }), "{error}");
}

#[tokio::test]
async fn what_an_end_leaves_out_is_named_and_makes_it_incomplete() {
    let world = World::new();
    let session = world.session();
    let out = session.upload("memory://b/out", upload()).await.unwrap();
    write(&out, "ckpt-1", "1");
    std::os::unix::fs::symlink("ckpt-1", out.join("latest")).unwrap();
    std::os::unix::fs::symlink("/elsewhere/ckpts", out.join("more")).unwrap();
    let ending = session.close().await;
    let ended = &ending.uploads[0];
    assert!(!ending.is_complete() && !ended.is_uploaded(), "{ended:?}");
    let named: Vec<_> = ended.left_out.iter().map(|left| (left.key.as_str(), left.link.clone().unwrap())).collect();
    let (inside, elsewhere) = (Link::Inside("ckpt-1".into()), Link::Elsewhere("/elsewhere/ckpts".into()));
    assert_eq!(named, [("latest", inside), ("more", elsewhere)]);
    assert!(ended.report.as_ref().unwrap().warnings[0].contains("'more' in '"), "{ended:?}");
    ending.into_result().unwrap();
}

#[tokio::test]
async fn other_tasks_continue_while_paths_are_prepared_and_marked() {
    let world = World::with(&[]).await;
    let session = world.session();
    let turns = Arc::new(AtomicU64::new(0));
    let taking = turns.clone();
    let task = tokio::spawn(async move {
        loop {
            taking.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    session.upload("memory://b/out", upload()).await.unwrap();
    task.abort();
    // The path is resolved, the directory created, and the mark flushed to the disk.
    assert!(turns.load(Ordering::Relaxed) >= 3, "{turns:?}");
}

/// The escaped name of a key is not a name that an upload may use.
#[tokio::test]
async fn a_local_copy_with_an_escaped_name_is_no_part_of_another_one() {
    let world = World::with(&[("y//z/one", "1"), ("y/plain", "2"), ("y/./q", "3")]).await;
    let first = world.session();
    for url in ["memory://b/y//z", "memory://b/y/./q"] {
        let path = first.download(url, DownloadOptions::default()).await.unwrap();
        assert!(path.starts_with(world.path("cache/_/%/b")), "{}", path.display());
    }
    first.close().await.into_result().unwrap();
    let second = world.session();
    let path = second.upload("memory://b/y", upload()).await.unwrap();
    write(&path, "new", "4");
    second.close().await.into_result().unwrap();
    assert_eq!(world.keys().await, ["y/./q", "y//z/one", "y/new", "y/plain"]);
}

#[tokio::test]
async fn a_file_that_changes_before_it_is_uploaded_is_counted_as_it_was_stored() {
    let world = World::new();
    let (path, has_changed) = (world.path("cache/_/b/out/a"), std::sync::atomic::AtomicBool::new(false));
    let change = move |_: Option<&crate::Registered>, event: &pos3_core::Event<'_>| {
        if matches!(event, pos3_core::Event::Started(_)) && !has_changed.swap(true, Ordering::AcqRel) {
            fs::write(&path, "longer than before").unwrap();
        }
    };
    let session = world.builder().session_observer(change).open().unwrap();
    let out = session.upload("memory://b/out", upload()).await.unwrap();
    write(&out, "a", "short");
    let ended = &session.close().await.uploads[0];
    assert_eq!(world.read("out/a").await, "longer than before");
    assert_eq!((ended.uploaded, ended.uploaded_bytes, ended.uploaded_bytes_at_end), (1, 18, 18));
    assert_eq!(ended.report.as_ref().unwrap().copied_bytes, 18);
}
