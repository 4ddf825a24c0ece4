//! Replaces a file of the user only if it is still as it was seen: [`SeenFile`].
//!
//! A plan or a report replaces an earlier one. Between the look at the earlier file and its replacement, another process
//! may write to it. Without this module, its content would be lost.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pos3_core::STAGED_PREFIX;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tempfile::{Builder, NamedTempFile, TempPath};

/// A regular file as it was at one moment, or the absence of one.
#[derive(Clone, Debug)]
pub struct SeenFile {
    /// The path without symbolic links.
    path: PathBuf,
    found: Option<Facts>,
}

/// The end of an attempt to replace a file.
#[derive(Debug)]
pub enum Replaced {
    /// The new file has the name.
    Done(File),
    /// Another process has changed the file, which stays. The new file still has its temporary name.
    Changed(NamedTempFile),
}

/// The facts that identify a file and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    identity: Identity,
    size: u64,
    modified: (i64, i64),
    digest: [u8; 32],
}

/// The device and inode.
type Identity = (u64, u64);

impl SeenFile {
    /// Looks at the file at a path. If there is one, `read` receives its content.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, is not a regular file, or changes while it is read, or if the path is
    /// a broken link.
    pub fn look<T>(path: &Path, read: impl FnOnce(&mut dyn Read) -> T) -> io::Result<(Self, Option<T>)> {
        let path = resolved(path)?;
        let opened = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Self { path, found: None }, None)),
            opened => opened?,
        };
        let (facts, value) = Facts::read(&opened, read)?;
        Ok((Self { path, found: Some(facts) }, Some(value)))
    }

    /// Returns the path with the links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if the path has this file, unchanged, or still none.
    pub fn is_unchanged(&self) -> bool {
        match &self.found {
            Some(found) => found.is_at(&self.path),
            None => is_free(&self.path),
        }
    }

    /// Returns this path as it is after `file` was written to it.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, or if it is written to meanwhile.
    pub fn after(&self, mut file: &File) -> io::Result<Self> {
        file.rewind()?;
        let (facts, ()) = Facts::read(file, |_| ())?;
        Ok(Self { path: self.path.clone(), found: Some(facts) })
    }

    /// Creates a new file in the same directory under a temporary name. The process's mask applies to the mode.
    ///
    /// A killed process may leave the earlier file of the user at such a name. So it is that of an ordinary file, which
    /// pos3 neither removes nor leaves out.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be created.
    pub fn stage(&self, mode: u32) -> io::Result<NamedTempFile> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        Builder::new().prefix(STAGED_PREFIX).permissions(Permissions::from_mode(mode)).tempfile_in(directory)
    }

    /// Gives the new file the name, if the file there is still as it was seen, or if the name is free. No other process
    /// sees the name without a file in between. On a file system that cannot exchange two names, there is a moment
    /// between the check and the replacement.
    ///
    /// # Errors
    ///
    /// Returns an error if the new file cannot be given the name.
    pub fn replace(&self, new: NamedTempFile) -> io::Result<Replaced> {
        let Some(found) = &self.found else { return self.create(new) };
        if !found.is_at(&self.path) {
            return if is_free(&self.path) { self.create(new) } else { Ok(Replaced::Changed(new)) };
        }
        match exchange(new.path(), &self.path) {
            Ok(()) => self.settle(found, new),
            Err(Errno::NOENT) => self.create(new),
            Err(errno) if is_unsupported(errno) => {
                new.persist(&self.path).map(Replaced::Done).map_err(|failed| failed.error)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns names in the same directory, for a new file that cannot have the name of this one.
    pub fn other_names(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let path = self.path.clone();
        (1..=u16::MAX).map(move |number| {
            let mut name = path.clone().into_os_string();
            name.push(format!(".{number}"));
            name.into()
        })
    }

    fn create(&self, new: NamedTempFile) -> io::Result<Replaced> {
        match new.persist_noclobber(&self.path) {
            Ok(file) => Ok(Replaced::Done(file)),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(Replaced::Changed(failed.file)),
            // The file system has neither exclusive renames nor hard links.
            Err(failed) if Errno::from_io_error(&failed.error).is_some_and(is_unsupported) && is_free(&self.path) => {
                failed.file.persist(&self.path).map(Replaced::Done).map_err(|failed| failed.error)
            }
            Err(failed) => Err(failed.error),
        }
    }

    /// Removes the old file, which has the temporary name after an exchange. If it is not the one that was seen, it gets
    /// its name back.
    fn settle(&self, found: &Facts, new: NamedTempFile) -> io::Result<Replaced> {
        // The file at the temporary name may belong to another process now, so an early return must not remove it.
        let (file, staged) = new.keep().map_err(|failed| failed.error)?;
        if found.is_at(&staged) {
            // If this fails, an unneeded file remains beside the new one.
            let _ignored = std::fs::remove_file(&staged);
            return Ok(Replaced::Done(file));
        }
        let ours = identity(&file.metadata()?);
        let is_ours = |path: &Path| path.symlink_metadata().is_ok_and(|found| identity(&found) == ours);
        if exchange(&staged, &self.path).is_ok() {
            if is_ours(&staged) {
                return Ok(Replaced::Changed(NamedTempFile::from_parts(file, TempPath::try_from_path(staged)?)));
            }
            // A third file had the name meanwhile, and gets it back.
            exchange(&staged, &self.path)?;
        }
        let why = "other processes replaced the file several times at this moment; the content of one of them is in";
        Err(io::Error::other(format!("{why} '{}'", staged.display())))
    }
}

impl Facts {
    /// Reads a file from its current position, and passes the content on.
    fn read<T>(file: &File, read: impl FnOnce(&mut dyn Read) -> T) -> io::Result<(Self, T)> {
        let before = file.metadata()?;
        let mut hashed = Hashed { file, hash: Sha256::new() };
        let value = read(&mut hashed);
        io::copy(&mut hashed, &mut io::sink())?;
        let facts = |found: &Metadata, digest| Self {
            identity: identity(found),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            digest,
        };
        let digest = hashed.hash.finalize().into();
        let found = facts(&before, digest);
        if facts(&file.metadata()?, digest) != found {
            return Err(io::Error::other("another process is writing to the file"));
        }
        Ok((found, value))
    }

    /// Returns true if a path has this file with this content. A link to the file is not the file.
    fn is_at(&self, path: &Path) -> bool {
        let is_same = path
            .symlink_metadata()
            .is_ok_and(|found| (identity(&found), found.len()) == (self.identity, self.size) && found.is_file());
        is_same && open(path).and_then(|file| Self::read(&file, |_| ())).is_ok_and(|(facts, ())| facts == *self)
    }
}

/// Content that is hashed while it is read.
struct Hashed<'a> {
    file: &'a File,
    hash: Sha256,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// Resolves the links of a path whose last name need not exist.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        resolved => return resolved,
    }
    if path.is_symlink() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it is a broken symbolic link"));
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(directory.canonicalize()?.join(name))
}

