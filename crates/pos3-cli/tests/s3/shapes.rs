//! Outputs of `run` that are one file, and downloads of one object: which paths are files, and which are directories.

use std::fs;

use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::Value;

use super::run::{run, sh, start, stored, wait_for};
use super::{BUCKET, Cloud};

#[test]
fn a_new_output_of_one_file_can_be_written_and_is_uploaded() {
    for option in ["--upload-file", "--sync-file"] {
        let cloud = Cloud::new(&[]);
        let script = r#"echo weights > "$POS3_PATH_M""#;
        let ended = run(&cloud, &sh(&[option, "m=s3://data/m/model.ckpt"], script));
        assert_eq!(ended.code, Some(0), "{option}: {ended:?}");
        assert!(ended.err.contains("m: complete in s3://data/m/model.ckpt: 1 file there"), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), ["m/model.ckpt"]);
        assert_eq!(stored(&cloud, "m/model.ckpt").unwrap(), "weights\n");
    }
}

#[test]
fn an_output_of_one_file_is_fetched_and_goes_on() {
    let cloud = Cloud::new(&[]).with_objects(&[("m/model.ckpt", "1\n"), ("m/model.ckpt.old", "x")]);
    let script = r#"cat "$POS3_PATH_M"; echo 2 > "$POS3_PATH_M.tmp"; mv "$POS3_PATH_M.tmp" "$POS3_PATH_M""#;
    let ended = run(&cloud, &sh(&["--sync-file", "m=s3://data/m/model.ckpt"], script));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "1\n"), "{ended:?}");
    assert_eq!(stored(&cloud, "m/model.ckpt").unwrap(), "2\n");
    assert_eq!(cloud.server.keys(BUCKET), ["m/model.ckpt", "m/model.ckpt.old"]);
}

