//! Whether anything may still write at the paths of a mark: [`writing`].
//!
//! A mark can be removed only if that is not so. The lock of the mark alone does not show it: many programs close all
//! descriptors that they inherit, for example every process that Python starts.

use std::sync::OnceLock;

use super::directory::Found;
use super::mark_file::Recorded;
use super::system::{Look, Process, Running};

/// Who may still write at the paths of a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// Nobody: the session and all processes of its program have ended.
    Ended,
    /// The session, which still runs.
    Session,
    /// The processes with these IDs, whose session has ended.
    Processes(Vec<u32>),
    /// A process that this system does not show.
    Unknown,
    /// Any process: the processes of this system are not visible.
    Invisible,
}

/// Answers for several marks with one look at the processes, which is taken when it is needed. The marks must be read
/// before: a process that has released its lock is then visible in the look.
#[derive(Debug, Default)]
pub(super) struct Writers(OnceLock<Look>);

impl Writers {
    pub(super) fn of(&self, mark: &Found) -> Writing {
        match &mark.recorded {
            Some(recorded) => writing(mark.is_locked, recorded, self.0.get_or_init(Look::take)),
            // A mark that cannot be read, or one of an earlier version.
            None if mark.is_locked => Writing::Unknown,
            None => Writing::Ended,
        }
    }
}

/// Decides from the lock of a mark, the content of the mark, and the processes of this system.
fn writing(is_locked: bool, recorded: &Recorded, look: &Look) -> Writing {
    let is_here = recorded.system.is_same(&look.system);
    let is_running = |process: &Process| is_here && look.running.iter().any(|one| one.process == *process);
    if is_locked && recorded.session.as_ref().is_some_and(is_running) {
        return Writing::Session;
    }
    let this = std::process::id();
    let is_of_group = |one: &Running| recorded.writers.iter().any(|writer| is_member(one, writer, look));
    let is_writer = |one: &Running| {
        one.process.id != this && one.is_of(&recorded.id)
            || is_here && (recorded.writers.contains(&one.process) || is_of_group(one))
    };
    let mut found: Vec<_> = look.running.iter().filter(|one| is_writer(one)).map(|one| one.process.id).collect();
    found.sort_unstable();
    found.dedup();
    match found.is_empty() {
        false => Writing::Processes(found),
        true if is_locked => Writing::Unknown,
        true if look.is_blind => Writing::Invisible,
        true => Writing::Ended,
    }
}