/// Opens a file for reading. The flag keeps a pipe, which may have replaced the file, from blocking.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

fn is_free(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
}

fn is_unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> Result<(), Errno> {
    rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, rustix::fs::RenameFlags::EXCHANGE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_one: &Path, _other: &Path) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::time::SystemTime;

    use super::*;

    fn seen(path: &Path) -> SeenFile {
        SeenFile::look(path, |_| ()).unwrap().0
    }

    fn staged(seen: &SeenFile) -> NamedTempFile {
        let mut new = seen.stage(0o600).unwrap();
        new.write_all(b"new").unwrap();
        new
    }

    fn files(directory: &Path) -> Vec<(String, String)> {
        let read = |entry: io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        };
        let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(read).collect();
        files.sort();
        files
    }

    fn assert_has(directory: &Path, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        assert_eq!(files(directory), expected);
    }

    #[test]
    fn a_file_that_is_as_it_was_seen_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        for before in [None, Some(""), Some("old")] {
            let _absent = fs::remove_file(&path);
            before.into_iter().for_each(|before| fs::write(&path, before).unwrap());
            let (seen, read) = SeenFile::look(&path, |content| io::read_to_string(content).unwrap()).unwrap();
            assert_eq!(read.as_deref(), before);
            assert!(seen.is_unchanged());
            let Replaced::Done(file) = seen.replace(staged(&seen)).unwrap() else { panic!("{before:?}") };
            assert!(!seen.is_unchanged(), "{before:?}");
            assert!(seen.after(&file).unwrap().is_unchanged(), "{before:?}");
            assert_has(directory.path(), &[("f", "new")]);
        }
        let seen = seen(&path);
        fs::remove_file(&path).unwrap();
        assert!(matches!(seen.replace(staged(&seen)), Ok(Replaced::Done(_))), "nothing is lost then");
        assert_has(directory.path(), &[("f", "new")]);
    }

    #[test]
    fn a_file_that_another_process_wrote_stays() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 5] = [
            ("rewritten", |path| fs::write(path, "their").unwrap()),
            ("same size and time", |path| {
                let modified = fs::metadata(path).unwrap().modified().unwrap();
                fs::write(path, "dlo").unwrap();
                File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
            }),
            ("touched", |path| File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap()),
            ("replaced by an equal one", |path| {
                let modified = fs::metadata(path).unwrap().modified().unwrap();
                fs::rename(path, path.with_file_name("g")).unwrap();
                fs::write(path, "old").unwrap();
                File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
                fs::remove_file(path.with_file_name("g")).unwrap();
            }),
            ("replaced by a link", |path| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("/dev/null", path).unwrap();
            }),
        ];
        for (what, change) in changes {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("f");
            fs::write(&path, "old").unwrap();
            let seen = seen(&path);
            change(&path);
            let theirs = fs::read(&path).unwrap();
            let Replaced::Changed(new) = seen.replace(staged(&seen)).unwrap() else { panic!("{what}") };
            assert_eq!(fs::read(&path).unwrap(), theirs, "{what}");
            let other = seen.other_names().next().unwrap();
            new.persist_noclobber(&other).unwrap();
            assert_eq!(fs::read_to_string(directory.path().join("f.1")).unwrap(), "new", "{what}");
            drop(seen);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "{what}");
        }
        let directory = tempfile::tempdir().unwrap();
        let seen = seen(&directory.path().join("f"));
        fs::write(directory.path().join("f"), "theirs").unwrap();
        assert!(matches!(seen.replace(staged(&seen)), Ok(Replaced::Changed(_))));
        assert_has(directory.path(), &[("f", "theirs")]);
    }

    #[test]
    fn a_file_that_changes_between_the_check_and_the_exchange_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "old").unwrap();
        let seen = seen(&path);
        let new = staged(&seen);
        fs::write(&path, "theirs").unwrap();
        exchange(new.path(), &seen.path).unwrap();
        let Ok(Replaced::Changed(new)) = seen.settle(seen.found.as_ref().unwrap(), new) else { panic!() };
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), fs::read_to_string(new.path()).unwrap()),
            ("theirs".into(), "new".into())
        );
        drop(new);
        assert_has(directory.path(), &[("f", "theirs")]);
    }

    #[test]
    fn a_file_that_cannot_come_back_stays_under_another_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "old").unwrap();
        let seen = seen(&path);
        for third in [None, Some("third")] {
            let new = staged(&seen);
            fs::write(&path, "theirs").unwrap();
            exchange(new.path(), &seen.path).unwrap();
            fs::remove_file(&path).unwrap();
            third.into_iter().for_each(|third| fs::write(&path, third).unwrap());
            let error = seen.settle(seen.found.as_ref().unwrap(), new).unwrap_err().to_string();
            let kept = error.split('\'').nth(1).unwrap();
            assert_eq!(fs::read_to_string(kept).unwrap(), "theirs", "{error}");
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), third);
        }
    }

    #[test]
    fn the_temporary_name_is_none_that_pos3_removes() {
        let directory = tempfile::tempdir().unwrap();
        let seen = seen(&directory.path().join("f"));
        for _ in 0..100 {
            let new = staged(&seen);
            let name = new.path().file_name().unwrap().to_str().unwrap();
            let is_reserved = [pos3_core::is_staged_name, pos3_core::is_partial_name, pos3_core::is_moved_name];
            assert!(name.starts_with(STAGED_PREFIX) && !is_reserved.iter().any(|is| is(name)), "{name}");
        }
    }

    #[test]
    fn a_link_is_followed_unless_it_is_broken() {
        let directory = tempfile::tempdir().unwrap();
        let (link, path) = (directory.path().join("link"), directory.path().join("f"));
        std::os::unix::fs::symlink("f", &link).unwrap();
        assert!(SeenFile::look(&link, |_| ()).is_err());
        fs::write(&path, "old").unwrap();
        let seen = seen(&link);
        assert!(matches!(seen.replace(staged(&seen)), Ok(Replaced::Done(_))));
        assert!(link.is_symlink());
        assert_has(directory.path(), &[("f", "new"), ("link", "new")]);
    }
}