#[test]
fn an_empty_directory_of_an_earlier_try_gives_way_to_the_file() {
    let cloud = Cloud::new(&[]);
    let script = r#"echo weights > "$POS3_PATH_M""#;
    let failed = run(&cloud, &sh(&["--sync", "m=s3://data/m/model.ckpt"], script));
    assert!(failed.code != Some(0), "{failed:?}");
    let hint =
        "hint: m is an empty directory; if it should be a single file, use --sync-file m=s3://data/m/model.ckpt\n";
    assert!(failed.err.contains(hint), "{}", failed.err);
    let ended = run(&cloud, &sh(&["--sync-file", "m=s3://data/m/model.ckpt"], script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(stored(&cloud, "m/model.ckpt").unwrap(), "weights\n");

    // The object that another machine has stored since then gives the place its shape.
    let cloud = Cloud::new(&[]);
    run(&cloud, &sh(&["--sync", "m=s3://data/m/model.ckpt"], "exit 0"));
    cloud.server.put(BUCKET, "m/model.ckpt", "theirs");
    let ended = run(&cloud, &sh(&["--sync", "m=s3://data/m/model.ckpt"], r#"cat "$POS3_PATH_M""#));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "theirs"), "{ended:?}");
}

#[test]
fn a_directory_with_something_in_it_never_gives_way() {
    let cloud = Cloud::new(&[("cache/_/data/m/model.ckpt/precious", "x")]);
    let ended = run(&cloud, &sh(&["--upload-file", "m=s3://data/m/model.ckpt"], "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains("it is a directory, and one file is expected there"), "{}", ended.err);
    assert!(cloud.program.path("cache/_/data/m/model.ckpt/precious").exists());
}

#[test]
fn a_directory_where_one_file_was_announced_is_an_error_and_is_not_uploaded() {
    let cloud = Cloud::new(&[]);
    let script = r#"mkdir "$POS3_PATH_M"; echo 1 > "$POS3_PATH_M/a""#;
    let ended = run(&cloud, &sh(&["--upload-file", "m=s3://data/m"], script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("it is a directory, and one file is expected there"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), [""; 0]);
}

#[test]
fn a_local_path_of_one_file_is_used_where_it_is() {
    let cloud = Cloud::new(&[("old.bin", "1")]);
    let script = r#"echo 2 > "$POS3_PATH_OLD"; echo 3 > "$POS3_PATH_NEW""#;
    let ended = run(&cloud, &sh(&["--upload", "old=old.bin", "--upload-file", "new=made/new.bin"], script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read_to_string(cloud.program.path("old.bin")).unwrap(), "2\n");
    assert_eq!(fs::read_to_string(cloud.program.path("made/new.bin")).unwrap(), "3\n");
}

#[test]
fn the_url_of_one_file_has_a_name() {
    let cloud = Cloud::new(&[]);
    for url in ["m=s3://data/m/", "m=s3://data", "m=s3://data/"] {
        let ended = run(&cloud, &sh(&["--upload-file", url], "echo started"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{url}: {ended:?}");
        assert!(ended.err.contains("the URL of a file must end with its name"), "{}", ended.err);
    }
}

#[test]
fn a_missing_file_of_one_output_is_named_by_its_own_url() {
    let cloud = Cloud::new(&[]);
    let denied = pos3_tests::server::Answer::access_denied();
    let fault = pos3_tests::server::Fault::on(pos3_tests::server::Operation::PutObject);
    cloud.server.fault(fault.key("m/model.ckpt").always().answer(denied));
    let line = ["--upload-file", "m=s3://data/m/model.ckpt", "--json-report", "report"];
    let ended = run(&cloud, &sh(&line, r#"echo 1 > "$POS3_PATH_M""#));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("\n  missing: s3://data/m/model.ckpt\n"), "{}", ended.err);
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert_eq!(report["complete"], false, "{report}");
}

#[test]
fn a_bucket_that_does_not_exist_is_found_before_the_program_starts() {
    for option in ["--upload", "--upload-file", "--sync"] {
        let cloud = Cloud::new(&[]);
        let ended = run(&cloud, &sh(&[option, "out=s3://dtaa/run/x"], "echo started"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains("'dtaa' does not exist"), "the cause is named: {}", ended.err);
        assert!(ended.err.contains("hint: check the bucket's name"), "{}", ended.err);
        assert!(!cloud.program.path("cache/_/dtaa/run/x").exists(), "nothing was made");
    }
}

#[test]
fn a_missing_object_is_named_also_where_a_file_is_in_its_place() {
    let cloud = Cloud::new(&[("here", "precious")]).with_objects(&[("dir/a", "1")]);
    for more in [None, Some("-n"), Some("--delete")] {
        let mut line = vec!["download", "s3://data/typo", "--local", "here"];
        line.extend(more);
        let ended = cloud.run(&line);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.starts_with("pos3-cli download: there is nothing at 's3://data/typo'\n"), "{}", ended.err);
    }
    let ended = cloud.run(&["download", "s3://data/dir", "--local", "here"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("'s3://data/dir' is a prefix, and '"), "{}", ended.err);
    assert_eq!(fs::read_to_string(cloud.program.path("here")).unwrap(), "precious");
}

#[test]
fn an_object_goes_inside_a_directory_whose_path_ends_in_a_slash() {
    for exists in [false, true] {
        let files: &[(&str, &str)] = if exists { &[("into/other", "x")] } else { &[] };
        let cloud = Cloud::new(files).with_objects(&[("m/model.bin", "weights")]);
        let shown = cloud.run(&["download", "s3://data/m/model.bin", "--local", "into/", "-n"]);
        assert!(shown.out.trim_end().ends_with("into/model.bin"), "{shown:?}");
        let ended = cloud.run(&["download", "s3://data/m/model.bin", "--local", "into/"]);
        let path = cloud.program.path("into/model.bin");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(fs::canonicalize(ended.out.trim_end()).unwrap(), fs::canonicalize(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "weights");
        assert_eq!(cloud.program.path("into/other").exists(), exists);
    }
    let cloud = Cloud::new(&[("into/other", "x")]).with_objects(&[("m/model.bin", "weights")]);
    let ended = cloud.run(&["download", "s3://data/m/model.bin", "--local", "into"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("name the file, or end the path in '/' to put it inside"), "{}", ended.err);
}

/// In the cache, nobody has named the path.
#[test]
fn an_entry_of_another_kind_in_the_cache_has_its_own_advice() {
    let cloud = Cloud::new(&[("cache/_/data/m/other", "x"), ("cache/_/data/d", "x")]);
    let cloud = cloud.with_objects(&[("m", "weights"), ("d/a", "1")]);
    let advice = ": delete it if nothing in it is needed, or choose another local path";
    for (location, kind) in [("s3://data/m", "directory"), ("s3://data/d", "file")] {
        let (input, output) = (format!("i={location}"), format!("o={location}"));
        for line in [
            &["download", location][..],
            &["run", "--download", &input, "--", "true"],
            &["run", "--sync", &output, "--", "true"],
        ] {
            let ended = run(&cloud, line);
            assert_eq!(ended.code, Some(1), "{line:?} {ended:?}");
            assert!(ended.err.contains(&format!("is a {kind}{advice}")), "{line:?} {}", ended.err);
        }
    }
}

#[test]
fn one_object_is_excluded_by_its_remote_name() {
    let cloud = Cloud::new(&[]).with_objects(&[("keys/secret.key", "s")]);
    let line = ["download", "s3://data/keys/secret.key", "--local", "copy", "--exclude"];
    let ended = cloud.run(&[&line[..], &["secret.key"]].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!cloud.program.path("copy").exists());
    let ended = cloud.run(&[&line[..], &["copy"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(cloud.program.path("copy").exists());
}

#[test]
fn a_pipe_in_the_place_of_an_output_of_one_file_is_named() {
    let cloud = Cloud::new(&[("cache/_/data/p/y", "1")]).with_objects(&[("p/x", "2")]);
    let made = std::process::Command::new("mkfifo").arg(cloud.program.path("cache/_/data/p/x")).status();
    assert!(made.unwrap().success());
    for option in ["--sync-file", "--upload-file"] {
        let ended = cloud.run(&["run", option, "x=s3://data/p/x", "--", "true"]);
        assert_eq!(ended.code, Some(1), "{option}: {ended:?}");
        let text = "it is a pipe, a socket or a device, and one file is expected there";
        assert!(ended.err.contains(text) && !ended.err.contains("directory"), "{option}: {}", ended.err);
    }
}

#[test]
fn what_stands_in_the_place_of_a_local_directory_is_named() {
    let cloud = Cloud::new(&[("file", "1")]).with_objects(&[("p/x", "2")]);
    let made = std::process::Command::new("mkfifo").arg(cloud.program.path("fifo")).status();
    assert!(made.unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(cloud.program.path("socket")).unwrap();
    for (local, kind) in
        [("fifo", "FIFO"), ("socket", "socket"), ("/dev/null", "character device"), ("file/sub", "file")]
    {
        for command in
            [&["download", "s3://data/p/"][..], &["upload", "s3://data/p/"], &["download", "s3://data/p/", "-n"]]
        {
            if command[0] == "upload" && kind == "file" {
                continue; // There is nothing to upload, which is said otherwise.
            }
            let ended = cloud.run(&[command, &["--local", local]].concat());
            assert!(!matches!(ended.code, Some(0) | None), "{command:?} {local} {ended:?}");
            let text = format!("is a {kind}, not a directory: name a directory, or ");
            assert!(ended.err.contains(&text), "{command:?} {local} {}", ended.err);
            assert!(!ended.err.contains("File exists"), "{}", ended.err);
        }
    }
    let cache = cloud.run(&["download", "s3://data/p/", "--cache-root", "file"]);
    assert!(cache.err.contains("file' is a file, not a directory"), "{cache:?}");
    assert_eq!(cloud.server.keys(super::BUCKET), ["p/x"]);
}

/// A run that was killed while it deleted a directory may have moved a file of it away.
#[test]
fn a_run_right_after_a_kill_replaces_the_directory_that_the_killed_one_deleted() {
    let cloud = Cloud::new(&[("l/a", "1")]).with_objects(&[("x/a", "1"), ("x/d", "now a file")]);
    let moved = format!("l/d/.pos3-moved.{}.f", "0123456789".repeat(4));
    fs::create_dir(cloud.program.path("l/d")).unwrap();
    fs::write(cloud.program.path(&moved), "old").unwrap();
    let ended = cloud.run(&["sync", "s3://data/x", "l", "--delete"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.err.contains("has changed since it was listed") && !ended.err.contains("hint"), "{}", ended.err);
    let expected = [("a", "1"), ("d", "now a file")];
    assert_eq!(cloud.program.files("l"), crate::program::expected(&expected));
}

/// An object `x` hides everything below `x/`.
#[test]
fn a_directory_is_not_uploaded_to_the_name_of_an_object() {
    let cloud =
        Cloud::new(&[("dir/a", "1"), ("cache/_/data/y/a", "1")]).with_objects(&[("x", "object"), ("y", "object")]);
    let told = "there is an object 's3://data/x', and '";
    for line in [
        &["run", "--upload", "o=s3://data/x", "--", "sh", "-c", "echo started"][..],
        &["upload", "s3://data/x", "--local", "dir"],
        &["upload", "s3://data/x", "--local", "dir", "--dry-run"],
    ] {
        let ended = run(&cloud, line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{line:?}: {ended:?}");
        assert!(ended.err.contains(told) && ended.err.contains("\nhint: use another location"), "{}", ended.err);
    }
    let ended = run(&cloud, &["run", "--sync", "o=s3://data/y", "--", "sh", "-c", "echo started"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["x", "y"]);
    // With a slash, the prefix is meant.
    assert_eq!(run(&cloud, &["upload", "s3://data/x/", "--local", "dir", "-q"]).code, Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["x", "x/a", "y"]);
}

#[test]
fn an_object_that_appears_over_a_directory_is_an_error() {
    for (kind, interval) in [("--upload", "none"), ("--sync", "1")] {
        let cloud = Cloud::new(&[]);
        let places = [kind, "o=s3://data/x", "--interval", interval, "--json-report", "report"];
        let script = r#"echo 1 > "$POS3_PATH_O/a"; echo ready; while [ ! -f "$PWD/go" ]; do sleep 0.02; done"#;
        let mut child = start(&cloud, &sh(&places, script));
        let _out = wait_for(&mut child, "ready");
        cloud.server.put(BUCKET, "x", "object");
        fs::write(cloud.program.path("go"), "").unwrap();
        let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(1), "{kind}: {ended:?}");
        assert!(ended.err.contains("there is an object 's3://data/x', and '"), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), ["x", "x/a"], "the content is stored all the same");
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
        assert_eq!((&report["complete"], &report["uploads"][0]["files"]), (&false.into(), &1.into()), "{report}");
    }
}

/// The object is stored after the listings, and before the deletes.
#[test]
fn an_object_that_appears_over_an_output_withholds_its_deletes() {
    let appear = |cloud: &Cloud| {
        let answer = Answer::Overtaken { key: "x", content: "object" };
        cloud.server.fault(Fault::on(Operation::PutObject).answer(answer));
    };
    let cloud = Cloud::new(&[]);
    let places = ["--sync", "o=s3://data/x", "--delete-remote", "--json-report", "report"];
    let begun = run(&cloud, &sh(&places, r#"cd "$POS3_PATH_O"; echo 1 > a; echo 1 > b"#));
    assert_eq!(begun.code, Some(0), "{begun:?}");
    appear(&cloud);
    let ended = run(&cloud, &sh(&places, r#"cd "$POS3_PATH_O"; rm b; echo 1 > c"#));
    assert_eq!((ended.code, cloud.server.faults_waiting()), (Some(1), 0), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["x", "x/a", "x/b", "x/c"], "{ended:?}");
    let told =
        "o: everything was uploaded to s3://data/x, but it may be hidden there: there is an object 's3://data/x'";
    assert_eq!(ended.err.lines().filter(|line| line.contains("uploaded to s3://data/x")).count(), 1, "{}", ended.err);
    assert!(ended.err.contains(told) && ended.err.contains("; 1 file not deleted\n"), "{}", ended.err);
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    let output = &report["uploads"][0];
    let counts = ["withheld", "deleted", "files"].map(|field| output[field].as_u64());
    assert_eq!((output["uploaded"].as_bool(), counts), (Some(false), [Some(1), Some(0), Some(1)]), "{report}");

    let cloud = Cloud::new(&[("dir/new", "1")]).with_objects(&[("x/old", "1")]);
    appear(&cloud);
    let ended = run(&cloud, &["upload", "s3://data/x", "--local", "dir", "--delete"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("there is an object 's3://data/x', and '"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["x", "x/new", "x/old"]);
}

#[test]
fn an_output_that_may_be_hidden_deletes_nothing() {
    let cloud = Cloud::new(&[]);
    let places = ["--upload", "o=s3://data/x", "--delete-remote", "--interval", "none"];
    let script = r#"cd "$POS3_PATH_O"; echo 1 > a; [ ! -f b ] || rm b; echo ready; while [ ! -f "$OLDPWD/go" ]; do sleep 0.02; done"#;
    let begun = run(&cloud, &sh(&places, r#"cd "$POS3_PATH_O"; echo 1 > a; echo 1 > b"#));
    assert_eq!(begun.code, Some(0), "{begun:?}");
    let mut child = start(&cloud, &sh(&places, script));
    let _out = wait_for(&mut child, "ready");
    let refused = Answer::Error { status: http::StatusCode::METHOD_NOT_ALLOWED, code: "MethodNotAllowed" };
    cloud.server.fault(Fault::on(Operation::HeadObject).key("x").always().answer(refused));
    fs::write(cloud.program.path("go"), "").unwrap();
    let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("but it may be hidden there: ") && !ended.err.contains("NOT EVERY"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["x/a", "x/b"]);
}

#[test]
fn a_file_that_is_named_and_excluded_is_a_usage_error() {
    let cloud = Cloud::new(&[("file", "1")]).with_objects(&[("d/m.pt", "old"), ("d/n.pt", "n"), ("in/a", "1")]);
    let told =
        "'s3://data/d/m.pt' is one file, and the pattern '*.pt' excludes it\nhint: change the patterns of --exclude";
    let start = ["--", "sh", "-c", "echo started"];
    for line in [
        &["run", "--sync-file", "m=s3://data/d/m.pt", "--download", "in=s3://data/in"][..],
        &["run", "--upload-file", "m=s3://data/d/m.pt"],
        &["run", "--download", "m=s3://data/d/m.pt"],
        &["download", "s3://data/d/m.pt"],
        &["upload", "s3://data/d/m.pt", "--local", "file"],
        &["upload", "s3://data/d/m.pt", "--local", "file", "--dry-run"],
    ] {
        let program = if line[0] == "run" { &start[..] } else { &[] };
        let ended = run(&cloud, &[line, &["--exclude", "*.tmp", "--exclude", "*.pt"], program].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{line:?}: {ended:?}");
        assert!(ended.err.contains(told), "{line:?}: {}", ended.err);
    }
    assert!(!cloud.program.path("cache/_/data/in/a").exists(), "nothing was transferred");
    assert_eq!(stored(&cloud, "d/m.pt").as_deref(), Some("old"));
    // The pattern is for another file.
    let places = ["--sync-file", "m=s3://data/d/m.pt", "--exclude", "n.pt"];
    assert_eq!(run(&cloud, &sh(&places, r#"echo new > "$POS3_PATH_M""#)).code, Some(0));
    assert_eq!(stored(&cloud, "d/m.pt").as_deref(), Some("new\n"));
}

#[test]
fn a_prefix_of_which_everything_is_excluded_is_not_missing() {
    let cloud = Cloud::new(&[]).with_objects(&[("d/m.pt", "m"), ("d/n.pt", "n")]);
    for line in [&["download", "s3://data/d"][..], &["run", "--download", "d=s3://data/d", "--", "true"]] {
        let ended = run(&cloud, &[&line[..1], &["--exclude", "*.pt"], &line[1..]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{line:?}: {ended:?}");
        assert!(
            ended.err.contains("everything at 's3://data/d' is excluded\nhint: change the patterns"),
            "{}",
            ended.err
        );
        assert!(!ended.err.contains("spelling"), "{}", ended.err);
    }
    let ended = run(&cloud, &sh(&["--sync", "d=s3://data/d", "--exclude", "*.pt"], "true"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("d: everything in s3://data/d is excluded\n"), "{}", ended.err);
    let ended = run(&cloud, &sh(&["--sync", "d=s3://data/none", "--exclude", "*.pt"], "true"));
    assert!(ended.err.contains("d: nothing in s3://data/none yet\n"), "{}", ended.err);
}
