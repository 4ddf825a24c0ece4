//! One location under two names: however pos3 detects this, nothing at the location is lost.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use super::{BUCKET, Cloud};
use crate::program::{Ended, Program, expected};

/// A server, and another name for it as the profile `other`.
fn two_names(other: &str) -> Cloud {
    let cloud = Cloud::new(&[]);
    let profiles = format!("[profiles.other]\nendpoint = \"{other}\"\n");
    Cloud { program: cloud.program.with(&[("profiles.toml", &profiles)]), ..cloud }.with_objects(&OBJECTS)
}

const OBJECTS: [(&str, &str); 4] = [("a", "1"), ("p/x", "2"), ("p/y", "3"), ("z", "4")];

fn run(cloud: &Cloud, arguments: &[&str]) -> Ended {
    cloud.command(arguments).env("POS3_PROFILES_FILE", cloud.program.path("profiles.toml")).output().unwrap().into()
}

fn keys(cloud: &Cloud) -> Vec<String> {
    cloud.server.keys(BUCKET)
}

#[test]
fn one_server_under_two_names_is_refused_before_any_request() {
    let cloud = two_names("");
    let port = cloud.server.address().port();
    for host in ["127.1", "localhost", "LOCALHOST.", "0x7f000001", "[::ffff:127.0.0.1]", "data.localhost"] {
        for endpoint in [format!("http://{host}:{port}/"), format!("HTTP://{host}:0{port}")] {
            let profiles = format!("[profiles.other]\nendpoint = \"{endpoint}\"\n");
            std::fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
            for command in [
                &["sync", "s3://data", "s3://other@data/p", "--delete"][..],
                &["sync", "s3://other@data/p", "s3://data", "--delete", "-n"],
                &["plan", "s3://other@data/p", "s3://data/p/"],
                &["sync", "s3://data/p", "s3://data/q", "--backup-dir", "s3://other@data/q/old"],
            ] {
                let ended = run(&cloud, command);
                assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{endpoint} {command:?} {ended:?}");
                assert!(ended.err.contains("overlap"), "{ended:?}");
            }
            let twice = ["run", "--download", "a=s3://data/p", "--upload", "b=s3://other@data/p/x", "--", "true"];
            let ended = run(&cloud, &twice);
            assert!(ended.code != Some(0) && ended.err.contains("overlaps with"), "{endpoint} {ended:?}");
        }
    }
    assert_eq!(cloud.server.requests().total(), 0);
}

/// Forwards every connection to another address, like a proxy whose name does not show the server behind it.
fn proxy_of(address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    let pass = |mut from: TcpStream, mut to: TcpStream| {
        thread::spawn(move || {
            let _ended = io::copy(&mut from, &mut to);
            let _closed = to.shutdown(Shutdown::Write);
        });
    };
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(address).unwrap();
            pass(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass(server, client);
        }
    });
    here
}

#[test]
fn a_server_behind_an_unknown_name_shows_itself_by_the_first_object_written() {
    for to in ["s3://other@data/p/new", "s3://other@data/p"] {
        let cloud = two_names("");
        let proxy = proxy_of(cloud.server.address());
        let profiles = format!("[profiles.other]\nendpoint = \"http://{proxy}\"\n");
        std::fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
        let ended = run(&cloud, &["sync", "s3://data", to, "--delete", "--no-manifest"]);
        assert_eq!(ended.code, Some(4), "{to} {ended:?}");
        assert!(
            ended.err.contains("refused, nothing was deleted: ") && ended.err.contains("/a' is left there"),
            "{}",
            ended.err
        );
        let added = format!("{}/a", to.trim_start_matches("s3://other@data/"));
        let mut all: Vec<String> = OBJECTS.iter().map(|(key, _)| (*key).to_owned()).chain([added]).collect();
        all.sort();
        assert_eq!(keys(&cloud), all, "only the first object was written");
    }
}

