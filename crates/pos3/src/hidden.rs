//! Detects files that a mount or an unmount hides in a source directory: [`Hidden`].
//!
//! An unmounted disk leaves an empty directory, and a disk that is mounted over a directory hides its files. Both would
//! delete everything below that directory from the target. So pos3 compares the file systems of the source with those
//! of earlier listings. Within a process it compares devices and mounts. Between runs, whose numbers of devices and mounts
//! differ, it compares the paths of mount points and what is [`Mounted`] there. A target directory may be a source later,
//! so its mount points are recorded, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pos3_core::{Deletable, Key, Protection, RemoteStoreExt, Tree};
use pos3_local::{FileSystem, FileSystems, LocalStore, MountPoint, Mounted, Mounts};
use serde::{Deserialize, Serialize};

/// The mount points of a directory by relative key, as recorded in the sync state.
pub(crate) type MountPoints = BTreeMap<String, Recorded>;

/// A mount point as recorded in the sync state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) standing: Standing,
    /// What was mounted there, if known.
    pub(crate) mounted: Option<Mounted>,
}

/// Whether a run with deletes has found a mount point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// A run with deletes has found it and what is mounted there, or both existed at the first run. Files that it hides
    /// are treated as deleted.
    Known,
    /// No run with deletes has found it yet, so it may hide files of earlier runs.
    New,
}

/// How a mount point has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Mounted,
    Unmounted,
    Replaced,
}

/// Compares the current listing of a source directory with earlier ones. Clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden(Arc<Mutex<Earlier>>);

#[derive(Debug, Default)]
struct Earlier {
    /// The file systems of the first listing of this process.
    first: Option<FileSystems>,
    /// The mount points of earlier runs, from the sync state.
    remembered: Option<MountPoints>,
    /// The mount points that differed at any listing of this process. They stay in doubt, because it is unknown which
    /// files were seen when.
    changed: BTreeMap<String, Change>,
    /// The mount points that withheld a delete of the latest run.
    withheld: BTreeMap<String, Change>,
}

impl Hidden {
    /// Sets the mount points of earlier runs, unless they are already set.
    pub(crate) fn remember(&self, points: Option<MountPoints>) {
        let mut earlier = self.lock();
        if earlier.remembered.is_none() {
            earlier.remembered = points;
        }
    }

    /// Records the file systems of a listing that has ended.
    pub(crate) fn note(&self, source: &Tree) {
        let Some(now) = mounts(source).map(|mounts| mounts.now()).filter(|now| now.root.is_some()) else { return };
        let earlier = &mut *self.lock();
        let changes = earlier.changes(&now);
        earlier.changed.extend(changes);
        earlier.first.get_or_insert(now);
    }

    /// Restricts deletes to keys that no mount point of the source may hide.
    pub(crate) fn guard(&self, deletable: Deletable, source: &Tree) -> Deletable {
        let Some(mounts) = mounts(source) else { return deletable };
        self.lock().withheld.clear();
        let earlier = self.0.clone();
        deletable.unless_hidden(move |key| {
            let mut earlier = earlier.lock().unwrap_or_else(PoisonError::into_inner);
            let (point, change) = mounts.with(|now| earlier.hides(key, now))?;
            earlier.withheld.insert(point.clone(), change);
            Some(Protection::Unreadable(change.describe(&point).into()))
        })
    }

