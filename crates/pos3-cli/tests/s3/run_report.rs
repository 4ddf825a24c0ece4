//! `run --json-report`: the file contains the report of this run, and pos3 overwrites no data of other writers there.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use super::Cloud;
use super::run::{run, sh, start, wait_until};
use crate::program::Ended;
use crate::signals::kill;

const REPORT: [&str; 2] = ["--json-report", "report"];

/// A report of an earlier run.
const EARLIER: &str =
    r#"{"version":1,"command":"run","exit_code":0,"error":null,"warnings":[],"state":"ended","complete":true}"#;

fn report(cloud: &Cloud) -> Value {
    read(cloud, "report")
}

fn read(cloud: &Cloud, name: &str) -> Value {
    serde_json::from_slice(&fs::read(cloud.program.path(name)).unwrap()).unwrap()
}

#[test]
fn a_report_that_cannot_be_written_is_found_before_the_program_starts() {
    let cloud = Cloud::new(&[]);
    for path in ["no/such/directory/report", "."] {
        let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out", "--json-report", path], "echo started"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains(&format!("cannot write the report to '{path}': ")), "{}", ended.err);
    }
    let place = format!("out={}", cloud.program.path("out").display());
    let ended = run(&cloud, &sh(&["--upload", &place, "--json-report", "out/report"], "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains("'out/report': the directory 'out' does not exist"), "{}", ended.err);
    assert!(ended.err.contains("hint: create the directory first"), "{}", ended.err);
    assert_eq!(cloud.server.requests().iter().count(), 0);
    fs::write(cloud.program.path("report"), EARLIER).unwrap();
    let line = [&["--upload", "out=s3://data/out"][..], &REPORT].concat();
    let ended = run(&cloud, &sh(&line, r#"cat "$PWD/report""#));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let meanwhile: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&meanwhile["state"], &meanwhile["complete"]), (&json!("running"), &json!(false)), "{meanwhile}");
    let report = report(&cloud);
    assert_eq!((&report["state"], &report["complete"]), (&json!("ended"), &json!(true)), "{report}");
    let names = fs::read_dir(cloud.program.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with(".pos3-")));
    let to_stderr = [&["--upload", "out=s3://data/out", "-q"][..], &["--json-report", "/dev/stderr"]].concat();
    assert!(run(&cloud, &sh(&to_stderr, "true")).err.contains("\"complete\""));
}

#[test]
fn a_report_of_an_earlier_run_never_stays() {
    let cloud = Cloud::new(&[]);
    let refused: [(&[&str], &[&str], i32); 5] = [
        (&["--upload", "out=s3://data/out"], &["no-such-program"], 127),
        (&["--download", "in=s3://data/missing"], &["true"], 1),
        (&["--upload", "out=s3://no-such-bucket/out", "--download", "in=s3://no-such-bucket/in"], &["true"], 1),
        (&["--upload", "out=s3://data/out", "--download", "out=s3://data/in"], &["true"], 2),
        (&["--upload", "a=s3://data/out", "--sync", "b=s3://data/out/below"], &["true"], 2),
    ];
    for (places, program, code) in refused {
        fs::write(cloud.program.path("report"), EARLIER).unwrap();
        let line = [&["run"], places, &REPORT, &["--"], program].concat();
        let ended = run(&cloud, &line);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let report = report(&cloud);
        assert_eq!((&report["state"], &report["complete"]), (&json!("not_started"), &json!(false)), "{report}");
        assert_eq!(report["exit_code"], json!(code), "{report}");
        let message = report["error"]["message"].as_str().unwrap();
        assert!(ended.err.contains(message), "{message}: {}", ended.err);
    }
}

#[test]
fn a_report_names_the_signal_that_came_before_the_program_started() {
    for (signal, name, code) in [("-TERM", "SIGTERM", 143), ("-INT", "SIGINT", 130), ("-HUP", "SIGHUP", 129)] {
        let cloud = Cloud::new(&[]).with_objects(&[("in/a", "1")]);
        let stall = Answer::Delay(Duration::from_secs(600));
        cloud.server.fault(Fault::on(Operation::GetObject).always().answer(stall));
        let child = start(&cloud, &sh(&["--download", "in=s3://data/in", "--json-report", "report"], "echo started"));
        wait_until("nothing is downloaded", || cloud.server.requests().of(Operation::GetObject) == 1);
        kill(signal, &child);
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{ended:?}");
        let report = report(&cloud);
        let found = (&report["state"], &report["signal"], &report["exit_code"]);
        assert_eq!(found, (&json!("not_started"), &json!(name), &json!(code)), "{report}");
    }
}

#[test]
fn a_report_replaces_no_other_file() {
    let cloud = Cloud::new(&[]);
    let whole = format!("{EARLIER}\n");
    let (longer, twice, cut) = (format!("{whole}my notes\n"), format!("{whole}{whole}"), &EARLIER[..EARLIER.len() - 1]);
    let other = EARLIER.replace("\"run\"", "\"sync\"");
    let no_state = EARLIER.replace("\"state\"", "\"stage\"");
    let contents = [
        (Some("print('epoch')\n"), false),
        (Some("\u{1}x"), false),
        (Some("\n"), false),
        (Some(&longer), false),
        (Some(&twice), false),
        (Some(cut), false),
        (Some(&other), false),
        (Some(&no_state), false),
        (Some(&whole), true),
        (Some(EARLIER), true),
        (Some(""), true),
        (None, true),
    ];
    for (before, is_replaced) in contents {
        let path = cloud.program.path("report");
        let _absent = fs::remove_file(&path);
        before.into_iter().for_each(|before| fs::write(&path, before).unwrap());
        let ended = run(&cloud, &sh(&[&["--upload", "out=s3://data/out"][..], &REPORT].concat(), "echo started"));
        if is_replaced {
            assert_eq!((ended.code, ended.out.as_str()), (Some(0), "started\n"), "{before:?} {ended:?}");
            assert_eq!(report(&cloud)["state"], "ended");
            continue;
        }
        let after = fs::read_to_string(&path).unwrap();
        assert_eq!((ended.code, ended.out.as_str(), Some(after.as_str())), (Some(1), "", before), "{ended:?}");
        assert!(ended.err.contains("the file exists and is not a complete report"), "{}", ended.err);
    }
}

#[test]
fn what_the_program_writes_to_the_file_of_the_report_stays() {
    let writes = [
        "echo mine > report",
        "echo mine >> report",
        "cp report copy; mv copy report",
        "cp -p report copy; mv copy report",
        "cp -p report time; tr r R < time > report; touch -r time report",
        "touch -d @0 report",
        "rm report; ln -s time report; echo mine > time",
        "rm report; mkdir report; echo mine > report/mine",
    ];
    for write in writes {
        for (end, code) in [("", 1), ("exit 7", 7)] {
            let cloud = Cloud::new(&[]);
            let keep = "tar -cf - report > kept";
            let script = format!(r#"cd "$PWD"; {write}; {keep}; {end}"#);
            let ended = run(&cloud, &sh(&[&["--upload", "out=s3://data/out"][..], &REPORT].concat(), &script));
            assert_eq!(ended.code, Some(code), "{write}: {ended:?}");
            let said = "the file 'report' was changed during the run and was not replaced; the report is in '";
            assert!(ended.err.contains(said) && ended.err.contains("report.1'\n"), "{write}: {}", ended.err);
            let beside = read(&cloud, "report.1");
            assert_eq!((&beside["state"], &beside["exit_code"]), (&json!("ended"), &json!(code)), "{write}: {beside}");
            assert!(beside["error"]["message"].as_str().unwrap().contains(said), "{write}: {beside}");
            let compared = std::process::Command::new("tar")
                .args(["-df", "kept"])
                .current_dir(cloud.program.path(""))
                .output()
                .unwrap();
            assert!(compared.status.success(), "{write}: {compared:?}");
        }
    }
}

#[test]
fn a_report_that_the_program_removed_is_written_again() {
    let cloud = Cloud::new(&[]);
    let ended = run(&cloud, &sh(&[&["--upload", "out=s3://data/out"][..], &REPORT].concat(), "rm report"));
    assert_eq!((ended.code, &report(&cloud)["state"]), (Some(0), &json!("ended")), "{ended:?}");
}

#[test]
fn a_report_takes_the_next_free_name_or_goes_to_stderr() {
    let cloud = Cloud::new(&[("report.1", "an earlier one"), ("d/", "")]);
    let line = |path| ["--upload", "out=s3://data/out", "--json-report", path];
    let ended = run(&cloud, &sh(&line("report"), "echo mine > report"));
    assert_eq!((ended.code, &read(&cloud, "report.2")["exit_code"]), (Some(1), &json!(1)), "{ended:?}");
    assert_eq!(fs::read_to_string(cloud.program.path("report.1")).unwrap(), "an earlier one");

    let ended = run(&cloud, &sh(&line("d/report"), "rm -r d"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let json = ended.err.lines().find(|line| line.starts_with('{')).unwrap();
    let report: Value = serde_json::from_str(json).unwrap();
    assert_eq!((&report["state"], &report["exit_code"]), (&json!("ended"), &json!(1)), "{report}");
    assert!(ended.err.contains("cannot write the report to 'd/report': "), "{}", ended.err);
    assert!(ended.err.contains("; the report is on stderr\n"), "{}", ended.err);
}

#[test]
fn a_named_pipe_without_a_reader_is_waited_for_and_the_wait_is_reported() {
    let cloud = Cloud::new(&[]);
    let pipe = cloud.program.path("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let line = sh(&["--upload", "out=s3://data/out", "--json-report", "pipe"], "echo started");
    let mut child = start(&cloud, &line);
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(err.next().unwrap().unwrap(), "waiting for a process that reads the report from 'pipe'");
    let report: Value = serde_json::from_reader(fs::File::open(&pipe).unwrap()).unwrap();
    assert_eq!(report["state"], "ended", "{report}");
    assert_eq!(io::read_to_string(child.stdout.take().unwrap()).unwrap(), "started\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_pipe_without_a_name_receives_the_report_or_it_goes_to_stderr() {
    let cloud = Cloud::new(&[]);
    let line = sh(&["--upload", "out=s3://data/out", "-q", "--json-report", "/dev/fd/1"], "true");
    let ended = run(&cloud, &line);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((ended.code, &report["state"]), (Some(0), &json!("ended")), "{report}");

    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = cloud.command(&line);
    let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.code() == Some(1) && err.contains("Broken pipe") && err.contains("\"state\":\"ended\""),
        "{err}"
    );
}
