//! What a sync would do with one key, and what decides it.
//!
//! A person who wonders about one file should not have to list two trees. The rules must not be written a second time
//! for that, or the answer would drift from what a sync does; so the few entries that can matter to the key are looked
//! up, and the planner itself is asked about trees that hold nothing else.

mod nearby;

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;

use crate::compare::Proof;
use crate::entry::{Entry, Kind, Protection};
use crate::error::{ErrorKind, StoreError};
use crate::event::{Event, Observe, Observer};
use crate::filter::FilterRule;
use crate::key::Key;
use crate::listing::Listing;
use crate::manifest::{Manifest, Row};
use crate::options::{SyncOptions, WithheldDeletes};
use crate::plan::{Action, Guards, MaxDelete, PlanError, Planner};
use crate::store::Result;
use crate::tree::Tree;

/// What a sync would do with one key, and what was seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The relative key.
    pub key: Key,
    /// The rule of the filter that decided whether it exists for the run, if one matches.
    pub rule: Option<FilterRule>,
    /// What the source has there.
    pub source: Option<Entry>,
    /// What the target has there.
    pub target: Option<Entry>,
    /// What the manifest remembers of it; nothing also where there is no manifest.
    pub remembered: Option<Row>,
    /// What follows.
    pub outcome: Outcome,
}

/// What a sync would do with one key. Guards speak of whole plans, and could still refuse this one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Neither side has it.
    Absent,
    /// The filter leaves it out, on both sides.
    Excluded,
    /// Nothing: both sides hold the same.
    Unchanged(Proof),
    /// Nothing: only the target has it, and it stays, for deleting was not asked for.
    Kept,
    /// Nothing: only the target seems to have it, and it stays, for the source has above it what was not looked into. So
    /// it is not known to be absent, whether deleting was asked for or not.
    Shielded {
        /// What is protected in the source.
        by: Key,
        /// Why it is.
        why: Protection,
    },
    /// Nothing: it is a directory that its contents imply, or protected where it stands.
    Nothing,
    /// This.
    Act(Box<Action>),
}

/// Looks at one key and says what a sync with these options would do.
pub(crate) async fn explain(source: &Tree, target: &Tree, options: &SyncOptions, key: &Key) -> Result<Explanation> {
    let filter = &options.filter;
    let sides = tokio::join!(nearby::of(source, target, filter, key), nearby::of(target, target, filter, key));
    let (here, there) = (sides.0?, sides.1?);
    let at_key = |entries: &[Entry]| entries.iter().find(|entry| entry.key == *key).cloned();
    let (from, to) = (at_key(&here), at_key(&there));
    let outcome = match (filter.admits(key.as_str()), &from, &to) {
        (false, ..) => Outcome::Excluded,
        (true, None, None) => Outcome::Absent,
        (true, from, _) => {
            let stays = from.is_none() && to.as_ref().is_some_and(Entry::has_content);
            let otherwise = if stays { stays_for(&here, key) } else { Outcome::Nothing };
            planned(source, target, options, (here, there), key).await?.unwrap_or(otherwise)
        }
    };
    Ok(Explanation {
        key: key.clone(),
        rule: filter.deciding(key.as_str()),
        source: from,
        target: to,
        remembered: remembered(options.manifest.as_deref(), key).await,
        outcome,
    })
}

/// Returns why what only the target has would stay, if it does, where the source has these entries.
fn stays_for(source: &[Entry], key: &Key) -> Outcome {
    let shield = source.iter().find_map(|entry| {
        let name = entry.key.as_str();
        let above = key.is_inside(name.strip_suffix('/').unwrap_or(name));
        if let Kind::Protected(why) = &entry.kind { above.then(|| (entry.key.clone(), why.clone())) } else { None }
    });
    shield.map_or(Outcome::Kept, |(by, why)| Outcome::Shielded { by, why })
}

/// Plans for trees that hold these entries, and returns what comes of the key, if anything does.
async fn planned(
    source: &Tree,
    target: &Tree,
    options: &SyncOptions,
    entries: (Vec<Entry>, Vec<Entry>),
    key: &Key,
) -> Result<Option<Outcome>> {
    let seen = Arc::new(Seen { key: key.clone(), proof: Mutex::default() });
    let anything = Guards::default().with_max_delete(MaxDelete::Percent(100)).with_allow_empty(true);
    let options = SyncOptions { guards: anything, observer: Observe::new(seen.clone()), ..options.clone() };
    let options = options.with_withheld_deletes(WithheldDeletes::Planned);
    let listing = |tree, entries| Listing::of_entries(tree, entries, &options.filter);
    let listings = (listing(source, entries.0), listing(target, entries.1));
    let mut planner = Planner::over(source, target, &options, listings);
    let mut outcome = None;
    loop {
        match planner.next().await {
            Ok(Some(action)) if action.key() == key => outcome = Some(Outcome::Act(Box::new(action))),
            Ok(Some(_)) => {}
            Ok(None) | Err(PlanError::Refused(_)) => break,
            Err(PlanError::Listing(failed)) => return Err(failed.error),
            Err(PlanError::Spill(error)) => {
                return Err(StoreError::new(ErrorKind::Exhausted, "plan").with_key(key).with_source(error));
            }
        }
    }
    let proof = *seen.proof.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(outcome.or(proof.map(Outcome::Unchanged)))
}

/// Returns the row of a key. A manifest that cannot be read remembers nothing.
async fn remembered(manifest: Option<&dyn Manifest>, key: &Key) -> Option<Row> {
    let rows = manifest?.rows();
    let mut from_key = std::pin::pin!(rows.skip_while(|row| {
        let before = row.as_ref().is_ok_and(|row| row.key < *key);
        async move { before }
    }));
    from_key.next().await?.ok().filter(|row| row.key == *key)
}

/// Takes note of what the key was found equal by.
struct Seen {
    key: Key,
    proof: Mutex<Option<Proof>>,
}

impl Observer for Seen {
    fn event(&self, event: &Event<'_>) {
        if let Event::Unchanged(key, proof) = event
            && **key == self.key
        {
            *self.proof.lock().unwrap_or_else(PoisonError::into_inner) = Some(*proof);
        }
    }
}
