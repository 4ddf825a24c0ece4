//! A later put resumes a large put that ended early, after it has verified the data that is there.

use super::*;
use crate::origin::{Origin, Then};
use std::time::Duration;

use pos3_core::{Budget, Content, ErrorKind, Journal, MemoryJournal, Operation, PutOptions, Stored};

pub(crate) const MIB: u64 = 1 << 20;

/// Six ranges, the last one short.
pub(crate) const SIZE: u64 = 40 * MIB + 3;

pub(crate) fn pattern(seed: u8) -> Vec<u8> {
    let mut content = Vec::with_capacity(SIZE as usize + 8);
    let mut state = u64::from(seed) + 1;
    while content.len() < SIZE as usize {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        content.extend_from_slice(&(state >> 13).to_le_bytes());
    }
    content.truncate(SIZE as usize);
    content
}

/// One range after the other, so that what was read is known.
pub(crate) fn options(journal: &Arc<impl Journal>) -> PutOptions {
    PutOptions::default().with_journal(Some(journal.clone())).with_budget(Budget::new(1, 1 << 30))
}

async fn put(world: &World, content: &Content, options: PutOptions) -> pos3_core::Result<Stored> {
    let budget = options.budget.clone();
    let _callers = budget.slot().await;
    world.store().put(&key("d/f"), content.clone(), options).await
}

/// Puts content whose source fails after three ranges.
async fn fail(world: &World, journal: &Arc<MemoryJournal>) -> (Arc<Origin>, Content) {
    let origin = Arc::new(Origin::new().after(3, Then::Fail));
    let content = origin.content(pattern(0)).await;
    let error = put(world, &content, options(journal)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    origin.recover();
    (origin, content)
}

/// The unfinished file that was left.
fn left(world: &World) -> PathBuf {
    let names = world.names("d");
    assert!(names.len() == 1 && names[0].starts_with(".pos3-partial.resume."), "{names:?}");
    world.path("d").join(&names[0])
}

async fn is_done(world: &World, journal: &MemoryJournal, content: &[u8]) {
    assert_eq!(world.names("d"), ["f"]);
    assert!(fs::read(world.path("d/f")).unwrap() == content);
    assert_eq!(journal.all().await, []);
}

#[tokio::test]
async fn a_put_that_failed_goes_on_where_it_ended() {
    let (world, journal) = (World::new(), Arc::default());
    let (origin, content) = fail(&world, &journal).await;
    let (noted, note) = journal.all().await.remove(0);
    assert_eq!((noted.as_str(), note.id.as_str()), ("d/f", left(&world).file_name().unwrap().to_str().unwrap()));
    assert!(note.since.is_some());
    assert_eq!(world.shown().await, ["d/ empty"], "no listing shows it");

    put(&world, &content, options(&journal)).await.unwrap();
    assert_eq!(origin.reads(), [24 * MIB..32 * MIB, 32 * MIB..40 * MIB, 40 * MIB..SIZE]);
    is_done(&world, &journal, &pattern(0)).await;
}

#[tokio::test]
async fn what_is_noted_is_looked_at_before_it_is_believed() {
    let (world, journal) = (World::new(), Arc::default());
    let (origin, content) = fail(&world, &journal).await;
    let file = fs::File::options().write(true).open(left(&world)).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"lost", 10 * MIB).unwrap();
    file.set_len(20 * MIB).unwrap();
    put(&world, &content, options(&journal)).await.unwrap();
    assert_eq!(origin.reads().iter().map(|range| range.start / MIB).collect::<Vec<_>>(), [8, 16, 24, 32, 40]);
    is_done(&world, &journal, &pattern(0)).await;
}

#[tokio::test]
async fn another_content_starts_anew_and_so_does_one_whose_note_is_lost() {
    for loses_note in [false, true] {
        let (world, journal) = (World::new(), Arc::default());
        let (origin, mut content) = fail(&world, &journal).await;
        if loses_note {
            journal.remove(&key("d/f")).await;
        } else {
            content = origin.content(pattern(7)).await;
        }
        left(&world);
        put(&world, &content, options(&journal)).await.unwrap();
        assert_eq!(origin.reads().len(), 6);
        is_done(&world, &journal, &pattern(if loses_note { 0 } else { 7 })).await;
    }
}

#[tokio::test]
async fn a_file_that_another_name_leads_to_is_never_written_to() {
    let (world, journal) = (World::new(), Arc::default());
    let (_, content) = fail(&world, &journal).await;
    fs::hard_link(left(&world), world.path("other")).unwrap();
    let before = fs::read(world.path("other")).unwrap();
    put(&world, &content, options(&journal)).await.unwrap();
    assert!(fs::read(world.path("other")).unwrap() == before);
    is_done(&world, &journal, &pattern(0)).await;
}

