//! Warnings: every command prints each one once, and includes it in its JSON.

use std::fs;

use pos3_tests::server::{Answer, Checksums, ConditionalWrites, Fault, Operation};
use serde_json::Value;

use super::{BUCKET, Cloud};
use crate::program::Ended;

const CHECKSUMS: &str = "CRC-64/NVME checksums: MD5 is used, which costs more";
const CONDITIONS: &str = "does not support conditional writes: an object that appears during a write is overwritten";
const CLOCK: &str = "the clock of this machine is wrong, so requests use the time of ";

/// Returns the lines on stderr.
fn warned(ended: &Ended) -> Vec<&str> {
    ended.err.lines().filter_map(|line| line.strip_prefix("warning: ")).collect()
}

fn warnings(object: &Value) -> Vec<&str> {
    object["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// A server and many files, one of them in parts.
fn many() -> Cloud {
    let names: Vec<String> = (0..60).map(|number| format!("out/{number:02}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let cloud = Cloud::new(&files);
    fs::write(cloud.program.path("out/parts"), vec![7; 20 << 20]).unwrap();
    cloud
}

#[test]
fn a_pattern_that_matches_nothing_is_a_warning_of_every_command_that_may_delete() {
    let files = [("d/a", "1"), ("d/b", "1"), ("cache/_/data/o/a", "1"), ("cache/_/data/o/b", "1")];
    let cloud = Cloud::new(&files).with_objects(&[("d/a", "1"), ("d/b", "1"), ("o/old", "1")]);
    let warning = "the exclude pattern 'typo' matches nothing on either side\n";
    for (arguments, expected) in [
        (&["download", "s3://data/d", "--local", "d", "--delete"][..], 1),
        (&["download", "s3://data/d", "--local", "d", "--delete", "-n"], 1),
        (&["download", "s3://data/d", "--local", "d"], 0),
        (&["upload", "s3://data/d", "--local", "d", "--delete"], 1),
        (&["upload", "s3://data/d", "--local", "d", "--delete", "-n"], 1),
        (&["upload", "s3://data/d", "--local", "d"], 0),
        (&["run", "--upload", "o=s3://data/o", "--delete-remote", "--interval", "1", "--", "sleep", "3"], 1),
        (&["run", "--upload", "o=s3://data/o", "--", "true"], 0),
    ] {
        let (command, rest) = arguments.split_first().unwrap();
        let ended = cloud.run(&[&[*command, "--exclude", "typo", "--exclude", "a"], rest].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?} {ended:?}");
        assert_eq!(ended.err.matches(warning).count(), expected, "{arguments:?} {}", ended.err);
        assert!(!ended.err.contains("pattern 'a'"), "{}", ended.err);
    }
}

#[test]
fn what_a_server_lacks_is_told_once_however_many_files_there_are() {
    let cloud = many();
    for (checksums, does) in [(Checksums::Refused, "refuses"), (Checksums::Ignored, "ignores")] {
        cloud.server.configure(|settings| settings.checksums = checksums);
        let ended = cloud.run(&["sync", "out", &format!("s3://data/{does}"), "--no-manifest"]);
        let expected = format!("the server at {} {does} {CHECKSUMS}", cloud.server.endpoint());
        assert_eq!((ended.code, warned(&ended)), (Some(0), vec![expected.as_str()]), "{ended:?}");
    }
    cloud.server.configure(|settings| settings.conditional_writes = ConditionalWrites::Refused);
    let ended = cloud.run(&["sync", "out", "s3://data/both", "--no-manifest"]);
    assert_eq!((ended.code, warned(&ended).len()), (Some(0), 2), "{ended:?}");
    assert!(warned(&ended).iter().any(|line| line.ends_with(CONDITIONS)), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET).len(), 3 * 61);
}

#[test]
fn one_response_without_a_checksum_does_not_end_the_use_of_checksums() {
    for checksum in [None, Some("rRO7Ng==")] {
        let cloud = Cloud::new(&[("d/a", "1"), ("d/b", "2"), ("d/c", "3")]);
        cloud.server.fault(Fault::on(Operation::PutObject).key("d/a").answer(Answer::Checksum(checksum)));
        let ended = cloud.run(&["sync", "d", "s3://data/d", "-j", "1"]);
        assert_eq!((ended.code, warned(&ended), cloud.server.faults_waiting()), (Some(0), vec![], 0), "{ended:?}");
        for key in ["d/b", "d/c"] {
            let checksums = cloud.server.object(BUCKET, key).unwrap().checksums;
            assert!(checksums.contains_key("x-amz-checksum-crc64nvme"), "{key}: {checksums:?}");
        }
    }
}

#[test]
fn a_server_that_lacks_nothing_is_not_warned_of() {
    let cloud = many();
    for line in [&["sync", "out", "s3://data/a"][..], &["upload", "s3://data/b", "--local", "out"]] {
        let ended = cloud.run(line);
        assert_eq!((ended.code, warned(&ended)), (Some(0), vec![]), "{ended:?}");
        let (code, object) = cloud.json(line);
        assert_eq!((code, warnings(&object)), (0, vec![]), "{object}");
    }
}

#[test]
fn programs_find_the_warnings_in_the_object_also_where_a_person_wants_errors_only() {
    let cloud = many();
    cloud.server.configure(|settings| settings.checksums = Checksums::Refused);
    let expected = format!("the server at {} refuses {CHECKSUMS}", cloud.server.endpoint());
    for line in [&["sync", "out", "s3://data/a"][..], &["upload", "s3://data/b", "--local", "out", "-q"]] {
        let ended = cloud.run(&[line, &["--json"]].concat());
        let object: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!((ended.code, warnings(&object)), (Some(0), vec![expected.as_str()]), "{ended:?}");
        let seen = if line.contains(&"-q") { vec![] } else { vec![expected.as_str()] };
        assert_eq!(warned(&ended), seen, "{ended:?}");
    }
}

#[test]
fn every_command_that_asks_a_server_tells() {
    let cloud = Cloud::new(&[("out/a", "1")]).with_objects(&[("in/a", "1")]);
    assert_eq!(cloud.run(&["plan", "out", "s3://data/out", "-o", "plan"]).code, Some(0));
    cloud.server.configure(|settings| settings.clock_ahead = 3600);
    let lines: &[&[&str]] = &[
        &["sync", "out", "s3://data/copy"],
        &["sync", "out", "s3://data/more", "-n"],
        &["plan", "out", "s3://data/more", "-o", "another"],
        &["apply", "plan"],
        &["check", "out", "s3://data/copy"],
        &["explain", "out", "s3://data/copy", "a"],
        &["ls", "s3://data/in/"],
        &["cleanup", "s3://data"],
        &["download", "s3://data/in"],
        &["upload", "s3://data/up", "--local", "out"],
        &["upload", "s3://data/more", "--local", "out", "-n"],
    ];
    for line in lines {
        let ended = cloud.run(line);
        assert_eq!((ended.code, warned(&ended).len()), (Some(0), 1), "{line:?} {ended:?}");
        assert!(warned(&ended)[0].starts_with(CLOCK), "{line:?} {ended:?}");
        let (_, object) = cloud.json(line);
        assert_eq!(warnings(&object), warned(&ended), "{line:?} {object}");
    }

    let line = ["run", "--download", "in=s3://data/in", "--upload", "out=s3://data/end", "--json-report", "report"];
    let program = ["--", "sh", "-c", "cp \"$POS3_PATH_IN/a\" \"$POS3_PATH_OUT/a\""];
    let mut command = cloud.command(&[&line[..], &program].concat());
    let ended = Ended::from(command.env("PATH", "/usr/bin:/bin").output().unwrap());
    let object: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert_eq!((ended.code, warned(&ended).len(), warnings(&object)), (Some(0), 1, warned(&ended)), "{ended:?}");
}
