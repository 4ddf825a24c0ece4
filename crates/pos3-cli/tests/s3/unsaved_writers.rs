//! Marks of unsaved output while processes of a program still run. Many programs close the descriptors that they inherit,
//! and with them the lock of the mark.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::run::{run, start, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

/// Writes `f` first and once more when the file `go` exists. Arguments: how it starts the process that does so, and the
/// signals that it ignores.
const PROGRAM: &str = r#"
import os, signal, subprocess, sys, time
how, ignored = sys.argv[1], sys.argv[2:]
for name in ignored: signal.signal(getattr(signal, name), signal.SIG_IGN)
out = os.environ["POS3_PATH_C"]
def write(text):
    with open(out + "/f", "w") as file: file.write(text)
LATER = """
import os, sys, time
while not os.path.exists(sys.argv[2]): time.sleep(0.05)
with open(sys.argv[1] + "/f", "w") as file: file.write("last")
"""
LATER = [sys.executable, "-c", LATER, out, os.path.abspath("go")]
NOWHERE = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
NO_ENVIRONMENT = dict(env=dict(PATH=os.environ["PATH"]), **NOWHERE)
def leave():
    for fd in range(3): os.dup2(os.open("/dev/null", os.O_RDWR), fd)
write("first")
if how == "child": subprocess.Popen(LATER, **NOWHERE)
if how == "session": subprocess.Popen(LATER, start_new_session=True, **NOWHERE)
if how == "inheriting": subprocess.Popen(LATER, start_new_session=True, close_fds=False, **NOWHERE)
if how == "bare child": subprocess.Popen(LATER, **NO_ENVIRONMENT)
if how == "bare session": subprocess.Popen(LATER, start_new_session=True, **NO_ENVIRONMENT)
if how == "daemon":
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(3, 1024)
            leave()
            os.execv(LATER[0], LATER)
        os._exit(0)
    # A signal must not end the process in the middle before it has started the daemon.
    os.waitpid(middle, 0)
if how == "itself":
    os.closerange(3, 1024)
    print("written", flush=True)
    leave()
    os.execv(LATER[0], LATER)
if how == "bare itself":
    os.closerange(3, 1024)
    print("written", flush=True)
    leave()
    os.execve(LATER[0], LATER, dict(PATH=os.environ["PATH"]))
print("written", flush=True)
while "waits" in os.environ: time.sleep(0.05)
"#;

/// How the run ends, while a process of its program still runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The program succeeds.
    Success,
    /// pos3 and the program are ended by SIGTERM.
    Signal,
    /// pos3 is killed.
    Kill,
}

fn begin(end: End, how: &str) -> Cloud {
    let cloud = Cloud::new(&[("program", PROGRAM)]);
    let ignored = if how.ends_with("itself") { &["SIGTERM"][..] } else { &[] };
    let waits = if end == End::Success { "ends=1" } else { "waits=1" };
    let program = [&["env", waits, "python3", "program", how][..], ignored].concat();
    let line: Vec<_> = ["run", "-q", "--sync", "c=s3://data/p/c", "--"].into_iter().chain(program).collect();
    let mut child = start(&cloud, &line);
    let _out = wait_for(&mut child, "written");
    match end {
        End::Success => {}
        End::Signal => kill("-TERM", &child),
        End::Kill => kill("-KILL", &child),
    }
    let ended: Ended = child.wait_with_output().unwrap().into();
    let expected = match end {
        End::Success => Some(0),
        // That of the program.
        End::Signal => Some(143),
        End::Kill => None,
    };
    assert_eq!(ended.code, expected, "{how}: {ended:?}");
    cloud
}

fn marks(cloud: &Cloud) -> usize {
    fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap().count()
}

fn written(cloud: &Cloud) -> String {
    fs::read_to_string(cloud.program.path("cache/_/data/p/c/f")).unwrap()
}

