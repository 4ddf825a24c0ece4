//! Reads the table of mounts, which shows the part of a file system at a path and below it.
//!
//! A bind mount shows the same files under a second path, and no path, link or inode of a directory above it reveals
//! this. A sync whose target contains a mount of its source would delete the source.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The table of mounts of this process, on Linux.
const TABLE: &str = "/proc/self/mountinfo";

/// A part of a file system, and its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    device: OsString,
    /// The path of the part on its own file system.
    on_disk: PathBuf,
    seen_at: PathBuf,
}

/// One mount.
#[derive(Debug)]
struct Mount {
    device: OsString,
    /// The mounted path of the file system.
    root: PathBuf,
    point: PathBuf,
    source: String,
}

/// A mount point.
#[derive(Clone, Debug)]
pub(crate) struct MountPoint {
    pub(crate) path: PathBuf,
    /// The type and the source of what is mounted there, as the table has them.
    pub(crate) source: String,
}

/// Returns all mount points of this process, the earliest first. There are none on systems without a table.
pub(crate) fn mount_points() -> Vec<MountPoint> {
    let point = |mount: Mount| MountPoint { path: mount.point, source: mount.source };
    Mounts::read().0.into_iter().map(point).collect()
}

/// All mounts.
#[derive(Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    /// Reads the table of this process. It is empty on systems without one.
    pub(super) fn read() -> Self {
        Self::parse(&fs::read(TABLE).unwrap_or_default())
    }

    pub(super) fn parse(table: &[u8]) -> Self {
        Self(table.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect())
    }

    /// Returns the part at a path, which belongs to the nearest mount above it, or to the last of several.
    pub(super) fn at(&self, path: &Path) -> Option<Part> {
        let above = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        let mount = above.max_by_key(|mount| mount.point.components().count())?;
        let below = path.strip_prefix(&mount.point).ok()?;
        Some(Part {
            device: mount.device.clone(),
            on_disk: normal(&mount.root.join(normal(below))),
            seen_at: path.to_owned(),
        })
    }

    /// Returns the parts that are mounted below a path. Later mounts may hide some of them.
    pub(super) fn below(&self, path: &Path) -> Vec<Part> {
        let below = self.0.iter().filter(|mount| mount.point != path && mount.point.starts_with(path));
        below.map(Mount::part).collect()
    }
}

impl Mount {
    /// Parses a line: an ID, the ID of the parent, the device, the root, the mount point, and further fields. After a `-`,
    /// the type and the source follow.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        let mut next = || fields.next().map(unescaped);
        let (device, root, point) = (next()?, next()?.into(), next()?.into());
        let last: Vec<_> = fields.skip_while(|field| *field != b"-").skip(1).take(2).collect();
        Some(Self { device, root, point, source: String::from_utf8_lossy(&last.join(&b' ')).into_owned() })
    }

    fn part(&self) -> Part {
        Part { device: self.device.clone(), on_disk: normal(&self.root), seen_at: self.point.clone() }
    }
}

impl Part {
    /// Returns the path from `outer` to this part if it lies inside `outer` on the same file system.
    pub(super) fn below(&self, outer: &Self) -> Option<&Path> {
        self.on_disk.strip_prefix(&outer.on_disk).ok().filter(|_| self.device == outer.device)
    }

    /// Returns true if both parts show the same directory or file, or if one lies inside the other, and no other mount
    /// hides it.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let is_inside = |inner: &Self, outer: &Self| {
            inner.below(outer).is_some_and(|below| is_one(&inner.seen_at, &outer.seen_at.join(below)))
        };
        is_inside(self, other) || is_inside(other, self)
    }
}

/// Returns true if two paths that are one according to the table of mounts really are one, as far as both exist. If
/// this cannot be checked, the result follows the table.
pub(super) fn is_one(one: &Path, other: &Path) -> bool {
    for (one, other) in one.ancestors().zip(other.ancestors()) {
        match (fs::metadata(one), fs::metadata(other)) {
            (Ok(one), Ok(other)) => return (one.dev(), one.ino()) == (other.dev(), other.ino()),
            (Err(one), Err(other)) if one.kind() == ErrorKind::NotFound && other.kind() == ErrorKind::NotFound => {}
            (Err(error), _) | (_, Err(error)) => return error.kind() != ErrorKind::NotFound,
        }
    }
    false
}