#[tokio::test]
async fn a_file_that_another_writes_to_is_left_to_it() {
    let (world, journal) = (World::new(), Arc::default());
    let (_, content) = fail(&world, &journal).await;
    let path = left(&world);
    let (before, noted) = (fs::read(&path).unwrap(), journal.all().await);
    let held = fs::File::open(&path).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    put(&world, &content, options(&journal)).await.unwrap();
    assert!(fs::read(world.path("d/f")).unwrap() == pattern(0));
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(journal.all().await, noted, "the note is the other's");
}

#[tokio::test]
async fn a_put_that_was_cancelled_goes_on_where_it_ended() {
    let (world, journal) = (World::new(), Arc::new(MemoryJournal::default()));
    let origin = Arc::new(Origin::new().after(3, Then::Stall));
    let content = origin.content(pattern(0)).await;
    let begun = async {
        while origin.reads().len() < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = put(&world, &content, options(&journal)) => panic!("the source stalls"),
        () = begun => {}
    }
    // The last note is written by the runtime, when it comes to it.
    tokio::task::yield_now().await;
    origin.recover();
    put(&world, &content, options(&journal)).await.unwrap();
    assert_eq!(origin.reads().len(), 3);
    is_done(&world, &journal, &pattern(0)).await;
}

#[tokio::test]
async fn a_failure_that_will_not_pass_leaves_nothing_and_neither_does_any_without_a_journal() {
    let (world, journal) = (World::new(), Arc::default());
    let (origin, content) = fail(&world, &journal).await;
    left(&world);
    origin.content(pattern(7)).await;
    let error = put(&world, &content, options(&journal)).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Precondition, Operation::Read));
    assert_eq!(world.names("d"), [""; 0]);
    assert_eq!(journal.all().await, []);

    let origin = Arc::new(Origin::new().after(3, Then::Fail));
    let content = origin.content(pattern(0)).await;
    put(&world, &content, PutOptions::default()).await.unwrap_err();
    assert_eq!(world.names("d"), [""; 0]);
}

#[tokio::test]
async fn ranges_that_were_damaged_on_the_way_are_found_before_the_file_has_its_name() {
    let world = World::new();
    world.make(&["d/f"]);
    let journal = Arc::new(MemoryJournal::default());
    for (damaged, knows_checksums) in [(None, true), (Some(21 * MIB), true), (None, false)] {
        let origin = Arc::new(Origin::new().damaging(damaged).with_checksums(knows_checksums));
        let content = origin.content(pattern(3)).await;
        let stored = put(&world, &content, options(&journal)).await;
        let is_verified = stored.as_ref().is_ok_and(|stored| stored.verified);
        assert_eq!(is_verified, damaged.is_none() && knows_checksums);
        assert_eq!(stored.is_ok(), damaged.is_none());
        if let Err(error) = stored {
            assert!(error.kind() == ErrorKind::Integrity && error.is_temporary(), "{error}");
            assert!(error.to_string().contains("'d/f'"), "{error}");
        }
        is_done(&world, &journal, &pattern(3)).await;
    }
}

#[tokio::test]
async fn content_that_only_an_md5_is_known_of_is_compared_with_it_when_it_is_written() {
    let (world, journal) = (World::new(), Arc::new(MemoryJournal::default()));
    let first = Origin::new().with_md5().after(3, Then::Fail);
    for (origin, is_whole) in [(first, true), (Origin::new().with_md5().damaging(Some(21 * MIB)), false)] {
        let origin = Arc::new(origin);
        let content = origin.content(pattern(0)).await;
        let mut stored = put(&world, &content, options(&journal)).await;
        if is_whole {
            stored.unwrap_err();
            origin.recover();
            stored = put(&world, &content, options(&journal)).await;
            assert_eq!(origin.reads().len(), 3, "what had arrived is not fetched again");
        }
        assert_eq!(stored.ok().map(|stored| stored.verified), is_whole.then_some(true));
        is_done(&world, &journal, &pattern(0)).await;
    }
}

#[tokio::test]
async fn what_was_noted_counts_for_the_checksum_of_the_whole() {
    let (world, journal) = (World::new(), Arc::new(MemoryJournal::default()));
    let origin = Arc::new(Origin::new().with_checksums(true).after(3, Then::Fail));
    let content = origin.content(pattern(0)).await;
    put(&world, &content, options(&journal)).await.unwrap_err();
    origin.recover();
    let stored = put(&world, &content, options(&journal)).await.unwrap();
    assert!(stored.verified);
    assert_eq!(origin.reads().len(), 3);
    is_done(&world, &journal, &pattern(0)).await;
}
