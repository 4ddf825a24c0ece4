//! The files and objects that are deleted, and those that must not be.

use std::fs;
use std::os::unix::fs::symlink;

use pos3::{Guards, RemoteDelete, SessionError, SyncBothOptions};

use super::{World, contents, deleting, download, mirror_down, mirror_up, patterns, tree, upload, write};

#[tokio::test]
async fn a_checkpoint_overwritten_with_equal_size_is_sent_and_fetched() {
    let world = World::with(&[("run/model", "AAAA")]);
    let session = world.session();
    let run = session.sync("s3://bucket/run", SyncBothOptions::default()).await.unwrap();
    write(&run, "model", "BBBB");
    session.flush().await.unwrap();
    assert_eq!(world.object("run/model").unwrap(), "BBBB");
    write(&run, "model", "CCCC");
    session.close().await.into_result().unwrap();
    assert_eq!(world.object("run/model").unwrap(), "CCCC");

    world.put("run/model", "DDDD");
    let run = world.session().download("s3://bucket/run", download()).await.unwrap();
    assert_eq!(fs::read_to_string(run.join("model")).unwrap(), "DDDD");
}

#[tokio::test]
async fn a_mistyped_prefix_is_an_error_and_leaves_the_directory_with_all_in_it() {
    let world = World::with(&[("data/a", "1")]);
    let local = world.path("here");
    write(&local, "d/precious", "x");
    let session = world.session();
    for guards in [Guards::default(), Guards::default().with_allow_empty(true)] {
        let options = mirror_down().with_local(local.clone()).with_guards(guards);
        let error = session.download("s3://bucket/dat", options).await.unwrap_err();
        assert!(matches!(error, SessionError::Missing { .. }), "{error}");
    }
    assert_eq!(tree(&local), ["d/", "d/precious"]);
}

#[tokio::test]
async fn deleting_locally_spares_what_is_excluded_and_what_links_lead_to() {
    let world = World::with(&[("data/a", "1")]);
    let (local, elsewhere) = (world.path("here"), world.path("elsewhere"));
    write(&elsewhere, "theirs", "x");
    for name in ["old/gone", "old/kept.log", "old/deep/gone", "side/gone"] {
        write(&local, name, "x");
    }
    symlink(&elsewhere, local.join("side/link")).unwrap();
    let options = mirror_down().with_local(local.clone()).with_exclude(patterns(&["*.log"]));
    world.session().download("s3://bucket/data", options).await.unwrap();
    assert_eq!(tree(&local), ["a", "old/", "old/kept.log", "side/", "side/link@"]);
    assert_eq!(tree(&elsewhere), ["theirs"]);
}

#[tokio::test]
async fn a_linked_file_protects_its_object_and_a_linked_directory_is_the_directory() {
    let world = World::with(&[("run/model", "remote"), ("run/old", "x"), ("other/kept", "x")]);
    let (real, run) = (world.path("real"), world.path("run"));
    write(&real, "new", "1");
    write(&run, "new", "1");
    symlink(real.join("new"), run.join("model")).unwrap();
    let session = world.session();
    session.upload("s3://bucket/run", mirror_up().with_local(run)).await.unwrap();
    let ending = session.close().await;
    assert_eq!(world.object("run/model").unwrap(), "remote", "{ending:?}");

    // The directory of the whole registration is a link: its files are what is uploaded.
    write(&real, "kept", "x");
    fs::create_dir_all(world.path("cache/_/bucket")).unwrap();
    symlink(&real, world.path("cache/_/bucket/other")).unwrap();
    let session = world.session();
    assert_eq!(session.upload("s3://bucket/other", mirror_up()).await.unwrap(), real);
    session.close().await.into_result().unwrap();
    assert_eq!(&world.keys()[..2], ["other/kept", "other/new"]);
}

