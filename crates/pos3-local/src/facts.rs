//! Converts the metadata of files to entries of the engine.
//!
//! `list`, `head`, `get` and `put` all create their entries here. Otherwise, the same file could appear to have
//! changed.

use std::time::{Duration, SystemTime};

use pos3_core::{Availability, Entry, Fingerprint, Key, Kind};
use rustix::fs::{FileType, Stat, Timespec};

/// The device and inode, which identify a directory regardless of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: i128,
    inode: i128,
}

/// The tag of the fingerprints of local files and directories. Without it, a token of 32 bytes of another store, such as an
/// ETag, could be read as the size and times of a file.
const TAG: u8 = 0xff;

/// The length of a file's token without its tag.
const LENGTH: usize = 32;

/// The token of every directory, whose content is always empty.
const DIRECTORY: &[u8] = b"directory";

const NANOS: i128 = 1_000_000_000;

/// Returns the entry of a regular file.
pub(crate) fn file(key: Key, stat: &Stat) -> Entry {
    Entry {
        key,
        kind: Kind::File,
        size: size(stat),
        modified: modified(stat),
        fingerprint: Some(fingerprint(stat)),
        digest: None,
        checksum: None,
        availability: Availability::Ready,
    }
}

/// Returns the entry of an empty directory.
pub(crate) fn marker(key: Key, stat: &Stat) -> Entry {
    Entry {
        key,
        kind: Kind::Marker,
        size: 0,
        modified: modified(stat),
        fingerprint: Some(Fingerprint::tagged(TAG, DIRECTORY)),
        digest: None,
        checksum: None,
        availability: Availability::Ready,
    }
}

/// Returns the fingerprint of a file's content: size, both times in nanoseconds, and inode.
///
/// The device is not included, because its number may change after a restart.
pub(crate) fn fingerprint(stat: &Stat) -> Fingerprint {
    let mut token = [0; LENGTH];
    let fields = [
        size(stat),
        nanos(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        nanos(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        stat.st_ino,
    ];
    for (place, field) in token.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    Fingerprint::tagged(TAG, &token)
}

/// Returns the fingerprint of a local file or directory as this version writes it. Versions without tags have stored it
/// in sync states and plan files. Other fingerprints are returned as they are.
///
/// The caller must know that the fingerprint is that of a local file, because an ETag may have the same length.
pub fn with_tag(fingerprint: Fingerprint) -> Fingerprint {
    let token = fingerprint.as_bytes();
    if token.len() == LENGTH || token == DIRECTORY { Fingerprint::tagged(TAG, token) } else { fingerprint }
}

fn token(fingerprint: &Fingerprint) -> Option<&[u8; LENGTH]> {
    fingerprint.untagged(TAG)?.try_into().ok()
}

/// Returns the time of the last change of any kind of the file with this fingerprint, or `None` for a fingerprint of
/// another store.
///
/// No program can set this time. So of two states of one file, the later one has the later time, unless the clock was
/// set back.
pub fn last_change(fingerprint: &Fingerprint) -> Option<SystemTime> {
    nanos_at(fingerprint, 16)
}

/// Returns the time of the last change of the content of the file with this fingerprint, or `None` for a fingerprint of
/// another store.
///
/// Programs can set this time. Copying with times, as a backup does, preserves it.
pub fn last_modification(fingerprint: &Fingerprint) -> Option<SystemTime> {
    nanos_at(fingerprint, 8)
}

fn nanos_at(fingerprint: &Fingerprint, place: usize) -> Option<SystemTime> {
    let nanos = i64::from_le_bytes(token(fingerprint)?[place..place + 8].try_into().ok()?);
    time(0, nanos.into())
}

/// Returns the size in bytes of the file with this fingerprint, or `None` for a fingerprint of another store.
pub fn length(fingerprint: &Fingerprint) -> Option<u64> {
    Some(u64::from_le_bytes(token(fingerprint)?[..8].try_into().ok()?))
}

/// Returns the size in bytes.
pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// Returns the modification time, which programs can set, or `None` if `SystemTime` cannot represent it.
pub(crate) fn modified(stat: &Stat) -> Option<SystemTime> {
    time(stat.st_mtime.into(), stat.st_mtime_nsec.into())
}

/// Returns the time of the last change of any kind, which no program can set, or `None` if `SystemTime` cannot
/// represent it.
pub(crate) fn status_changed(stat: &Stat) -> Option<SystemTime> {
    time(stat.st_ctime.into(), stat.st_ctime_nsec.into())
}

fn time(seconds: i128, rest: i128) -> Option<SystemTime> {
    let nanos = seconds * NANOS + rest;
    let distance = u128::try_from(nanos.abs()).ok()?;
    let seconds = u64::try_from(distance / NANOS.unsigned_abs()).ok()?;
    let rest = u32::try_from(distance % NANOS.unsigned_abs()).ok()?;
    let distance = Duration::new(seconds, rest);
    if nanos < 0 { SystemTime::UNIX_EPOCH.checked_sub(distance) } else { SystemTime::UNIX_EPOCH.checked_add(distance) }
}

/// Converts a time to the system's format. Returns `None` if that format cannot represent it.
pub(crate) fn timespec(time: SystemTime) -> Option<Timespec> {
    let nanos = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).ok()?,
        Err(before) => -i128::try_from(before.duration().as_nanos()).ok()?,
    };
    let seconds = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
    let rest = i32::try_from(nanos.rem_euclid(NANOS)).ok()?;
    Some(Timespec { tv_sec: seconds, tv_nsec: rest.into() })
}

