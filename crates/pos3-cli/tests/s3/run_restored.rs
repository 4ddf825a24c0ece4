//! `run`: a cache that was restored in place from an older copy, while the sync state was kept.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pos3_tests::server::Etags;
use serde_json::Value;

use super::run::{run, sh, stored};
use super::{BUCKET, Cloud};

/// The ways to save the cache and to restore it with its times. `tar` restores whole seconds.
const WAYS: [(&str, &str); 2] = [
    ("cp -a cache/_/data/c copy", "cp -a copy/. cache/_/data/c"),
    ("tar -C cache/_/data -cf copy.tar c", "tar -C cache/_/data -xf copy.tar"),
];

const KINDS: [&str; 2] = ["--sync", "--upload"];

fn shell(cloud: &Cloud, script: &str) {
    let status = Command::new("sh").args(["-c", script]).current_dir(cloud.program.path("")).status().unwrap();
    assert!(status.success(), "{script}");
}

fn model(cloud: &Cloud) -> PathBuf {
    cloud.program.path("cache/_/data/c/model")
}

/// Stores two steps of a model, and saves the cache after the first.
fn two_steps(cloud: &Cloud, kind: &str, save: &str) {
    let places = [kind, "c=s3://data/c"];
    // The file is older than a second, so that a copy with whole seconds is older, too.
    let first = r#"echo step-001 > "$POS3_PATH_C/model"; touch -d '-1 hour' "$POS3_PATH_C/model"; echo x > "$POS3_PATH_C/other""#;
    assert_eq!(run(cloud, &sh(&places, first)).code, Some(0));
    shell(cloud, save);
    assert_eq!(run(cloud, &sh(&places, r#"echo step-002 > "$POS3_PATH_C/model""#)).code, Some(0));
    assert_eq!(stored(cloud, "c/model").unwrap(), "step-002\n");
}

#[test]
fn a_cache_that_is_restored_from_an_older_copy_replaces_no_newer_object() {
    for (save, restore) in WAYS {
        for kind in KINDS {
            let cloud = Cloud::new(&[]);
            let places = [kind, "c=s3://data/c", "--json-report", "report"];
            two_steps(&cloud, kind, save);
            shell(&cloud, restore);
            // Also after the file was touched while the session runs, and as often as it is tried.
            for script in ["echo started", r#"touch "$POS3_PATH_C/model"; echo started"#, "echo started"] {
                shell(&cloud, restore);
                let ended = run(&cloud, &sh(&places, script));
                let started = if kind == "--sync" { "" } else { "started\n" };
                assert_eq!((ended.code, ended.out.as_str()), (Some(1), started), "{restore} {kind}: {ended:?}");
                let pair = format!("'{}' and 's3://data/c/model' conflict: ", model(&cloud).display());
                assert!(ended.err.contains(&pair) && ended.err.contains("the older one"), "{}", ended.err);
                assert!(ended.err.contains("\nhint: compare the two; "), "{}", ended.err);
                assert_eq!(stored(&cloud, "c/model").unwrap(), "step-002\n", "{restore} {kind}");
                assert_eq!(fs::read_to_string(model(&cloud)).unwrap(), "step-001\n", "{restore} {kind}");
                let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
                assert_eq!(report["complete"], false, "{report}");
            }
            // Both ways out that the hint names.
            let path = model(&cloud).display().to_string();
            let uploaded = cloud.run(&["upload", "s3://data/c/model", "--local", &path, "-q"]);
            assert_eq!((uploaded.code, stored(&cloud, "c/model").as_deref()), (Some(0), Some("step-001\n")));
            assert_eq!(run(&cloud, &sh(&places, "true")).code, Some(0), "{restore} {kind}");

            let cloud = Cloud::new(&[]);
            two_steps(&cloud, kind, save);
            shell(&cloud, restore);
            fs::remove_file(model(&cloud)).unwrap();
            assert_eq!(run(&cloud, &sh(&places, "true")).code, Some(0), "{restore} {kind}");
            assert_eq!(stored(&cloud, "c/model").unwrap(), "step-002\n", "{restore} {kind}");
        }
    }
}

#[test]
fn a_program_may_write_a_file_with_an_earlier_time() {
    for (save, restore) in WAYS {
        for kind in KINDS {
            let cloud = Cloud::new(&[]);
            two_steps(&cloud, kind, save);
            let ended = run(&cloud, &sh(&[kind, "c=s3://data/c"], restore));
            assert_eq!((ended.code, stored(&cloud, "c/model").as_deref()), (Some(0), Some("step-001\n")), "{ended:?}");
        }
    }
}

#[test]
fn a_copy_with_the_same_content_is_no_conflict() {
    for etags in [Etags::Digests, Etags::Opaque] {
        for (save, restore) in WAYS {
            for kind in KINDS {
                let cloud = Cloud::new(&[]);
                cloud.server.configure(|settings| settings.etags = etags);
                two_steps(&cloud, kind, save);
                shell(&cloud, &format!("rm -rf copy; {save}; {restore}; touch -d '-2 hours' cache/_/data/c/model"));
                let ended = run(&cloud, &sh(&[kind, "c=s3://data/c"], "echo started"));
                assert_eq!((ended.code, ended.out.as_str()), (Some(0), "started\n"), "{restore} {kind}: {ended:?}");
                assert_eq!(stored(&cloud, "c/model").unwrap(), "step-002\n");
            }
        }
    }
}

#[test]
fn a_restored_cache_that_lacks_files_deletes_no_objects() {
    for kind in KINDS {
        let cloud = Cloud::new(&[]);
        let places = [kind, "c=s3://data/c", "--delete-remote"];
        assert_eq!(run(&cloud, &sh(&places, r#"echo a > "$POS3_PATH_C/a""#)).code, Some(0));
        shell(&cloud, "cp -a cache/_/data/c copy");
        assert_eq!(run(&cloud, &sh(&places, r#"echo b > "$POS3_PATH_C/b""#)).code, Some(0));
        shell(&cloud, "rm cache/_/data/c/*; cp -a copy/. cache/_/data/c");
        let ended = run(&cloud, &sh(&places, "true"));
        assert_eq!(
            (ended.code, cloud.server.keys(BUCKET)),
            (Some(0), vec!["c/a".into(), "c/b".into()]),
            "{kind}: {ended:?}"
        );
    }
}
