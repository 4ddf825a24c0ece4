//! The processes of this system, as far as `/proc` shows them: [`SystemProcess`].

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

/// A process of this system. Systems without `/proc` show none. Neither does a `/proc` of another PID namespace, whose IDs are
/// those of other processes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemProcess {
    /// Its ID.
    pub id: u32,
    /// The ID of its parent.
    pub parent: u32,
    /// The ID of its process group.
    pub group: u32,
    /// When it started, in ticks since the start of the system. Another process can have the same ID later, but not the
    /// same start.
    pub start: u64,
    /// Whether it has ended, and only its parent has not noticed yet.
    pub has_ended: bool,
}

/// The processes that `/proc` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Visible {
    /// None: `/proc` does not exist, or it is the one of another PID namespace.
    None,
    /// Those of this user. The option `hidepid` hides the others.
    Own,
    /// All processes of the PID namespace of this process.
    All,
}

impl SystemProcess {
    /// Returns which processes `/proc` shows.
    pub fn visible() -> Visible {
        if !is_own() {
            return Visible::None;
        }
        let is_privileged = rustix::process::geteuid().is_root();
        match fs::read_to_string("/proc/self/mountinfo") {
            Ok(mounts) if is_privileged || !hides_others(&mounts) => Visible::All,
            Ok(_) | Err(_) => Visible::Own,
        }
    }

    /// Returns `None` for a process that no longer exists or that is not visible.
    pub fn find(id: u32) -> Option<Self> {
        Self::read(id).filter(|_| is_own())
    }

    fn read(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name of the program, in parentheses, may contain anything. The state, the parent and the group follow.
        let (_, after_name) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = after_name.split(' ').collect();
        Some(Self {
            id,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
            // The first thread can end before the others.
            has_ended: matches!(*fields.first()?, "Z" | "X") && fields.get(17)?.parse::<u64>().ok()? <= 1,
        })
    }

    /// Returns all visible processes, or `None` if `/proc` shows none.
    pub fn all() -> Option<Vec<Self>> {
        if !is_own() {
            return None;
        }
        let ids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Some(ids.filter_map(Self::read).collect())
    }

    /// Returns the value of a variable in the environment with which the process was started, if it is set and readable.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        let variables = fs::read(format!("/proc/{}/environ", self.id)).ok()?;
        let value_of = |variable: &[u8]| Some(variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
        variables.split(|byte| *byte == 0).find_map(value_of).map(OsString::from_vec)
    }
}

/// Returns true if `/proc` is the one of the PID namespace of this process.
fn is_own() -> bool {
    let own = std::process::id().to_string();
    let is_self = fs::read_link("/proc/self").is_ok_and(|id| id.as_os_str() == own.as_str());
    is_self
        && SystemProcess::read(std::process::id()).is_some()
        && fs::read_to_string("/proc/self/status").is_ok_and(|status| has_only(&status, &own))
}

/// Returns true if a process has only this ID. The `/proc` of an outer namespace shows an ID for each namespace.
fn has_only(status: &str, id: &str) -> bool {
    status.lines().find_map(|line| line.strip_prefix("NSpid:")).is_none_or(|ids| ids.split_whitespace().eq([id]))
}

/// Returns true if the latest mount of `/proc` in a table of mounts hides the processes of other users.
fn hides_others(mounts: &str) -> bool {
    let of_proc = |line: &&str| line.split(' ').nth(4) == Some("/proc");
    let options = mounts.lines().rfind(of_proc).and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
    let hidden = options.split(',').find_map(|option| option.strip_prefix("hidepid="));
    hidden.is_some_and(|hidden| !matches!(hidden, "0" | "off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proc_of_an_outer_namespace_shows_several_ids() {
        for (status, expected) in [
            ("Name:\tx\nNSpid:\t7\nThreads:\t1\n", true),
            ("NSpid:\t7123\t7\n", false),
            ("NSpid:\t7\t1\n", false),
            ("NSpid:\t8\n", false),
            ("Name:\tx\n", true),
        ] {
            assert_eq!(has_only(status, "7"), expected, "{status}");
        }
    }

    #[test]
    fn the_options_of_the_latest_mount_hide_processes() {
        let line = |options: &str| format!("30 22 0:25 / /proc rw,nosuid shared:5 - proc proc {options}\n");
        for (mounts, expected) in [
            (line("rw"), false),
            (line("rw,hidepid=2"), true),
            (line("rw,gid=5,hidepid=invisible"), true),
            (line("rw,hidepid=1"), true),
            (line("rw,hidepid=off"), false),
            (line("rw,hidepid=0"), false),
            (line("rw,hidepid=2") + &line("rw"), false),
            (line("rw") + "31 30 0:26 / /proc/sys ro - proc proc rw,hidepid=2\n", false),
            (String::new(), false),
        ] {
            assert_eq!(hides_others(&mounts), expected, "{mounts}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_whose_first_thread_has_ended_has_not_ended() {
        use std::process::{Command, Stdio};

        let script = "import ctypes, threading, sys\nthreading.Thread(target=sys.stdin.read).start()\n\
                      ctypes.CDLL(None).pthread_exit(None)";
        let Ok(mut child) = Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).spawn() else { return };
        let state = || fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        (0..1000).take_while(|_| !state().contains(") Z ")).for_each(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
        });
        let found = SystemProcess::find(child.id()).unwrap();
        assert!(state().contains(") Z ") && !found.has_ended, "{found:?} {}", state());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(SystemProcess::find(child.id()), None);
    }
}
