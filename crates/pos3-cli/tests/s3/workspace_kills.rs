//! A pull or a push that is killed at any moment, followed by a push and a pull.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{BUCKET, Cloud};

const LOCATION: &str = "s3://data/users/7";
const PREFIX: &str = "users/7/";
const PULL: [&str; 3] = ["pull", "ws", LOCATION];
const PUSH: [&str; 2] = ["push", "ws"];

const FILES: usize = 30;
const KILLS: u32 = 16;

type Contents = BTreeMap<String, String>;

fn content(version: u32, number: usize) -> String {
    format!("version {version} of {number} {}", "x".repeat(4000))
}

fn name(number: usize) -> String {
    format!("d{}/{number:02}.txt", number % 3)
}

fn store(cloud: &Cloud, version: u32, is_meant: impl Fn(usize) -> bool) {
    for number in (0..FILES).filter(|number| is_meant(*number)) {
        cloud.server.put(BUCKET, &format!("{PREFIX}{}", name(number)), content(version, number));
    }
}

fn new() -> Cloud {
    let cloud = Cloud::new(&[]);
    cloud.server.configure(|settings| settings.latency = Duration::from_millis(3));
    store(&cloud, 0, |_| true);
    cloud
}

fn objects(cloud: &Cloud) -> Contents {
    let text = |key: &String| String::from_utf8(cloud.server.object(BUCKET, key).unwrap().bytes.to_vec()).unwrap();
    let keys = cloud.server.keys(BUCKET);
    keys.iter().map(|key| (key.strip_prefix(PREFIX).unwrap().to_owned(), text(key))).collect()
}

/// Returns the files of the workspace, without its records and without unfinished files that a kill has left.
fn files(directory: &Path) -> Contents {
    let mut found = Contents::new();
    for entry in fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with(".pos3-partial.") {
            continue;
        }
        if entry.file_type().unwrap().is_file() {
            found.insert(name, fs::read_to_string(entry.path()).unwrap());
        } else if name != ".pos3" {
            let below = files(&entry.path()).into_iter();
            found.extend(below.map(|(path, text)| (format!("{name}/{path}"), text)));
        }
    }
    found
}

/// Runs to the end and returns how long it took.
fn finish(cloud: &Cloud, arguments: &[&str]) -> Duration {
    let begin = Instant::now();
    let ended = cloud.run(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    begin.elapsed()
}

/// Kills a run at one of many moments of the time that a whole run takes.
fn kill(cloud: &Cloud, arguments: &[&str], whole: Duration, round: u32) {
    let mut child = cloud.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(whole.mul_f64(f64::from(round * 7 % KILLS) / f64::from(KILLS)));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_pull_that_is_killed_is_never_followed_by_a_harmful_push() {
    let cloud = new();
    let directory = cloud.program.path("ws");
    let whole = finish(&cloud, &PULL);
    for round in 1..=KILLS {
        let is_cold = round % 2 == 0;
        if is_cold {
            fs::remove_dir_all(&directory).unwrap();
        }
        store(&cloud, round, |number| number % 4 == round as usize % 4);
        kill(&cloud, &PULL, whole, round);
        let before = objects(&cloud);
        let present = files(&directory);
        for number in 0..FILES {
            let (path, made_up) = (directory.join(name(number)), format!("made up in {round}"));
            if is_cold && number % 5 == 0 && !present.contains_key(&name(number)) && directory.exists() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, made_up).unwrap();
            }
        }
        // There is no directory, or no record in it, if the kill was that early.
        let _code = cloud.run(&["push", "ws", LOCATION]).code;
        let after = objects(&cloud);
        for (key, text) in &before {
            assert!(after.get(key) == Some(text), "round {round}: '{key}' is worse than before");
        }
        finish(&cloud, &PULL);
        finish(&cloud, &PUSH);
        let (here, there) = (files(&directory), objects(&cloud));
        let differ = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
            one.iter()
                .filter(|(key, text)| other.get(*key) != Some(text))
                .map(|(key, _)| key.clone())
                .collect::<Vec<_>>()
        };
        let (only_here, only_there) = (differ(&here, &there), differ(&there, &here));
        assert!(here == there, "round {round}: the sides differ: {only_here:?} and {only_there:?}");
    }
}

#[test]
fn a_push_that_is_killed_is_completed_by_the_next_one_without_a_conflict() {
    let cloud = new();
    let directory = cloud.program.path("ws");
    finish(&cloud, &PULL);
    (0..FILES).for_each(|number| fs::write(directory.join(name(number)), content(1, number)).unwrap());
    let whole = finish(&cloud, &PUSH);
    for round in 2..KILLS + 2 {
        for number in 0..FILES {
            let path = directory.join(name(number));
            match (number + round as usize) % 3 {
                0 => fs::write(path, content(round, number)).unwrap(),
                1 if number % 5 == 0 => _ = fs::remove_file(path),
                _ => {}
            }
        }
        fs::write(directory.join(format!("new {round}")), "new").unwrap();
        let wanted = files(&directory);
        kill(&cloud, &PUSH, whole, round);
        assert!(files(&directory) == wanted, "round {round}: the directory has changed");
        finish(&cloud, &PUSH);
        assert!(objects(&cloud) == wanted, "round {round}: {:?}", objects(&cloud).keys());
        finish(&cloud, &PULL);
        assert!(files(&directory) == wanted, "round {round}: a pull after the push has changed something");
    }
    assert!(!directory.join(".pos3/never-pushed").exists());
}
