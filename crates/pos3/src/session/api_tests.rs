//! Listings of a session, and scopes as tasks.

use std::fs;

use pos3_core::Key;

use super::tests::{World, upload, write};
use super::*;

#[tokio::test]
async fn a_listing_can_be_fed_back() {
    let world = World::with(&[("x/1", "a"), ("x/sub/2", "b")]).await;
    let session = world.session();
    let names = async |location: &str, depth| {
        let listed = session.ls(location, depth).await.unwrap();
        assert!(listed.iter().all(|one| one.to_string() == one.location.to_string()), "{listed:?}");
        listed.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names("memory://b/x", Depth::Level).await, ["memory://b/x/1", "memory://b/x/sub/"]);
    let all = ["memory://b/x/1", "memory://b/x/sub/", "memory://b/x/sub/2"];
    assert_eq!(names("memory://b/x/", Depth::Recursive).await, all);
    assert_eq!(names("memory://b/x/1", Depth::Level).await, ["memory://b/x/1"]);
    assert_eq!(names("memory://b/none", Depth::Level).await, [""; 0]);
    assert!(session.ls(world.path("none").to_str().unwrap(), Depth::Level).await.is_err());
}

#[tokio::test]
async fn a_listing_has_the_facts_of_each_entry() {
    let world = World::with(&[("x/1", "abc"), ("x/sub/2", "b")]).await;
    fs::create_dir_all(world.path("here/sub")).unwrap();
    write(&world.path("here"), "1", "abc");
    let session = world.session();
    let here = fs::canonicalize(world.path("here")).unwrap();
    let here = Location::Local(here);
    for directory in ["memory://b/x".parse().unwrap(), here.clone()] {
        let listed = session.ls(&directory.to_string(), Depth::Level).await.unwrap();
        let facts: Vec<_> =
            listed.iter().map(|one| (one.entry.key.as_str(), one.entry.kind.clone(), one.entry.size)).collect();
        assert_eq!(facts, [("1", pos3_core::Kind::File, 3), ("sub/", pos3_core::Kind::Directory, 0)], "{directory}");
        assert!(listed[0].entry.modified.is_some(), "{directory}");
        assert_eq!(listed[1].location, directory.join(&Key::from("sub/")));
    }
    let file = session.ls(&format!("{here}/1"), Depth::Level).await.unwrap();
    assert_eq!((&file[0].location, file[0].entry.size), (&here.join(&Key::from("1")), 3));
}

#[tokio::test]
async fn a_scope_can_be_a_task_and_start_tasks() {
    let world = World::new();
    let task = tokio::spawn(world.session().scope(async |session: &Session| {
        let handle = session.clone();
        let out = tokio::spawn(async move { handle.upload("memory://b/out", upload()).await }).await.unwrap()?;
        write(&out, "a", "1");
        Ok::<_, SessionError>(())
    }));
    task.await.unwrap().unwrap();
    let entered = Mirror::builder(world.builder()).upload("run", "memory://b/run", upload()).enter().await.unwrap();
    let task = tokio::spawn(entered.scope(async |mirror: &Mirror| {
        write(mirror.path("run")?, "b", "2");
        Ok::<_, SessionError>(())
    }));
    task.await.unwrap().unwrap();
    assert_eq!(world.keys().await, ["out/a", "run/b"]);
}
