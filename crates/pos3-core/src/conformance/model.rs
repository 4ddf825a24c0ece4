//! A sync between two stores, held against two maps: random trees, links, filters and faults.
//!
//! A test of examples finds what somebody thought of. A model finds the rest: what a sync means is said again, as slowly
//! and plainly as can be, of two `BTreeMap`s, and every store must agree with it, whatever else happens.
//! [`model!`](crate::model!) expands to its tests for one pair of stores, yours among them.
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
use crate::store::KeyRule;

use case::Case;

/// Runs the model on one pair of stores; see [`model!`](crate::model!).
#[derive(Debug)]
pub struct Model {
    cases: u32,
    file: &'static str,
}

impl Model {
    /// Returns a model that tries this many random cases. What fails is kept beside `file`, the test's source, and
    /// tried first from then on.
    pub fn new(cases: u32, file: &'static str) -> Self {
        Self { cases, file }
    }

    /// Target = filtered source; a second run does nothing; with a fault nothing is lost, and a run without it repairs.
    ///
    /// # Panics
    ///
    /// With the smallest case found in which the stores do not do what the maps say.
    pub fn a_sync_is_what_two_maps_say(self, pair: impl Fn() -> (Participant, Participant)) {
        self.run(&async |case| check::a_sync_is_what_two_maps_say(&pair, case).await);
    }

    /// A plan touches nothing, and executing it once it is collected does what a run does.
    ///
    /// # Panics
    ///
    /// With the smallest case found in which the two differ.
    pub fn executing_a_collected_plan_is_running(self, pair: impl Fn() -> (Participant, Participant)) {
        self.executing_a_stored_plan_is_running(pair, |plan, _| plan.clone());
    }

    /// The same of a plan that went through a file, or wherever else: `way` stores it and reads it again, for a target
    /// with this rule.
    ///
    /// # Panics
    ///
    /// With the smallest case found in which the two differ.
    pub fn executing_a_stored_plan_is_running(
        self,
        pair: impl Fn() -> (Participant, Participant),
        way: impl Fn(&Plan, KeyRule) -> Plan,
    ) {
        self.run(&async |case| check::executing_a_collected_plan_is_running(&pair, case, &way).await);
    }

    /// Where the source holds no file, nothing of the target is deleted, whatever directories, markers and links there are.
    ///
    /// # Panics
    ///
    /// With the smallest case found in which something is deleted.
    pub fn a_source_without_files_deletes_nothing(self, pair: impl Fn() -> (Participant, Participant)) {
        self.run(&async |case| without_files::a_source_without_files_deletes_nothing(&pair, case).await);
    }

    /// What is said of one key is what a whole plan does with it.
    ///
    /// # Panics
    ///
    /// With the smallest case found in which the two differ.
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

/// Expands to a module of tests that hold syncs from one store to another against two maps.
///
/// It takes a name, how many random cases to try, and a function that makes the pair anew for each case. Both stores
/// must give a digest or be cheap to read ([`Capabilities::local_reads`](crate::Capabilities::local_reads)), or nothing
/// could show that a second run has nothing to do. The stores' own runtime needs `tokio` with its timers; the caller needs
/// no dependency but this crate.
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
