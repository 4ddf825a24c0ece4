//! Detects during a run that source and target are the same place under two names.
//!
//! Names are compared before a run, but an alias of a server, or a gateway to a local directory, does not show in any
//! name. A target inside its own source would be copied into itself endlessly, and deletes would remove the source. So
//! if the two could overlap, an object that was written to the target, or is to be deleted there, must not appear in
//! the source.

use std::time::{Duration, SystemTime};

use futures::future::{join, join_all};

use super::Run;
use crate::blocking::run_blocking;
use crate::entry::{Entry, Kind};
use crate::error::ErrorKind;
use crate::key::Key;
use crate::plan::Plan;
use crate::report::{Refusal, Stop};
use crate::spill::SpillError;
use crate::tree::Tree;

/// How source and target could be the same place although no name shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspicion {
    /// In two stores, which could be one, one prefix lies inside the other. A check costs one or two requests.
    Nested,
    /// The source is local, and the target's store could keep its objects there. The check is free.
    Local,
    /// The target is a local directory, and the server of the source could serve that directory. A check costs a few
    /// requests, so it is made only if the run deletes.
    Served,
}

/// How far the clock of file times may be behind.
const TICK: Duration = Duration::from_millis(20);

/// The unresolved suspicion about two places.
pub(super) struct Doubt {
    suspicion: Option<Suspicion>,
    begun: SystemTime,
    /// The keys in the source under which the first copy could appear, and that did not exist before it.
    absent: Vec<Key>,
}

impl Doubt {
    pub(super) fn of(run: &Run, deletes: u64) -> Self {
        let (source, target) = (&run.source, &run.target);
        let (from, to) = (source.prefix(), target.prefix());
        let nested = from != to && (from.starts_with(to) || to.starts_with(from));
        let suspicion = match (source.is_local(), target.is_local()) {
            _ if source.is_object() || target.is_object() => None,
            (_, true) => (deletes > 0).then_some(Suspicion::Served),
            (true, false) => Some(Suspicion::Local),
            (false, false) => nested.then_some(Suspicion::Nested),
        };
        Self { suspicion, begun: SystemTime::now() - TICK, absent: Vec::new() }
    }

    /// Returns true if nothing else may start before the first written object has been checked.
    pub(super) fn waits_for_first(&self) -> bool {
        matches!(self.suspicion, Some(Suspicion::Nested | Suspicion::Served))
    }

    /// Looks up the possible keys in the source before the first copy. A key that appears afterwards is the copy.
    pub(super) async fn look_before(&mut self, run: &Run, key: &Key) {
        if self.suspicion == Some(Suspicion::Served) {
            let looks = aliases(run, &run.target, key, &run.source).into_iter().map(async |alias| {
                let found = run.source.store().head(&alias).await;
                found.is_err_and(|error| error.kind() == ErrorKind::NotFound).then_some(alias)
            });
            self.absent = join_all(looks).await.into_iter().flatten().collect();
        }
    }

    /// Checks the first written object, if there is one. If it does not appear in the source, the suspicion is
    /// resolved.
    ///
    /// # Errors
    ///
    /// Fails if the object appears in the source.
    pub(super) async fn look_for_written(&mut self, run: &Run) -> Result<(), Stop> {
        let Some(suspicion) = self.suspicion else { return Ok(()) };
        let Some(written) = run.first.get() else {
            // A first copy that failed withholds every delete.
            self.suspicion = self.suspicion.filter(|suspicion| *suspicion != Suspicion::Served);
            return Ok(());
        };
        let shows_up = match suspicion {
            Suspicion::Nested => is_written_to_both(run, written).await,
            Suspicion::Local => self.appeared_locally(run, written).await,
            Suspicion::Served => self.appeared_remotely(run, written).await,
        };
        if shows_up {
            let path = run.target.locate(&written.key);
            return Err(Stop::Refused(Refusal::WroteIntoSource { key: written.key.clone(), path }));
        }
        self.suspicion = None;
        Ok(())
    }

