//! `upload` uploads once, and prints nothing to stdout.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};

fn cloud() -> Cloud {
    Cloud::new(&[("out/a", "1"), ("out/d/b", "22")]).with_objects(&[("run/old", "x"), ("runner", "other")])
}

#[test]
fn an_upload_is_silent_and_deletes_nothing_unless_asked() {
    let cloud = cloud();
    let ended = cloud.run(&["upload", "s3://data/run", "--local", "out", "-q"]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "", ""));
    assert_eq!(cloud.server.keys(BUCKET), ["run/a", "run/d/b", "run/old", "runner"]);
    fs::remove_file(cloud.program.path("out/a")).unwrap();
    let ended = cloud.run(&["upload", "s3://data/run/", "--local", "out"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""));
    assert!(ended.err.starts_with("copied     0 files, 0 B\nunchanged  1\n"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["run/a", "run/d/b", "run/old", "runner"]);
    assert_eq!(cloud.run(&["upload", "s3://data/run", "--local", "out", "--delete", "-q"]).code, Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["run/d/b", "runner"], "it is a mirror now");
}

#[test]
fn the_default_source_is_the_local_copy() {
    let cloud = cloud().with_objects(&[("data/x", "1")]);
    assert_eq!(cloud.run(&["download", "s3://data/data", "-q"]).code, Some(0));
    fs::write(cloud.program.path("cache/_/data/data/x"), "2").unwrap();
    assert_eq!(cloud.run(&["upload", "s3://data/data", "-q"]).code, Some(0));
    assert_eq!(cloud.server.object(BUCKET, "data/x").unwrap().bytes, "2", "equal size");
}

#[test]
fn a_missing_source_is_named() {
    let cloud = cloud();
    for more in [&[][..], &["--delete"], &["-n"]] {
        let ended = cloud.run(&[&["upload", "s3://data/run", "--local", "none"], more].concat());
        let path = fs::canonicalize(cloud.program.path(".")).unwrap().join("none");
        let said = format!("pos3-cli upload: source path does not exist: {}\n", path.display());
        assert_eq!((ended.code, ended.out.as_str(), ended.err), (Some(1), "", said));
        assert!(!path.exists(), "it is not made");
    }
    assert_eq!(cloud.server.keys(BUCKET), ["run/old", "runner"]);
}

#[test]
fn a_dry_run_of_an_upload_writes_the_lines_of_the_plan() {
    let cloud = cloud();
    let out = fs::canonicalize(cloud.program.path("out")).unwrap().display().to_string();
    let copies =
        format!("(dryrun) upload: {out}/a to s3://data/run/a\n(dryrun) upload: {out}/d/b to s3://data/run/d/b\n");
    let ended = cloud.run(&["upload", "s3://data/run", "--local", "out", "-n", "-q"]);
    assert_eq!((ended.code, &ended.out, ended.err.as_str()), (Some(0), &copies, ""));
    let ended = cloud.run(&["upload", "s3://data/run", "--local", "out", "-n", "-q", "--delete"]);
    assert_eq!((ended.code, ended.out), (Some(0), format!("{copies}(dryrun) delete: s3://data/run/old\n")));
    let one = cloud.run(&["upload", "s3://data/dir/", "--local", "out/a", "-nq"]);
    assert_eq!(one.out, format!("(dryrun) upload: {out}/a to s3://data/dir/a\n"));
    assert_eq!(cloud.server.keys(BUCKET), ["run/old", "runner"]);
}

#[test]
fn one_file_goes_to_its_key_and_its_neighbours_stay() {
    let cloud = cloud();
    assert_eq!(cloud.run(&["upload", "s3://data/run/", "--local", "out/a", "--delete", "-q"]).code, Some(0));
    assert_eq!(cloud.run(&["upload", "s3://data/named", "--local", "out/a", "--delete", "-q"]).code, Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["named", "run/a", "run/old", "runner"]);
}

#[test]
fn the_guards_of_sync_hold_for_uploads() {
    let cloud = Cloud::new(&[("empty/", ""), ("unmounted/lost+found/", ""), ("out/a", "1")]);
    (0..20).for_each(|number| cloud.server.put(BUCKET, &format!("run/{number:02}"), "x"));
    let upload = |local: &str, more: &[&str]| {
        cloud.run(&[&["upload", "s3://data/run", "--delete", "-q", "--local", local], more].concat())
    };
    for (local, said) in [("empty", "--allow-empty"), ("unmounted", "--allow-empty"), ("out", "--max-delete 20")] {
        let refused = upload(local, &[]);
        assert_eq!((refused.code, refused.out.as_str()), (Some(4), ""), "{refused:?}");
        assert!(refused.err.contains(said), "{}", refused.err);
        assert_eq!(cloud.server.keys(BUCKET).len(), 20);
    }
    assert_eq!(upload("out", &["--max-delete", "20"]).code, Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["run/a"]);
    assert_eq!(upload("empty", &["--allow-empty"]).code, Some(0));
    assert_eq!(cloud.server.keys(BUCKET), [""; 0]);
}

#[test]
fn a_signal_ends_an_upload_in_good_order_without_a_delete() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let files: Vec<String> = (0..200).map(|number| format!("out/{number:03}")).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "x")).collect();
        let cloud = Cloud::new(&files).with_objects(&[("run/old", "1")]);
        let slow = Answer::Delay(Duration::from_millis(300));
        cloud.server.fault(Fault::on(Operation::PutObject).always().answer(slow));
        let mut command = cloud.command(&["upload", "s3://data/run", "--local", "out", "--delete", "-j", "4"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begin = Instant::now();
        while cloud.server.requests().of(Operation::PutObject) < 8 {
            assert!(begin.elapsed() < Duration::from_secs(60), "the uploads did not begin");
            std::thread::sleep(Duration::from_millis(10));
        }
        crate::signals::kill(signal, &child);
        let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{ended:?}");
        let keys = cloud.server.keys(BUCKET);
        assert!(keys.contains(&"run/old".to_owned()) && keys.len() < 201, "{}", keys.len());
    }
}
