//! The processes that descend from pos3: [`Descendants`].
//!
//! A process that outlives the program may be about to write a file again that the program removed. It can leave the process
//! group of the program, and on a terminal, the group is that of pos3 itself. So pos3 looks for all processes below itself.
//! Linux gives a process whose parent has ended to the nearest process above it that asks for such orphans.

use std::collections::HashSet;
use std::time::Duration;

use pos3::{CREDENTIAL_PROCESS, SystemProcess, Visible};
use rustix::process::Pid;

use super::GLANCE;

/// How long processes that end together with the program may run after it.
const SETTLING: Duration = Duration::from_millis(500);

/// The interval at which ended orphans are removed from the table of processes.
const REAP: Duration = Duration::from_secs(3);

/// The processes that still run after the end of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Left {
    None,
    /// The IDs of those that the program started, and that these started. There are no IDs if they end and start others too
    /// quickly.
    Some(Vec<u32>),
    /// There are processes below pos3, and this system does not show whether the program started them.
    Hidden,
    /// This system does not show whether there are any.
    Unknown,
}

/// A look at the processes below pos3.
#[derive(Debug)]
struct Look {
    /// Whether any process is a child of pos3.
    has_children: bool,
    /// The IDs of the running processes of the program.
    running: Vec<u32>,
    /// The children of pos3 that have ended.
    ended: HashSet<(u32, u64)>,
}

/// Finds the processes that the program started.
#[derive(Debug)]
pub(in crate::commands) struct Descendants {
    /// Whether orphans become children of pos3.
    is_adopting: bool,
    /// The processes below pos3 that are older than the program. If a shell started pos3 with `exec`, these may be
    /// processes that the shell started before.
    earlier: HashSet<(u32, u64)>,
}

impl Descendants {
    /// Makes pos3 the parent of orphans. Must be called before the program starts.
    pub(in crate::commands) fn adopt() -> Self {
        let is_adopting = adopt_orphans();
        let earlier =
            below_this(&SystemProcess::all().unwrap_or_default(), |_| false).iter().map(|found| key(found)).collect();
        Self { is_adopting, earlier }
    }

    /// Removes orphans that have ended from the table of processes, until pos3 itself ends. Without this, a program that
    /// starts many of them could fill the table.
    pub(in crate::commands) fn reap(&self, program: Option<Pid>) {
        if self.is_adopting {
            let program = program.map(process_id);
            tokio::spawn(reap_orphans(program));
        }
    }

    /// Waits for processes that end together with the program, and returns those that still run then.
    pub(in crate::commands) async fn settled(&self) -> Left {
        let end = tokio::time::Instant::now() + SETTLING;
        let mut left = self.left();
        while matches!(left, Left::Some(_)) && tokio::time::Instant::now() < end {
            tokio::time::sleep(GLANCE).await;
            left = self.left();
        }
        left
    }

    /// Returns the processes that still run. The program itself must have ended.
    pub(super) fn left(&self) -> Left {
        if !self.is_adopting {
            return Left::Unknown;
        }
        // All processes of the program are below a child of pos3.
        if has_no_children() {
            return Left::None;
        }
        match SystemProcess::visible() {
            Visible::All => match left(&self.look(), &self.look()) {
                Left::Hidden if has_no_children() => Left::None,
                left => left,
            },
            _ => Left::Hidden,
        }
    }

    fn look(&self) -> Look {
        let processes = SystemProcess::all().unwrap_or_default();
        let is_other = |process: &SystemProcess| self.earlier.contains(&key(process)) || is_for_credentials(process);
        let mut running: Vec<u32> = below_this(&processes, is_other).iter().map(|process| process.id).collect();
        running.sort_unstable();
        let children = || processes.iter().filter(|process| process.parent == this());
        let ended = children().filter(|child| child.has_ended).map(key).collect();
        Look { has_children: children().next().is_some(), running, ended }
    }
}

/// Decides from two looks in a row.
///
/// A look reads one process after the other. So it can miss a process that was started during the look by one that ended
/// during the look. But then a process of the program ends between both looks, or the second look finds it: a process that
/// has ended stays a child of pos3 for some time.
fn left(before: &Look, now: &Look) -> Left {
    match () {
        () if !now.running.is_empty() => Left::Some(now.running.clone()),
        () if !now.ended.is_subset(&before.ended) => Left::Some(Vec::new()),
        () if !now.has_children => Left::Hidden,
        () => Left::None,
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
pub(in crate::commands) fn process_id(id: Pid) -> u32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_have_ended_if_none_runs_and_none_ended_between_two_looks() {
        let look = |running: &[u32], ended: &[u32]| Look {
            has_children: true,
            running: running.to_vec(),
            ended: ended.iter().map(|id| (*id, 1)).collect(),
        };
        let alone = Look { has_children: false, ..look(&[], &[]) };
        for (case, before, now, expected) in [
            ("other children", look(&[], &[]), look(&[], &[]), Left::None),
            ("orphans that had ended", look(&[], &[5]), look(&[], &[5]), Left::None),
            ("one that runs", look(&[], &[]), look(&[7], &[]), Left::Some(vec![7])),
            ("one that was missed and ended", look(&[], &[5]), look(&[], &[5, 6]), Left::Some(vec![])),
            ("one that ended", look(&[6], &[5]), look(&[], &[5, 6]), Left::Some(vec![])),
            ("one whose parent has removed it", look(&[6], &[5]), look(&[], &[5]), Left::None),
            ("orphans that were removed", look(&[], &[5, 6]), look(&[], &[6]), Left::None),
            ("a child that is not shown", look(&[], &[]), alone, Left::Hidden),
        ] {
            assert_eq!(left(&before, &now), expected, "{case}");
        }
    }
}