    /// Checks an object that is to be deleted, if no object was written that could be checked.
    ///
    /// # Errors
    ///
    /// Fails if the object appears in the source.
    pub(super) async fn look_for_deleted(&self, run: &Run, plan: &Plan) -> Result<(), Stop> {
        if self.suspicion != Some(Suspicion::Nested) {
            return Ok(());
        }
        let is_file = |entry: &Result<Entry, SpillError>| !entry.as_ref().is_ok_and(|entry| entry.kind != Kind::File);
        let mut deletes = plan.deletes().iter();
        let found = run_blocking(move || deletes.find(is_file)).await.transpose().map_err(Stop::Spill)?;
        let Some(entry) = found else { return Ok(()) };
        match run.source.store().head(&run.target.key(&entry.key)).await {
            Ok(found) if is_same(&found, &entry) => Err(Stop::Refused(Refusal::SamePlace { key: entry.key.clone() })),
            _ => Ok(()),
        }
    }

    /// Returns true if, since the run began, a file of the written size has appeared below the source, at a path where
    /// the target could lie.
    async fn appeared_locally(&self, run: &Run, written: &Entry) -> bool {
        let shortest = run.source.key(&written.key).as_str().len();
        let aliases = aliases(run, &run.target, &written.key, &run.source);
        for alias in aliases.into_iter().filter(|alias| alias.as_str().len() > shortest) {
            let found = run.source.store().head(&alias).await;
            let is_new = |found: &Entry| found.modified.is_some_and(|modified| modified >= self.begun);
            if found.is_ok_and(|found| found.kind == Kind::File && found.size == written.size && is_new(&found)) {
                return true;
            }
        }
        false
    }

    /// Returns true if an object of the written size has appeared in the source after the copy.
    async fn appeared_remotely(&self, run: &Run, written: &Entry) -> bool {
        let looks = self.absent.iter().map(|alias| run.source.store().head(alias));
        let found = join_all(looks).await;
        found.into_iter().flatten().any(|found| found.kind == Kind::File && found.size == written.size)
    }
}

/// Returns the full keys under which an object of one tree would appear in the other if both were the same place. For
/// two servers, that is the same key. Otherwise, it is every end of the path, because the directory of a gateway is
/// unknown. Excluded keys do not exist for the run and may be shared.
pub(super) fn aliases(run: &Run, tree: &Tree, key: &Key, other: &Tree) -> Vec<Key> {
    let mut aliases = possible_aliases(tree, key, other);
    aliases.retain(|alias| other.relative(alias).is_some_and(|relative| run.options.filter.admits(relative.as_str())));
    aliases
}

fn possible_aliases(tree: &Tree, key: &Key, other: &Tree) -> Vec<Key> {
    if other.is_object() {
        return Vec::new();
    }
    if !tree.is_local() && !other.is_local() {
        let whole = tree.key(key);
        return if other.relative(&whole).is_some() { vec![whole] } else { Vec::new() };
    }
    let path = tree.locate(key);
    let ends = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
    let ends = ends.filter(|end| !end.is_empty() && !end.starts_with('/'));
    ends.map(|end| other.key(&Key::from(end))).collect()
}

/// Returns true if both stores have the written object, with the same fingerprint and the same time.
async fn is_written_to_both(run: &Run, written: &Entry) -> bool {
    let key = run.target.key(&written.key);
    match join(run.source.store().head(&key), run.target.store().head(&key)).await {
        (Ok(here), Ok(there)) => is_same(&here, &there),
        _ => false,
    }
}

/// Returns true for the same content with the same time in seconds. In two different places, this would be a
/// coincidence.
fn is_same(here: &Entry, there: &Entry) -> bool {
    let second = |entry: &Entry| {
        entry.modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()).map(|since| since.as_secs())
    };
    here.size == there.size
        && here.fingerprint.is_some()
        && here.fingerprint == there.fingerprint
        && second(here).is_some()
        && second(here) == second(there)
}
