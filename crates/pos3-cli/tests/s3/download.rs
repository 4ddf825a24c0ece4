//! `download`: the behaviour that it shares with the Python program, and its own.

use std::fs;

use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};
use crate::program::expected;

fn cloud() -> Cloud {
    Cloud::new(&[]).with_objects(&[("data/a", "1"), ("data/d/b", "22"), ("data_backup/x", "no"), ("one.bin", "whole")])
}

/// Returns a path of the working directory as the program says it.
fn said(cloud: &Cloud, name: &str) -> String {
    let root = fs::canonicalize(cloud.program.path(".")).unwrap();
    format!("{}\n", root.join(name).display())
}

#[test]
fn a_download_writes_one_line_the_resolved_path() {
    let cloud = cloud();
    for url in ["s3://data/data", "s3://data/data/"] {
        let ended = cloud.run(&["download", url, "-q"]);
        let path = said(&cloud, "cache/_/data/data");
        assert_eq!((ended.code, ended.out, ended.err.as_str()), (Some(0), path, ""), "{url}");
    }
    assert_eq!(cloud.program.files("cache/_/data/data"), expected(&[("a", "1"), ("d/b", "22")]));

    let ended = cloud.run(&["download", "s3://data/data", "--local", "x/../out"]);
    assert_eq!((ended.code, ended.out), (Some(0), said(&cloud, "out")));
    assert!(ended.err.starts_with("copied     2 files, 3 B\n"), "{}", ended.err);
    let one = cloud.run(&["download", "s3://data/one.bin", "--local", "here.bin"]);
    assert_eq!((one.code, one.out), (Some(0), said(&cloud, "here.bin")));
    assert_eq!(fs::read_to_string(cloud.program.path("here.bin")).unwrap(), "whole");
}

#[test]
fn a_link_in_the_path_is_resolved() {
    let cloud = cloud();
    fs::create_dir(cloud.program.path("real")).unwrap();
    std::os::unix::fs::symlink(cloud.program.path("real"), cloud.program.path("link")).unwrap();
    let ended = cloud.run(&["download", "s3://data/data", "--local", "link/in", "-q"]);
    assert_eq!((ended.code, ended.out), (Some(0), said(&cloud, "real/in")));
}

#[test]
fn a_second_download_fetches_what_changed_and_deletes_only_when_asked() {
    let cloud = cloud();
    let download = |more: &[&str]| cloud.run(&[&["download", "s3://data/data", "--local", "out", "-q"], more].concat());
    assert_eq!(download(&[]).code, Some(0));
    fs::write(cloud.program.path("out/extra"), "mine").unwrap();
    cloud.server.put(BUCKET, "data/a", "X");
    cloud.server.reset_requests();
    assert_eq!(download(&[]).code, Some(0));
    assert_eq!(cloud.program.files("out"), expected(&[("a", "X"), ("d/b", "22"), ("extra", "mine")]));
    assert_eq!(cloud.server.requests().of(Operation::GetObject), 1);
    assert_eq!(download(&["--delete", "--exclude", "extra"]).code, Some(0));
    assert!(cloud.program.path("out/extra").exists(), "what is left out is not deleted");
    assert_eq!(download(&["--delete"]).code, Some(0));
    assert_eq!(cloud.program.files("out"), expected(&[("a", "X"), ("d/b", "22")]));
}

