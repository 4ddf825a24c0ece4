//! Two servers with buckets of one name: the local copies of one are not used for the other.

use std::fs;

use pos3_tests::server::S3Server;
use serde_json::Value;

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::signals::kill;

/// Returns a second server, which accepts the keys of the first one.
fn staging(cloud: &Cloud) -> S3Server {
    let staging = S3Server::builder().bucket(BUCKET).credentials(cloud.server.access_key(), cloud.server.secret_key());
    staging.start().unwrap()
}

/// Returns the message of each command that would use the local copies of a bucket for the other server.
fn refusal(cloud: &Cloud, staging: &S3Server) -> String {
    let root = fs::canonicalize(cloud.program.path("cache")).unwrap();
    let host = |server: &S3Server| server.endpoint().trim_start_matches("http://").to_owned();
    format!(
        "the local copies in '{0}/_/data' belong to the server {1} (recorded in '{0}/.pos3-servers/_/data'), and \
         's3://data/x' is on the server {2}",
        root.display(),
        host(&cloud.server),
        host(staging)
    )
}

fn assert_refused(cloud: &Cloud, staging: &S3Server, lines: &[&[&str]]) {
    let (endpoint, told) = (staging.endpoint(), refusal(cloud, staging));
    staging.reset_requests();
    for line in lines {
        let ended = run(cloud, &[&line[..1], &["--endpoint-url", &endpoint], &line[1..]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{line:?}: {ended:?}");
        assert!(ended.err.contains(&told), "{line:?}: {}", ended.err);
        let record = cloud.program.path("cache/.pos3-servers/_/data");
        let remove = format!("rm '{}'", fs::canonicalize(record).unwrap().display());
        for hint in ["\nhint: name this server with a profile, ", "--cache-root", "mount all of its disks", &remove] {
            assert!(ended.err.contains(hint), "{line:?}: {}", ended.err);
        }
    }
    assert_eq!(staging.requests().iter().count(), 0);
}

const RUNS: [&[&str]; 6] = [
    &["run", "--download", "o=s3://data/x", "--", "true"],
    &["run", "--sync", "o=s3://data/x", "--json-report", "report", "--", "true"],
    &["run", "--upload", "o=s3://data/x", "--", "true"],
    &["run", "--upload-file", "o=s3://data/x", "--", "true"],
    &["download", "s3://data/x"],
    &["download", "s3://data/x", "--dry-run"],
];

#[test]
fn objects_of_one_server_do_not_reach_another_one_through_the_local_copies() {
    let cloud = Cloud::new(&[]).with_objects(&[("x/a", "production"), ("x/b", "b")]);
    let staging = staging(&cloud);
    staging.put(BUCKET, "x/a", "staging");
    staging.put(BUCKET, "x/only", "staging");
    let (url, endpoint) = ("s3://data/x", staging.endpoint());
    assert_eq!(run(&cloud, &sh(&["--sync", "o=s3://data/x"], "true")).code, Some(0));
    let copies = fs::canonicalize(cloud.program.path("cache/_/data")).unwrap();
    let record = copies.join("../../.pos3-servers/_/data");
    assert_refused(&cloud, &staging, &RUNS);
    assert_refused(&cloud, &staging, &[&["upload", url], &["upload", url, "--dry-run", "--delete"]]);
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert!(report["error"]["message"].as_str().unwrap().contains(&refusal(&cloud, &staging)), "{report}");
    assert_eq!(fs::read_to_string(copies.join("x/a")).unwrap(), "production");

    // A local path, another cache root, and the removal of the local copies and the record are ways out.
    let of_staging = |line: &[&str]| run(&cloud, &[line, &["--endpoint-url", &endpoint, "-q"]].concat());
    assert_eq!(of_staging(&["download", url, "--local", "here"]).code, Some(0));
    assert_eq!(of_staging(&["download", url, "--cache-root", "other"]).code, Some(0));
    fs::remove_dir_all(&copies).unwrap();
    fs::remove_file(cloud.program.path("cache/.pos3-servers/_/data")).unwrap();
    assert_eq!(of_staging(&["download", url]).code, Some(0));
    assert_eq!(fs::read_to_string(copies.join("x/a")).unwrap(), "staging");
    let ended = run(&cloud, &sh(&["--sync", "o=s3://data/x"], "true"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!((stored(&cloud, "x/a").as_deref(), stored(&cloud, "x/only")), (Some("production"), None));

    // A record that cannot be used is no licence.
    fs::write(&record, "").unwrap();
    for remove in ["rm", "rm -r"] {
        let ended = of_staging(&["download", url]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("cannot determine which server the local copies in '"), "{}", ended.err);
        let hint = format!(" are from this server: {remove} '{}'", fs::canonicalize(&record).unwrap().display());
        assert!(ended.err.contains(&hint), "{}", ended.err);
        if remove == "rm" {
            fs::remove_file(&record).unwrap();
            fs::create_dir(&record).unwrap();
        }
    }
    fs::remove_dir_all(cloud.program.path("cache/.pos3-servers/_")).unwrap();
    fs::write(cloud.program.path("cache/.pos3-servers/_"), "").unwrap();
    let ended = of_staging(&["download", url]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("/.pos3-servers/_' the directory that it was, because it has other records"),
        "{ended:?}"
    );
}

/// Unsaved output of the first server may lie on a disk that is not mounted, so an empty directory means nothing.
#[test]
fn a_directory_without_files_still_belongs_to_its_server() {
    for (case, disk) in
        [("empty", "_/data/x"), ("missing", "_/data"), ("a disk above", "_"), ("the files", "_/data/x/f")]
    {
        let cloud = Cloud::new(&[]);
        let staging = staging(&cloud);
        staging.put(BUCKET, "x/theirs", "staging");
        let failed = run(&cloud, &sh(&["--upload", "o=s3://data/x"], r#"echo ours > "$POS3_PATH_O/f"; exit 3"#));
        assert_eq!(failed.code, Some(3), "{failed:?}");
        let disk = cloud.program.path("cache").join(disk);
        fs::rename(&disk, cloud.program.path("unmounted")).unwrap();
        if case == "empty" {
            fs::create_dir(&disk).unwrap();
        }
        assert_refused(&cloud, &staging, &RUNS);
        let found = fs::read_dir(&disk).map(Iterator::count).ok();
        assert_eq!(found, (case == "empty").then_some(0), "{case}");
        if case == "empty" {
            assert_refused(&cloud, &staging, &[&["upload", "s3://data/x"]]);
            fs::remove_dir(&disk).unwrap();
        }
        fs::rename(cloud.program.path("unmounted"), &disk).unwrap();
        assert_refused(&cloud, &staging, &RUNS);
        assert_eq!(run(&cloud, &["upload", "s3://data/x", "-q"]).code, Some(0), "{case}");
        assert_eq!(stored(&cloud, "x/f").as_deref(), Some("ours\n"), "{case}");
        assert_eq!(staging.keys(BUCKET), ["x/theirs"], "{case}");
    }
}

/// Such a program holds no lock of its session.
#[test]
fn a_program_that_closed_its_descriptors_and_whose_pos3_was_killed_writes_for_its_own_server() {
    const PROGRAM: &str = r#"
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.closerange(3, 1024)
print("ready", flush=True)
while not os.path.exists("go"): time.sleep(0.02)
with open(os.environ["POS3_PATH_O"] + "/f", "w") as file: file.write("ours")
os.rename("go", "gone")
"#;
    let cloud = Cloud::new(&[("program", PROGRAM)]);
    let staging = staging(&cloud);
    let mut child = start(&cloud, &["run", "-q", "--upload", "o=s3://data/x", "--", "python3", "program"]);
    let _out = wait_for(&mut child, "ready");
    kill("-KILL", &child);
    child.wait().unwrap();
    assert_refused(&cloud, &staging, &RUNS);
    fs::remove_dir_all(cloud.program.path("cache/_/data/x")).unwrap();
    assert_refused(&cloud, &staging, &RUNS);
    fs::create_dir_all(cloud.program.path("cache/_/data/x")).unwrap();
    fs::write(cloud.program.path("go"), "").unwrap();
    wait_until("the program writes", || cloud.program.path("gone").exists());
    assert_refused(&cloud, &staging, &RUNS);
    assert_eq!(run(&cloud, &["upload", "s3://data/x", "-q"]).code, Some(0));
    assert_eq!((stored(&cloud, "x/f").as_deref(), staging.keys(BUCKET).len()), (Some("ours"), 0));
}

#[test]
fn two_profiles_with_one_local_name_do_not_share_local_copies_in_separate_commands() {
    let cloud = Cloud::new(&[]).with_objects(&[("x/a", "lab")]);
    let far = staging(&cloud);
    far.put(BUCKET, "x/a", "far");
    let profiles =
        [("lab", cloud.server.endpoint(), "same"), ("far", far.endpoint(), "same"), ("own", far.endpoint(), "own")];
    let profiles: String = profiles
        .map(|(name, endpoint, local)| {
            format!("[profiles.{name}]\nendpoint = \"{endpoint}\"\nlocal_name = \"{local}\"\n")
        })
        .concat();
    fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
    let download = |profile: &str| {
        let mut command = cloud.command(&["download", "s3://data/x", "--profile", profile, "-q"]);
        crate::program::Ended::from(
            command.env("POS3_PROFILES_FILE", cloud.program.path("profiles.toml")).output().unwrap(),
        )
    };
    assert_eq!(download("lab").code, Some(0));
    let ended = download("far");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("/same/data' belong to the server "), "{}", ended.err);
    assert_eq!(download("own").code, Some(0));
    let local = |name: &str| fs::read_to_string(cloud.program.path(name).join("data/x/a")).unwrap();
    assert_eq!((local("cache/same"), local("cache/own")), ("lab".to_owned(), "far".to_owned()));
}

/// These spellings certainly mean one server.
#[test]
fn other_spellings_of_an_endpoint_use_the_same_local_copies() {
    let cloud = Cloud::new(&[]).with_objects(&[("x/a", "1")]);
    assert_eq!(run(&cloud, &["download", "s3://data/x", "-q"]).code, Some(0));
    let port = cloud.server.address().port();
    for endpoint in [format!("HTTP://127.0.0.1:0{port}"), format!("http://127.0.0.1:{port}/")] {
        let ended = run(&cloud, &["download", "s3://data/x", "-q", "--endpoint-url", &endpoint]);
        assert_eq!(ended.code, Some(0), "{endpoint}: {ended:?}");
    }
}