#[test]
fn a_server_behind_an_unknown_name_shows_itself_by_what_would_be_deleted() {
    let cloud = two_names("");
    ["x", "y"].iter().for_each(|key| cloud.server.put(BUCKET, key, if *key == "x" { "2" } else { "3" }));
    let proxy = proxy_of(cloud.server.address());
    let profiles = format!("[profiles.other]\nendpoint = \"http://{proxy}\"\n");
    std::fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
    let before = keys(&cloud);
    for make in [&["sync", "-q"][..], &["plan", "-o", "plan"]] {
        let ended =
            run(&cloud, &[make, &["s3://other@data/p", "s3://data", "--delete", "--max-delete", "100%"]].concat());
        if make[0] == "plan" {
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        let ended = if make[0] == "plan" { run(&cloud, &["apply", "plan", "-q"]) } else { ended };
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.err.contains("refused, nothing was changed: the source and the target overlap"), "{}", ended.err);
        assert_eq!(keys(&cloud), before);
    }
}

#[test]
fn equal_prefixes_of_two_servers_are_two_places() {
    let cloud = two_names("").with_objects(&[("p/old", "2")]);
    let other = pos3_tests::server::S3Server::builder().bucket(BUCKET).start().unwrap();
    let profiles = format!("[profiles.other]\nendpoint = \"{}\"\n", other.endpoint());
    std::fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
    for to in ["s3://other@data/p", "s3://other@data"] {
        other.put(BUCKET, "p/gone", "x");
        other.put(BUCKET, "gone", "x");
        let ended = run(&cloud, &["sync", "s3://data/p", to, "--delete", "--max-delete", "100%"]);
        assert_eq!(ended.code, Some(0), "{to} {ended:?}");
    }
    assert_eq!(other.keys(BUCKET), ["old", "x", "y"]);
}

/// Runs a line of the shell in which the first directory of each pair is mounted at the second, too; none where nothing can
/// be mounted.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn mounted(program: &Program, mounts: &[(&str, &str)], arguments: &str) -> Option<Ended> {
    let mounts: String = mounts.iter().map(|(what, at)| format!("mount --bind {what} {at} && ")).collect();
    let line = format!("{mounts}exec {} {arguments}", env!("CARGO_BIN_EXE_pos3-cli"));
    let mut unshared = Command::new("unshare");
    let unshared = unshared.args(["--user", "--map-root-user", "--mount", "sh", "-c", &line]);
    let ended = unshared.current_dir(program.path("")).env("POS3_STATE_DIR", program.state()).output();
    let ended = ended.ok().map(Ended::from).filter(|ended| !ended.err.contains("unshare"));
    let ended = ended.filter(|ended| !ended.err.contains("mount: "));
    if ended.is_none() {
        eprintln!("skipped: nothing can be mounted here");
    }
    ended
}

#[test]
fn a_bind_mount_does_not_hide_an_overlap() {
    let program = Program::new().with(&[("data/a", "1"), ("data/sub/b", "2"), ("bound/", ""), ("out/old", "3")]);
    for (what, from, to) in [
        ("data", "data", "bound"),
        ("data/sub", "data", "bound"),
        ("data/sub", "bound", "data"),
        ("data", "bound/sub", "data"),
    ] {
        for command in ["sync", "plan", "sync -n"] {
            let arguments = format!("{command} {from} {to} --delete");
            let Some(ended) = mounted(&program, &[(what, "bound")], &arguments) else { return };
            assert_eq!(ended.code, Some(4), "{what} {from} {to} {ended:?}");
            assert!(ended.err.contains("overlap"), "{ended:?}");
        }
    }
    assert_eq!(program.files("data"), expected(&[("a", "1"), ("sub/b", "2")]));
}

