//! Excluded entries are not changed on either side.

use pos3::SessionError;

use super::{World, mirror_down, mirror_up, patterns, tree, write};

#[tokio::test]
async fn an_excluded_directory_is_left_alone_in_both_directions() {
    let world = World::with(&[("run/logs/a", "1"), ("run/logs/b", "2"), ("run/x", "3"), ("run/y", "4")]);
    let logs = || patterns(&["logs"]);
    let down = world.path("down");
    world
        .session()
        .download("s3://bucket/run", mirror_down().with_local(down.clone()).with_exclude(logs()))
        .await
        .unwrap();
    assert_eq!(tree(&down), ["x", "y"]);

    let up = world.path("up");
    write(&up, "logs/a", "never sent");
    write(&up, "logs/c", "never sent");
    write(&up, "x", "3");
    let session = world.session();
    session.upload("s3://bucket/run", mirror_up().with_local(up).with_exclude(logs())).await.unwrap();
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys(), ["run/logs/a", "run/logs/b", "run/x"]);
    assert_eq!(world.object("run/logs/a").unwrap(), "1");
}

#[tokio::test]
async fn an_exclusion_holds_for_a_single_object_and_two_stars_cross_directories() {
    let world = World::with(&[("data/a.tmp", "1"), ("data/d/e/b.tmp", "2"), ("data/d/e/c", "3"), ("data/d/x", "4")]);
    let local = world.path("a.tmp");
    let options = mirror_down().with_local(local.clone()).with_exclude(patterns(&["*.tmp"]));
    let error = world.session().download("s3://bucket/data/a.tmp", options).await;
    assert!(
        matches!(error, Err(SessionError::FileExcluded { .. })) && !local.exists(),
        "no path without a file: {error:?}"
    );
    for (pattern, left) in [
        ("**/*.tmp", &["d/", "d/e/", "d/e/c", "d/x"][..]),
        ("d/**/c", &["a.tmp", "d/", "d/e/", "d/e/b.tmp", "d/x"]),
        ("e/c", &["a.tmp", "d/", "d/e/", "d/e/b.tmp", "d/x"]),
        ("d/**", &["a.tmp"]),
    ] {
        let local = world.path(&format!("all-{}", left.len()));
        let options = mirror_down().with_local(local.clone()).with_exclude(patterns(&[pattern]));
        world.session().download("s3://bucket/data", options).await.unwrap();
        assert_eq!(tree(&local), left, "{pattern}");
    }
}
