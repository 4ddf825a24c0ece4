//! Files, directories and markers that have another kind on the other side, and plans that show every change.

use std::fs;
use std::sync::{Arc, Mutex};

use pos3::{Action, Event, Observer, TransferPlan};

use super::{World, download, mirror_down, mirror_up, tree, write};

#[tokio::test]
async fn an_object_that_is_also_a_directory_is_told() {
    let world = World::with(&[("data/a", "file"), ("data/a/b", "below"), ("data/c", "1")]);
    let local = world.path("here");
    let session = world.session();
    let error = session.download("s3://bucket/data", download().with_local(local.clone())).await.unwrap_err();
    assert!(error.to_string().contains("a/b"), "{error}");
    assert_eq!(tree(&local), ["a", "c"], "the rest is there");
    let below = session.download("s3://bucket/data/a/", download().with_local(world.path("below"))).await.unwrap();
    assert_eq!(fs::read_to_string(below.join("b")).unwrap(), "below");
}

#[tokio::test]
async fn nested_markers_come_to_rest() {
    let world = World::with(&[("data/o/a/b/", ""), ("data/o/f", "1"), ("data/p/", "")]);
    let local = world.path("here");
    let options = || mirror_down().with_local(local.clone());
    world.session().download("s3://bucket/data", options()).await.unwrap();
    let expected = ["o/", "o/a/", "o/a/b/", "o/f", "p/"];
    assert_eq!(tree(&local), expected);
    for _ in 0..2 {
        let session = world.session();
        let plan = session.plan_download("s3://bucket/data", options()).await.unwrap();
        assert!(plan.plan.is_empty(), "{:?}", plan.plan);
        session.download("s3://bucket/data", options()).await.unwrap();
        assert_eq!(tree(&local), expected);
    }
    let up = world.session();
    let plan = up.plan_upload("s3://bucket/data", mirror_up().with_local(local)).await.unwrap();
    assert_eq!((plan.copies().count(), plan.deletes().count()), (0, 0), "{:?}", plan.plan);
}

#[tokio::test]
async fn a_file_becomes_a_directory_and_a_directory_a_file() {
    let world = World::with(&[("data/x", "file"), ("data/y/a", "1"), ("data/y/d/b", "2"), ("data/z", "3")]);
    let local = world.path("here");
    let options = || mirror_down().with_local(local.clone());
    world.session().download("s3://bucket/data", options()).await.unwrap();
    for key in ["data/x", "data/y/a", "data/y/d/b"] {
        world.server.remove(super::BUCKET, key);
    }
    world.put("data/x/inside", "4");
    world.put("data/y", "file now");
    world.session().download("s3://bucket/data", options()).await.unwrap();
    assert_eq!(tree(&local), ["x/", "x/inside", "y", "z"]);

    // And up again, the other way round.
    fs::remove_dir_all(local.join("x")).unwrap();
    fs::remove_file(local.join("y")).unwrap();
    write(&local, "x", "file again");
    write(&local, "y/a", "directory again");
    let session = world.session();
    session.upload("s3://bucket/data", mirror_up().with_local(local.clone())).await.unwrap();
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys(), ["data/x", "data/y/a", "data/z"]);
}

/// Takes note of what was done, and to what.
#[derive(Clone, Default)]
struct Done(Arc<Mutex<Vec<String>>>);

impl Observer for Done {
    fn event(&self, event: &Event<'_>) {
        if let Event::Done(action) = event {
            self.0.lock().unwrap().push(said(action));
        }
    }
}

fn said(action: &Action) -> String {
    let what = match action {
        Action::Copy { .. } => "copy",
        Action::Delete { .. } => "delete",
        Action::Replace { .. } => "replace",
        Action::Skip { .. } => "skip",
    };
    format!("{what} {}", action.key())
}

#[tokio::test]
async fn a_plan_is_all_that_a_run_does_directories_included() {
    let world = World::with(&[("data/a", "1"), ("data/marker/", ""), ("data/kind", "file"), ("data/d/x", "2")]);
    let local = world.path("here");
    write(&local, "old/deep/b", "x");
    write(&local, "a", "0");
    write(&local, "kind/c", "x");
    fs::create_dir_all(local.join("bare")).unwrap();
    let options = mirror_down().with_local(local.clone());
    let before = tree(&local);
    let done = Done::default();
    let session = world.builder().observer(done.clone()).open().unwrap();
    let plan = session.plan_download("s3://bucket/data", options.clone()).await.unwrap();
    assert_eq!(tree(&local), before, "a plan touches nothing");

    session.download("s3://bucket/data", options).await.unwrap();
    assert_same(&done, &plan);
    let planned: Vec<String> = plan.plan.actions().map(|action| said(&action.unwrap())).collect();
    assert!(planned.iter().any(|line| line == "delete bare/"), "{planned:?}");
    assert!(planned.iter().any(|line| line == "copy marker/"), "{planned:?}");
    assert_eq!(tree(&local), ["a", "d/", "d/x", "kind", "marker/"]);

    let done = Done::default();
    let session = world.builder().observer(done.clone()).open().unwrap();
    fs::remove_dir_all(local.join("marker")).unwrap();
    fs::create_dir_all(local.join("bare")).unwrap();
    write(&local, "new/x", "1");
    let options = mirror_up().with_local(local);
    let plan = session.plan_upload("s3://bucket/data", options.clone()).await.unwrap();
    session.upload("s3://bucket/data", options).await.unwrap();
    session.close().await.into_result().unwrap();
    assert_same(&done, &plan);
    assert_eq!(world.keys(), ["data/a", "data/bare/", "data/d/x", "data/kind", "data/new/x"]);
}

fn assert_same(done: &Done, plan: &TransferPlan) {
    let mut planned: Vec<String> = plan.plan.actions().map(|action| said(&action.unwrap())).collect();
    let mut done = done.0.lock().unwrap().clone();
    planned.sort();
    done.sort();
    assert_eq!(done, planned);
}
