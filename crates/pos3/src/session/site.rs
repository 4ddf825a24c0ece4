//! Where the output of a mark lies: [`Site`].
//!
//! The path of an output can lead to another directory later: its disk is not mounted, another one is mounted over it, or a
//! link leads elsewhere. An upload of that directory does not show that the output is stored, so it must not remove the
//! mark.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use pos3_local::kept_number;
use serde::{Deserialize, Serialize};

use crate::local_path::resolve;
use crate::place::{MountPoint, mount_points};

/// The directories by which the place of an output is recognized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Site {
    /// The directory at the path, or the nearest one above it.
    directory: Identity,
    /// The directory at which the file system of the path is mounted. A program may remove and create the directory of
    /// its output, so the file system is enough to recognize a site.
    mounted: Identity,
    /// The mount points at the path and below it, by the bytes of their relative paths.
    inside: Vec<(Vec<u8>, Identity)>,
}

/// The facts that identify a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    inode: u64,
    /// The number of the device. It can change when the system is restarted, or when the file system is mounted again.
    device: u64,
    /// The time of its creation in seconds and nanoseconds, if the file system records it.
    created: Option<(u64, u32)>,
    /// The identifier of the file system, if it has one that belongs to the disk.
    file_system: Option<u64>,
    /// The type and the source of the mount, such as `nfs4 server:/data`, if they are known.
    source: Option<String>,
}

/// Determines the sites of many paths. Many marks can have the same path, and the table of mounts is read once. The value
/// is only used for a moment, because mounts can change.
#[derive(Debug, Default)]
pub(super) struct Sites {
    points: Option<Vec<MountPoint>>,
    by_path: HashMap<PathBuf, Option<Site>>,
}

impl Sites {
    /// Returns the current site of a path, if it can be determined.
    pub(super) fn of(&mut self, path: &Path) -> Option<Site> {
        let points = self.points.get_or_insert_with(mount_points);
        self.by_path.entry(path.to_owned()).or_insert_with(|| Site::of(path, points)).clone()
    }

    /// Returns true if a path still has a site.
    pub(super) fn has(&mut self, path: &Path, then: &Site) -> bool {
        self.of(path).is_some_and(|now| now.is_same(then))
    }
}

impl Site {
    fn of(path: &Path, points: &[MountPoint]) -> Option<Self> {
        let path = resolve(path);
        let is_directory = |path: &&Path| fs::metadata(path).is_ok_and(|found| found.is_dir());
        let directory = path.ancestors().find(is_directory)?;
        let inside = points.iter().filter(|point| point.path.starts_with(&path) && point.path != directory);
        let inside = inside.filter_map(|point| {
            let below = point.path.strip_prefix(&path).ok()?;
            Some((below.as_os_str().as_bytes().to_vec(), Identity::of(&point.path, points)?))
        });
        let mut inside: Vec<_> = inside.collect();
        inside.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        // One file system may be mounted over another one, which is not visible then.
        inside.dedup_by(|one, other| one.0 == other.0);
        Some(Self {
            directory: Identity::of(directory, points)?,
            mounted: Identity::of(mount_point(directory, points), points)?,
            inside,
        })
    }

    /// Returns true if this is certainly the site that was recorded.
    fn is_same(&self, then: &Self) -> bool {
        let is_here = self.directory.is_same(&then.directory) || self.mounted.is_same(&then.mounted);
        let pairs = self.inside.iter().zip(&then.inside);
        is_here
            && self.inside.len() == then.inside.len()
            && pairs.into_iter().all(|(now, then)| now.0 == then.0 && now.1.is_same(&then.1))
    }
}

impl Identity {
    fn of(path: &Path, points: &[MountPoint]) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        let created = facts.created().ok().and_then(|created| created.duration_since(UNIX_EPOCH).ok());
        let point = mount_point(path, points);
        let source = points.iter().rev().find(|found| found.path == point).map(|found| found.source.clone());
        Some(Self {
            inode: facts.ino(),
            device: facts.dev(),
            created: created.map(|since| (since.as_secs(), since.subsec_nanos())),
            file_system: rustix::fs::statvfs(path).ok().and_then(|found| kept_number(found.f_fsid, facts.dev())),
            source,
        })
    }

    fn is_same(&self, then: &Self) -> bool {
        let differ = |now: Option<u64>, then: Option<u64>| now.zip(then).is_some_and(|(now, then)| now != then);
        let created = self.created.zip(then.created);
        if self.inode != then.inode
            || differ(self.file_system, then.file_system)
            || created.is_some_and(|(now, then)| now != then)
        {
            return false;
        }
        // A root that was created by a tool has a time in whole seconds, which two disks can have in common.
        let is_unique = |(now, _): ((u64, u32), (u64, u32))| now.1 != 0;
        if self.file_system.is_some() && then.file_system.is_some() || created.is_some_and(is_unique) {
            return true;
        }
        match (&self.source, &then.source) {
            (Some(now), Some(then)) => now == then,
            (Some(_), None) | (None, _) => self.device == then.device,
        }
    }
}

