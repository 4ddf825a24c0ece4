//! The processes that descend from pos3: [`Descendants`].
//!
//! A process that outlives the program may be about to write a file again that the program removed. It can leave the process
//! group of the program, and on a terminal, the group is that of pos3 itself. So pos3 looks for all processes below itself.
//! Linux gives a process whose parent has ended to the nearest process above it that asks for such orphans.

use std::collections::HashSet;
use std::time::Duration;

use pos3::{CREDENTIAL_PROCESS, SystemProcess};
use rustix::process::Pid;

/// The interval at which ended orphans are removed from the table of processes.
const REAP: Duration = Duration::from_secs(3);

/// The processes that still run after the end of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    None,
    /// The IDs of those that the program started, and that these started.
    Some(Vec<u32>),
    /// This system does not show whether there are any.
    Unknown,
}

/// Finds the processes that the program started.
#[derive(Debug)]
pub(super) struct Descendants {
    /// Whether orphans become children of pos3.
    is_adopting: bool,
    /// The processes below pos3 that are older than the program. If a shell started pos3 with `exec`, these may be
    /// processes that the shell started before.
    earlier: HashSet<(u32, u64)>,
}

impl Descendants {
    /// Makes pos3 the parent of orphans. Must be called before the program starts.
    pub(super) fn adopt() -> Self {
        let is_adopting = adopt_orphans();
        let earlier =
            below_this(&SystemProcess::all().unwrap_or_default(), |_| false).iter().map(|found| key(found)).collect();
        Self { is_adopting, earlier }
    }

    /// Removes orphans that have ended from the table of processes, until pos3 itself ends. Without this, a program that
    /// starts many of them could fill the table.
    pub(super) fn reap(&self, program: Option<Pid>) {
        if self.is_adopting {
            let program = program.map(process_id);
            tokio::spawn(reap_orphans(program));
        }
    }

    /// Returns the processes that still run. The program itself must have ended.
    pub(super) fn left(&self) -> Left {
        match self.look() {
            // A process that starts another one and ends during a look can hide both.
            Left::None => self.look(),
            left => left,
        }
    }

    fn look(&self) -> Left {
        if !self.is_adopting {
            return Left::Unknown;
        }
        // All processes of the program are below a child of pos3.
        if has_no_children() {
            return Left::None;
        }
        let processes = SystemProcess::all().unwrap_or_default();
        if !processes.iter().any(|process| process.parent == this()) {
            return if has_no_children() { Left::None } else { Left::Unknown };
        }
        let is_other = |process: &SystemProcess| self.earlier.contains(&key(process)) || is_for_credentials(process);
        let mut running: Vec<u32> = below_this(&processes, is_other).iter().map(|process| process.id).collect();
        running.sort_unstable();
        if running.is_empty() { Left::None } else { Left::Some(running) }
    }
}

/// Returns the identity of a process. A later process with the same ID has another start time.
fn key(process: &SystemProcess) -> (u32, u64) {
    (process.id, process.start)
}

/// Returns the running descendants of pos3, without those for which `is_left_out` returns true and without the
/// descendants of these.
fn below_this(processes: &[SystemProcess], is_left_out: impl Fn(&SystemProcess) -> bool) -> Vec<&SystemProcess> {
    let mut found: Vec<&SystemProcess> = Vec::new();
    let mut parents = vec![this()];
    while let Some(parent) = parents.pop() {
        let children = processes.iter().filter(|process| process.parent == parent && !process.has_ended);
        for child in children.filter(|child| !is_left_out(child)) {
            parents.push(child.id);
            found.push(child);
        }
    }
    found
}

/// Returns true for a `credential_process` of pos3, and for the processes that it started.
fn is_for_credentials(process: &SystemProcess) -> bool {
    process.variable(CREDENTIAL_PROCESS).is_some()
}

fn this() -> u32 {
    std::process::id()
}

/// Returns the ID of a process as a number.
pub(super) fn process_id(id: Pid) -> u32 {
    id.as_raw_nonzero().get().unsigned_abs()
}

#[cfg(target_os = "linux")]
fn adopt_orphans() -> bool {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn adopt_orphans() -> bool {
    false
}

/// Returns true if pos3 has no child, not even one that has ended.
#[cfg(target_os = "linux")]
fn has_no_children() -> bool {
    matches!(wait_for_any(), Err(rustix::io::Errno::CHILD))
}

#[cfg(not(target_os = "linux"))]
fn has_no_children() -> bool {
    false
}

/// Looks for a child that has ended, and leaves it in the table of processes.
#[cfg(target_os = "linux")]
fn wait_for_any() -> rustix::io::Result<Option<rustix::process::WaitIdStatus>> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
}

/// Removes orphans that have ended from the table of processes. The code that starts any other child of pos3 waits for
/// it and so removes it, in less than the interval. So a child that has ended and is still in the table at two looks in
/// a row is an orphan.
#[cfg(target_os = "linux")]
async fn reap_orphans(program: Option<u32>) {
    use rustix::process::{WaitOptions, waitpid};

    let mut ended = HashSet::new();
    loop {
        tokio::time::sleep(REAP).await;
        let processes =
            if matches!(wait_for_any(), Ok(Some(_))) { SystemProcess::all().unwrap_or_default() } else { Vec::new() };
        let children = processes.iter().filter(|process| process.parent == this() && process.has_ended);
        let now: HashSet<_> = children.filter(|child| Some(child.id) != program).map(key).collect();
        for (id, _) in now.intersection(&ended) {
            let _gone =
                i32::try_from(*id).ok().and_then(Pid::from_raw).map(|id| waitpid(Some(id), WaitOptions::NOHANG));
        }
        ended = now;
    }
}

#[cfg(not(target_os = "linux"))]
async fn reap_orphans(_program: Option<u32>) {}
