//! The fault of a case, and whether it happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::participant::{Consequence, Participant, Trouble};
use crate::conformance::{FaultStore, RelistedStore, Surplus};
use crate::error::Operation;
use crate::event::{Event, Observer};
use crate::options::SyncOptions;
use crate::report::Report;
use crate::side::Side;
use crate::sync::SyncJob;
use crate::tree::Tree;

/// A fault. Counts start at 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// No fault.
    None,
    /// A listing fails after some entries.
    Listing(Side, usize),
    /// A store that declares its listings ordered returns one in an order that a seed determines.
    Disorder(Side, u64),
    /// A listing contains additional entries.
    Surplus(Side, Surplus),
    /// The nth read fails.
    Get(Side, u64),
    /// Every body ends early.
    Cut(Side, usize),
    /// The nth write fails.
    Put(u64),
    /// The nth call to delete fails for all its keys.
    Deletes(u64),
    /// The delete of the nth key fails, and no other.
    DeleteOf(u64),
    /// The object of the nth read vanishes from the source.
    Vanished(u64),
    /// Another writer stores an object right before the nth write.
    Written(u64),
    /// The manifest is lost at its nth use.
    Forgotten(u64),
    /// One of the store's own faults, at the nth occasion.
    Trouble(Side, usize, usize),
    /// The run is cancelled at the nth event.
    Cancelled(u64),
}

pub(super) fn fault() -> impl Strategy<Value = Fault> {
    let side = || prop::sample::select(vec![Side::Source, Side::Target]);
    prop_oneof![
        5 => Just(Fault::None),
        1 => (side(), 0..12_usize).prop_map(|(side, entries)| Fault::Listing(side, entries)),
        1 => (side(), any::<u64>()).prop_map(|(side, seed)| Fault::Disorder(side, seed)),
        1 => (side(), 1..5_u64).prop_map(|(side, nth)| Fault::Get(side, nth)),
        1 => (side(), 0..2_usize).prop_map(|(side, bytes)| Fault::Cut(side, bytes)),
        1 => (1..5_u64).prop_map(Fault::Put),
        1 => Just(Fault::Deletes(1)),
        1 => (1..5_u64).prop_map(Fault::DeleteOf),
        3 => (side(), 0..64_usize, 1..4_usize).prop_map(|(side, which, nth)| Fault::Trouble(side, which, nth)),
        1 => (1..30_u64).prop_map(Fault::Cancelled),
        3 => (side(), surplus()).prop_map(|(side, surplus)| Fault::Surplus(side, surplus)),
        1 => (1..5_u64).prop_map(Fault::Vanished),
        1 => (1..5_u64).prop_map(Fault::Written),
        1 => (1..4_u64).prop_map(Fault::Forgotten),
    ]
}

fn surplus() -> impl Strategy<Value = Surplus> {
    prop_oneof![
        (0..12_usize).prop_map(Surplus::Repeated),
        (0..12_usize).prop_map(Surplus::RepeatedAtEnd),
        (0..12_usize).prop_map(Surplus::Contradicted),
        Just(Surplus::Foreign),
    ]
}

impl Fault {
    /// Runs a sync with this fault. Returns what the report must contain, or `None` if the fault did not happen.
    pub(super) async fn run(
        self,
        from: &Participant,
        to: &Participant,
        options: SyncOptions,
    ) -> (Report, Option<Consequence>) {
        let cancel = Cancel::at(match self {
            Self::Cancelled(nth) => nth,
            _ => u64::MAX,
        });
        let ((source, fault_of_source), (target, fault_of_target)) =
            (self.at(Side::Source, from), self.at(Side::Target, to));
        let trouble = self.trouble(from, to);
        trouble.inspect(|(trouble, nth)| trouble.begin(*nth));
        let token = cancel.token.clone();
        let job = SyncJob::new(source, target, options.with_observer(cancel)).with_cancel(token);
        let report = job.run().await;
        let met = trouble.and_then(|(trouble, _)| trouble.end());
        let happened = [fault_of_source, fault_of_target].iter().flatten().any(|happened| happened());
        let happened = happened || matches!(self, Self::Forgotten(_));
        let keeps_theirs = to.tree().store().capabilities().conditional_put;
        (report, met.or(happened.then(|| self.consequence(keeps_theirs))))
    }