#[tokio::test]
async fn nothing_is_downloaded_through_a_link() {
    let world = World::with(&[("data/sub/a", "1"), ("data/b", "2")]);
    let (local, elsewhere) = (world.path("here"), world.path("elsewhere"));
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(&local).unwrap();
    symlink(&elsewhere, local.join("sub")).unwrap();
    let error = world.session().download("s3://bucket/data", download().with_local(local.clone())).await.unwrap_err();
    assert!(error.to_string().contains("sub"), "{error}");
    assert_eq!((tree(&local), tree(&elsewhere).len()), (vec!["b".to_owned(), "sub@".to_owned()], 0));
}

#[tokio::test]
async fn one_file_uploaded_into_a_prefix_leaves_its_neighbours() {
    let world = World::with(&[("dir/a", "1"), ("dir/b", "2")]);
    let file = world.path("x.json");
    fs::write(&file, "{}").unwrap();
    // The object `dir` keeps `dir/a` from being downloaded with it, so the end reports it.
    for (url, key, is_clean) in [("s3://bucket/dir/", "dir/x.json", true), ("s3://bucket/dir", "dir", false)] {
        let session = world.session();
        session.upload(url, mirror_up().with_local(file.clone())).await.unwrap();
        assert_eq!(session.close().await.into_result().is_ok(), is_clean, "{url}");
        assert_eq!(world.object(key).unwrap(), "{}");
    }
    assert_eq!(world.keys(), ["dir", "dir/a", "dir/b", "dir/x.json"]);
}

#[tokio::test]
async fn what_others_store_while_a_session_runs_survives_its_end() {
    let world = World::with(&[("run/first", "x")]);
    for delete in [RemoteDelete::Never, RemoteDelete::Seen, RemoteDelete::Extra] {
        let session = world.session();
        let options = SyncBothOptions::from(upload().with_delete(delete));
        let run = session.sync("s3://bucket/run", options).await.unwrap();
        world.put("run/theirs", "stored by others");
        let theirs = format!("replaced by others, with {delete:?}");
        world.server.put(super::BUCKET, "run/first", theirs.clone());
        write(&run, "ours", "1");
        fs::remove_file(run.join("first")).unwrap();
        let ending = session.close().await;
        assert!(world.keys().contains(&"run/theirs".to_owned()), "{delete:?}: {ending:?}");
        assert!(world.keys().contains(&"run/ours".to_owned()), "{delete:?}: {ending:?}");
        if delete != RemoteDelete::Extra {
            assert_eq!(world.object("run/first").unwrap(), theirs, "{delete:?}");
        }
        world.server.remove(super::BUCKET, "run/theirs");
        fs::remove_dir_all(run).unwrap();
    }
}

#[tokio::test]
async fn a_fresh_machine_empties_no_prefix() {
    let world = World::with(&[("run/1", "a"), ("run/2", "b")]);
    for delete in [RemoteDelete::Seen, RemoteDelete::Extra] {
        let session = world.session();
        let run = session.upload("s3://bucket/run", upload().with_delete(delete)).await.unwrap();
        assert!(contents(&run).is_empty());
        let _refused_or_nothing_to_do = session.flush().await;
        let ending = session.close().await;
        assert_eq!(world.keys(), ["run/1", "run/2"], "{delete:?}: {ending:?}");
    }
}

#[tokio::test]
async fn two_downloads_do_not_share_a_directory_that_one_of_them_clears() {
    let world = World::with(&[("one/a", "1"), ("two/b", "2")]);
    let local = world.path("here");
    let session = world.session();
    session.download("s3://bucket/one", mirror_down().with_local(local.clone())).await.unwrap();
    for (options, place) in [(mirror_down(), local.clone()), (download(), local.clone()), (download(), local.join("x"))]
    {
        let error = session.download("s3://bucket/two", options.with_local(place)).await.unwrap_err();
        let SessionError::LocalConflict { new, old, .. } = &error else { panic!("{error}") };
        assert_eq!((new.as_str(), old.as_str()), ("s3://bucket/two", "s3://bucket/one"));
    }
    assert_eq!(tree(&local), ["a"]);
}