fn assert_named(ended: &Ended, case: &str) {
    assert!(ended.err.contains("processes of another session still run and may write to"), "{case}: {ended:?}");
    let ids = ended.err.split("(PID ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    assert!(ids.split(", ").all(|id| id.parse::<u32>().is_ok()), "{case}: {ended:?}");
}

/// Lets the process write, and expects that a download keeps what it wrote, until it is uploaded.
fn assert_output_is_kept(cloud: &Cloud, case: &str) {
    fs::write(cloud.program.path("go"), "").unwrap();
    wait_until(case, || written(cloud) == "last");
    cloud.server.put(BUCKET, "p/c/f", "other");
    let ended = run(cloud, &["download", "s3://data/p/c"]);
    assert_eq!((ended.code, written(cloud).as_str()), (Some(1), "last"), "{case}: {ended:?}");
    assert!(ended.err.contains("output of an earlier run, and is not known to be stored"), "{case}: {}", ended.err);
    let is_removed = || run(cloud, &["upload", "s3://data/p/c", "-q"]).code == Some(0) && marks(cloud) == 0;
    wait_until(case, is_removed);
}

#[test]
fn a_process_without_the_lock_of_a_mark_keeps_the_mark() {
    let ends = [
        (End::Success, &["child", "session", "inheriting", "bare child", "bare session", "daemon"][..]),
        (End::Signal, &["session", "bare session", "daemon"]),
        (End::Kill, &["child", "session", "inheriting", "bare child", "daemon", "itself", "bare itself"]),
    ];
    let transfers: [&[&str]; 4] = [
        &["upload", "s3://data/p/c"],
        &["download", "s3://data/p/c"],
        &["run", "--sync", "c=s3://data/p/c", "--", "true"],
        &["run", "--upload", "c=s3://data/p/c", "--", "true"],
    ];
    for (end, hows) in ends {
        for (number, how) in hows.iter().enumerate() {
            let case = format!("{end:?}, {how}");
            let cloud = begin(end, how);
            // Each way of ending with each transfer, and each process with one of them.
            for line in transfers.iter().skip(number % 4).take(if number == 0 { 4 } else { 1 }) {
                // A download that begins needs the object.
                cloud.server.put(BUCKET, "p/c/f", "first");
                let ended = run(&cloud, line);
                assert_eq!(ended.code, Some(0), "{case}, {line:?}: {ended:?}");
                assert_named(&ended, &case);
                assert_eq!((marks(&cloud), written(&cloud).as_str()), (1, "first"), "{case}, {line:?}: {ended:?}");
            }
            assert_output_is_kept(&cloud, &case);
        }
    }
}

/// The program of an inner run is part of the program of the outer run.
#[test]
fn a_process_of_an_inner_run_keeps_the_mark_of_the_outer_one() {
    let cloud = Cloud::new(&[("program", PROGRAM)]);
    let program = env!("CARGO_BIN_EXE_pos3-cli");
    let inner = [program, "run", "-q", "--upload", "d=s3://data/p/d", "--", "python3", "program", "session"];
    let outer = ["run", "--sync", "c=s3://data/p/c", "--json-report", "report", "--"];
    let ended = run(&cloud, &[&outer[..], &inner].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(marks(&cloud), 2, "{ended:?}");
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert!(report["warnings"][0].as_str().unwrap().contains("processes that it started still run"), "{report}");
    for (location, left) in [("s3://data/p/c", 2), ("s3://data/p/d", 2)] {
        let ended = run(&cloud, &["upload", location]);
        assert_eq!((ended.code, marks(&cloud)), (Some(0), left), "{location}: {ended:?}");
        assert_named(&ended, location);
    }
    fs::write(cloud.program.path("go"), "").unwrap();
    wait_until("the marks are removed", || {
        ["c", "d"].iter().all(|name| run(&cloud, &["upload", &format!("s3://data/p/{name}"), "-q"]).code == Some(0))
            && marks(&cloud) == 0
    });
}

/// A session that runs at the same time is no reason for a warning.
#[test]
fn a_program_whose_session_still_runs_is_not_named() {
    let cloud = Cloud::new(&[("program", PROGRAM)]);
    let line = ["run", "-q", "--sync", "c=s3://data/p/c", "--", "env", "waits=1", "python3", "program", "session"];
    let mut child = start(&cloud, &line);
    let _out = wait_for(&mut child, "written");
    for line in [&["upload", "s3://data/p/c", "-q"][..], &["run", "-q", "--sync", "c=s3://data/p/c", "--", "true"]] {
        let ended = run(&cloud, line);
        assert_eq!((ended.code, ended.err.as_str(), marks(&cloud)), (Some(0), "", 1), "{line:?}");
    }
    fs::write(cloud.program.path("go"), "").unwrap();
    kill("-TERM", &child);
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(50));
}
