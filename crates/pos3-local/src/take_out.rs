//! Replaces and deletes a file only if it is the expected one, without a moment between the check and the change.
//!
//! The file is first moved to a reserved name, by the same rename that puts the new file in its place. Only then is it
//! compared, because no other process can replace it any more under its own name. If it is another file, it is moved
//! back. A process that is killed in between leaves the new file in its place and the old one under a name that later
//! runs remove.

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, RenameFlags, Stat};
use rustix::io::Errno;

use crate::facts;

/// The result of an attempt to replace or delete a file.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The file was the expected one.
    Done,
    /// It was another file, which is in its place again.
    Changed,
    /// It was another file, and yet another one is in its place now. It was moved to this name.
    Displaced(String),
    /// The file no longer exists.
    Missing,
    /// The file system cannot do this. Nothing was changed.
    Unsupported,
}

/// Replaces the file `name`, which was `before`, by the file `staged`, which is `new`.
pub(crate) fn replace(
    directory: &OwnedFd,
    name: &str,
    before: &Stat,
    staged: &str,
    new: &Stat,
) -> Result<Taken, Errno> {
    match exchange(directory, staged, name) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(Taken::Missing),
        Err(errno) if is_unsupported(errno) => return Ok(Taken::Unsupported),
        Err(errno) => {
            // Nothing was changed. The error of the exchange is the one to report.
            let _ignored = rustix::fs::unlinkat(directory, staged, AtFlags::empty());
            return Err(errno);
        }
    }
    let old = look(directory, staged)?;
    if is_same(&old, before) {
        // If this fails, a later run removes the file.
        let _ = rustix::fs::unlinkat(directory, staged, AtFlags::empty());
        return Ok(Taken::Done);
    }
    match exchange(directory, staged, name) {
        Ok(()) => {}
        // Another process removed the new file, or moved it away.
        Err(Errno::NOENT) => return put_back(directory, staged, name),
        Err(errno) => return Err(errno),
    }
    let out = look(directory, staged)?;
    if is_same(&out, new) {
        return Ok(Taken::Changed);
    }
    if facts::identity(&out) == facts::identity(new) {
        // Another process wrote to the new file while it had the name.
        return keep(directory, staged, name);
    }
    // Another process put a third file in the place of the new one. Its file stays there.
    exchange(directory, staged, name)?;
    keep(directory, staged, name)
}

/// Deletes the file `name`, which was `before`. `free` is a reserved name.
pub(crate) fn delete(directory: &OwnedFd, name: &str, before: &Stat, free: &str) -> Result<Taken, Errno> {
    match rename_to_free(directory, name, free) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(Taken::Missing),
        Err(errno) if is_unsupported(errno) => return Ok(Taken::Unsupported),
        Err(errno) => return Err(errno),
    }
    let deleted = match look(directory, free) {
        Ok(found) if is_same(&found, before) => rustix::fs::unlinkat(directory, free, AtFlags::empty()),
        Ok(_) => return put_back(directory, free, name),
        Err(errno) => Err(errno),
    };
    match deleted {
        Ok(()) => Ok(Taken::Done),
        Err(errno) => {
            put_back(directory, free, name)?;
            Err(errno)
        }
    }
}

fn put_back(directory: &OwnedFd, reserved: &str, name: &str) -> Result<Taken, Errno> {
    match rename_to_free(directory, reserved, name) {
        Ok(()) => Ok(Taken::Changed),
        Err(Errno::EXIST) => keep(directory, reserved, name),
        Err(errno) => Err(errno),
    }
}

/// Gives a file that is at a reserved name, and belongs to another process, a name that no later run removes.
fn keep(directory: &OwnedFd, reserved: &str, name: &str) -> Result<Taken, Errno> {
    let digits = reserved.rsplit('.').next().unwrap_or_default();
    let kept = format!("{name}.changed-{digits}");
    match rename_to_free(directory, reserved, &kept) {
        Ok(()) => Ok(Taken::Displaced(kept)),
        // The name may have become too long.
        Err(_) => {
            let kept = format!("changed-{digits}");
            rename_to_free(directory, reserved, &kept).map(|()| Taken::Displaced(kept))
        }
    }
}

