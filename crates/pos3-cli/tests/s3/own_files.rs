//! Files that the program itself writes into a directory that it lists.

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
