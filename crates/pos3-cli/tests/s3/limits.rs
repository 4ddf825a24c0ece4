//! Few open files, few threads, no room for temporary files: a run adapts, or names the limit.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{BUCKET, Cloud};
use crate::program::Ended;

/// Somebody who runs nothing else here: limits of processes are counted by user, and do not bind root.
const SOMEBODY: u32 = 64_913;

/// No run here takes longer, unless it hangs.
const LONG: Duration = Duration::from_secs(120);

/// Returns the run under a limit of `prlimit`.
fn limited(cloud: &Cloud, limit: &str, arguments: &[&str]) -> Command {
    let run = cloud.command(arguments);
    let mut command = Command::new("prlimit");
    command.arg(limit).arg(run.get_program()).args(run.get_args());
    command.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin").current_dir(cloud.program.path(".")).stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Ended {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > LONG {
            child.kill().unwrap();
            panic!("it hangs: {:?}", Ended::from(child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ended::from(child.wait_with_output().unwrap())
}

/// Returns many small files, one in parts, and one below many directories.
fn cloud() -> Cloud {
    let cloud = Cloud::new(&[]);
    let deep = format!("from/{}deep", "d/".repeat(60));
    let files =
        (0..300).map(|number| (format!("from/{number}"), 10)).chain([("from/large".to_owned(), 20 << 20), (deep, 1)]);
    for (name, size) in files {
        let path = cloud.program.path(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![7; size]).unwrap();
    }
    cloud
}

#[test]
fn a_low_limit_of_open_files_fails_nothing() {
    let cloud = cloud();
    for arguments in [
        &["sync", "from", "s3://data/d"][..],
        &["sync", "s3://data/d", "there", "--delete"],
        &["sync", "from", "here", "--no-manifest", "--checksum"],
        &["check", "s3://data/d", "there"],
        &["upload", "s3://data/e", "--local", "from"],
        &["download", "s3://data/e"],
        &["run", "--download", "e=s3://data/e", "--", "true"],
    ] {
        let ended = run(limited(&cloud, "--nofile=64:64", arguments));
        assert_eq!(ended.code, Some(0), "{arguments:?} {ended:?}");
    }
    assert_eq!(cloud.server.keys(BUCKET).len(), 604);
    assert_eq!(cloud.program.files("there"), cloud.program.files("from"));
    assert_eq!(cloud.program.files("here"), cloud.program.files("from"));
}

#[test]
fn a_program_that_is_run_has_the_limit_that_the_caller_set() {
    let cloud = Cloud::new(&[]);
    let ended = run(limited(&cloud, "--nofile=100:200", &["run", "--", "sh", "-c", "ulimit -n"]));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "100\n"), "{ended:?}");
}

#[test]
fn too_few_open_files_are_named() {
    let cloud = cloud();
    for limit in [4, 6, 8, 10, 12, 14, 16, 20, 24] {
        let ended = run(limited(&cloud, &format!("--nofile={limit}:{limit}"), &["sync", "from", "s3://data/d"]));
        // Below some number not even the loader can open the libraries.
        let started = ended.err.contains("error: ") && !ended.err.contains("error while loading shared libraries");
        if ended.code != Some(0) && started {
            assert_eq!(ended.code, Some(1), "{limit}: {ended:?}");
            assert!(
                ended.err.contains("hint: raise the limit of open files (ulimit -n 4096)"),
                "{limit}: {}",
                ended.err
            );
        }
        assert!(!ended.err.contains("free some space") && !ended.err.contains("defect"), "{limit}: {}", ended.err);
    }
}

#[test]
fn few_threads_are_enough_or_are_named() {
    let cloud = cloud();
    for directory in [cloud.program.path("."), cloud.program.state().to_owned()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    for threads in [1, 2, 3, 4, 5, 6, 8, 12, 20, 24, 40] {
        fs::create_dir(cloud.program.path("out")).unwrap();
        fs::set_permissions(cloud.program.path("out"), fs::Permissions::from_mode(0o777)).unwrap();
        for arguments in [&["sync", "from", "out/here", "--checksum"][..], &["sync", "from", "s3://data/d"]] {
            let mut command = limited(&cloud, &format!("--nproc={threads}:{threads}"), arguments);
            if is_root {
                command.uid(SOMEBODY).gid(SOMEBODY);
            }
            let ended = run(command);
            assert!(!ended.err.contains("defect"), "{threads}: {ended:?}");
            if ended.code != Some(0) {
                assert_eq!(ended.code, Some(1), "{threads}: {ended:?}");
                assert!(ended.err.starts_with("error: cannot start: the system lets this program start "), "{ended:?}");
                assert!(ended.err.contains("hint: raise the limit of processes and threads (ulimit -u)"), "{ended:?}");
                assert!(!is_root || threads < 8, "{threads}: {ended:?}");
            }
        }
        fs::remove_dir_all(cloud.program.path("out")).unwrap();
    }
}

#[test]
fn a_low_limit_of_the_address_space_is_enough_or_is_named() {
    let cloud = cloud();
    for mebibytes in [50, 100, 150, 191, 192, 256, 293, 400, 800] {
        let (up, down) = (format!("s3://data/{mebibytes}"), format!("down{mebibytes}"));
        let bytes = mebibytes << 20;
        for arguments in [&["sync", "from", &up][..], &["sync", &up, &down, "--delete"]] {
            let ended = run(limited(&cloud, &format!("--as={bytes}:{bytes}"), arguments));
            if mebibytes >= 192 {
                assert_eq!(ended.code, Some(0), "{mebibytes} {arguments:?} {ended:?}");
            } else if mebibytes >= 100 {
                assert_eq!(ended.code, Some(1), "{mebibytes} {arguments:?} {ended:?}");
                let named =
                    format!("limits the address space of this program to {mebibytes} MiB, and it needs 192 MiB");
                assert!(ended.err.contains(&named), "{}", ended.err);
                assert!(
                    ended.err.contains("\nhint: raise the limit of the address space (ulimit -v)"),
                    "{}",
                    ended.err
                );
            } else {
                assert_ne!(ended.code, Some(0), "it may not even start: {ended:?}");
            }
        }
    }
    assert_eq!(cloud.program.files("down293"), cloud.program.files("from"));
}

#[test]
fn a_directory_for_temporary_files_that_cannot_be_used_is_named() {
    let cloud = Cloud::new(&[]);
    cloud.server.configure(|settings| settings.listing_order = pos3_tests::server::ListingOrder::Shuffled { seed: 1 });
    // More than a listing that must be sorted is held in memory.
    for number in 0..4_000 {
        cloud.server.put(BUCKET, &format!("d/{}{number}", format!("{}/", "x".repeat(200)).repeat(4)), "x");
    }
    let mut command = cloud.command(&["sync", "s3://data/d", "there", "-n", "-q"]);
    let ended = Ended::from(command.env("TMPDIR", "/nowhere").output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains(" a temporary file in '/nowhere'"), "{}", ended.err);
    assert!(ended.err.contains("hint: set TMPDIR to a directory on a disk with free space"), "{}", ended.err);
}