#[test]
fn what_is_mounted_below_either_side_is_a_part_of_it() {
    let files = [("s/a", "1"), ("s/sub/b", "2"), ("s/mnt/", ""), ("t/deep/mnt/", ""), ("t/x", "3"), ("k/mnt/", "")];
    let program = Program::new().with(&files);
    for (what, at, arguments) in [
        ("s", "t/deep/mnt", "sync s t --delete"),
        ("s/sub", "t/deep/mnt", "sync s t --delete"),
        ("s/sub/b", "t/x", "sync s t --delete"),
        (".", "t/deep/mnt", "sync s t --delete"),
        ("t", "s/mnt", "sync s t --delete"),
        ("t/deep", "s/mnt", "sync s t --delete"),
        (".", "s/mnt", "sync s t --delete"),
        ("s", "t/deep/mnt", "plan s t --delete"),
        ("t", "k/mnt", "sync s t --delete --backup-dir k"),
        ("k", "t/deep/mnt", "sync s t --delete --backup-dir k/mnt"),
        ("s/sub", "k/mnt", "sync s t --delete --backup-dir k"),
    ] {
        let Some(ended) = mounted(&program, &[(what, at)], arguments) else { return };
        assert_eq!(ended.code, Some(4), "{what} {at} {ended:?}");
        assert!(ended.err.contains("overlap"), "{ended:?}");
        assert_eq!(program.files("s"), expected(&[("a", "1"), ("mnt/", ""), ("sub/b", "2")]), "{what} {at}");
        assert_eq!(program.files("t"), expected(&[("deep/mnt/", ""), ("x", "3")]), "{what} {at}");
    }
    let elsewhere = mounted(&program, &[("k", "t/deep/mnt"), ("k", "s/mnt")], "sync s/sub t");
    assert_eq!(elsewhere.and_then(|ended| ended.code), Some(0), "what is mounted beside the source is no part of it");
}

#[test]
fn a_followed_link_that_leads_to_the_target_is_refused() {
    for to in ["../t", "../t/sub", "../t/sub/deep", ".."] {
        let program = Program::new().with(&[("s/a", "1"), ("t/sub/deep/mine", "2")]);
        std::os::unix::fs::symlink(to, program.path("s/link")).unwrap();
        let ended = program.run(&["sync", "s", "t", "--delete", "--follow-symlinks"]);
        assert_eq!(ended.code, Some(4), "{to} {ended:?}");
        assert!(ended.err.contains("in the source leads to another one of them"), "{to} {ended:?}");
        assert_eq!(program.files("t"), expected(&[("sub/deep/mine", "2")]), "{to}");
        let other = program.run(&["sync", "s", "u", "--follow-symlinks", "-n"]);
        assert!(other.code != Some(4), "{to} {other:?}");
    }
}

#[test]
fn a_followed_link_that_leads_to_the_backups_is_refused() {
    for to in ["../bk", "../bk/sub", "../bk/sub/deep", ".."] {
        for target in ["t", "s3://data/t"] {
            let cloud = Cloud::new(&[("s/z", "1"), ("t/z", "2"), ("bk/sub/deep/older", "3")]);
            cloud.server.put(BUCKET, "t/z", "2");
            std::os::unix::fs::symlink(to, cloud.program.path("s/link")).unwrap();
            for more in [&["-n"][..], &[], &["--delete"]] {
                let line = [&["sync", "s", target, "--follow-symlinks", "--backup-dir", "bk"][..], more].concat();
                let ended = cloud.run(&line);
                assert_eq!(ended.code, Some(4), "{to} {line:?} {ended:?}");
                assert!(ended.err.contains("in the source leads to another one of them"), "{to} {ended:?}");
            }
            assert_eq!(cloud.program.files("bk"), expected(&[("sub/deep/older", "3")]), "{to} {target}");
            let away = ["sync", "s", target, "--follow-symlinks", "--backup-dir", "bk", "--exclude", "link/*"];
            assert_eq!(cloud.run(&away).code, Some(0), "{to} {target}: a link that is excluded is not followed");
        }
    }
}
