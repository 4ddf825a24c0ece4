//! Records the mount points of both sides of a run in the sync state.
//!
//! A mount point is stored before the listing that finds it returns an entry below it. So if the process is killed at any
//! time, it has copied nothing that a later run could treat as deleted once the disk is not mounted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pos3_core::{Side, Tree};
use pos3_local::{FileSystems, Mounts, Watching};

use crate::hidden::{self, MountPoints, Standing};
use crate::state::State;

/// Records the mount points that listings find until it is dropped.
pub(super) struct Recording(Vec<OfSide>);

/// The mount points of one side, which is a local directory.
struct OfSide {
    side: Side,
    mounts: Mounts,
    stored: Arc<Stored>,
    _watching: Watching,
}

/// The mount points in the sync state.
struct Stored {
    state: State,
    side: Side,
    /// The standing of a mount point that a listing finds for the first time.
    standing: Standing,
    points: Mutex<Option<MountPoints>>,
}

impl Recording {
    /// Starts to record the mount points of both sides, because the next transfer may have the opposite direction.
    pub(super) async fn start(state: &State, source: &Tree, target: &Tree) -> Self {
        let mut sides = Vec::new();
        for (side, tree) in [(Side::Source, source), (Side::Target, target)] {
            if let Some(mounts) = hidden::mounts(tree) {
                sides.push(OfSide::start(state, side, mounts).await);
            }
        }
        Self(sides)
    }

    /// Records that a run has ended which deleted whatever the source did not have, or withheld these deletes. It has
    /// shown nothing about the target, because no delete depended on a key that the target lacks.
    pub(super) async fn end(self, standing: Standing) {
        for side in self.0.iter().filter(|side| side.side == Side::Source && standing == Standing::Known) {
            side.stored.know(&side.mounts.now()).await;
        }
    }
}

impl OfSide {
    async fn start(state: &State, side: Side, mounts: Mounts) -> Self {
        let points = state.mount_points(side).await;
        let standing = if points.is_none() { Standing::Known } else { Standing::New };
        let stored = Arc::new(Stored { state: state.clone(), side, standing, points: Mutex::new(points) });
        let found = stored.clone();
        let _watching = mounts.watch(move |now| found.find(now));
        Self { side, mounts, stored, _watching }
    }
}

impl Stored {
    /// Stores the mount points that a listing has found so far, on the thread of the listing.
    fn find(&self, now: &FileSystems) {
        let mut points = self.points();
        let found = hidden::with_found(points.clone().unwrap_or_default(), now, self.standing);
        // If this cannot be written, the rows of the run cannot be written either, and the run reports that.
        if points.as_ref() != Some(&found) && self.state.remember_mount_points_blocking(self.side, &found).is_ok() {
            *points = Some(found);
        }
    }

    /// Stores that a run with deletes has found the mount points of a complete listing.
    async fn know(&self, now: &FileSystems) {
        let Some(points) = self.points().clone() else { return };
        let known = hidden::with_known(points.clone(), now);
        if known != points {
            let _not_written = self.state.remember_mount_points(self.side, &known).await;
        }
    }

    fn points(&self) -> MutexGuard<'_, Option<MountPoints>> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