/// Returns the path without its root and without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// Decodes the octal escapes of spaces and other characters.
fn unescaped(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    const TABLE: &[u8] = b"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                           30 22 0:25 / /proc rw - proc proc rw\n\
                           31 22 8:2 / /home rw - ext4 /dev/sda2 rw\n\
                           40 22 8:2 /u/my\\040data /mnt rw - ext4 /dev/sda2 rw\n\
                           41 22 8:3 / /again rw - ext4 /dev/sda3 rw\n\
                           42 22 8:2 / /again rw - ext4 /dev/sda2 rw\n\
                           43 22 8:1 /odd\xff\\134 /odd\xff rw - ext4 /dev/sda1 rw\n";

    #[test]
    fn a_bind_mount_is_seen_also_from_above_and_below() {
        let mounts = Mounts::parse(TABLE);
        for (inner, outer, expected) in [
            ("/mnt", "/home/u/my data", Some("")),
            ("/home/u/my data", "/mnt", Some("")),
            ("/mnt/x", "/home/u", Some("my data/x")),
            ("/home/u/my data/x", "/mnt", Some("x")),
            ("/again/u/my data/x", "/mnt", Some("x")),
            ("/home/u", "/mnt", None),
            ("/u/my data", "/mnt", None),
            ("/home/u/my data2", "/mnt", None),
            ("/mnt2", "/mnt", None),
        ] {
            let (inner, outer) = (mounts.at(Path::new(inner)).unwrap(), mounts.at(Path::new(outer)).unwrap());
            assert_eq!(inner.below(&outer), expected.map(Path::new), "{inner:?} in {outer:?}");
        }
    }

    #[test]
    fn a_mount_has_a_type_and_a_source() {
        let line = b"40 22 0:45 / /mnt rw,relatime shared:1 master:2 - nfs4 server:/data rw,vers=4.2";
        let sources = Mounts::parse(line).0.into_iter().map(|mount| mount.source);
        assert_eq!(sources.collect::<Vec<_>>(), ["nfs4 server:/data"]);
    }

    #[test]
    fn names_in_the_table_are_bytes() {
        let odd = std::ffi::OsStr::from_bytes(b"/odd\xff/x");
        let part = Mounts::parse(TABLE).at(Path::new(odd)).unwrap();
        assert_eq!(part.on_disk.as_os_str().as_bytes(), b"odd\xff\\/x");
    }

    #[test]
    fn what_is_mounted_below_a_directory_is_a_part_of_it() {
        // One file system that is mounted twice more. The paths exist, so that their inodes can be compared.
        let root = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(root.path()).unwrap();
        fs::create_dir_all(base.join("t/deep/mnt")).unwrap();
        fs::create_dir_all(base.join("s/sub")).unwrap();
        let base = base.to_str().unwrap();
        for (shown, point, is_found) in [
            ("s", "t/deep/mnt", true),
            ("s/sub", "t/deep/mnt", true),
            ("", "t/deep/mnt", true),
            ("t", "s/sub", true),
            ("t/deep", "s/sub", true),
            ("other", "t/deep/mnt", false),
            ("s", "elsewhere/mnt", false),
        ] {
            let line = format!("22 1 8:1 / / rw - ext4 x rw\n40 22 8:1 {base}/{shown} {base}/{point} rw - ext4 x rw\n");
            let mounts = Mounts::parse(line.as_bytes());
            let parts = |name: &str| {
                let path = Path::new(base).join(name);
                let mut parts = mounts.below(&path);
                parts.extend(mounts.at(&path));
                parts
            };
            let related = parts("s")
                .iter()
                .any(|one| parts("t").iter().any(|other| one.below(other).is_some() || other.below(one).is_some()));
            assert_eq!(related, is_found, "{shown} at {point}");
        }
    }

    #[test]
    fn what_another_mount_hides_is_not_met() {
        let root = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(root.path()).unwrap();
        ["s/sub", "t/mnt"].iter().for_each(|path| fs::create_dir_all(base.join(path)).unwrap());
        let part = |path: &str, on_disk: &str| Part {
            device: "8:1".into(),
            on_disk: on_disk.into(),
            seen_at: base.join(path),
        };
        assert!(part("s/sub", "s/sub").meets(&part("s", "s")));
        assert!(part("s/new/er", "s/new/er").meets(&part("s", "s")), "what does not exist is where it will be");
        assert!(!part("t/mnt", "s/sub").meets(&part("s", "s")), "the table says so, and the inodes do not");
    }
}
