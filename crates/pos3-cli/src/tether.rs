//! Ends the program of `run` when pos3 itself is killed.
//!
//! If the program continued without pos3, it would write to files that the next run of pos3 expects to have for itself. On
//! Linux, a process can request a signal for the death of its parent, but only for itself. So `run` starts pos3 once more.
//! That process requests the signal and then executes the program.

use std::ffi::{OsStr, OsString};

use tokio::process::Command;

use crate::exit::Exit;

/// The first argument with which this program becomes another one. The process ID of its parent follows.
#[cfg(target_os = "linux")]
const TETHERED_TO: &str = "--tethered-to";

/// This program, even if its file was replaced or removed.
#[cfg(target_os = "linux")]
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Returns the command for a program that receives SIGTERM when the calling thread ends.
#[cfg(target_os = "linux")]
pub(crate) fn command(name: &OsStr, arguments: &[OsString]) -> Command {
    if !std::path::Path::new(THIS_PROGRAM).exists() {
        return untethered(name, arguments);
    }
    let mut command = Command::new(THIS_PROGRAM);
    command.args([TETHERED_TO, &std::process::id().to_string()]).arg(name).args(arguments);
    if let Some(own_name) = std::env::args_os().next() {
        command.arg0(own_name);
    }
    command
}

/// Returns the command for a program. Only Linux reports the death of a parent.
#[cfg(not(target_os = "linux"))]
pub(crate) fn command(name: &OsStr, arguments: &[OsString]) -> Command {
    untethered(name, arguments)
}

fn untethered(name: &OsStr, arguments: &[OsString]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// Becomes the program of a [`command`], if the arguments are those of one. It returns only if that fails.
#[cfg(target_os = "linux")]
pub(crate) fn take_over(arguments: &[OsString]) -> Option<Exit> {
    use std::os::unix::process::CommandExt;

    use pos3::Signal;
    use rustix::process::{getppid, set_parent_process_death_signal};

    use crate::command_error::{CommandError, ErrorPrefix};

    let [_, first, parent, name, arguments @ ..] = arguments else { return None };
    if first != TETHERED_TO {
        return None;
    }
    // If the request fails, the program runs without the signal.
    let _not_tethered = set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
    let parent = parent.to_str().and_then(|parent| parent.parse().ok()).and_then(rustix::process::Pid::from_raw);
    if getppid() != parent {
        // The parent died before the request, so no signal will come.
        return Some(Exit::Signal(Signal::Terminate));
    }
    let error = std::process::Command::new(name).args(arguments).exec();
    let error = CommandError::program_not_started(name, &error);
    error.report(ErrorPrefix::RUN);
    Some(error.exit)
}

/// Returns nothing: on this system programs are started directly.
#[cfg(not(target_os = "linux"))]
pub(crate) fn take_over(_arguments: &[OsString]) -> Option<Exit> {
    None
}
