//! Runs `examples/agent.rs` as a separate process whose disk is gone after each run.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::World;

fn start(world: &World, disk: &Path, task: &str, milliseconds: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_agent"))
        .args(["s3://bucket/tenant/ws", disk.join("ws").to_str().unwrap(), task, milliseconds])
        .env_clear()
        .env("AWS_ENDPOINT_URL", world.server.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", world.server.access_key())
        .env("AWS_SECRET_ACCESS_KEY", world.server.secret_key())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end of the program and returns what it printed.
fn lines(child: &mut Child) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    lines
}

#[test]
fn an_agent_goes_on_with_its_work_on_an_empty_disk() {
    let world = World::with(&[("memory.md", "I am an agent.\n"), ("notes/old.md", "old\n")]);
    for (task, number) in [("first", 1), ("second", 2)] {
        let disk = tempfile::tempdir().unwrap();
        let mut child = start(&world, disk.path(), task, "0");
        let lines = lines(&mut child);
        assert!(child.wait().unwrap().success(), "{lines:?}");
        assert_eq!(lines[0], format!("remembers {number} lines"));
        assert_eq!(lines.last().unwrap(), "stored 3 steps");
    }
    let objects = world.objects();
    assert_eq!(objects["memory.md"], "I am an agent.\nfirst is done.\nsecond is done.\n");
    assert_eq!(objects["notes/second-3.md"], "step 3 of second\n");
    assert_eq!(objects.len(), 2 + 6, "{objects:?}");
}

#[test]
fn an_agent_that_is_killed_at_any_moment_loses_nothing_that_was_stored() {
    let world = World::with(&[("memory.md", "I am an agent.\n"), ("notes/old.md", "old\n")]);
    let mut stored: BTreeSet<String> = world.objects().into_keys().collect();
    for round in 0..20u64 {
        let disk = tempfile::tempdir().unwrap();
        let task = format!("task{round}");
        let mut child = start(&world, disk.path(), &task, "15");
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Every second run is killed somewhere after its first or second push, and the others anywhere.
        let is_stored = |line: &String| line.starts_with("step ");
        let mut steps: Vec<String> = match round % 4 {
            1 => out.by_ref().filter(is_stored).take(1).collect(),
            3 => out.by_ref().filter(is_stored).take(2).collect(),
            _ => Vec::new(),
        };
        std::thread::sleep(Duration::from_millis(round * 67 % if steps.is_empty() { 300 } else { 60 }));
        child.kill().unwrap();
        steps.extend(out.filter(is_stored));
        child.wait().unwrap();
        let note = |line: &String| format!("notes/{task}-{}.md", line.split(' ').nth(1).unwrap());
        stored.extend(steps.iter().map(note));
        let objects = world.objects();
        for key in &stored {
            assert!(objects.contains_key(key), "round {round}: '{key}' was stored, and is gone");
        }
        assert!(objects["memory.md"].starts_with("I am an agent.\n") && objects["memory.md"].ends_with('\n'));
    }
    let disk = tempfile::tempdir().unwrap();
    let mut child = start(&world, disk.path(), "last", "0");
    let lines = lines(&mut child);
    assert_eq!(lines.last().unwrap(), "stored 3 steps", "{lines:?}");
    assert!(stored.len() >= 2 + 5 + 10, "{stored:?}");
    assert!(stored.iter().all(|key| world.objects().contains_key(key)));
    assert!(world.objects().keys().all(|key| !key.contains("conflict")), "{:?}", world.objects().keys());
}
