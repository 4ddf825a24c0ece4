//! Files, directories and links with modification times of any date.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::SystemTime;

use super::{BUCKET, Cloud};

/// Times before 1970, with and without nanoseconds, and around it.
const TIMES: [&str; 8] = [
    "@-0.000000001",
    "@-1",
    "@-1.5",
    "@-86400.123456789",
    "1901-12-14T00:00:00.000000001Z",
    "@0",
    "@0.000000001",
    "@1",
];

/// Sets the modification time of a file, a directory or a link.
fn touch(cloud: &Cloud, time: &str, path: &str) {
    let touched = Command::new("touch").args(["-h", "-d", time]).arg(cloud.program.path(path)).status();
    assert!(touched.unwrap().success(), "{path} {time}");
}

fn modified(cloud: &Cloud, path: &str) -> SystemTime {
    fs::symlink_metadata(cloud.program.path(path)).unwrap().modified().unwrap()
}

/// Returns a cloud with a local tree in which one entry of each kind has this time.
fn aged(time: &str) -> Cloud {
    let cloud = Cloud::new(&[("l/f", "1"), ("l/d/x", "2"), ("l/new", "3"), ("t/gone", "4"), ("t/f", "5")]);
    for directory in ["l/e", "t/empty"] {
        fs::create_dir(cloud.program.path(directory)).unwrap();
    }
    symlink("nowhere", cloud.program.path("l/link")).unwrap();
    for path in ["l/f", "l/d/x", "l/e", "l/link", "l/d", "t/gone", "t/f", "t/empty"] {
        touch(&cloud, time, path);
    }
    cloud
}

#[test]
fn every_command_handles_times_before_1970() {
    let stored = ["k/d/x", "k/e/", "k/f", "k/new"];
    for time in TIMES {
        let lines: [&[&[&str]]; 4] = [
            &[&["sync", "l", "s3://data/k"]],
            &[&["sync", "l", "s3://data/k", "--delete"]],
            &[&["upload", "s3://data/k", "--local", "l", "--exclude", "link"]],
            &[&["plan", "l", "s3://data/k", "--delete", "-o", "plan"], &["apply", "plan"]],
        ];
        for lines in lines {
            let cloud = aged(time);
            let shown = cloud.run(&["sync", "l", "s3://data/k", "-n"]);
            assert!(shown.code == Some(0) && shown.out.contains("upload: l/f to"), "{time}: {shown:?}");
            for line in lines {
                let ended = cloud.run(line);
                assert_eq!(ended.code, Some(0), "{time} {line:?}: {ended:?}");
            }
            assert_eq!(cloud.server.keys(BUCKET), stored, "{time} {lines:?}");
            let checked = cloud.run(&["check", "l", "s3://data/k"]);
            assert_eq!((checked.code, checked.out.as_str()), (Some(0), ""), "{time}: {checked:?}");
            let (code, again) = cloud.json(&["sync", "l", "s3://data/k", "--delete"]);
            assert_eq!((code, again["copied"]["files"].as_u64()), (0, Some(0)), "{time}: {again}");
            let explained = cloud.run(&["explain", "l", "s3://data/k", "f"]);
            assert_eq!(explained.code, Some(0), "{time}: {explained:?}");

            let (code, down) = cloud.json(&["sync", "s3://data/k", "t", "--delete"]);
            assert_eq!((code, down["deleted"].as_u64()), (0, Some(2)), "{time}: {down}");
            assert_eq!(fs::read_to_string(cloud.program.path("t/f")).unwrap(), "1", "{time}");
            assert!(!cloud.program.path("t/empty").exists() && !cloud.program.path("t/gone").exists());
        }
    }
}

#[test]
fn an_output_with_times_before_1970_is_uploaded() {
    for time in TIMES {
        let cloud = Cloud::new(&[]);
        let script = format!(r#"echo 1 > "$POS3_PATH_O/f"; touch -d {time} "$POS3_PATH_O/f""#);
        let ended = cloud.run(&["run", "--upload", "o=s3://data/k", "--", "sh", "-c", &script]);
        assert_eq!(ended.code, Some(0), "{time}: {ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), ["k/f"], "{time}");
    }
}

#[test]
fn a_copy_between_directories_keeps_times_before_1970() {
    for time in TIMES {
        for lines in
            [&[&["sync", "l", "t", "--delete"][..]][..], &[&["plan", "l", "t", "--delete", "-o", "p"], &["apply", "p"]]]
        {
            let cloud = aged(time);
            for line in lines {
                let ended = cloud.run(line);
                assert_eq!(ended.code, Some(0), "{time} {line:?}: {ended:?}");
            }
            for path in ["f", "d/x"] {
                let times = ["l", "t"].map(|side| modified(&cloud, &format!("{side}/{path}")));
                assert_eq!(times[0], times[1], "{time} {path}");
            }
            assert!(!cloud.program.path("t/gone").exists() && cloud.program.path("t/e").is_dir());
        }
    }
}