    /// Returns warnings about the mount points that withheld deletes of the latest run.
    pub(crate) fn warnings(&self, source: &str) -> Vec<String> {
        let warn = |(point, change): (&String, &Change)| {
            let (what, hint) = (change.describe(point), change.hint());
            format!("in '{source}', {what}, so nothing was deleted: {hint}")
        };
        self.lock().withheld.iter().map(warn).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Earlier> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the mount points to record after a listing has found those of `now`. A mount point stays recorded until the
/// user removes it. One that was not recorded before, or at which something else is mounted now, gets `standing`.
pub(crate) fn with_found(mut points: MountPoints, now: &FileSystems, standing: Standing) -> MountPoints {
    for (point, MountPoint { mounted, .. }) in &now.points {
        let known = points.get(point).filter(|known| !known.is_replaced_by(*mounted));
        let recorded = match known {
            Some(known) => Recorded { standing: known.standing, mounted: mounted.or(known.mounted) },
            None => Recorded { standing, mounted: *mounted },
        };
        points.insert(point.clone(), recorded);
    }
    points
}

/// Returns the mount points to record after a run with deletes has ended.
pub(crate) fn with_known(mut points: MountPoints, now: &FileSystems) -> MountPoints {
    for (point, recorded) in &mut points {
        if now.points.contains_key(point) {
            recorded.standing = Standing::Known;
        }
    }
    points
}

impl Recorded {
    fn is_replaced_by(&self, mounted: Option<Mounted>) -> bool {
        self.mounted.zip(mounted).is_some_and(|(then, now)| !now.may_be(&then))
    }
}

impl Earlier {
    /// Returns the mount point that may hide a key, and how it changed.
    fn hides(&self, key: &Key, now: &FileSystems) -> Option<(String, Change)> {
        let covers = |point: &str| key.as_str().starts_with(point);
        let before = self.changed.iter().find(|(point, _)| covers(point));
        let before = before.map(|(point, change)| (point.clone(), *change));
        before.or_else(|| self.changes(now).into_iter().find(|(point, _)| covers(point)))
    }

    /// Returns every mount point that has changed.
    fn changes(&self, now: &FileSystems) -> BTreeMap<String, Change> {
        let mut changes = BTreeMap::new();
        if now.root.is_none() {
            // Only a part of the source was listed, to explain one key.
            return changes;
        }
        if let Some(first) = &self.first {
            for point in first.points.keys().chain(now.points.keys()) {
                let system = |of: &FileSystems| of.points.get(point).map(|point| point.system);
                changes.extend(of(system(first), system(now)).map(|is| (point.clone(), is)));
            }
            // A file system above the root may also have been unmounted.
            if first.root != now.root {
                changes.entry(String::new()).or_insert(Change::Replaced);
            }
        }
        if let Some(remembered) = &self.remembered {
            let gone = remembered.keys().filter(|point| !now.points.contains_key(*point));
            changes.extend(gone.map(|point| (point.clone(), Change::Unmounted)));
            for (point, MountPoint { mounted, .. }) in &now.points {
                let known = remembered.get(point).filter(|point| point.standing == Standing::Known);
                match known {
                    Some(known) if known.is_replaced_by(*mounted) => changes.insert(point.clone(), Change::Replaced),
                    Some(_) => None,
                    None => changes.insert(point.clone(), Change::Mounted),
                };
            }
        }
        changes
    }
}

/// Returns how a mount point changed, if it did.
fn of(before: Option<FileSystem>, now: Option<FileSystem>) -> Option<Change> {
    match (before, now) {
        (Some(_), None) => Some(Change::Unmounted),
        (None, Some(_)) => Some(Change::Mounted),
        (Some(before), Some(now)) if before != now => Some(Change::Replaced),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

impl Change {
    fn describe(self, point: &str) -> String {
        let at = if point.is_empty() { "the directory itself".to_owned() } else { format!("'{point}'") };
        match self {
            Self::Mounted => format!("a file system was mounted over {at}"),
            Self::Unmounted => format!("the file system at {at} is not mounted now"),
            Self::Replaced => format!("another file system than before is at {at}"),
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Mounted => "unmount it, or run again if the mount is intended",
            Self::Unmounted => "mount it, or forget it in the sync state (manifest forget)",
            Self::Replaced => "mount the earlier one, or run again if the new one is intended",
        }
    }
}

/// Returns the file systems of a local directory. Their paths are those of the directory, so a wrapper with other keys has
/// none.
pub(crate) fn mounts(side: &Tree) -> Option<Mounts> {
    let root = Key::from("");
    let (store, key) = side.store().backend_as::<LocalStore>(&root)?;
    (key == root).then(|| store.mounts())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Recorded = Recorded { standing: Standing::Known, mounted: None };

    fn systems(root: i128, points: &[(&str, i128)]) -> FileSystems {
        let system = |device| FileSystem { device, mount: None };
        let point = |device| MountPoint { system: system(device), mounted: None };
        let points = points.iter().map(|(key, device)| ((*key).to_owned(), point(*device))).collect();
        FileSystems { root: Some(system(root)), points }
    }

    #[test]
    fn a_file_system_that_came_or_went_hides_what_is_below_it() {
        use Change::{Mounted, Replaced, Unmounted};
        for (first, now, key, expected) in [
            (systems(1, &[("d/", 2)]), systems(1, &[("d/", 2)]), "d/x", None),
            (systems(1, &[("d/", 2)]), systems(1, &[]), "d/x", Some(Unmounted)),
            (systems(1, &[("d/", 2)]), systems(1, &[]), "d2/x", None),
            (systems(1, &[]), systems(1, &[("d/", 2)]), "d/e/x", Some(Mounted)),
            (systems(1, &[("d/", 2)]), systems(1, &[("d/", 3)]), "d/x", Some(Replaced)),
            (systems(1, &[]), systems(2, &[("", 2)]), "x", Some(Mounted)),
            (systems(2, &[("", 2)]), systems(1, &[]), "x", Some(Unmounted)),
            (systems(2, &[]), systems(1, &[]), "x", Some(Replaced)),
        ] {
            let earlier = Earlier { first: Some(first), ..Earlier::default() };
            let found = earlier.hides(&Key::from(key), &now).map(|(_, change)| change);
            assert_eq!(found, expected, "{key} {now:?}");
        }
    }

    #[test]
    fn between_runs_only_the_mount_points_count() {
        let earlier = |points: &[&str]| Earlier {
            remembered: Some(points.iter().map(|point| ((*point).to_owned(), KNOWN)).collect()),
            ..Earlier::default()
        };
        let hides =
            |earlier: Earlier, now: FileSystems| earlier.hides(&Key::from("d/x"), &now).map(|(_, change)| change);
        assert_eq!(hides(earlier(&["d/"]), systems(7, &[("d/", 9)])), None);
        assert_eq!(hides(earlier(&["d/"]), systems(7, &[])), Some(Change::Unmounted));
        assert_eq!(hides(earlier(&[]), systems(7, &[("d/", 9)])), Some(Change::Mounted));
        assert_eq!(hides(Earlier::default(), systems(7, &[("d/", 9)])), None, "nothing is known");
    }

    #[test]
    fn what_is_mounted_at_a_recorded_point_is_compared() {
        let (one, other) = (mounted(1), mounted(2));
        let now = |mounted| {
            let point = MountPoint { system: FileSystem { device: 9, mount: None }, mounted };
            FileSystems { root: Some(point.system), points: [("d/".to_owned(), point)].into() }
        };
        let found = |points: MountPoints, mounted, standing| with_found(points, &now(mounted), standing);
        let change = |points: &MountPoints, mounted| {
            let earlier = Earlier { remembered: Some(points.clone()), ..Earlier::default() };
            earlier.hides(&Key::from("d/x"), &now(mounted)).map(|(_, change)| change)
        };
        let points = found(MountPoints::new(), one, Standing::Known);
        assert_eq!(change(&points, one), None);
        assert_eq!(change(&points, other), Some(Change::Replaced));
        assert_eq!(change(&points, None), None, "it cannot be compared");
        assert_eq!(found(points.clone(), one, Standing::New), points);
        assert_eq!(found(points.clone(), None, Standing::New), points, "it is kept");
        let without = found(MountPoints::new(), None, Standing::Known);
        assert_eq!((change(&without, other), found(without, one, Standing::New)), (None, points.clone()));
        let replaced = found(points, other, Standing::New);
        assert_eq!(change(&replaced, other), Some(Change::Mounted), "no run with deletes has found it");
        let known = with_known(replaced, &now(other));
        assert_eq!((change(&known, other), change(&known, one)), (None, Some(Change::Replaced)));
    }

    fn mounted(inode: u8) -> Option<Mounted> {
        Some(postcard::from_bytes(&[inode, 0, 0]).unwrap())
    }
}
