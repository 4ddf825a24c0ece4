//! A source that does not exist is not treated as an empty one.

use super::{BUCKET, Cloud};
use crate::program::expected;

#[test]
fn a_misspelt_prefix_is_an_error_of_every_command_and_deletes_nothing() {
    let cloud = Cloud::new(&[("out/keep", "1")]).with_objects(&[("data/a", "1"), ("data_old/b", "2")]);
    for missing in ["s3://data/typo", "s3://data/dat", "s3://data/data/x/"] {
        for command in [
            &["sync", missing, "out"][..],
            &["sync", missing, "out", "-n"],
            &["sync", missing, "out", "--delete"],
            &["sync", missing, "out", "--delete", "-n"],
            &["sync", missing, "s3://data/copy", "--delete"],
            &["plan", missing, "out"],
            &["plan", missing, "out", "--delete"],
            &["check", missing, "out"],
            &["explain", missing, "out", "keep", "--delete"],
            &["download", missing, "--local", "out"],
            &["download", missing, "--local", "out", "--delete"],
        ] {
            let ended = cloud.run(command);
            assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{command:?} {ended:?}");
            let named = ["there is nothing at", missing, "\nhint: check the spelling"];
            assert!(named.iter().all(|part| ended.err.contains(part)), "{command:?} {}", ended.err);
        }
    }
    assert_eq!(cloud.program.files("out"), expected(&[("keep", "1")]));
    assert_eq!(cloud.server.keys(BUCKET), ["data/a", "data_old/b"]);
}

#[test]
fn a_source_that_may_be_empty_is_no_error() {
    let cloud = Cloud::new(&[("out/keep", "1"), ("empty/", "")]).with_objects(&[("marked/", ""), ("left/x.tmp", "2")]);
    cloud.server.create_bucket("nothing");
    for (from, options) in [
        ("s3://nothing", &[][..]),
        ("empty", &[]),
        ("s3://data/marked", &[]),
        ("s3://data/left", &["--exclude", "*.tmp"]),
        ("s3://data/none", &["--allow-empty"]),
    ] {
        let ended = cloud.run(&[&["sync", from, "out", "-n"], options].concat());
        assert_eq!(ended.code, Some(0), "{from} {ended:?}");
        let ended = cloud.run(&[&["check", from, "out", "-q"], options].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(3), "- keep\n"), "{from} {ended:?}");
    }
    let ended = cloud.run(&["sync", "s3://data/none", "out", "--delete", "--allow-empty"]);
    assert_eq!((ended.code, cloud.program.files("out")), (Some(0), vec![]), "{ended:?}");
}

