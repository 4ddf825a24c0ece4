//! Compares a sync between two stores with a model of two maps, for random trees, links, filters and faults.
//!
//! Tests of examples find only expected cases. The model defines the result of a sync again, in the simplest way, for
//! two `BTreeMap`s. Every store must match it, whatever else happens. [`model!`](crate::model!) expands to the tests
//! for one pair of stores, including your own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these functions are tests")]

mod case;
mod check;
mod expectation;
mod explained;
mod fault;
mod forgetful;
mod participant;
mod without_files;
mod world;

use proptest::test_runner::{Config, TestCaseResult, TestRunner};

pub use participant::{Consequence, Participant, Trouble};

use crate::plan::Plan;
use crate::store::Namespace;

use case::Case;

/// Runs the model for one pair of stores; see [`model!`](crate::model!).
#[derive(Debug)]
pub struct Model {
    cases: u32,
    file: &'static str,
}

impl Model {
    /// Returns a model that tests this number of random cases. Cases that fail are saved beside `file`, the source of
    /// the test, and are tried first from then on.
    pub fn new(cases: u32, file: &'static str) -> Self {
        Self { cases, file }
    }

    /// Checks that the target becomes the filtered source, that a second run does nothing, that a fault loses nothing,
    /// and that a run after the fault repairs the target.
    ///
    /// # Panics
    ///
    /// Panics with the smallest case in which the stores differ from the maps.
    pub fn a_sync_is_what_two_maps_say(self, pair: impl Fn() -> (Participant, Participant)) {
        self.run(&async |case| check::a_sync_is_what_two_maps_say(&pair, case).await);
    }

    /// Checks that a plan changes nothing, and that executing a collected plan has the result of a run.
    ///
    /// # Panics
    ///
    /// Panics with the smallest case in which the two differ.
    pub fn executing_a_collected_plan_is_running(self, pair: impl Fn() -> (Participant, Participant)) {
        self.executing_a_stored_plan_is_running(pair, |plan, _| plan.clone());
    }

    /// Checks the same for a plan that was stored: `way` stores it and reads it again, for a target with this namespace.
    ///
    /// # Panics
    ///
    /// Panics with the smallest case in which the two differ.
    pub fn executing_a_stored_plan_is_running(
        self,
        pair: impl Fn() -> (Participant, Participant),
        way: impl Fn(&Plan, Namespace) -> Plan,
    ) {
        self.run(&async |case| check::executing_a_collected_plan_is_running(&pair, case, &way).await);
    }

    /// Checks that nothing is deleted from the target if the source has no file, whatever directories, markers and
    /// links it has.
    ///
    /// # Panics
    ///
    /// Panics with the smallest case in which something is deleted.
    pub fn a_source_without_files_deletes_nothing(self, pair: impl Fn() -> (Participant, Participant)) {
        self.run(&async |case| without_files::a_source_without_files_deletes_nothing(&pair, case).await);
    }

    /// Checks that the explanation of a key matches the whole plan.
    ///
    /// # Panics
    ///
    /// Panics with the smallest case in which the two differ.
    pub fn explaining_a_key_is_planning_for_it(self, pair: impl Fn() -> (Participant, Participant)) {
        self.run(&async |case| explained::explaining_a_key_is_planning_for_it(&pair, case).await);
    }

    fn run(self, check: &impl AsyncFn(&Case) -> TestCaseResult) {
        let config = Config { cases: self.cases, source_file: Some(self.file), ..Config::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut runner = TestRunner::new(config);
        if let Err(error) = runner.run(&case::case(), |case| runtime.block_on(check(&case))) {
            panic!("{error}\n{runner}");
        }
    }
}

/// Expands to a module of tests that compare syncs from one store to another with two maps.
///
/// The arguments are a name, the number of random cases, and a function that creates the pair for each case. Both
/// stores must return digests or be cheap to read ([`Reads::Local`](crate::Reads::Local)).
/// Otherwise, a second run could not detect that the files are equal. The runtime of the stores is `tokio` with timers.
/// The caller needs no dependency except this crate.
///
/// ```no_run
/// # use std::sync::Arc;
/// use pos3_core::MemoryStore;
/// use pos3_core::conformance::{Participant, Subject};
///
/// fn memory() -> Participant {
///     Participant::new(Subject::new(Arc::new(MemoryStore::new())))
/// }
///
/// pos3_core::model!(memory_to_memory, 256, || (memory(), memory()));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! model {
    ($name:ident, $cases:expr, $pair:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn a_sync_is_what_two_maps_say() {
                $crate::conformance::Model::new($cases, file!()).a_sync_is_what_two_maps_say($pair);
            }

            #[test]
            fn executing_a_collected_plan_is_running() {
                $crate::conformance::Model::new($cases / 2, file!()).executing_a_collected_plan_is_running($pair);
            }

            #[test]
            fn a_source_without_files_deletes_nothing() {
                $crate::conformance::Model::new($cases / 4, file!()).a_source_without_files_deletes_nothing($pair);
            }

            #[test]
            fn explaining_a_key_is_planning_for_it() {
                $crate::conformance::Model::new($cases / 2, file!()).explaining_a_key_is_planning_for_it($pair);
            }
        }
    };
}