/// Returns true if a file is the one that was seen before the rename. The rename itself may set the time of the last
/// change of any kind, so this time cannot be compared.
fn is_same(found: &Stat, before: &Stat) -> bool {
    facts::file_type(found) == FileType::RegularFile
        && facts::identity(found) == facts::identity(before)
        && facts::size(found) == facts::size(before)
        && facts::modified(found) == facts::modified(before)
}

fn look(directory: &OwnedFd, name: &str) -> Result<Stat, Errno> {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn is_unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
}

fn exchange(directory: &OwnedFd, one: &str, other: &str) -> Result<(), Errno> {
    rename_with(directory, one, directory, other, RenameFlags::EXCHANGE)
}

fn rename_to_free(directory: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    rename_exclusive(directory, from, directory, to)
}

/// Renames a file only if the new name is free.
pub(crate) fn rename_exclusive(from: &OwnedFd, name: &str, to: &OwnedFd, new_name: &str) -> Result<(), Errno> {
    rename_with(from, name, to, new_name, RenameFlags::NOREPLACE)
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_with(from: &OwnedFd, name: &str, to: &OwnedFd, new_name: &str, flags: RenameFlags) -> Result<(), Errno> {
    rustix::fs::renameat_with(from, name, to, new_name, flags)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_with(_from: &OwnedFd, _name: &str, _to: &OwnedFd, _new_name: &str, _flags: RenameFlags) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct World {
        directory: tempfile::TempDir,
        opened: OwnedFd,
    }

    impl World {
        fn new(files: &[(&str, &str)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            for (name, content) in files {
                fs::write(directory.path().join(name), content).unwrap();
            }
            let opened = fs::File::open(directory.path()).unwrap().into();
            Self { directory, opened }
        }

        fn stat(&self, name: &str) -> Stat {
            look(&self.opened, name).unwrap()
        }

        fn files(&self) -> Vec<(String, String)> {
            let mut files: Vec<_> = fs::read_dir(self.directory.path())
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
                .collect();
            files.sort();
            files
        }

        fn assert_has(&self, files: &[(&str, &str)]) {
            let expected: Vec<_> = files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
            assert_eq!(self.files(), expected);
        }
    }

    #[test]
    fn the_expected_file_is_replaced_or_deleted() {
        let world = World::new(&[("a", "old"), ("b", "new")]);
        let (before, new) = (world.stat("a"), world.stat("b"));
        assert!(matches!(replace(&world.opened, "a", &before, "b", &new).unwrap(), Taken::Done));
        world.assert_has(&[("a", "new")]);
        assert!(matches!(delete(&world.opened, "a", &new, ".x.1").unwrap(), Taken::Done));
        world.assert_has(&[]);
        assert!(matches!(delete(&world.opened, "a", &new, ".x.1").unwrap(), Taken::Missing));
    }

    #[test]
    fn a_file_that_was_replaced_after_the_check_comes_back() {
        let world = World::new(&[("a", "old"), ("b", "new"), ("c", "theirs")]);
        let (before, new) = (world.stat("a"), world.stat("b"));
        fs::rename(world.directory.path().join("c"), world.directory.path().join("a")).unwrap();
        assert!(matches!(replace(&world.opened, "a", &before, "b", &new).unwrap(), Taken::Changed));
        world.assert_has(&[("a", "theirs"), ("b", "new")]);
        assert!(matches!(delete(&world.opened, "a", &before, ".x.1").unwrap(), Taken::Changed));
        world.assert_has(&[("a", "theirs"), ("b", "new")]);
    }

    #[test]
    fn a_file_that_cannot_come_back_keeps_a_name() {
        let world = World::new(&[(".x.1", "theirs"), ("a", "a third one")]);
        let Taken::Displaced(kept) = put_back(&world.opened, ".x.1", "a").unwrap() else { panic!("it was put back") };
        world.assert_has(&[("a", "a third one"), (&kept, "theirs")]);
    }
}
