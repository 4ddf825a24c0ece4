//! The program's messages contain the name under which it was started.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::program::{Ended, Program};

#[test]
fn it_calls_itself_as_it_was_started() {
    let program = Program::new().with(&[("from/a", "1")]);
    for (started, name) in [("pos3-cli", "pos3-cli"), ("pos3", "pos3"), ("/opt/bin/s3tool", "s3tool"), ("", "pos3")] {
        let run = |arguments: &[&str]| Ended::from(program.command(arguments).arg0(started).output().unwrap());
        assert!(run(&["--version"]).out.starts_with(&format!("{name} 0.")), "{name}");
        let help = run(&["--help"]).out;
        assert!(help.contains(&format!("\n  {name} sync ./data s3://bucket/data  ")), "{help}");
        assert!(help.contains(&format!("Usage: {name} <COMMAND>")), "{help}");
        assert!(name == "pos3-cli" || !help.contains("pos3-cli"), "{help}");
        let said = format!("{name} download: url must be an s3:// URL, got: x\n");
        assert_eq!(run(&["download", "x"]).err, said);
        assert!(run(&["download"]).err.contains(&format!("Usage: {name} download ")), "{name}");
    }
}

#[test]
fn it_is_installed_under_both_names() {
    let [long, short] = [env!("CARGO_BIN_EXE_pos3-cli"), env!("CARGO_BIN_EXE_pos3")].map(|path| {
        let ended = Ended::from(Command::new(path).arg("--help").output().unwrap());
        assert_eq!(ended.code, Some(0));
        ended.out
    });
    assert!(long.contains("pos3-cli sync ./data") && short.contains("  pos3 sync ./data"), "{short}");
    let column = |help: &str| help.lines().find_map(|line| line.find("make ./data exactly"));
    assert_eq!(column(&long), column(&short), "{short}");
}