#[test]
fn exclusions_are_compared_from_the_right_on_both_sides() {
    let objects = [("p/a.tmp", "1"), ("p/logs/x", "2"), ("p/d/logs/y/z", "3"), ("p/d/e/b.tmp", "4"), ("p/d/e/c", "5")];
    let cloud = Cloud::new(&[("out/logs/mine", "x"), ("out/d/old.tmp", "x"), ("out/old", "x")]).with_objects(&objects);
    let ended = cloud.run(&[
        "download",
        "s3://data/p",
        "--local",
        "out",
        "--delete",
        "--max-delete",
        "100%",
        "-q",
        "--exclude",
        "logs",
        "--exclude",
        "*.tmp",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.program.files("out"), expected(&[("d/e/c", "5"), ("d/old.tmp", "x"), ("logs/mine", "x")]));
    // With a '/' it is still every such path, at any depth, and not the one at the top alone.
    let ended =
        cloud.run(&["download", "s3://data/p", "--local", "more", "-q", "--exclude", "e/*.tmp", "--exclude", "!x"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let files = [("a.tmp", "1"), ("d/e/c", "5"), ("d/logs/y/z", "3"), ("logs/x", "2")];
    assert_eq!(cloud.program.files("more"), expected(&files));
    let ended = cloud.run(&["download", "s3://data/p/a.tmp", "--exclude", "*.tmp"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "an object has a name too: {ended:?}");
    assert_eq!(cloud.run(&["upload", "s3://data/up", "--local", "more", "-q", "--exclude", "d/**/z"]).code, Some(0));
    assert!(!cloud.server.keys(BUCKET).contains(&"up/d/logs/y/z".to_owned()));
}

#[test]
fn a_pattern_that_can_match_nothing_is_a_usage_error() {
    let cloud = cloud();
    for command in ["download", "upload"] {
        for (pattern, why) in
            [("", "it is empty"), ("./", "it is empty"), ("/a", "begins with '/'"), ("[b-a]", "backwards")]
        {
            let ended = cloud.run(&[command, "s3://data/data", "--local", "out", "--exclude", pattern]);
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{pattern:?} {ended:?}");
            assert!(ended.err.contains(why) && ended.err.contains("--exclude"), "{pattern:?} {ended:?}");
        }
    }
    assert_eq!((cloud.server.requests().total(), cloud.program.path("out").exists()), (0, false));
}

#[test]
fn a_dry_run_writes_the_lines_of_the_plan_and_no_path() {
    let cloud = cloud();
    fs::create_dir(cloud.program.path("out")).unwrap();
    fs::write(cloud.program.path("out/old"), "x").unwrap();
    let path = said(&cloud, "out").trim().to_owned();
    let copies = format!(
        "(dryrun) download: s3://data/data/a to {path}/a\n(dryrun) download: s3://data/data/d/b to {path}/d/b\n"
    );
    let ended = cloud.run(&["download", "s3://data/data", "--local", "out", "-n", "-q"]);
    assert_eq!((ended.code, &ended.out, ended.err.as_str()), (Some(0), &copies, ""));
    let told = cloud.run(&["download", "s3://data/data", "--local", "out", "-n"]).err;
    assert!(told.contains("\nrequests   ") && !told.contains("time       0"), "as a dry run of sync has them: {told}");
    let ended = cloud.run(&["download", "s3://data/data", "--local", "out", "--dry-run", "--delete", "-q"]);
    assert_eq!((ended.code, ended.out), (Some(0), format!("{copies}(dryrun) delete: {path}/old\n")));
    let one = cloud.run(&["download", "s3://data/one.bin", "--local", "other", "-nq"]);
    assert_eq!(one.out, format!("(dryrun) download: s3://data/one.bin to {}", said(&cloud, "other")));
    assert_eq!(cloud.program.files("out"), expected(&[("old", "x")]));
    assert!(!cloud.program.path("other").exists());
    assert_eq!(fs::read_dir(cloud.program.state()).unwrap().count(), 0, "a plan remembers nothing");
}

#[test]
fn a_missing_prefix_is_an_error_and_touches_nothing() {
    let cloud = cloud();
    for more in [&[][..], &["--delete"], &["-n"], &["-n", "--delete"]] {
        fs::create_dir_all(cloud.program.path("out")).unwrap();
        fs::write(cloud.program.path("out/precious"), "x").unwrap();
        let ended = cloud.run(&[&["download", "s3://data/typo", "--local", "out"], more].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{more:?} {ended:?}");
        assert!(ended.err.contains("pos3-cli download: there is nothing at 's3://data/typo'\n"), "{}", ended.err);
        assert_eq!(cloud.program.files("out"), expected(&[("precious", "x")]), "{more:?}");
    }
    for command in [&["download", "s3://nobucket/x"][..], &["upload", "s3://nobucket/x", "--local", "out"]] {
        let ended = cloud.run(command);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains("bucket 'nobucket' does not exist"), "{}", ended.err);
    }
}

#[test]
fn what_is_no_url_of_s3_is_said_as_it_always_was() {
    let cloud = cloud();
    for url in ["./data", "S3://data/x", "gs://data/x", "s3:/data/x", ""] {
        for command in ["download", "upload"] {
            let ended = cloud.run(&[command, url]);
            let said = format!("pos3-cli {command}: url must be an s3:// URL, got: {url}\n");
            assert_eq!((ended.code, ended.out.as_str(), ended.err), (Some(1), "", said), "{url}");
        }
    }
    for line in [&["download"][..], &["download", "s3://data/x", "--nope"], &["upload", "s3://b", "--exclude", ""]] {
        let ended = cloud.run(line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{line:?}");
        assert!(ended.err.contains("--exclude") || ended.err.contains(&format!("Usage: pos3-cli {}", line[0])));
    }
}

#[test]
fn a_failed_download_names_the_key_and_writes_no_path() {
    let cloud = cloud();
    cloud.server.fault(Fault::on(Operation::GetObject).key("data/a").always().answer(Answer::access_denied()));
    let ended = cloud.run(&["download", "s3://data/data", "--local", "out"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains("error: cannot download s3://data/data/a to "), "{}", ended.err);
    let told = "\npos3-cli download: 1 file not downloaded: cannot download s3://data/data/a to ";
    assert!(ended.err.contains(told), "{}", ended.err);
    assert_eq!(cloud.program.files("out"), expected(&[("d/b", "22")]));
}

#[test]
fn json_is_one_object_for_either_way() {
    let cloud = cloud();
    let (code, down) = cloud.json(&["download", "s3://data/data", "--local", "out"]);
    assert_eq!((code, &down["version"], &down["command"]), (0, &1.into(), &"download".into()), "{down}");
    assert_eq!((&down["source"], &down["target"]), (&"s3://data/data".into(), &said(&cloud, "out").trim().into()));
    assert_eq!(down["copied"]["files"], 2);
    let (code, up) = cloud.json(&["upload", "s3://data/new", "--local", "out"]);
    assert_eq!((code, &up["command"], &up["copied"]["files"]), (0, &"upload".into(), &2.into()), "{up}");
    let (code, plan) = cloud.json(&["download", "s3://data/one.bin", "-n"]);
    assert_eq!((code, plan["plan"].as_array().unwrap().len(), &plan["dry_run"]), (0, 1, &true.into()), "{plan}");
    let (code, typo) = cloud.json(&["download", "s3://data/typo"]);
    assert_eq!((code, &typo["exit_code"]), (1, &1.into()));
    assert_eq!(typo["error"]["message"], "there is nothing at 's3://data/typo'");
}

#[test]
fn a_limit_is_kept() {
    let cloud = Cloud::new(&[]);
    cloud.server.put(BUCKET, "large", vec![7; 600_000]);
    let begin = std::time::Instant::now();
    let ended = cloud.run(&["download", "s3://data/large", "--limit", "400K", "-q"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(begin.elapsed().as_secs_f64() > 0.7, "{:?}: a limit makes it slow", begin.elapsed());
}

#[test]
fn one_object_and_one_file_have_their_own_names_in_every_line() {
    let cloud = Cloud::new(&[("blk", "1")]).with_objects(&[("f", "1"), ("p/p", "2")]);
    let at = |name: &str| fs::canonicalize(cloud.program.path("")).unwrap().join(name).display().to_string();
    for (line, said) in [
        (&["download", "s3://data/f", "--local", "out/"][..], format!("download: s3://data/f to {}\n", at("out/f"))),
        (&["download", "s3://data/f", "--local", "new"], format!("download: s3://data/f to {}\n", at("new"))),
        (&["download", "s3://data/p", "--local", "dir/"], format!("download: s3://data/p/p to {}\n", at("dir/p"))),
        (&["upload", "s3://data/d/", "--local", "blk"], format!("upload: {} to s3://data/d/blk\n", at("blk"))),
        (&["upload", "s3://data/e", "--local", "blk"], format!("upload: {} to s3://data/e\n", at("blk"))),
    ] {
        let ended = cloud.run(&[line, &["-v"]].concat());
        assert!(ended.code == Some(0) && ended.err.contains(&said), "{said}: {ended:?}");
    }
    cloud.server.fault(Fault::on(Operation::GetObject).always().answer(Answer::access_denied()));
    let failed = cloud.run(&["download", "s3://data/f", "--local", "other/"]);
    let said = format!("cannot download s3://data/f to {}: ", at("other/f"));
    assert!(failed.code == Some(1) && failed.err.contains(&said), "{failed:?}");
}

#[test]
fn a_slash_after_the_name_of_an_object_gets_a_hint() {
    let cloud = Cloud::new(&[]).with_objects(&[("f.txt", "1")]);
    for line in [
        &["download", "s3://data/f.txt/"][..],
        &["download", "s3://data/f.txt/", "-n"],
        &["run", "--download", "f=s3://data/f.txt/", "--", "true"],
    ] {
        let ended = cloud.run(line);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("hint: to copy one object: pos3-cli download 's3://data/f.txt' "), "{}", ended.err);
    }
    let missing = cloud.run(&["download", "s3://data/g.txt/"]);
    assert!(missing.code == Some(1) && missing.err.contains("there is nothing at"), "{missing:?}");
}
