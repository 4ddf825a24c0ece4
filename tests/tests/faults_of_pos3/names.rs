//! Keys and URLs are exact.

use std::fs;

use super::{BUCKET, World, download, mirror_up, tree, upload, write};

#[tokio::test]
async fn a_url_keeps_what_follows_a_number_sign_or_a_question_mark() {
    let world = World::with(&[("run/g", "x"), ("run#2/a", "2"), ("run?3/a", "3"), ("run%20/a", "4")]);
    let session = world.session();
    for (url, content) in [("s3://bucket/run#2", "2"), ("s3://bucket/run?3/", "3"), ("s3://bucket/run%20", "4")] {
        let path = session.download(url, download()).await.unwrap();
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), content, "{url}");
    }
    let session = world.session();
    for name in ["run#2", "run?3"] {
        let options = mirror_up().with_local(world.path("out").join(name));
        let out = session.upload(&format!("s3://bucket/{name}"), options).await.unwrap();
        write(&out, "new", "1");
    }
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys(), ["run#2/new", "run%20/a", "run/g", "run?3/new"]);
}

#[tokio::test]
async fn no_key_and_no_url_is_written_outside_its_place() {
    let world = World::with(&[]);
    for key in ["data/../../evil", "data//abs", "data/./dot", "data/a/../b", "data/fine", "../up/a"] {
        world.put(key, "x");
    }
    let local = world.path("deep/deeper/here");
    let error = world.session().download("s3://bucket/data", download().with_local(local.clone())).await.unwrap_err();
    assert!(error.to_string().contains("s3://bucket/data"), "{error}");
    assert_eq!(tree(&world.path("deep")), ["deeper/", "deeper/here/", "deeper/here/fine"]);

    let up = world.session().download("s3://bucket/../up", download()).await.unwrap();
    assert!(up.starts_with(world.path("cache/_/%/bucket")), "{up:?}");
    assert_eq!(tree(&up), ["a"]);
}

#[tokio::test]
async fn a_key_with_two_slashes_is_not_another_key() {
    let world = World::with(&[("data/a/x", "one"), ("data/a//x", "two"), ("data/b//y", "three"), ("data//z", "four")]);
    let local = world.path("here");
    let session = world.session();
    let error = session.download("s3://bucket/data", download().with_local(local.clone())).await.unwrap_err();
    assert!(error.to_string().contains("//") || error.to_string().contains("'/z'"), "it is named: {error}");
    assert_eq!(
        (tree(&local), fs::read_to_string(local.join("a/x")).unwrap()),
        (vec!["a/".into(), "a/x".into()], "one".into())
    );

    // Asked for by its own name each can be had.
    for (key, content) in [("data/a//x", "two"), ("data/b//y", "three")] {
        let path = world.session().download(&format!("s3://bucket/{key}"), download()).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "{key}");
    }
    // An upload takes such a key neither for a file's nor for a file that is gone.
    let up = world.session();
    up.upload("s3://bucket/data", upload().with_local(local.clone())).await.unwrap();
    write(&local, "new", "1");
    let _told = up.close().await;
    assert_eq!(world.keys(), ["data//z", "data/a//x", "data/a/x", "data/b//y", "data/new"]);
    assert_eq!(world.object("data/a//x").unwrap(), "two");
}

#[tokio::test]
async fn a_bucket_gets_files_and_no_object_named_slash() {
    let world = World::with(&[]);
    let local = world.path("out");
    for name in ["a", "d/b", "d/e/c"] {
        write(&local, name, "1");
    }
    fs::create_dir_all(local.join("empty")).unwrap();
    let session = world.session();
    session.upload("s3://bucket", upload().with_local(local)).await.unwrap();
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys(), ["a", "d/b", "d/e/c", "empty/"], "a marker for the empty directory alone");
}

#[tokio::test]
async fn a_file_has_its_objects_time_and_an_object_its_files_type() {
    let world = World::with(&[("data/a", "1")]);
    let stored = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    world.server.set_modified(BUCKET, "data/a", stored);
    let session = world.session();
    let data = session.download("s3://bucket/data", download()).await.unwrap();
    assert_eq!(fs::metadata(data.join("a")).unwrap().modified().unwrap(), stored);
    let out = session.upload("s3://bucket/out", upload()).await.unwrap();
    write(&out, "x.json", "{}");
    session.close().await.into_result().unwrap();
    let object = world.server.object(BUCKET, "out/x.json").unwrap();
    assert_eq!(object.properties.content_type.as_deref(), Some("application/json; charset=utf-8"));
}
