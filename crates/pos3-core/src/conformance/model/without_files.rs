//! Whether a source without files is treated as empty.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::case::Case;
use super::check::Stage;
use super::participant::Participant;
use super::world::World;
use crate::options::{Deletion, Guards, MaxDelete};
use crate::sync::SyncJob;

pub(super) async fn a_source_without_files_deletes_nothing(
    pair: &impl Fn() -> (Participant, Participant),
    case: &Case,
) -> TestCaseResult {
    let mut case = Case { deletion: Deletion::Extra, ..case.clone() };
    case.source.retain(|key, _| key.ends_with('/'));
    case.source.values_mut().for_each(String::clear);
    let stage = Stage::set(&case, pair()).await;
    let before = stage.target().await;
    let any_share = Guards::default().with_max_delete(MaxDelete::Percent(100));
    let options = case.options().with_guards(any_share);
    let report = SyncJob::new(stage.from.tree(), stage.to.tree(), options).run().await;
    let after = stage.target().await;
    prop_assert_eq!(files(&after), files(&before), "{:?}", report);
    Ok(())
}

fn files(world: &World) -> Vec<&String> {
    let is_file = |(key, content): &(&String, &String)| !key.ends_with('/') || !content.is_empty();
    world.objects.iter().filter(is_file).map(|(key, _)| key).collect()
}