#[tokio::test]
async fn what_an_earlier_run_stored_is_not_deleted_by_a_fresh_directory() {
    let world = World::with(&[]);
    let first = world.session();
    let run = first.upload("s3://bucket/run", deleting()).await.unwrap();
    ["a", "b", "c"].iter().for_each(|name| write(&run, name, "1"));
    first.close().await.into_result().unwrap();

    // The same place and the same memory on a disk that was wiped.
    fs::remove_dir_all(&run).unwrap();
    let second = world.session();
    second.upload("s3://bucket/run", deleting()).await.unwrap();
    second.flush().await.unwrap();
    write(&run, "d", "1");
    second.close().await.into_result().unwrap();
    assert_eq!(world.keys(), ["run/a", "run/b", "run/c", "run/d"]);
}

#[tokio::test]
async fn what_an_earlier_run_stored_and_this_one_removed_is_deleted() {
    let world = World::with(&[]);
    let first = world.session();
    let run = first.upload("s3://bucket/run", deleting()).await.unwrap();
    ["a", "b"].iter().for_each(|name| write(&run, name, "1"));
    first.close().await.into_result().unwrap();
    let second = world.session();
    second.upload("s3://bucket/run", deleting()).await.unwrap();
    fs::remove_file(run.join("a")).unwrap();
    let plan = second.plan_upload("s3://bucket/run", deleting()).await.unwrap();
    assert_eq!(plan.deletes().map(Result::unwrap).collect::<Vec<_>>(), ["s3://bucket/run/a"]);
    second.close().await.into_result().unwrap();
    assert_eq!(world.keys(), ["run/b"]);
}

/// Two machines with one home directory and disks of their own: a file of this one is not newer because the other's memory
/// does not know it.
#[tokio::test]
async fn a_memory_of_another_machine_makes_nothing_old_newer() {
    let world = World::with(&[("run/model", "one")]);
    // What this machine has had all along.
    write(&world.path("this disk"), "model", "one");
    // The other one has a disk of its own at the same place.
    let session = world.session();
    let run = session.sync("s3://bucket/run", SyncBothOptions::default()).await.unwrap();
    write(&run, "model", "two");
    session.close().await.into_result().unwrap();

    fs::remove_dir_all(&run).unwrap();
    fs::rename(world.path("this disk"), &run).unwrap();
    let error = world.session().sync("s3://bucket/run", SyncBothOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("model' conflict: both sides have changed"), "{error}");
    assert_eq!(world.object("run/model").unwrap(), "two");
    assert_eq!(fs::read_to_string(run.join("model")).unwrap(), "one");
}

/// A program goes on while its upload is under way, and is killed before the next: the object is later than its last file,
/// and the file is newer all the same.
#[tokio::test]
async fn a_file_that_was_made_during_the_last_upload_is_newer_than_its_object() {
    let world = World::with(&[]);
    let session = world.session();
    let run = session.sync("s3://bucket/run", SyncBothOptions::default()).await.unwrap();
    let write_before_the_upload = |content: &str, hours: u32| {
        write(&run, "model", content);
        let then = std::time::SystemTime::now() - hours * std::time::Duration::from_secs(3600);
        fs::File::options().write(true).open(run.join("model")).unwrap().set_modified(then).unwrap();
    };
    write_before_the_upload("one", 2);
    session.flush().await.unwrap();
    write_before_the_upload("two", 1);
    drop(session);
    let session = world.session();
    session.sync("s3://bucket/run", SyncBothOptions::default()).await.unwrap();
    assert_eq!(fs::read_to_string(run.join("model")).unwrap(), "two");
    session.close().await.into_result().unwrap();
    assert_eq!(world.object("run/model").unwrap(), "two");
}
