//! The warnings about marks.

use std::collections::BTreeSet;
use std::path::Path;

use super::compared::Staying;

/// The maximum number of processes that a warning names.
const NAMED: usize = 10;

/// Returns a warning about a mark that cannot be read.
pub(super) fn of_unreadable(unreadable: &Path) -> String {
    format!(
        "'{}' marks unsaved output and cannot be read, so pos3 overwrites and deletes no local file that is not known to be \
         stored; once all output is stored, delete it",
        unreadable.display()
    )
}

/// Returns warnings about the marks of ended sessions that stay at a path.
pub(super) fn of_what_stays(Staying { writing, elsewhere, invisible }: &Staying, path: &Path) -> Vec<String> {
    let first = elsewhere.first().map(|(path, mark)| (&**path, &**mark));
    let elsewhere = of_elsewhere(first, elsewhere.len());
    of_writers(writing, path).into_iter().chain(elsewhere).chain(of_invisible(invisible.as_deref(), path)).collect()
}

/// Returns a warning if there are marks whose output is not where their paths lead, from the first path and its mark.
pub(super) fn of_elsewhere(first: Option<(&Path, &Path)>, count: usize) -> Option<String> {
    let (path, mark) = first?;
    let (path, mark) = (path.display(), mark.display());
    let more = if count > 1 { format!(" (one of {count} marks)") } else { String::new() };
    Some(format!(
        "'{path}' does not lead to the file system or directory with the unsaved output that is marked there, so the mark \
         stays; mount the file system of that output and upload '{path}', or delete the mark if the output is no longer \
         needed: '{mark}'{more}"
    ))
}

/// Returns why nothing may be deleted remotely for an output at a path: these processes write for other sessions, there is a
/// mark whose processes are not known, or there is one that cannot be read.
pub(super) fn of_others(
    processes: &BTreeSet<u32>,
    unknown: Option<&Path>,
    unreadable: Option<&Path>,
    path: &Path,
) -> Option<String> {
    let path = path.display();
    match (listed(processes), unknown, unreadable) {
        (Some(processes), ..) => Some(format!("another session may still write to '{path}' (PID {processes})")),
        (None, Some(mark), _) => Some(format!(
            "another session has marked '{path}', or a path in it or above it, as unsaved output: '{}'",
            mark.display()
        )),
        (None, None, Some(mark)) => Some(format!(
            "a mark of unsaved output cannot be read, and another session that may still write to '{path}' may have made it: \
             '{}'",
            mark.display()
        )),
        (None, None, None) => None,
    }
}

fn of_writers(processes: &BTreeSet<u32>, path: &Path) -> Option<String> {
    listed(processes).map(|processes| {
        format!(
            "processes of another session still run and may write to '{}' (PID {processes}), so its files stay marked \
             as unsaved output; once these processes have ended, upload it",
            path.display()
        )
    })
}

/// Returns the first processes as text, or `None` if there are none.
fn listed(processes: &BTreeSet<u32>) -> Option<String> {
    let named: Vec<_> = processes.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if processes.len() > NAMED { ", …" } else { "" };
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

fn of_invisible(mark: Option<&Path>, path: &Path) -> Option<String> {
    let (mark, path) = (mark?.display(), path.display());
    Some(format!(
        "/proc does not show the processes of this PID namespace, so processes of another session may still write to \
         '{path}', and its files stay marked as unsaved output; upload it where /proc shows them, or delete the mark once no \
         process writes there: '{mark}'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_for_withheld_deletes_names_what_is_known_best() {
        let (mark, damaged, path) = (Some(Path::new("/marks/m")), Some(Path::new("/marks/damaged")), Path::new("/out"));
        let process = BTreeSet::from([7]);
        for (reason, expected) in [
            (of_others(&process, mark, damaged, path), "another session may still write to '/out' (PID 7)"),
            (of_others(&BTreeSet::new(), mark, damaged, path), "another session has marked '/out', "),
            (of_others(&BTreeSet::new(), None, damaged, path), "a mark of unsaved output cannot be read, and "),
        ] {
            assert!(reason.as_ref().is_some_and(|reason| reason.starts_with(expected)), "{expected}: {reason:?}");
        }
        assert_eq!(of_others(&BTreeSet::new(), None, None, path), None);
    }
}
