//! Compares the explanation of each key with the whole plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::case::Case;
use super::check::Stage;
use super::participant::Participant;
use crate::action::{Action, SkipReason};
use crate::event::{Event, Observer};
use crate::explain::Outcome;
use crate::key::Key;
use crate::sync::SyncJob;

/// The keys that were equal.
#[derive(Default)]
struct Equal(Mutex<BTreeSet<Key>>);

impl Observer for Equal {
    fn event(&self, event: &Event<'_>) {
        if let Event::Unchanged(key, _) = event {
            self.0.lock().unwrap().insert((*key).clone());
        }
    }
}

pub(super) async fn explaining_a_key_is_planning_for_it(
    pair: &impl Fn() -> (Participant, Participant),
    case: &Case,
) -> TestCaseResult {
    let stage = Stage::set(case, pair()).await;
    let target = stage.target().await;
    let equal = Arc::new(Equal::default());
    let options = case.options().with_observer(equal.clone());
    let plan = SyncJob::new(stage.from.tree(), stage.to.tree(), options).plan().await.unwrap();
    // An entry of another shape is reported by the whole plan alone, and nothing is done about it.
    let is_of_other_shape = |action: &Action| matches!(action, Action::Skip { why: SkipReason::OtherShape(_), .. });
    let actions = plan.actions().map(Result::unwrap).filter(|action| !is_of_other_shape(action));
    let planned: BTreeMap<Key, String> = actions.map(|action| (action.key().clone(), decision(&action))).collect();
    let filter = case.filter();
    let known = stage.source.objects.keys().chain(target.objects.keys()).cloned();
    for key in known.chain(["nowhere".to_owned()]).map(Key::from) {
        let explanation = stage.job().explain(&key).await.unwrap();
        let expected = match planned.get(&key) {
            _ if !filter.admits(key.as_str()) => "excluded".to_owned(),
            Some(decision) => decision.clone(),
            None if equal.0.lock().unwrap().contains(&key) => "equal".to_owned(),
            None => "nothing".to_owned(),
        };
        let said = match &explanation.outcome {
            Outcome::Excluded => "excluded".to_owned(),
            Outcome::Act(action) => decision(action),
            Outcome::Unchanged(_) => "equal".to_owned(),
            Outcome::Absent | Outcome::Kept | Outcome::Shielded { .. } | Outcome::Nothing => "nothing".to_owned(),
        };
        // A copy that cannot be made withholds all deletes. Only the whole plan shows this.
        let is_withheld = plan.tally.withheld > 0 && (said == "delete" || said.starts_with("replace"));
        if !is_withheld {
            prop_assert_eq!(said, expected, "{:?}", explanation);
        }
    }
    prop_assert_eq!(&stage.target().await, &target, "an explanation touches nothing");
    Ok(())
}

/// Returns an action and its reason, without details in which a listing and a lookup differ.
fn decision(action: &Action) -> String {
    match action {
        Action::Copy { why, target, .. } => format!("copy over {}: {}", target.is_some(), why.as_str()),
        Action::Delete { .. } => "delete".to_owned(),
        Action::Replace { obstacle, .. } => format!("replace '{obstacle}'"),
        Action::Skip { why, .. } => format!("skip: {why}"),
    }
}
