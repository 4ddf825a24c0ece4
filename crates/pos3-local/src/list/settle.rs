//! Reads the names of a directory that other programs may change at the same time.
//!
//! On tmpfs and btrfs, a file that is replaced by a rename gets another position in its directory, which a reader may have
//! passed, or does not reach because it stops where the directory ended when it began. So the names can lack a file that
//! exists all the time. On every file system they can lack the new name of a renamed file. Such a file would look deleted.

use std::time::SystemTime;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, SeekFrom, Stat};
use rustix::io::Errno;

use super::level::Names;
use crate::facts;
use crate::path;
use crate::tick;

/// The largest number of times that a directory is read.
const MOST_PASSES: usize = 8;

/// The names are complete after this many passes in a row without a new name, although the directory still changes.
const REPEATS: usize = 2;

/// The largest number of times that the end of a directory is read again in one pass.
const MOST_TAILS: usize = 8;

/// The names from the present position of an open directory, and the position of the last one.
type Read = Result<(Names, Option<u64>), Errno>;

/// Whether the names of a directory are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Yes,
    /// The directory changed during every pass, and had new names again and again.
    No,
}

/// Reads the names of an open directory until a pass during which it does not change, or until there are no new names.
/// `before` is its status before the call.
///
/// Names that have gone since an earlier pass stay in the result: they may have been renamed to a directory that was
/// listed before.
pub(super) fn read(
    directory: BorrowedFd<'_>,
    before: &Stat,
    mut names_of: impl FnMut(BorrowedFd<'_>) -> Read,
) -> Result<(Names, Settled), Errno> {
    let (mut names, mut change) = pass(directory, before, &mut names_of)?;
    let (mut passes, mut repeats) = (1, 0);
    while change == Change::Possible && repeats < REPEATS {
        if passes == MOST_PASSES {
            return Ok((names, Settled::No));
        }
        rustix::fs::seek(directory, SeekFrom::Start(0))?;
        let before = rustix::fs::fstat(directory)?;
        let (again, again_changed) = pass(directory, &before, &mut names_of)?;
        (passes, change) = (passes + 1, again_changed);
        repeats = if names.add_missing(again) { 0 } else { repeats + 1 };
    }
    Ok((names, Settled::Yes))
}

/// Whether a directory may have changed while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Possible,
}

