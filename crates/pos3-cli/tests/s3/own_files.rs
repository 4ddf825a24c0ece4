//! Files that a command itself writes into a directory that it lists.

use std::fs::{self, File};

use super::{BUCKET, Cloud};
use crate::program::Ended;

#[test]
fn a_plan_inside_its_source_or_target_does_not_contain_its_own_file() {
    let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/old", "1"), ("d/plan", "theirs")]);
    let plan = ["plan", "d", "s3://data/d", "--delete", "-o", "d/plan"];
    assert_eq!(cloud.run(&plan).code, Some(0));
    let again = cloud.run(&plan);
    assert_eq!(again.code, Some(0), "{again:?}");
    let warning = "warning: 'plan' in the source is left out, because this command writes it itself\n";
    assert_eq!(again.err.matches(warning).count(), 1, "{}", again.err);
    assert_eq!(cloud.run(&["apply", "d/plan"]).code, Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["d/a", "d/plan"]);
    assert_eq!(cloud.server.object(BUCKET, "d/plan").unwrap().bytes, "theirs", "it is neither replaced nor deleted");

    cloud.server.remove(BUCKET, "d/plan");
    fs::create_dir(cloud.program.path("out")).unwrap();
    let plan = ["plan", "s3://data/d", "out", "--delete", "-o", "out/plan"];
    assert_eq!((cloud.run(&plan).code, cloud.run(&plan).code), (Some(0), Some(0)));
    let applied = cloud.run(&["apply", "out/plan"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert!(cloud.program.path("out/plan").exists() && cloud.program.path("out/a").exists());
}

#[test]
fn a_file_that_a_command_has_yet_to_create_is_left_out() {
    let warning =
        |side: &str| format!("warning: 'plan.json' in the {side} is left out, because this command writes it");
    let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/plan.json", "theirs")]);
    for _ in 0..2 {
        let planned = cloud.run(&["plan", "d", "s3://data/d", "--delete", "-o", "d/plan.json"]);
        assert_eq!(planned.code, Some(0), "{planned:?}");
        assert_eq!(planned.err.matches(&warning("source")).count(), 1, "{}", planned.err);
        let plan = fs::read_to_string(cloud.program.path("d/plan.json")).unwrap();
        assert!(plan.contains(r#"{"action":"copy","key":"a""#), "{plan}");
        assert!(plan.contains(r#"{"action":"skip","key":"plan.json","why":{"source":"own"}}"#), "{plan}");
    }
    let applied = cloud.run(&["apply", "d/plan.json"]);
    assert_eq!((applied.code, cloud.server.keys(BUCKET)), (Some(0), vec!["d/a".into(), "d/plan.json".into()]));

    fs::create_dir(cloud.program.path("out")).unwrap();
    let planned = cloud.run(&["plan", "s3://data/d", "out", "--delete", "-o", "out/plan.json"]);
    assert!(planned.err.contains(&warning("target")), "{planned:?}");
    let plan = fs::read_to_string(cloud.program.path("out/plan.json")).unwrap();
    let applied = cloud.run(&["apply", "out/plan.json"]);
    assert!(applied.err.contains("skipped: 1 key because in the target, this command writes it itself"), "{applied:?}");
    assert_eq!(fs::read_to_string(cloud.program.path("out/plan.json")).unwrap(), plan, "it is not overwritten");
    assert_eq!(fs::read_to_string(cloud.program.path("out/a")).unwrap(), "1", "{applied:?}");
}

#[test]
fn a_sync_state_that_has_yet_to_be_created_is_left_out() {
    let cloud = Cloud::new(&[("home/a", "1")]).with_objects(&[("home/new/state/x", "theirs")]);
    let run = |arguments: &[&str]| {
        let mut command = cloud.command(arguments);
        command.env("POS3_STATE_DIR", cloud.program.path("home/new/state"));
        Ended::from(command.output().unwrap())
    };
    // A dry run creates no sync state.
    let dry = run(&["sync", "s3://data/home", "home", "--delete", "--dry-run"]);
    let said = "'new/state/' in the target is left out, because this command writes it itself";
    assert!(!cloud.program.path("home/new").exists(), "{dry:?}");
    fs::create_dir(cloud.program.path("home/new")).unwrap();
    let dry = run(&["sync", "s3://data/home", "home", "--delete", "--dry-run"]);
    assert!(dry.err.contains(said), "{dry:?}");
    let kept = run(&["sync", "home", "s3://data/home", "--delete"]);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["home/a", "home/new/state/x"], "what is left out is not deleted");
}

#[test]
fn a_file_that_output_was_redirected_to_is_left_out() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    let redirected = |arguments: &[&str], name: &str| {
        let mut command = cloud.command(arguments);
        command.stdout(File::create(cloud.program.path(name)).unwrap());
        Ended::from(command.output().unwrap())
    };
    for (arguments, name) in [
        (&["plan", "d", "s3://data/d"][..], "d/plan"),
        (&["sync", "d", "s3://data/d", "--json"], "d/log"),
        (&["upload", "s3://data/d", "--local", "d", "--json", "--exclude", "plan", "--exclude", "log"], "d/upload"),
    ] {
        let ended = redirected(arguments, name);
        assert_eq!(ended.code, Some(0), "{arguments:?} {ended:?}");
        let left_out = format!("'{}' in the source is left out", name.trim_start_matches("d/"));
        assert!(ended.err.contains(&left_out), "{arguments:?} {}", ended.err);
        fs::rename(cloud.program.path(name), cloud.program.path("elsewhere")).unwrap();
    }
    assert_eq!(cloud.server.keys(BUCKET), ["d/a"]);
}

#[test]
fn the_sync_state_is_left_out() {
    let cloud = Cloud::new(&[("home/a", "1")]);
    let run = |arguments: &[&str]| {
        let mut command = cloud.command(arguments);
        command.env("POS3_STATE_DIR", cloud.program.path("home/state"));
        Ended::from(command.output().unwrap())
    };
    for _ in 0..2 {
        let ended = run(&["sync", "home", "s3://data/home", "--delete"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!(cloud.server.keys(BUCKET), ["home/a"]);
    let ended = run(&["sync", "s3://data/home", "home", "--delete"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(cloud.program.path("home/state").exists());
}

#[test]
fn a_report_inside_an_output_is_not_uploaded_and_the_log_of_the_program_is() {
    let output = "cache/_/data/o";
    let cloud = Cloud::new(&[(&format!("{output}/log"), "")]);
    let report = format!("{output}/report");
    let arguments = ["run", "--upload", "o=s3://data/o", "--json-report", &report, "--", "sh", "-c", "echo done"];
    let mut command = cloud.command(&arguments);
    command.stdout(File::create(cloud.program.path(&format!("{output}/log"))).unwrap());
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("'report' in the source is left out"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["o/log"]);
    assert_eq!(cloud.server.object(BUCKET, "o/log").unwrap().bytes, "done\n");
    assert_eq!(cloud.program.files(output).len(), 2);
}