#[test]
fn a_plan_whose_source_is_gone_deletes_nothing() {
    let cloud = Cloud::new(&[("out/old", "1"), ("out/a", "1")]).with_objects(&[("p/a", "1")]);
    assert_eq!(cloud.run(&["plan", "s3://data/p", "out", "--delete", "-o", "plan"]).code, Some(0));
    cloud.server.remove(BUCKET, "p/a");
    let ended = cloud.run(&["apply", "plan"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("there is nothing at the source 's3://data/p'"), "{}", ended.err);
    assert_eq!(cloud.program.files("out").len(), 2);
    assert_eq!(cloud.run(&["apply", "plan", "--allow-empty"]).code, Some(0));
    assert_eq!(cloud.program.files("out"), expected(&[("a", "1")]));
}

#[test]
fn a_plan_whose_local_source_was_emptied_or_has_the_key_again_deletes_nothing() {
    let cloud = Cloud::new(&[("src/a", "1"), ("out/a", "1"), ("out/old", "1")]);
    assert_eq!(cloud.run(&["plan", "src", "out", "--delete", "-o", "plan"]).code, Some(0));
    std::fs::write(cloud.program.path("src/old"), "again").unwrap();
    let ended = cloud.run(&["apply", "plan"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("the source has it again, so it was not deleted"), "{}", ended.err);
    assert_eq!(cloud.program.files("out").len(), 2);

    std::fs::remove_dir_all(cloud.program.path("src")).unwrap();
    std::fs::create_dir_all(cloud.program.path("src/lost+found")).unwrap();
    let ended = cloud.run(&["apply", "plan"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("there is no file at the source"), "{}", ended.err);
    let told = "add --allow-empty";
    let synced = cloud.run(&["sync", "src", "out", "--delete"]);
    assert_eq!(synced.code, ended.code, "as a sync is refused: {synced:?}");
    assert!(ended.err.contains(told) && synced.err.contains(told), "{} {}", ended.err, synced.err);
    assert_eq!(cloud.program.files("out").len(), 2);
    assert_eq!(cloud.run(&["apply", "plan", "--allow-empty"]).code, Some(0));
    assert_eq!(cloud.program.files("out"), expected(&[("a", "1")]));
}

#[test]
fn a_refusal_names_both_locations() {
    let cloud = Cloud::new(&[("out/keep", "1")]);
    let ended = cloud.run(&["sync", "s3://data", "out", "--delete"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("would be deleted from the target (source 's3://data', target 'out')"), "{}", ended.err);
}

#[test]
fn a_wildcard_in_a_source_is_refused_with_the_options_to_use() {
    let cloud = Cloud::new(&[("out/keep", "1")]).with_objects(&[("d/a.txt", "1"), ("d/b.bin", "2")]);
    for source in ["s3://data/d/*.txt", "s3://data/d/?.txt", "s3://data/d/[ab].txt"] {
        let pattern = source.rsplit('/').next().unwrap();
        let advice = format!("pos3-cli sync 's3://data/d/' TARGET --exclude '*' --include '{pattern}'");
        for command in [
            &["sync", source, "out"][..],
            &["sync", source, "out", "--delete"],
            &["sync", source, "out", "--delete", "--allow-empty"],
            &["sync", source, "out", "--allow-empty"],
            &["plan", source, "out", "--delete", "--allow-empty"],
            &["check", source, "out"],
            &["ls", source],
            &["download", source, "--local", "out"],
            &["download", source, "--local", "out", "--delete"],
        ] {
            let ended = cloud.run(command);
            assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{command:?} {ended:?}");
            assert!(ended.err.contains(&advice), "{command:?} {}", ended.err);
        }
        let followed = ["sync", "s3://data/d/", "got", "--exclude", "*", "--include", pattern];
        assert_eq!(cloud.run(&followed).code, Some(0));
    }
    assert_eq!(cloud.program.files("out"), expected(&[("keep", "1")]));
    assert_eq!(cloud.program.files("got"), expected(&[("a.txt", "1")]));
}

#[test]
fn a_key_with_wildcards_is_exact() {
    let objects = [("d/*.txt", "star"), ("d/a.txt", "other"), ("run-[1]/x", "set"), ("run-1/x", "other")];
    let cloud = Cloud::new(&[]).with_objects(&objects);
    assert_eq!(cloud.run(&["download", "s3://data/d/*.txt", "--local", "star"]).code, Some(0));
    assert_eq!(std::fs::read_to_string(cloud.program.path("star")).unwrap(), "star");
    assert_eq!(cloud.run(&["ls", "s3://data/d/*.txt"]).out, "s3://data/d/*.txt\n");
    assert_eq!(cloud.run(&["sync", "s3://data/run-[1]", "set", "--delete"]).code, Some(0));
    assert_eq!(cloud.program.files("set"), expected(&[("x", "set")]));
}

#[test]
fn a_bucket_that_does_not_exist_is_code_one_in_every_command() {
    let cloud = Cloud::new(&[("out/a", "1")]);
    for arguments in [
        &["sync", "s3://nowhere", "out"][..],
        &["sync", "s3://nowhere/p", "out", "--delete"],
        &["sync", "s3://nowhere/p", "out", "-n"],
        &["sync", "out", "s3://nowhere"],
        &["plan", "s3://nowhere", "out"],
        &["check", "s3://nowhere", "out"],
        &["check", "out", "s3://nowhere"],
        &["explain", "s3://nowhere", "out", "a"],
        &["explain", "out", "s3://nowhere", "a"],
        &["ls", "s3://nowhere"],
        &["cleanup", "s3://nowhere"],
        &["download", "s3://nowhere/p"],
        &["download", "s3://nowhere/p", "-n"],
        &["upload", "s3://nowhere/p", "--local", "out"],
        &["upload", "s3://nowhere/p", "--local", "out", "-n"],
        &["run", "--download", "p=s3://nowhere/p", "--", "true"],
    ] {
        let ended = cloud.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{arguments:?} {ended:?}");
        assert!(ended.err.contains("'nowhere' does not exist"), "{arguments:?} {}", ended.err);
        assert!(ended.err.contains("hint: check the bucket's name"), "{arguments:?} {}", ended.err);
    }
}
