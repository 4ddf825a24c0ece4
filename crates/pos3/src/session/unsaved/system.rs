//! The processes of this system, as far as `/proc` shows them: [`Look`].
//!
//! On systems other than Linux, a look finds no process, and only the locks of marks show who writes. On Linux, `/proc` can be
//! missing, or be the one of another PID namespace. Then a look is blind, and it is not known who writes.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::processes::{SystemProcess, Visible};

/// The environment variable with the IDs of the sessions for which a process writes, separated by `:`. A session that
/// runs inside the program of another one adds its ID.
pub(in super::super) const VARIABLE: &str = "POS3_SESSION";

/// Text in place of a fact that this system does not show.
const UNKNOWN: &str = "-";

/// A process. Another process can have the same ID later, but not the same start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) id: u32,
    /// The start in ticks since the system was started.
    pub(super) start: u64,
}

/// The system whose process IDs are meant. They are valid only until it is started again, and only in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct System {
    pub(super) boot: String,
    pub(super) namespace: String,
}

/// A process that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) group: u32,
    /// The value of [`VARIABLE`] in its environment, if it is set and readable.
    pub(super) sessions: Option<OsString>,
}

/// A look at all processes.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) system: System,
    pub(super) running: Vec<Running>,
    /// Whether it cannot see the processes of this system, although the system has a way to show them.
    pub(super) is_blind: bool,
}

impl Process {
    /// Returns `None` for a process that does not run or is not visible.
    pub(super) fn find(id: u32) -> Option<Self> {
        SystemProcess::find(id).filter(|found| !found.has_ended).map(|found| Self::of(&found))
    }

    fn of(found: &SystemProcess) -> Self {
        Self { id: found.id, start: found.start }
    }
}

impl System {
    /// Returns the system on which this process runs.
    pub(super) fn this() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let known = |fact: &str| if fact.is_empty() { UNKNOWN.to_owned() } else { fact.to_owned() };
        Self { boot: known(boot.trim()), namespace: known(&namespace.to_string_lossy()) }
    }

    /// Returns true if a process ID of one system is a process ID of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self == other && self.boot != UNKNOWN && self.namespace != UNKNOWN
    }
}

impl Running {
    fn of(found: &SystemProcess) -> Self {
        Self { process: Process::of(found), group: found.group, sessions: found.variable(VARIABLE) }
    }

    /// Returns true if the process writes for the session with this ID.
    pub(super) fn is_of(&self, session: &str) -> bool {
        let sessions = self.sessions.as_ref().map(|sessions| sessions.as_bytes());
        sessions.is_some_and(|sessions| sessions.split(|byte| *byte == b':').any(|one| one == session.as_bytes()))
    }
}

impl Look {
    /// Looks at all processes, twice: a process that starts another one and ends during a look can hide both.
    pub(super) fn take() -> Self {
        let mut found: HashMap<Process, Running> = HashMap::new();
        for _ in 0..2 {
            let visible = SystemProcess::all().unwrap_or_default();
            let running = visible.iter().filter(|process| !process.has_ended).map(Running::of);
            found.extend(running.map(|running| (running.process.clone(), running)));
        }
        let is_blind = cfg!(target_os = "linux") && SystemProcess::visible() == Visible::None;
        Self { system: System::this(), running: found.into_values().collect(), is_blind }
    }
}

/// Returns the value of [`VARIABLE`] for a process that writes for a session, and for the sessions of an outer value.
pub(in super::super) fn with_session(outer: Option<&OsStr>, session: &str) -> OsString {
    let mut value = outer.map(OsStr::to_owned).unwrap_or_default();
    if !value.is_empty() {
        value.push(":");
    }
    value.push(session);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_inside_the_program_of_another_one_adds_its_id() {
        let process = Process { id: 7, start: 1 };
        let outer = with_session(None, "a1");
        let inner = with_session(Some(&outer), "b2");
        let running = |sessions| Running { process: process.clone(), group: 7, sessions };
        for (sessions, expected) in [(Some(inner), [true, true]), (Some(outer), [true, false]), (None, [false, false])]
        {
            let running = running(sessions);
            assert_eq!(["a1", "b2"].map(|id| running.is_of(id)), expected, "{running:?}");
            assert!(!["", "a", "1", "a1:b2"].iter().any(|id| running.is_of(id)), "{running:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_look_finds_this_process_and_a_child_by_its_variable_until_it_has_ended() {
        use std::process::{Command, Stdio};

        let mut child = Command::new("cat").env(VARIABLE, "x:look-test:y").stdin(Stdio::piped()).spawn().unwrap();
        let find =
            |look: &Look| look.running.iter().filter(|one| one.is_of("look-test")).map(|one| one.process.id).next();
        // Between fork and exec, the child has the environment of this process.
        (0..600).take_while(|_| find(&Look::take()).is_none()).for_each(|_| std::thread::yield_now());
        let look = Look::take();
        assert_eq!(find(&look), Some(child.id()));
        assert!(look.running.iter().any(|one| one.process.id == std::process::id()));
        assert!(look.system.is_same(&System::this()));
        child.kill().unwrap();
        while Process::find(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(find(&Look::take()), None, "a process that has ended, and that its parent has not noticed yet");
        child.wait().unwrap();
    }
}
