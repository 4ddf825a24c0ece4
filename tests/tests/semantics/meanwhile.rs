//! What changes between the listing and the end of a run: files that come back, signals, and directories that move.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use pos3::{Location, PreparedSync, Registry, Side};
use pos3_core::{Action, Budget, CancellationToken, Event, Failure, FailureKind, Observer, Stop};

use super::*;

/// The number of files in the target that the source does not have.
const EXTRA: u64 = 200;

/// Does something once, when the first action of a kind is done.
struct Once {
    is_delete: bool,
    act: Box<dyn Fn() + Send + Sync>,
    done: AtomicBool,
}

impl Once {
    fn copied(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self { is_delete: false, act: Box::new(act), done: AtomicBool::new(false) }
    }

    fn deleted(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self { is_delete: true, ..Self::copied(act) }
    }
}

impl Observer for Once {
    fn event(&self, event: &Event<'_>) {
        if let Event::Done(action) = event
            && matches!(action, Action::Delete { .. }) == self.is_delete
            && !self.done.swap(true, Ordering::AcqRel)
        {
            (self.act)();
        }
    }
}

fn options() -> SyncOptions {
    let guards = pos3_core::Guards::default().with_max_delete(pos3_core::MaxDelete::Percent(100));
    SyncOptions::default().with_deletion(Deletion::Extra).with_guards(guards)
}

/// A directory with a file of its own, and one with many more.
fn sides() -> (TempDir, TempDir) {
    let target = directory(&[("kept", "1")]);
    (100..100 + EXTRA).for_each(|number| fs::write(target.path().join(format!("x{number}")), "old").unwrap());
    (directory(&[("kept", "1")]), target)
}

#[tokio::test]
async fn a_file_that_comes_back_during_the_deletes_keeps_its_copy() {
    for has_backup in [false, true] {
        let (source, target) = sides();
        // Deletes go from the last key to the first.
        let returned = source.path().join("x100");
        let options = options().with_observer(Once::deleted(move || fs::write(&returned, "back").unwrap()));
        let backup = tempfile::tempdir().unwrap();
        let options = options.with_backup(has_backup.then(|| Tree::new(disk(backup.path()))));
        let job = SyncJob::new(Tree::new(disk(source.path())), Tree::new(disk(target.path())), options);
        let report = job.run().await;
        assert_eq!((report.deleted, report.failed.len()), (EXTRA - 1, 1), "{report:?}");
        let Failure { key, kind, .. } = &report.failed.head()[0];
        assert_eq!((key.as_str(), *kind), ("x100", FailureKind::Stale(pos3_core::Side::Source)));
        assert!(target.path().join("x100").exists());
    }
}

#[tokio::test]
async fn local_deletes_stop_soon_after_a_signal() {
    let (source, target) = sides();
    let cancel = CancellationToken::new();
    let signal = cancel.clone();
    let options = options().with_observer(Once::deleted(move || signal.cancel()));
    let job = SyncJob::new(Tree::new(disk(source.path())), Tree::new(disk(target.path())), options);
    let report = job.with_cancel(cancel).run().await;
    assert!(matches!(report.stopped, Some(Stop::Cancelled)), "{report:?}");
    assert!(report.deleted <= 16, "{} were deleted", report.deleted);
    assert_eq!(report.deleted + report.withheld, EXTRA);
    assert_eq!(paths(target.path()).len() as u64, EXTRA + 1 - report.deleted, "the counts are right");
}

async fn prepared(from: &Path, to: &Path, options: SyncOptions) -> PreparedSync {
    let [from, to] = [from, to].map(|path| Location::Local(path.to_owned()));
    PreparedSync::open(&Registry::default(), &from, &to, options).await.unwrap()
}

fn displaced(report: &Report) -> Option<(Side, String)> {
    match &report.stopped {
        Some(Stop::Displaced { side, error }) => Some((*side, error.to_string())),
        _ => None,
    }
}

#[tokio::test]
async fn a_target_that_is_moved_during_the_run_is_an_error() {
    let moves: [fn(PathBuf); 2] = [
        |target| fs::rename(&target, target.with_extension("old")).unwrap(),
        |target| {
            fs::rename(&target, target.with_extension("old")).unwrap();
            fs::create_dir(target).unwrap();
        },
    ];
    for (number, move_away) in moves.into_iter().enumerate() {
        for exists in [false, true] {
            let world = directory(&[("from/a", "1"), ("from/b", "2")]);
            let target = world.path().join("to");
            if exists {
                fs::create_dir(&target).unwrap();
            }
            let moved = target.clone();
            let observed = options().with_observer(Once::copied(move || move_away(moved.clone())));
            let report = prepared(&world.path().join("from"), &target, observed).await.run().await.unwrap();
            let (side, message) = displaced(&report).unwrap_or_else(|| panic!("{number} {exists} {report:?}"));
            assert!(side == Side::Target && message.contains(target.to_str().unwrap()), "{message}");
            assert!(!report.is_clean());
        }
    }
    // A directory that is created by the run, and one that a link leads to, are as they were.
    let world = directory(&[("from/a", "1"), ("real/", "")]);
    symlink("real", world.path().join("link")).unwrap();
    for target in ["new", "link"] {
        let report = prepared(&world.path().join("from"), &world.path().join(target), options()).await.run().await;
        let report = report.unwrap();
        assert_eq!((report.copied, report.is_clean()), (1, true), "{target}: {report:?}");
    }
}

#[tokio::test]
async fn a_source_that_is_replaced_while_files_are_copied_is_named() {
    let world = directory(&[("from/a", "1"), ("from/b", "2"), ("other/b", "theirs")]);
    let source = world.path().join("from");
    let (replaced, other) = (source.clone(), world.path().join("other"));
    let replace = move || {
        fs::rename(&replaced, replaced.with_extension("old")).unwrap();
        fs::rename(&other, &replaced).unwrap();
    };
    // One copy at a time.
    let options = SyncOptions::default().with_budget(Budget::new(1, 1 << 20)).with_observer(Once::copied(replace));
    let report = prepared(&source, &world.path().join("to"), options).await.run().await.unwrap();
    let [Failure { key, kind, .. }] = report.failed.head() else { panic!("{report:?}") };
    assert_eq!((report.copied, key.as_str(), *kind), (1, "b", FailureKind::Displaced), "{report:?}");
    let told = format!("another directory than at the beginning of the run is at '{}'", source.display());
    assert_eq!(report.failed.head()[0].cause(), told);
    assert!(!world.path().join("to/b").exists());
}

#[tokio::test]
async fn a_source_that_is_replaced_while_deletes_are_made_is_an_error() {
    for deletes in [true, false] {
        let world = directory(&[("from/a", "1"), ("to/a", "1"), ("to/b", "1"), ("to/c", "1")]);
        if !deletes {
            fs::remove_file(world.path().join("to/b")).unwrap();
            fs::remove_file(world.path().join("to/c")).unwrap();
        }
        let source = world.path().join("from");
        let replaced = source.clone();
        let replace = move || {
            fs::rename(&replaced, replaced.with_extension("old")).unwrap();
            fs::create_dir(&replaced).unwrap();
        };
        let once = if deletes { Once::deleted(replace) } else { Once::copied(replace) };
        let report =
            prepared(&source, &world.path().join("to"), options().with_observer(once)).await.run().await.unwrap();
        let side = displaced(&report).map(|(side, _)| side);
        assert_eq!(side, deletes.then_some(Side::Source), "{report:?}");
    }
}