/// Reads a directory once. If it does not change, this costs one status more than its names.
fn pass(
    directory: BorrowedFd<'_>,
    before: &Stat,
    names_of: &mut impl FnMut(BorrowedFd<'_>) -> Read,
) -> Result<(Names, Change), Errno> {
    let begun = SystemTime::now();
    let (mut names, last) = names_of(directory)?;
    let after = rustix::fs::fstat(directory)?;
    let change = change(before, &after, begun);
    if change == Change::Possible {
        follow(directory, last, &mut names, names_of);
    }
    Ok((names, change))
}

/// Compares the status before and after. If the last change was in the present tick of the clock, another one does not
/// move the times.
fn change(before: &Stat, after: &Stat, begun: SystemTime) -> Change {
    let is_same = facts::fingerprint(before) == facts::fingerprint(after);
    if is_same && tick::until_over(before, begun).is_none() { Change::None } else { Change::Possible }
}

/// Adds the names that have moved to the end of the directory. On btrfs, a file that is replaced more often than the
/// directory can be read is found only here. A failure is ignored, because it leaves the names as complete as the pass made them.
fn follow(
    directory: BorrowedFd<'_>,
    mut last: Option<u64>,
    names: &mut Names,
    names_of: &mut impl FnMut(BorrowedFd<'_>) -> Read,
) {
    for _ in 0..MOST_TAILS {
        let Some(position) = last else { return };
        let Ok((tail, next)) = open_at(directory, position).and_then(|again| names_of(again.as_fd())) else { return };
        last = next.or(last);
        if !names.add_missing(tail) {
            return;
        }
    }
}

/// Opens a directory again, which moves the end at which a reader stops, and continues at `position`.
fn open_at(directory: BorrowedFd<'_>, position: u64) -> Result<OwnedFd, Errno> {
    let again = rustix::fs::openat(directory, ".", path::LIST, Mode::empty())?;
    rustix::fs::seek(&again, SeekFrom::Start(position))?;
    Ok(again)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::level::MovedFiles;
    use super::*;
    use crate::directory::ReadBuffer;
    use crate::options::Symlinks;

    /// A directory with a hundred files, and a place beside it.
    fn world() -> TempDir {
        let world = tempfile::tempdir().unwrap();
        fs::create_dir(world.path().join("d")).unwrap();
        (0..100).for_each(|n| fs::write(world.path().join(format!("d/f{n:02}")), "").unwrap());
        world
    }

    fn move_away(world: &Path) {
        fs::rename(world.join("d/f50"), world.join("away")).unwrap();
    }

    fn move_back(world: &Path) {
        fs::rename(world.join("away"), world.join("d/f50")).unwrap();
    }

    /// Lists the directory. `pass` reads it once, with the number of the pass and the reading as arguments, and `tail`
    /// reads its end again.
    fn list(
        world: &Path,
        pass: impl Fn(usize, &dyn Fn() -> Read) -> Read,
        tail: impl Fn(BorrowedFd<'_>) -> Read,
    ) -> (Vec<String>, Settled, usize) {
        let directory = rustix::fs::open(world.join("d"), path::LIST, Mode::empty()).unwrap();
        let before = rustix::fs::fstat(&directory).unwrap();
        let mut passes = 0;
        let names_of = |directory: BorrowedFd<'_>| {
            if rustix::fs::tell(directory).unwrap() > 0 {
                return tail(directory);
            }
            passes += 1;
            pass(passes, &|| all(directory))
        };
        let (mut names, settled) = read(directory.as_fd(), &before, names_of).unwrap();
        let next = || {
            let mut key = String::new();
            names.next(&mut key).map(|_| key)
        };
        (std::iter::from_fn(next).collect(), settled, passes)
    }

    fn all(directory: BorrowedFd<'_>) -> Read {
        Names::read(directory, Symlinks::Skip, MovedFiles::Protected, &mut ReadBuffer::default())
    }

    #[test]
    fn a_directory_that_does_not_change_is_read_once() {
        let world = world();
        std::thread::sleep(Duration::from_secs(2));
        let (names, settled, passes) = list(world.path(), |_, read| read(), |_| unreachable!());
        assert_eq!((names.len(), settled, passes), (100, Settled::Yes, 1));
    }

    #[test]
    fn a_name_that_one_pass_lacks_is_in_the_next() {
        let world = world();
        let pass = |number, read: &dyn Fn() -> Read| {
            if number > 1 {
                return read();
            }
            move_away(world.path());
            let names = read();
            move_back(world.path());
            names
        };
        let (names, settled, _) = list(world.path(), pass, all);
        assert_eq!((names.len(), settled), (100, Settled::Yes));
    }

    #[test]
    fn a_name_that_every_pass_lacks_is_found_at_the_end() {
        let world = world();
        let pass = |_, read: &dyn Fn() -> Read| {
            move_away(world.path());
            let names = read();
            move_back(world.path());
            names
        };
        let tail = |directory: BorrowedFd<'_>| {
            // As if the file had been moved to the end.
            rustix::fs::seek(directory, SeekFrom::Start(0)).unwrap();
            all(directory)
        };
        let (names, settled, passes) = list(world.path(), pass, tail);
        assert_eq!((names.len(), settled, passes), (100, Settled::Yes, 1 + REPEATS));
    }

    #[test]
    fn a_directory_with_new_names_in_every_pass_does_not_settle() {
        let world = world();
        let pass = |number, read: &dyn Fn() -> Read| {
            fs::write(world.path().join(format!("d/new{number}")), "").unwrap();
            read()
        };
        let (names, settled, passes) = list(world.path(), pass, all);
        assert_eq!((names.len(), settled, passes), (108, Settled::No, MOST_PASSES));
    }

    #[test]
    fn a_directory_whose_last_change_is_not_over_may_have_changed() {
        let directory = tempfile::tempdir().unwrap();
        let before = rustix::fs::stat(directory.path()).unwrap();
        let changed = facts::status_changed(&before).unwrap();
        let later = changed + Duration::from_secs(1);
        assert_eq!(change(&before, &before, changed), Change::Possible, "in the same tick");
        assert_eq!(change(&before, &before, later), Change::None);
        let mut coarse = before;
        (coarse.st_mtime_nsec, coarse.st_ctime_nsec) = (0, 0);
        assert_eq!(change(&coarse, &coarse, later), Change::Possible, "in the same tick of a coarse clock");
        let moves: [fn(&mut Stat); 3] =
            [|stat| stat.st_mtime_nsec ^= 1, |stat| stat.st_ctime_nsec ^= 1, |stat| stat.st_ino ^= 1];
        for moved in moves {
            let mut after = before;
            moved(&mut after);
            assert_eq!(change(&before, &after, later), Change::Possible);
        }
    }
}
