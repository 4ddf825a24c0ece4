//! Explains what a sync would do with one key, and why.
//!
//! A user with a question about one file must not have to list two trees. A second implementation of the rules could
//! give answers that differ from what a sync does. So this module looks up the few entries that can affect the key, and
//! runs the planner on trees that contain nothing else.

mod nearby;

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;

use crate::action::Action;
use crate::diff::ListingFailed;
use crate::entry::{Entry, Kind, Protection};
use crate::event::{Event, Observe, Observer};
use crate::evidence::Proof;
use crate::filter::FilterRule;
use crate::key::Key;
use crate::listing::Listing;
use crate::manifest::{Manifest, Row};
use crate::options::{Guards, MaxDelete, OtherShapes, SyncOptions, WithheldDeletes};
use crate::plan::{PlanError, Planner};
use crate::side::Side;
use crate::tree::Tree;

/// The action of a sync for one key, and the facts that determine it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The relative key.
    pub key: Key,
    /// The filter rule that decided whether the run includes the key, if one matches.
    pub rule: Option<FilterRule>,
    /// The source's entry, if there is one.
    pub source: Option<Entry>,
    /// The target's entry, if there is one.
    pub target: Option<Entry>,
    /// The row of the key in the manifest. `None` if there is no row, or no manifest.
    pub row: Option<Row>,
    /// An entry that the run includes in the directory that the key is, or would be.
    pub inside: Option<Key>,
    /// The action of the sync.
    pub outcome: Outcome,
}

/// The action of a sync for one key. Guards apply to whole plans, so a guard may still refuse the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Neither side has the key.
    Absent,
    /// The filter excludes the key on both sides.
    Excluded,
    /// Nothing: both sides are equal.
    Unchanged(Proof),
    /// Nothing: only the target has the entry, and it stays because the options do not delete it.
    Kept,
    /// Nothing: only the target seems to have the entry. The source has a protected directory above the key, so the key
    /// is not known to be absent there. The entry stays, whether the options delete or not.
    Shielded {
        /// The protected entry in the source.
        by: Key,
        /// Why it is protected.
        why: Protection,
    },
    /// Nothing: the key is a directory that its contents imply, or a protected entry.
    Nothing,
    /// The sync would execute this action.
    Act(Box<Action>),
}

/// Looks up one key and returns what a sync with these options would do.
///
/// # Errors
///
/// Fails if a side cannot be listed.
pub(crate) async fn explain(
    source: &Tree,
    target: &Tree,
    options: &SyncOptions,
    key: &Key,
) -> Result<Explanation, PlanError> {
    let filter = &options.filter;
    let sides = tokio::join!(nearby::of(source, target, filter, key), nearby::of(target, target, filter, key));
    let failed = |side| move |error| PlanError::Listing(ListingFailed { side, error });
    let (here, there) = (sides.0.map_err(failed(Side::Source))?, sides.1.map_err(failed(Side::Target))?);
    let at_key = |entries: &[Entry]| entries.iter().find(|entry| entry.key == *key).cloned();
    let (from, to) = (at_key(&here), at_key(&there));
    let directory = key.as_str().strip_suffix('/').unwrap_or(key.as_str());
    let inside = here.iter().chain(&there).map(|entry| &entry.key);
    let inside = inside.filter(|inside| *inside != key && inside.is_inside(directory)).min().cloned();
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
        row: row_of(options.manifest.as_deref(), key).await,
        inside,
        outcome,
    })
}

/// Returns why an entry that only the target has stays, given the entries of the source.
fn stays_for(source: &[Entry], key: &Key) -> Outcome {
    let shield = source.iter().find_map(|entry| {
        let name = entry.key.as_str();
        let above = key.is_inside(name.strip_suffix('/').unwrap_or(name));
        if let Kind::Protected(why) = &entry.kind { above.then(|| (entry.key.clone(), why.clone())) } else { None }
    });
    shield.map_or(Outcome::Kept, |(by, why)| Outcome::Shielded { by, why })
}

/// Runs the planner on trees with these entries and returns its decision about the key, if there is one.
async fn planned(
    source: &Tree,
    target: &Tree,
    options: &SyncOptions,
    entries: (Vec<Entry>, Vec<Entry>),
    key: &Key,
) -> Result<Option<Outcome>, PlanError> {
    let seen = Arc::new(Seen { key: key.clone(), proof: Mutex::default() });
    let anything = Guards::default().with_max_delete(MaxDelete::Percent(100)).with_allow_empty(true);
    let anything = anything.with_allow_unmatched(true);
    let options = SyncOptions { guards: anything, observer: Observe::new(seen.clone()), ..options.clone() };
    let options = options.with_withheld_deletes(WithheldDeletes::Planned).with_other_shapes(OtherShapes::Ignored);
    let listing = |tree, entries| Listing::of_entries(tree, entries, &options.filter);
    let listings = (listing(source, entries.0), listing(target, entries.1));
    let mut planner = Planner::over(source, target, &options, listings);
    let mut outcome = None;
    loop {
        match planner.next().await {
            Ok(Some(action)) if action.key() == key => outcome = Some(Outcome::Act(Box::new(action))),
            Ok(Some(_)) => {}
            Ok(None) | Err(PlanError::Refused(_)) => break,
            Err(error) => return Err(error),
        }
    }
    let proof = *seen.proof.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(outcome.or(proof.map(Outcome::Unchanged)))
}

/// Returns the row of a key. A manifest that cannot be read is treated as empty.
async fn row_of(manifest: Option<&dyn Manifest>, key: &Key) -> Option<Row> {
    let rows = manifest?.rows();
    let mut from_key = std::pin::pin!(rows.skip_while(|row| {
        let before = row.as_ref().is_ok_and(|row| row.key < *key);
        async move { before }
    }));
    from_key.next().await?.ok().filter(|row| row.key == *key)
}

/// Records the evidence by which the key was found to be equal.
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
