//! The last look at whether source and target are one place that goes by two names.
//!
//! Names are compared before a run begins, but an alias of a server or a gateway to a local directory shows in no name. A
//! target inside its own source would be copied into itself without end, and deletes would remove the source. So where
//! the two could overlap, what was written to the target, or is to be deleted there, must not show up in the source.

use std::time::{Duration, SystemTime};

use futures::future::join;

use super::Run;
use crate::entry::{Entry, Kind};
use crate::key::Key;
use crate::plan::{Plan, Refusal};
use crate::report::Stop;
use crate::spill::SpillError;

/// How source and target could be one place although nothing says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspicion {
    /// One prefix lies inside the other in two stores, which could be one. A look costs a request or two.
    Nested,
    /// The source is read locally, and the target's store could keep its objects there. Looking is free.
    Local,
}

/// How far the clock that gives files their times may be behind.
const TICK: Duration = Duration::from_millis(20);

/// What is not yet known about two places.
pub(super) struct Doubt {
    suspicion: Option<Suspicion>,
    begun: SystemTime,
}

impl Doubt {
    pub(super) fn of(run: &Run) -> Self {
        let (source, target) = (&run.source, &run.target);
        let is_local = |tree: &crate::tree::Tree| tree.store().capabilities().local_reads;
        let (from, to) = (source.prefix(), target.prefix());
        let nested = from != to && (from.starts_with(to) || to.starts_with(from));
        let suspicion = match () {
            () if source.is_object() || target.is_object() => None,
            // What a path on this machine is has been found out by looking at the directories.
            () if is_local(target) => None,
            () if is_local(source) => Some(Suspicion::Local),
            () => nested.then_some(Suspicion::Nested),
        };
        Self { suspicion, begun: SystemTime::now() - TICK }
    }

    /// Returns true if nothing else may be begun before the first object that was written has been looked for.
    pub(super) fn waits_for_first(&self) -> bool {
        self.suspicion == Some(Suspicion::Nested)
    }

    /// Looks for the first object that was written, if one was. What is not in the source settles the doubt.
    ///
    /// # Errors
    ///
    /// It shows up in the source.
    pub(super) async fn look_for_written(&mut self, run: &Run) -> Result<(), Stop> {
        let (Some(suspicion), Some(written)) = (self.suspicion, run.first.get()) else { return Ok(()) };
        let shows_up = match suspicion {
            Suspicion::Nested => is_written_to_both(run, written).await,
            Suspicion::Local => self.appeared_locally(run, written).await,
        };
        if shows_up {
            return Err(Stop::Refused(Refusal::SamePlace { key: written.key.clone() }));
        }
        self.suspicion = None;
        Ok(())
    }

    /// Looks for an object that is to be deleted, where no object was written that could tell.
    ///
    /// # Errors
    ///
    /// It shows up in the source.
    pub(super) async fn look_for_deleted(&self, run: &Run, plan: &Plan) -> Result<(), Stop> {
        if self.suspicion != Some(Suspicion::Nested) {
            return Ok(());
        }
        let is_file = |entry: &Result<Entry, SpillError>| !entry.as_ref().is_ok_and(|entry| entry.kind != Kind::File);
        let Some(entry) = plan.deletes().iter().find(is_file).transpose().map_err(Stop::Spill)? else { return Ok(()) };
        match run.source.store().head(&run.target.key(&entry.key)).await {
            Ok(found) if is_same(&found, &entry) => Err(Stop::Refused(Refusal::SamePlace { key: entry.key.clone() })),
            _ => Ok(()),
        }
    }

    /// Returns true if a file as large as the one that was written appeared below the source since the run began, where
    /// the target would be if it were a part of the source.
    async fn appeared_locally(&self, run: &Run, written: &Entry) -> bool {
        let whole = run.target.locate(&written.key);
        let mut below = whole.as_str();
        while let Some((_, rest)) = below.split_once('/').filter(|(_, rest)| rest.len() > written.key.as_str().len()) {
            below = rest;
            let found = run.source.store().head(&run.source.key(&Key::from(below))).await;
            let is_new = |found: &Entry| found.modified.is_some_and(|modified| modified >= self.begun);
            if found.is_ok_and(|found| found.kind == Kind::File && found.size == written.size && is_new(&found)) {
                return true;
            }
        }
        false
    }
}

/// Returns true if both stores have the object that was written, with the same token and the same time.
async fn is_written_to_both(run: &Run, written: &Entry) -> bool {
    let key = run.target.key(&written.key);
    match join(run.source.store().head(&key), run.target.store().head(&key)).await {
        (Ok(here), Ok(there)) => is_same(&here, &there),
        _ => false,
    }
}

/// Two places that hold the same content since the same second would be a coincidence.
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
