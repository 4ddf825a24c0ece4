//! `run` on a terminal.

use std::fs;
use std::process::Child;
use std::time::Duration;

use super::Cloud;
use super::run::sh;

/// A process in a session of its own, whose terminal is `master`.
pub(super) struct OnTerminal {
    pub(super) child: Child,
    master: fs::File,
}

pub(super) fn on_terminal(cloud: &Cloud, line: &[&str]) -> OnTerminal {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = fs::File::options().read(true).write(true).open(name).unwrap();
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&terminal, size).unwrap();
    let line = cloud.command(line);
    let mut command = std::process::Command::new("setsid");
    command
        .args(["--ctty", "--wait"])
        .arg(line.get_program())
        .args(line.get_args())
        .current_dir(cloud.program.path("."));
    command.envs(line.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap()).stderr(terminal);
    OnTerminal { child: command.spawn().unwrap(), master: fs::File::from(master) }
}

impl OnTerminal {
    /// Reads to the end, and shows what has come so far to `react` each time that more has come.
    pub(super) fn read(&mut self, mut react: impl FnMut(&str, &mut fs::File)) -> String {
        use std::io::Read;

        let (mut text, mut chunk) = (String::new(), [0; 1024]);
        // If no process has the terminal open any more, reading is an error.
        while let Ok(read @ 1..) = self.master.read(&mut chunk) {
            text.push_str(&String::from_utf8_lossy(&chunk[..read]));
            react(&text, &mut self.master);
        }
        text
    }
}

#[test]
fn a_key_of_the_terminal_reaches_the_program_once() {
    use std::io::Write;

    let cloud = Cloud::new(&[]);
    let script = r#"count=0; trap 'count=$((count + 1))' INT; echo ready
        i=0; while [ $i -lt 10 ]; do sleep 0.1; i=$((i + 1)); done; echo "counted $count""#;
    let mut terminal = on_terminal(&cloud, &sh(&["--upload", "out=s3://data/out"], script));
    let mut pressed = false;
    let text = terminal.read(|text, keys| {
        if text.contains("ready") && !pressed {
            keys.write_all(b"\x03").unwrap();
            pressed = true;
        }
    });
    assert!(text.contains("counted 1\r\n"), "{text}");
    assert!(text.contains("pos3-cli run: the program succeeded, after SIGINT"), "{text}");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(130), "{text}");
}

#[test]
fn a_terminal_shows_what_comes_and_what_goes_and_is_the_programs_in_between() {
    let cloud = Cloud::new(&[]).with_objects(&[("in/a", "1"), ("in/b", "2")]);
    cloud.server.configure(|settings| settings.latency = Duration::from_millis(400));
    let script = r#"echo begun; echo 1 > "$POS3_PATH_OUT/a"; sleep 2; echo 2 > "$POS3_PATH_OUT/b"; echo ended"#;
    let places = ["--download", "data=s3://data/in", "--upload", "out=s3://data/out", "--interval", "0.2"];
    let mut terminal = on_terminal(&cloud, &sh(&places, script));
    let text = terminal.read(|_, _| {});
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{text}");
    let (before, rest) = text.split_once("begun\r\n").unwrap();
    let (during, after) = rest.split_once("ended\r\n").unwrap();
    assert!(before.contains("data: 2 files (2 B) fetched"), "{text}");
    let (bar_of_input, bar_of_output) = ("] s3://data/in: ", "] s3://data/out: ");
    assert!(before.contains(bar_of_input) && after.contains(bar_of_output), "bars: {text}");
    assert_eq!(during, "", "one was uploaded without a word: {text}");
    assert!(
        after.contains("out: complete in s3://data/out: 2 files there; 2 uploads (4 B), 1 at the end\r\n"),
        "{text}"
    );
}