/// Returns the type of the file.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Returns the device and inode of the file.
pub(crate) fn identity(stat: &Stat) -> Identity {
    Identity { device: stat.st_dev.into(), inode: stat.st_ino.into() }
}

/// Returns the name of this file type for messages.
pub(crate) fn name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::BlockDevice => "block device",
        FileType::CharacterDevice => "character device",
        FileType::Unknown => "file of an unknown type",
    }
}

/// The lower 64 bits are sufficient: no two times of one file differ by 584 years.
fn nanos(seconds: i128, rest: i128) -> u64 {
    let low = (seconds * NANOS + rest).rem_euclid(1 << 64);
    u64::try_from(low).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_round_trip_to_the_nanosecond() {
        let directory = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(directory.path().join("f")).unwrap();
        for time in [
            SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789),
            SystemTime::UNIX_EPOCH,
            SystemTime::UNIX_EPOCH - Duration::new(3, 999_999_999),
        ] {
            let stamp = timespec(time).unwrap();
            let times = rustix::fs::Timestamps { last_access: stamp, last_modification: stamp };
            rustix::fs::futimens(&file, &times).unwrap();
            let stat = rustix::fs::fstat(&file).unwrap();
            assert_eq!(modified(&stat), Some(time));
            assert_eq!(last_change(&fingerprint(&stat)), status_changed(&stat));
            assert_eq!(last_modification(&fingerprint(&stat)), Some(time));
            assert_eq!(length(&fingerprint(&stat)), Some(size(&stat)));
        }
    }

    #[test]
    fn only_a_fingerprint_of_a_file_tells_a_time() {
        let etag = "0123456789abcdef0123456789abcdef";
        assert_eq!(etag.len(), LENGTH, "as long as the token of a file");
        let texts = ["", "directory", etag, "0123456789abcdef0123456789abcdef-7"].map(Fingerprint::from);
        let others = [
            Fingerprint::tagged(TAG, DIRECTORY),
            Fingerprint::tagged(0xfe, &[0; LENGTH]),
            Fingerprint::new([0; LENGTH]),
        ];
        for other in texts.into_iter().chain(others) {
            let found = (last_change(&other), last_modification(&other), length(&other));
            assert_eq!(found, (None, None, None), "{other}");
        }
    }

    #[test]
    fn a_fingerprint_without_a_tag_gets_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(directory.path().join("f")).unwrap();
        // The first byte of the token is that of the size. With 255, it looks like the tag.
        for size in [0, 1, 255, 256] {
            file.set_len(size).unwrap();
            let now = fingerprint(&rustix::fs::fstat(&file).unwrap());
            let earlier = Fingerprint::new(&now.as_bytes()[1..]);
            assert_eq!((with_tag(earlier), with_tag(now.clone())), (now.clone(), now), "{size}");
        }
        let stat = rustix::fs::stat(directory.path()).unwrap();
        let now = marker(Key::from("d/"), &stat).fingerprint.unwrap();
        assert_eq!((with_tag("directory".into()), with_tag(now.clone())), (now.clone(), now));
    }
}