/// Returns true if a process is in the process group that a writer leads or led. The ID of a group is not given to
/// another process while the group has members.
fn is_member(one: &Running, writer: &Process, look: &Look) -> bool {
    let is_other = |other: &Running| other.process.id == writer.id && other.process != *writer;
    one.group == writer.id && one.process.start >= writer.start && !look.running.iter().any(is_other)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::system::System;
    use super::*;

    fn process(id: u32, start: u64) -> Process {
        Process { id, start }
    }

    fn running(id: u32, start: u64, group: u32, sessions: Option<&str>) -> Running {
        Running { process: process(id, start), group, sessions: sessions.map(OsString::from) }
    }

    fn here() -> System {
        System { boot: "boot".to_owned(), namespace: "pid:[1]".to_owned() }
    }

    #[test]
    fn a_mark_is_ended_when_nothing_of_its_session_runs() {
        const THIS: u32 = 900_000_000;
        let system = |boot: &str, namespace: &str| System { boot: boot.to_owned(), namespace: namespace.to_owned() };
        let session = (100, 10);
        let program = (200, 20);
        let id = "mine";
        let processes = Writing::Processes;
        // The processes that run, whether the mark is locked, where it was made, and the answer.
        let cases: Vec<(&str, Vec<Running>, bool, System, Writing)> = vec![
            ("nothing runs", vec![], false, here(), Writing::Ended),
            ("another program", vec![running(300, 30, 300, Some("other"))], false, here(), Writing::Ended),
            ("the session", vec![running(100, 10, 100, None)], true, here(), Writing::Session),
            ("the ID of the session again", vec![running(100, 11, 100, None)], true, here(), Writing::Unknown),
            ("a session that has released its lock", vec![running(100, 10, 100, None)], false, here(), Writing::Ended),
            ("a lock and no process", vec![], true, here(), Writing::Unknown),
            (
                "the program, without its environment",
                vec![running(200, 20, 200, None)],
                false,
                here(),
                processes(vec![200]),
            ),
            (
                "the program, in the group of the session",
                vec![running(200, 20, 1, None)],
                false,
                here(),
                processes(vec![200]),
            ),
            ("the ID of the program again", vec![running(200, 21, 200, None)], false, here(), Writing::Ended),
            ("its group", vec![running(300, 30, 200, None)], false, here(), processes(vec![300])),
            (
                "a process that is older than the group",
                vec![running(300, 19, 200, None)],
                false,
                here(),
                Writing::Ended,
            ),
            (
                "a later group with the same ID",
                vec![running(200, 21, 200, None), running(300, 30, 200, None)],
                false,
                here(),
                Writing::Ended,
            ),
            ("its environment", vec![running(300, 30, 300, Some("mine"))], false, here(), processes(vec![300])),
            (
                "that of an inner session",
                vec![running(300, 30, 3, Some("mine:in"))],
                false,
                here(),
                processes(vec![300]),
            ),
            (
                "that of an outer session",
                vec![running(300, 30, 3, Some("out:mine"))],
                false,
                here(),
                processes(vec![300]),
            ),
            ("a part of the ID", vec![running(300, 30, 300, Some("min"))], false, here(), Writing::Ended),
            (
                "several, and a lock",
                vec![
                    running(400, 40, 1, Some("mine")),
                    running(200, 20, 200, None),
                    running(300, 30, 200, Some("mine")),
                ],
                true,
                here(),
                processes(vec![200, 300, 400]),
            ),
            ("this process in the program", vec![running(THIS, 1, 1, Some("mine"))], false, here(), Writing::Ended),
            // IDs of another system mean nothing here. The variable does: a container is visible from outside.
            ("an earlier boot", vec![running(200, 20, 200, None)], false, system("old", "pid:[1]"), Writing::Ended),
            ("another container", vec![running(200, 20, 200, None)], false, system("boot", "pid:[2]"), Writing::Ended),
            ("another machine, with a shared lock", vec![], true, system("other", "pid:[1]"), Writing::Unknown),
            (
                "another container, seen from outside",
                vec![running(300, 30, 3, Some("mine"))],
                false,
                system("boot", "pid:[2]"),
                processes(vec![300]),
            ),
            ("a system without /proc", vec![running(200, 20, 200, None)], false, system("-", "-"), Writing::Ended),
            ("a locked mark without /proc", vec![], true, system("-", "-"), Writing::Unknown),
        ];
        for (case, mut running, is_locked, system, expected) in cases {
            running.iter_mut().filter(|one| one.process.id == THIS).for_each(|one| one.process.id = std::process::id());
            let recorded = Recorded {
                site: None,
                session: Some(process(session.0, session.1)),
                system,
                id: id.to_owned(),
                writers: vec![process(program.0, program.1)],
            };
            let look = Look { system: here(), running, is_blind: false };
            assert_eq!(writing(is_locked, &recorded, &look), expected, "{case}");
        }
        let recorded =
            Recorded { site: None, session: None, system: here(), id: id.to_owned(), writers: vec![process(200, 20)] };
        let blind = || Look { system: here(), running: Vec::new(), is_blind: true };
        assert_eq!(writing(false, &recorded, &blind()), Writing::Invisible);
        assert_eq!(writing(true, &recorded, &blind()), Writing::Unknown);
        let nowhere = System { boot: "-".to_owned(), namespace: "-".to_owned() };
        assert!(!nowhere.is_same(&nowhere));
    }
}
