//! Keys and links that would lead out of the directory of a workspace, and names that no disk can have.

use std::fs;
use std::os::unix::fs::symlink;

use super::{World, everything, files, pairs, set_aside, write};

/// Keys below the prefix that cannot be a file of the workspace.
fn bad_keys() -> Vec<String> {
    let keys = ["../x", "a/../../x", "/abs", "a//b", "./c", "d/./e", "x/", "a\0b"];
    keys.into_iter().map(str::to_owned).chain(["n".repeat(300)]).collect()
}

#[tokio::test]
async fn keys_that_cannot_be_files_stay_where_they_are_and_stop_no_other_file() {
    let world = World::with(&[("good", "good"), ("d/good", "good"), ("Case", "upper"), ("case", "lower")]);
    let keys = bad_keys();
    keys.iter().for_each(|key| world.put(key, "hostile"));
    world.put(".pos3/workspace.json", "hostile");
    let before = world.objects();

    let one = world.workspace("in/one");
    let report = one.pull().await.unwrap();
    assert!(!report.success, "{report:?}");
    for key in &keys {
        let shown = key.replace('\0', "\\u{0}");
        let is_told = |error: &String| error.contains(key) || error.contains(&shown);
        assert!(report.errors.iter().any(is_told), "'{shown}' is not reported: {:?}", report.errors);
    }
    let expected = pairs(&[("Case", "upper"), ("case", "lower"), ("d/good", "good"), ("good", "good")]);
    assert_eq!(files(one.path()), expected);
    assert!(everything(world.disk.path()).keys().all(|path| path.starts_with("in/one/")), "nothing is outside");
    let record = fs::read_to_string(one.path().join(".pos3/workspace.json")).unwrap();
    assert!(!record.contains("hostile"));

    fs::write(one.path().join("good"), "changed").unwrap();
    fs::write(one.path().join("new"), "new").unwrap();
    for process in [one.clone(), world.workspace("in/one")] {
        let _report = process.push().await.unwrap();
        let mut after = before.clone();
        after.extend(pairs(&[("good", "changed"), ("new", "new")]));
        assert_eq!(world.objects(), after, "the push leaves them alone");
    }
}

#[tokio::test]
async fn a_link_in_the_directory_leads_no_pull_and_no_push_outside() {
    let world = World::with(&[("d/x", "object"), ("d/y", "object"), ("f", "object"), ("good", "good")]);
    write(&world.path("elsewhere"), "x", "theirs");
    write(&world.path("elsewhere"), "secret", "theirs");
    let outside = everything(&world.path("elsewhere"));
    let before = world.objects();

    // Once where nothing was pulled, and once where the files were there.
    for (name, is_pulled) in [("one", false), ("two", true)] {
        let one = world.workspace(name);
        fs::create_dir_all(world.path(name)).unwrap();
        if is_pulled {
            assert!(one.pull().await.unwrap().success);
            fs::remove_dir_all(one.path().join("d")).unwrap();
            fs::remove_file(one.path().join("f")).unwrap();
        }
        symlink(world.path("elsewhere"), one.path().join("d")).unwrap();
        symlink(world.path("elsewhere/secret"), one.path().join("f")).unwrap();
        let pushed = one.push().await.unwrap();
        assert_eq!(world.objects(), before, "{name}: {pushed:?}");
        for round in 0..2 {
            let pulled = one.pull().await.unwrap();
            assert_eq!(everything(&world.path("elsewhere")), outside, "{name} {round}: {pulled:?}");
            assert!(files(one.path()).contains_key("good"), "{name} {round}: {pulled:?}");
            let pushed = one.push().await.unwrap();
            assert_eq!(world.objects(), before, "{name} {round}: {pushed:?}");
        }
        for path in ["d/x", "f"] {
            let opened = one.open_file(path).await.map(|file| std::io::read_to_string(file).unwrap());
            assert!(!matches!(&opened, Ok(text) if text == "theirs"), "{name}: '{path}' was read outside");
        }
        assert_eq!(everything(&world.path("elsewhere")), outside);
    }
}

/// The program in a workspace can also replace the records by links.
#[tokio::test]
async fn a_link_in_the_records_moves_no_file_outside() {
    let world = World::with(&[("good", "good")]);
    let one = world.workspace("one");
    assert!(one.pull().await.unwrap().success);
    fs::create_dir(world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), one.path().join(".pos3/never-pushed")).unwrap();
    write(one.path(), "mine", "never pushed");
    std::thread::sleep(std::time::Duration::from_millis(20));
    let report = one.pull().await.unwrap();
    assert!(!report.success && report.set_aside.is_empty(), "{report:?}");
    assert_eq!(everything(&world.path("elsewhere")), pairs(&[]));
    assert_eq!(files(one.path()), pairs(&[("good", "good"), ("mine", "never pushed")]));
    assert!(set_aside(one.path()).is_empty());
    let report = one.push().await.unwrap();
    assert_eq!(world.objects(), pairs(&[("good", "good"), ("mine", "never pushed")]), "{report:?}");
}

#[tokio::test]
async fn a_name_that_is_a_file_in_one_workspace_and_a_directory_in_another_loses_neither() {
    let world = World::with(&[("good", "good")]);
    let (one, two) = (world.workspace("one"), world.workspace("two"));
    assert!(one.pull().await.unwrap().success && two.pull().await.unwrap().success);
    write(one.path(), "x", "file");
    write(two.path(), "x/y", "in a directory");
    let _reports = (one.push().await.unwrap(), two.push().await.unwrap());
    let all = pairs(&[("good", "good"), ("x", "file"), ("x/y", "in a directory")]);
    assert_eq!(world.objects(), all);
    for workspace in [&one, &two, &one] {
        let pulled = workspace.pull().await.unwrap();
        assert!(!pulled.success && pulled.errors.iter().any(|error| error.contains("'x")), "{pulled:?}");
        let _report = workspace.push().await.unwrap();
        assert_eq!(world.objects(), all);
    }
}
