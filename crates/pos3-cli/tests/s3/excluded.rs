//! Excluded entries of the target that are in the way of entries of the source.

use std::fs;

use super::Cloud;

/// One case: the options, the source, the target, the key that cannot be copied, and the entry in its way.
struct Case {
    options: &'static [&'static str],
    source: &'static [&'static str],
    target: &'static [&'static str],
    key: &'static str,
    by: &'static str,
}

const CASES: [Case; 7] = [
    Case { options: &["--exclude", "a"], source: &["a/x"], target: &["a"], key: "a/x", by: "a" },
    Case { options: &["--exclude", "a"], source: &["a/"], target: &["a"], key: "a/", by: "a" },
    Case { options: &["--exclude", "d/a"], source: &["d/a/b/c/x"], target: &["d/a"], key: "d/a/b/c/x", by: "d/a" },
    Case { options: &["--exclude-from", "lines"], source: &["a/x"], target: &["a"], key: "a/x", by: "a" },
    Case {
        options: &["--exclude", "*", "--include", "*.txt"],
        source: &["a/x.txt"],
        target: &["a"],
        key: "a/x.txt",
        by: "a",
    },
    Case { options: &["--exclude", "a/*"], source: &["a"], target: &["a/x"], key: "a", by: "a/" },
    Case { options: &["--exclude", "a/"], source: &["a"], target: &["a/"], key: "a", by: "a/" },
];

/// Returns a cloud with the source both in `s` and in `s3://data/s`, and the target in `t`.
fn cloud(case: &Case) -> Cloud {
    let cloud = Cloud::new(&[("s/b.txt", "1"), ("t/gone.txt", "1"), ("lines", "a\n!a/\n")]);
    cloud.server.put("data", "s/b.txt", "1");
    for (side, keys) in [("s", case.source), ("t", case.target)] {
        for key in keys {
            let path = cloud.program.path(side).join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if key.ends_with('/') {
                fs::create_dir(path).unwrap();
            } else {
                fs::write(path, side).unwrap();
            }
            if side == "s" {
                cloud.server.put("data", &format!("s/{key}"), if key.ends_with('/') { "" } else { side });
            }
        }
    }
    cloud
}

#[test]
fn an_excluded_entry_in_the_way_is_seen_by_every_command() {
    for case in CASES {
        let reason = format!("'{}' in the target is excluded and in the way", case.by);
        for (source, delete) in [("s", false), ("s", true), ("s3://data/s", false), ("s3://data/s", true)] {
            let what = format!("{:?} {source} {delete}", case.options);
            let cloud = cloud(&case);
            let before = cloud.program.files("t");
            let mut options = case.options.to_vec();
            options.extend(delete.then_some("--delete"));
            let run = |line: &[&str]| cloud.run(&[line, &options].concat());

            let shown = run(&["sync", source, "t", "-n"]);
            assert!(shown.code == Some(1) && shown.err.contains(&reason), "{what}: {shown:?}");
            assert!(
                shown.out.contains("b.txt to") && !shown.out.contains(&format!(" t/{}", case.key)),
                "{what}: {shown:?}"
            );
            assert!(!shown.out.contains("delete"), "{what}: {shown:?}");
            let explained = run(&["explain", source, "t", case.key]);
            assert!(explained.out.contains(&format!("because     {reason}\n")), "{what}: {explained:?}");
            let planned = run(&["plan", source, "t", "-o", "plan"]);
            assert!(planned.code == Some(1) && planned.err.contains(&reason), "{what}: {planned:?}");
            assert_eq!(cloud.program.files("t"), before, "{what}");

            for line in [&["apply", "plan"][..], &[&["sync", source, "t"], &options[..]].concat()] {
                let ended = cloud.run(line);
                assert!(ended.code == Some(1) && ended.err.contains(&reason), "{what} {line:?}: {ended:?}");
                assert!(!ended.err.contains("failed"), "{what} {line:?}: {ended:?}");
                let mut after = cloud.program.files("t");
                let copied = ("b.txt".to_owned(), "1".to_owned());
                assert!(after.contains(&copied), "{what} {line:?}: {after:?}");
                after.retain(|file| *file != copied);
                assert_eq!(after, before, "{what} {line:?}");
            }
        }
    }
}

#[test]
fn an_excluded_entry_that_is_not_in_the_way_changes_nothing() {
    for (options, source, target) in [
        (&["--exclude", "a"][..], "a/x", "a/y"),
        (&["--exclude", "a/*"], "a", "b"),
        (&["--exclude", "*", "--include", "*.txt"], "a/x.txt", "a.txt"),
    ] {
        let cloud = Cloud::new(&[(&format!("s/{source}"), "1"), (&format!("t/{target}"), "2")]);
        let ended = cloud.run(&[&["sync", "s", "t"], options].concat());
        assert_eq!(ended.code, Some(0), "{options:?}: {ended:?}");
        assert_eq!(cloud.program.files("t").len(), 2, "{options:?}");
    }
}