    /// Returns true for a fault after which the listing must not cause deletes.
    pub(super) fn forbids_deletes(self) -> bool {
        matches!(self, Self::Surplus(_, Surplus::Contradicted(_) | Surplus::Foreign))
    }

    fn trouble<'a>(self, from: &'a Participant, to: &'a Participant) -> Option<(&'a Trouble, usize)> {
        match self {
            Self::Trouble(Side::Source, which, nth) => Some((from.trouble(which)?, nth)),
            Self::Trouble(Side::Target, which, nth) => Some((to.trouble(which)?, nth)),
            _ => None,
        }
    }

    /// Returns the tree of one side with the fault in it, and a function that returns whether the fault happened.
    fn at(self, side: Side, participant: &Participant) -> (Tree, Option<Box<dyn Fn() -> bool>>) {
        let tree = participant.tree();
        let faulty = || FaultStore::over_shared(tree.store().clone());
        let faulty = match self {
            Self::Disorder(at, seed) if at == side => {
                let shuffled = RelistedStore::disordered(tree.store().clone(), seed);
                return (Tree::new(Arc::new(shuffled)).at(tree.prefix()), None);
            }
            Self::Surplus(at, surplus) if at == side => {
                let store = Arc::new(RelistedStore::with_surplus(tree.store().clone(), surplus));
                return (Tree::new(store.clone()).at(tree.prefix()), Some(Box::new(move || store.added() > 0)));
            }
            Self::Listing(at, entries) if at == side => faulty().breaking_listings_after(entries),
            Self::Get(at, nth) if at == side => faulty().failing(Operation::Read, nth),
            Self::Cut(at, bytes) if at == side => faulty().cutting_bodies_after(bytes),
            Self::Put(nth) if side == Side::Target => faulty().failing(Operation::Write, nth),
            Self::Deletes(nth) if side == Side::Target => faulty().failing(Operation::Delete, nth),
            Self::DeleteOf(nth) if side == Side::Target => faulty().failing_delete_of(nth),
            Self::Vanished(nth) if side == Side::Source => faulty().vanishing_at(nth),
            Self::Written(nth) if side == Side::Target => faulty().written_by_others_at(nth),
            _ => return (tree, None),
        };
        let faulty = Arc::new(faulty);
        (Tree::new(faulty.clone()).at(tree.prefix()), Some(Box::new(move || faulty.faults() > 0)))
    }

    /// A target that cannot be read for a comparison is written again, which is not a failure. A store without conditional
    /// writes cannot detect another writer.
    fn consequence(self, keeps_theirs: bool) -> Consequence {
        match self {
            Self::Get(Side::Target, _) | Self::Cut(Side::Target, _) => Consequence::Either,
            Self::Written(_) if !keeps_theirs => Consequence::Either,
            Self::Surplus(_, Surplus::Contradicted(_) | Surplus::Foreign) => Consequence::Either,
            Self::Surplus(_, Surplus::Repeated(_) | Surplus::RepeatedAtEnd(_)) | Self::Forgotten(_) => {
                Consequence::Nothing
            }
            _ => Consequence::Unclean,
        }
    }
}

/// Cancels at an event.
struct Cancel {
    token: CancellationToken,
    at: u64,
    seen: AtomicU64,
}

impl Cancel {
    fn at(at: u64) -> Self {
        Self { token: CancellationToken::new(), at, seen: AtomicU64::new(0) }
    }
}

impl Observer for Cancel {
    fn event(&self, _event: &Event<'_>) {
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            self.token.cancel();
        }
    }
}
