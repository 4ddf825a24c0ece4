//! The program of `run`: how it is started, signalled and killed.
//!
//! If the program shares a terminal with pos3, the terminal sends Ctrl-C to both, so pos3 must not send it again. Otherwise
//! the program has its own process group, so that signals also reach the processes that it started.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use pos3::{CREDENTIAL_PROCESS, SystemProcess};
use rustix::process::{Pid, Signal, getpgrp, kill_process, kill_process_group};
use rustix::termios::tcgetpgrp;
use tokio::process::Child;
use tokio::signal::unix::SignalKind;

use super::processes;
use crate::command_error::CommandError;
use crate::exit::BY_SIGNAL;
use crate::tether;

/// The number of bytes of a script that are read to find its interpreter. Linux reads as many.
const LONGEST_FIRST_LINE: u64 = 256;

/// A running program.
#[derive(Debug)]
pub(in crate::commands) struct Program {
    child: Child,
    pid: Option<Pid>,
    group: Group,
}

/// The process group of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Its own.
    Own,
    /// That of pos3, which is in the foreground of a terminal.
    Shared,
}

impl Program {
    /// Starts a program with variables added to its environment. It receives SIGTERM when the calling thread ends.
    pub(in crate::commands) fn start(
        command: &[OsString],
        variables: Vec<(String, OsString)>,
    ) -> Result<Self, CommandError> {
        Self::start_in(None, command, variables)
    }

    /// Starts a program like [`start`](Self::start), in this directory if there is one.
    pub(in crate::commands) fn start_in(
        directory: Option<&Path>,
        command: &[OsString],
        variables: Vec<(String, OsString)>,
    ) -> Result<Self, CommandError> {
        let (name, arguments) = command.split_first().ok_or_else(not_named)?;
        let group = if owns_terminal() { Group::Shared } else { Group::Own };
        let mut command = tether::command(name, arguments);
        // With this variable, the processes of the program would not be recognized as its own.
        command.env_remove(CREDENTIAL_PROCESS).envs(variables);
        if group == Group::Own {
            command.process_group(0);
        }
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let child = command.spawn().map_err(|error| CommandError::program_not_started(name, &error))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, pid, group })
    }

    /// Waits for its end.
    pub(in crate::commands) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Sends it, and what it started, a signal that was sent to this process. Timers and limits of this process become
    /// SIGTERM.
    pub(in crate::commands) fn pass_on(&self, signal: pos3::Signal) {
        match (signal, self.group) {
            (pos3::Signal::Interrupt | pos3::Signal::Quit, Group::Shared) => {}
            (pos3::Signal::Interrupt, Group::Own) => self.send(Signal::INT),
            (pos3::Signal::Quit, Group::Own) => self.send(Signal::QUIT),
            (pos3::Signal::Hangup, _) => self.send(Signal::HUP),
            _ => self.send(Signal::TERM),
        }
    }

    /// Sends a user-defined signal to the program only. The processes that it started may not handle the signal, and would
    /// end.
    pub(in crate::commands) fn notify(&self, signal: SignalKind) {
        let signal = if signal == SignalKind::user_defined1() { Signal::USR1 } else { Signal::USR2 };
        if let Some(pid) = self.pid.filter(|_| self.child.id().is_some()) {
            let _gone = kill_process(pid, signal);
        }
    }

    /// Kills the program and the processes in its group.
    pub(in crate::commands) fn kill(&self) {
        self.send(Signal::KILL);
    }

    /// Returns its ID.
    pub(in crate::commands) fn id(&self) -> Option<Pid> {
        self.pid
    }

    /// Returns true if a process runs in the program's own group. None does where the group is shared with this process,
    /// and on systems without `/proc`.
    pub(in crate::commands) fn has_group(&self) -> bool {
        let Some(group) = self.pid.filter(|_| self.group == Group::Own) else { return false };
        let group = processes::process_id(group);
        SystemProcess::all().unwrap_or_default().iter().any(|process| process.group == group && !process.has_ended)
    }

    fn send(&self, signal: Signal) {
        // The ID of a group cannot be taken by another process while the group has members.
        let is_there = self.child.id().is_some() || self.has_group();
        let Some(pid) = self.pid.filter(|_| is_there) else { return };
        // The program may have ended meanwhile.
        let _gone = match self.group {
            Group::Own => kill_process_group(pid, signal),
            Group::Shared => kill_process(pid, signal),
        };
    }
}

/// Checks whether a program can be started, before anything is downloaded.
pub(in crate::commands) fn check(command: &[OsString]) -> Result<(), CommandError> {
    let Some(name) = command.first().filter(|name| !name.is_empty()) else { return Err(not_named()) };
    if name.as_encoded_bytes().contains(&b'/') {
        let path = Path::new(name);
        return check_file(path)
            .map_err(|error| CommandError::program_not_started(name, &error))
            .and_then(|()| check_interpreter(path));
    }
    let Some(path) = std::env::var_os("PATH") else { return Ok(()) };
    let mut found = Err(CommandError::no_program(name));
    for directory in std::env::split_paths(&path) {
        let path = directory.join(name);
        match check_file(&path) {
            Ok(()) => return check_interpreter(&path),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found = Err(CommandError::program_not_started(name, &error));
            }
            Err(_) => {}
        }
    }
    found
}

fn check_file(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path)?;
    let is_executable = found.is_file() && found.permissions().mode() & 0o111 != 0;
    if is_executable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// Checks whether the interpreter in the first line of a script exists.
fn check_interpreter(script: &Path) -> Result<(), CommandError> {
    let mut line = Vec::new();
    // A file that cannot be read may still be executable.
    let Ok(mut file) = File::open(script).map(|file| file.take(LONGEST_FIRST_LINE)) else { return Ok(()) };
    let Ok(_) = file.read_to_end(&mut line) else { return Ok(()) };
    let Some(rest) = line.strip_prefix(b"#!") else { return Ok(()) };
    let rest = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = rest.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else { return Ok(()) };
    let is_missing = |path: &[u8]| {
        let found = fs::metadata(OsStr::from_bytes(path));
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    if !is_missing(interpreter) {
        return Ok(());
    }
    let (interpreter, why) = match interpreter.strip_suffix(b"\r") {
        Some(name) if !is_missing(name) => (name, "followed by a carriage return, and there is no such file"),
        _ => (interpreter, "which does not exist"),
    };
    let interpreter = OsStr::from_bytes(interpreter).display();
    let message = format!("'{}' cannot be executed: its interpreter is '{interpreter}', {why}", script.display());
    Err(CommandError::program_incomplete(message))
}

fn not_named() -> CommandError {
    CommandError::program_incomplete("no program is named: its name is empty".to_owned())
}

/// Returns true if the keys of a terminal send signals to this process and its children.
fn owns_terminal() -> bool {
    File::open("/dev/tty").is_ok_and(|terminal| tcgetpgrp(&terminal).is_ok_and(|foreground| foreground == getpgrp()))
}

/// Returns the exit code with which a shell would report this status.
pub(in crate::commands) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| i32::from(BY_SIGNAL) + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Describes how a program ended.
pub(in crate::commands) fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "the program succeeded".to_owned(),
        (Some(code), _) => format!("the program ended with code {code}"),
        (None, Some(signal)) => format!("the program was ended by signal {signal}"),
        (None, None) => "the program ended in an unknown way".to_owned(),
    }
}