/// Returns the nearest mount point at a directory or above it.
fn mount_point<'a>(directory: &'a Path, points: &[MountPoint]) -> &'a Path {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let begins = |path: &&Path| {
        let is_listed = points.iter().any(|point| point.path == *path);
        is_listed || path.parent().is_none_or(|parent| device(parent) != device(path))
    };
    directory.ancestors().find(begins).unwrap_or(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(inode: u64) -> Identity {
        Identity { inode, device: 5, created: Some((1_000, 77)), file_system: Some(9), source: Some("ext4 x".into()) }
    }

    #[test]
    fn a_directory_is_recognized_after_a_restart_and_another_disk_is_not_it() {
        let same = identity(2);
        let with = |change: fn(&mut Identity)| {
            let mut changed = identity(2);
            change(&mut changed);
            changed
        };
        let bare = |device, source: Option<&str>| Identity {
            inode: 2,
            device,
            created: None,
            file_system: None,
            source: source.map(str::to_owned),
        };
        let whole = |seconds, file_system| Identity { created: Some((seconds, 0)), file_system, ..bare(5, None) };
        for (case, now, then, expected) in [
            ("the same", same.clone(), same.clone(), true),
            ("another number of the device", with(|now| now.device = 6), same.clone(), true),
            ("another name of the device", with(|now| now.source = Some("ext4 y".into())), same.clone(), true),
            ("another inode", identity(3), same.clone(), false),
            ("another time", with(|now| now.created = Some((1_000, 78))), same.clone(), false),
            ("another file system", with(|now| now.file_system = Some(8)), same.clone(), false),
            ("one without an identifier", with(|now| now.file_system = None), same.clone(), true),
            ("two disks of one second", whole(7, Some(1)), whole(7, Some(2)), false),
            ("one of these disks", whole(7, Some(1)), whole(7, Some(1)), true),
            ("these, without identifiers", Identity { device: 6, ..whole(7, None) }, whole(7, None), false),
            ("the device only", bare(5, None), bare(5, None), true),
            ("another device", bare(6, None), bare(5, None), false),
            ("the server", bare(6, Some("nfs a:/x")), bare(5, Some("nfs a:/x")), true),
            ("another server with the same number", bare(5, Some("nfs b:/x")), bare(5, Some("nfs a:/x")), false),
        ] {
            assert_eq!(now.is_same(&then), expected, "{case}");
        }
    }

    #[test]
    fn a_site_is_a_directory_or_a_file_system_with_the_same_mounts_inside() {
        let site = |directory, mounted, inside: &[(&str, u64)]| Site {
            directory: identity(directory),
            mounted: identity(mounted),
            inside: inside.iter().map(|(path, inode)| (path.as_bytes().to_vec(), identity(*inode))).collect(),
        };
        let then = site(10, 1, &[("a", 20)]);
        for (case, now, expected) in [
            ("the same", then.clone(), true),
            ("a new directory on the file system", site(11, 1, &[("a", 20)]), true),
            ("the directory by another mount", site(10, 2, &[("a", 20)]), true),
            ("another file system", site(11, 2, &[("a", 20)]), false),
            ("a disk inside is not mounted", site(10, 1, &[]), false),
            ("another disk inside", site(10, 1, &[("a", 21)]), false),
            ("a disk at another place inside", site(10, 1, &[("b", 20)]), false),
            ("another mount inside", site(10, 1, &[("a", 20), ("b", 22)]), false),
        ] {
            assert_eq!(now.is_same(&then), expected, "{case}");
        }
    }

    #[test]
    fn a_path_has_the_site_of_the_nearest_directory() {
        let disk = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(disk.path()).unwrap();
        fs::create_dir_all(base.join("out/deep")).unwrap();
        fs::create_dir(base.join("mounted")).unwrap();
        std::os::unix::fs::symlink("out", base.join("link")).unwrap();
        let of = |path: &str| Sites::default().of(&base.join(path)).unwrap();
        assert_eq!(of("out"), of("link"));
        assert_eq!(of("out"), of("out/none/file"));
        assert!(of("out").directory != of("out/deep").directory && of("out").is_same(&of("out/deep")));
        // Like a bind mount of the same file system.
        let points = [MountPoint { path: base.join("out/deep"), source: "ext4 x".to_owned() }];
        let of = |path: &str| Site::of(&base.join(path), &points).unwrap();
        assert!(!of("out/deep/x").is_same(&of("mounted")), "another mount");
        assert!(of("out").inside.len() == 1 && of("out/deep").inside.is_empty());
        assert!(!of("out").is_same(&Site::of(&base.join("out"), &[]).unwrap()), "it was not mounted");
        let text = serde_json::to_string(&of("out")).unwrap();
        assert_eq!(serde_json::from_str::<Site>(&text).unwrap(), of("out"));
    }
}
