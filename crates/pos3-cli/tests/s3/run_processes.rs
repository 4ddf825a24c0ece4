//! `run`: processes that outlive the program.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Cloud;
use super::run::{run, sh, start, stored};
use super::run_terminal::on_terminal;
use crate::program::Ended;

const PLACES: [&str; 5] = ["--sync", "out=s3://data/out", "--delete-remote", "--json-report", "report"];

/// A process that will write the file again.
const REWRITES: &str = "sh rewrite >/dev/null 2>&1";

/// Uploads a file that a later program removes.
fn with_model() -> Cloud {
    let cloud = Cloud::new(&[("rewrite", r#"sleep 6; echo 2 > "$POS3_PATH_OUT/model""#)]);
    let made = run(&cloud, &sh(&PLACES, r#"echo 1 > "$POS3_PATH_OUT/model"; echo 1 > "$POS3_PATH_OUT/other""#));
    assert_eq!(made.code, Some(0), "{made:?}");
    cloud
}

#[test]
fn processes_that_outlive_a_program_that_succeeded_are_named() {
    let cloud = Cloud::new(&[]);
    let script = r#"sleep 5 >/dev/null 2>&1 & echo "$!" > "$POS3_PATH_OUT/pid"; sleep 0.1 >/dev/null 2>&1 &"#;
    let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out", "--json-report", "report"], script));
    let pid = stored(&cloud, "out/pid").unwrap();
    let warning = format!("processes that it started still run (PID {});", pid.trim());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains(&warning), "{}", ended.err);
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert!(report["warnings"][0].as_str().unwrap().contains(&warning), "{report}");
}

#[test]
fn what_is_removed_while_processes_of_the_program_run_keeps_its_object() {
    let cloud = Cloud::new(&[]);
    let places = ["--sync", "out=s3://data/out", "--delete-remote", "--json-report", "report"];
    let made = run(&cloud, &sh(&places, r#"echo 1 > "$POS3_PATH_OUT/model"; echo 1 > "$POS3_PATH_OUT/other""#));
    assert_eq!(made.code, Some(0), "{made:?}");
    let script = r#"rm "$POS3_PATH_OUT/model"; (sleep 5; echo 2 > "$POS3_PATH_OUT/model") >/dev/null 2>&1 &"#;
    // A program that a credential process started would have this variable.
    let line = sh(&places, script);
    let ended = Ended::from(cloud.command(&line).env("POS3_CREDENTIAL_PROCESS", "1").output().unwrap());
    assert_eq!((ended.code, stored(&cloud, "out/model").as_deref()), (Some(1), Some("1\n")), "{ended:?}");
    assert!(ended.err.contains("1 file not deleted because processes of the program still run"), "{}", ended.err);
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert_eq!(report["uploads"][0]["withheld"], 1, "{report}");
    assert_eq!(fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap().count(), 1, "it stays marked");
}

#[test]
fn a_process_that_left_the_group_of_the_program_keeps_the_object_of_a_removed_file() {
    let ways = [
        format!("setsid {REWRITES} &"),
        format!("(nohup {REWRITES} &)"),
        format!("(setsid {REWRITES} &) &"),
        format!("bash -c 'set -m; {REWRITES} & disown; exit 0'"),
        format!("bash -ic '{REWRITES} &' 2>/dev/null"),
        format!(r#"setsid env -i POS3_PATH_OUT="$POS3_PATH_OUT" PATH="$PATH" {REWRITES} &"#),
        r#"python3 -c '
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for fd in (0, 1, 2): os.close(fd)
time.sleep(6)
'"#
        .to_owned(),
    ];
    for way in ways {
        let cloud = with_model();
        let begun = Instant::now();
        let script = format!("rm \"$POS3_PATH_OUT/model\"; {way}\nsleep 0.3");
        let ended = run(&cloud, &sh(&PLACES, &script));
        assert!(begun.elapsed() < Duration::from_secs(5), "{way}");
        assert_eq!((ended.code, stored(&cloud, "out/model").as_deref()), (Some(1), Some("1\n")), "{way}: {ended:?}");
        assert!(ended.err.contains("processes that it started still run (PID "), "{way}: {}", ended.err);
        let said = "1 file not deleted because processes of the program still run";
        assert!(ended.err.contains(said), "{way}: {}", ended.err);
        assert!(ended.err.contains("\nout: uploaded to s3://data/out: "), "it is not complete: {}", ended.err);
    }
}

#[test]
fn a_process_that_outlives_the_program_on_a_terminal_keeps_the_object_of_a_removed_file() {
    for way in [format!("{REWRITES} &"), format!("setsid {REWRITES} &")] {
        let cloud = with_model();
        let script = format!("rm \"$POS3_PATH_OUT/model\"; {way}\nsleep 0.3");
        let mut terminal = on_terminal(&cloud, &sh(&PLACES, &script));
        let text = terminal.read(|_, _| {});
        assert_eq!(terminal.child.wait().unwrap().code(), Some(1), "{text}");
        assert_eq!(stored(&cloud, "out/model").as_deref(), Some("1\n"), "{text}");
        assert!(text.contains("1 file not deleted because processes of the program still run"), "{text}");
    }
}

#[test]
fn processes_that_end_with_the_program_keep_no_object() {
    for way in ["setsid sleep 0.2 >/dev/null 2>&1 &", "(setsid sleep 0.01 &) >/dev/null 2>&1"] {
        let cloud = with_model();
        let ended = run(&cloud, &sh(&PLACES, &format!("{way}\nrm \"$POS3_PATH_OUT/model\"")));
        assert_eq!((ended.code, stored(&cloud, "out/model")), (Some(0), None), "{way}: {ended:?}");
    }
}

#[test]
fn processes_that_the_program_did_not_start_keep_no_object() {
    // The shell starts a process and then becomes the command line.
    let cloud = with_model();
    let line = cloud.command(&sh(&PLACES, r#"rm "$POS3_PATH_OUT/model""#));
    let mut command = Command::new("sh");
    command.args(["-c", r#"sleep 6 >/dev/null 2>&1 & exec "$@""#, "sh"]).arg(line.get_program()).args(line.get_args());
    command.current_dir(cloud.program.path(".")).stdin(Stdio::null());
    command.env_clear().envs(line.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Ended::from(command.env("PATH", "/usr/local/bin:/usr/bin:/bin").output().unwrap());
    assert_eq!((ended.code, stored(&cloud, "out/model")), (Some(0), None), "{ended:?}");

    // A credential process leaves an agent.
    let cloud = with_model();
    // They have expired, so the process is asked again and again.
    let expired = jiff::Timestamp::now() - Duration::from_secs(60);
    let keys = format!(
        r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"{}","Expiration":"{expired}"}}"#,
        cloud.server.access_key(),
        cloud.server.secret_key()
    );
    let agent = "setsid sleep 6 >/dev/null 2>&1 &";
    let process = format!("[default]\ncredential_process = sh -c \"{agent} cat $PWD/keys; echo >> $PWD/asked\"\n");
    fs::write(cloud.program.path("keys"), keys).unwrap();
    fs::write(cloud.program.path("config"), process).unwrap();
    let script = r#"rm "$POS3_PATH_OUT/model"; cp asked before; sleep 2"#;
    let mut command = cloud.command(&sh(&[&PLACES[..], &["--interval", "0.2"]].concat(), script));
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_CONFIG_FILE", cloud.program.path("config")).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let ended = Ended::from(command.output().unwrap());
    assert_eq!((ended.code, stored(&cloud, "out/model")), (Some(0), None), "{ended:?}");
    let asked = |name: &str| fs::read_to_string(cloud.program.path(name)).unwrap().len();
    assert!(asked("asked") > asked("before"), "it is asked while the program runs");
}

#[test]
fn orphans_that_have_ended_do_not_stay_in_the_table_of_processes() {
    let cloud = Cloud::new(&[]);
    let script = r#"i=0; while [ $i -lt 20 ]; do (setsid true &); i=$((i + 1)); done; sleep 8
        for stat in /proc/[0-9]*/stat; do cat $stat 2>/dev/null; done | grep -c " Z $PPID ""#;
    let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out"], script));
    assert_eq!(ended.out, "0\n", "{ended:?}");
}

#[test]
fn the_exit_code_of_the_program_is_its_own_while_orphans_end() {
    let cloud = Cloud::new(&[]);
    let script = "i=0; while [ $i -lt 50 ]; do (setsid true &); i=$((i + 1)); done; exit 7";
    for _ in 0..3 {
        let child = start(&cloud, &sh(&["--upload", "out=s3://data/out"], script));
        assert_eq!(Ended::from(child.wait_with_output().unwrap()).code, Some(7));
    }
}

#[test]
fn a_chain_of_short_processes_keeps_the_object_of_a_removed_file() {
    for life in ["0", "0.001", "0.005"] {
        let cloud = with_model();
        let chain = format!(
            "python3 -c '
import os, time
end = time.time() + 3
if os.fork(): os._exit(0)
os.setsid()
while time.time() < end:
    if os.fork(): os._exit(0)
    time.sleep({life})
open(os.environ[\"POS3_PATH_OUT\"] + \"/model\", \"w\").write(\"2\\n\")
' </dev/null >/dev/null 2>&1"
        );
        let ended = run(&cloud, &sh(&PLACES, &format!("rm \"$POS3_PATH_OUT/model\"; {chain}")));
        assert_eq!((ended.code, stored(&cloud, "out/model").as_deref()), (Some(1), Some("1\n")), "{life}: {ended:?}");
        assert!(ended.err.contains("processes that it started still run ("), "{life}: {}", ended.err);
        let marks = fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap().count();
        assert_eq!(marks, 1, "{life}: it stays marked");
    }
}

/// Runs a script of the shell in which `pos3` is the program, in a PID namespace whose `/proc` is that of the outer one.
/// Returns none where that is not possible.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn in_another_namespace(cloud: &Cloud, script: &str) -> Option<Ended> {
    let script = format!("pos3() {{ {} \"$@\"; }}; {script}", env!("CARGO_BIN_EXE_pos3-cli"));
    let like = cloud.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "sh", "-c", &script]).stdin(Stdio::null());
    command.current_dir(cloud.program.path("."));
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = command.output().ok().map(Ended::from).filter(|ended| !ended.err.contains("unshare: "));
    if ended.is_none() {
        eprintln!("skipped: there is no other namespace here");
    }
    ended
}

#[test]
fn processes_that_proc_does_not_show_keep_objects_and_marks() {
    let cloud = with_model();
    let program = |script: &str| format!("pos3 run {} -- sh -c '{script}'", PLACES.join(" "));
    let stays = program(r#"rm "$POS3_PATH_OUT/model"; setsid sh rewrite >/dev/null 2>&1 &"#);
    let Some(ended) = in_another_namespace(&cloud, &stays) else { return };
    assert_eq!((ended.code, stored(&cloud, "out/model").as_deref()), (Some(1), Some("1\n")), "{ended:?}");
    assert!(ended.err.contains("/proc does not show whether the program started them"), "{ended:?}");
    let script = program(r#"rm -f "$POS3_PATH_OUT/model""#);
    let marks = || fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap().count();
    let ended = in_another_namespace(&cloud, &script).unwrap();
    assert_eq!((ended.code, stored(&cloud, "out/model").as_deref()), (Some(1), Some("1\n")), "{ended:?}");
    assert!(ended.err.contains("1 file not deleted because another session has marked"), "{ended:?}");
    assert!(marks() >= 1, "{ended:?}");
    assert!(ended.err.contains("/proc does not show the processes of this PID namespace"), "{ended:?}");
    let ended = run(&cloud, &["upload", "s3://data/out"]);
    assert_eq!((ended.code, marks()), (Some(0), 0), "outside, /proc shows them: {ended:?}");
    let ended = in_another_namespace(&cloud, &script).unwrap();
    assert_eq!((ended.code, stored(&cloud, "out/model")), (Some(0), None), "pos3 has no child processes: {ended:?}");
}
