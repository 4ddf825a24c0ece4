//! Every copy that was not made, for any reason, and a source without files withhold deletes.

use std::path::PathBuf;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use pos3_core::{Action, Event, Filter, Guards, ListOptions, Observer, Preconditions, Refusal, SkipReason, Stop};

use super::*;

/// Does something at the moment an action on a key is decided, before it is performed.
struct When {
    key: &'static str,
    act: Box<dyn Fn() + Send + Sync>,
}

impl When {
    fn decided(key: &'static str, act: impl Fn() + Send + Sync + 'static) -> Self {
        Self { key, act: Box::new(act) }
    }
}

impl Observer for When {
    fn event(&self, event: &Event<'_>) {
        if let Event::Decided(action) = event
            && action.key().as_str() == self.key
        {
            (self.act)();
        }
    }
}

fn options() -> SyncOptions {
    SyncOptions::default().with_deletion(Deletion::Extra)
}

fn run_with(source: Arc<dyn RemoteStore>, target: Arc<dyn RemoteStore>, options: SyncOptions) -> SyncJob {
    SyncJob::new(Tree::new(source), Tree::new(target), options)
}

fn refusal(report: &Report) -> &Refusal {
    match &report.stopped {
        Some(Stop::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_renamed_before_its_copy_keeps_the_object_of_its_new_name() {
    for preconditions in [Preconditions::Usual, Preconditions::Strict] {
        let source = directory(&[("report.csv.new", "new"), ("a", "1")]);
        let root = source.path().to_owned();
        let rename = When::decided("report.csv.new", move || {
            fs::rename(root.join("report.csv.new"), root.join("report.csv")).unwrap();
        });
        let store = bucket(&[("report.csv", "old"), ("a", "1")]).await;
        let options = options().with_observer(rename).with_preconditions(preconditions);
        let report = run_with(disk(source.path()), store.clone(), options).run().await;
        assert_eq!((report.deleted, report.withheld, report.is_clean()), (0, 1, false), "{report:?}");
        assert_eq!(keys(&store).await, ["a", "report.csv"]);
    }
}

/// Writes a file in the place of a directory of the target as soon as that is deleted.
struct WhenDeleted(PathBuf);

impl Observer for WhenDeleted {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Done(Action::Delete { target }) if target.key.as_str() == "a/x") {
            fs::write(&self.0, "theirs").unwrap();
        }
    }
}

#[tokio::test]
async fn a_path_that_is_taken_after_its_deletes_leaves_no_new_content_beside_it() {
    let (source, target) = (directory(&[("a", "file now")]), directory(&[("a/x", "1")]));
    let options = options().with_observer(WhenDeleted(target.path().join("a")));
    let report = run_with(disk(source.path()), disk(target.path()), options).run().await;
    assert_eq!((report.failed.len(), report.copied), (1, 0), "{report:?}");
    assert_eq!(paths(target.path()), ["a"]);
    assert_eq!(fs::read_to_string(target.path().join("a")).unwrap(), "theirs");
}

#[tokio::test]
async fn an_object_that_vanishes_before_it_is_read_withholds_the_deletes() {
    let store = bucket(&[("a", "1"), ("b.new", "2")]).await;
    let moved = store.clone();
    let vanish = When::decided("b.new", move || {
        let deleted = moved.remove_all(&[Key::from("b.new")]).now_or_never().unwrap();
        assert!(deleted[0].is_ok());
    });
    let target = directory(&[("a", "1"), ("b", "old")]);
    let report = run_with(store, disk(target.path()), options().with_observer(vanish)).run().await;
    assert_eq!((report.deleted, report.withheld, report.is_clean()), (0, 1, false), "{report:?}");
    assert_eq!(paths(target.path()), ["a", "b"]);
}

#[tokio::test]
async fn a_file_that_vanishes_keeps_the_directory_whose_place_it_should_have() {
    let source = directory(&[("a", "file now"), ("z", "1")]);
    let root = source.path().to_owned();
    // The last action of the plan: deletes and what replaces something come after all others.
    let vanish = When::decided("a", move || fs::remove_file(root.join("a")).unwrap());
    let target = directory(&[("a/x", "1"), ("z", "1")]);
    let report = run_with(disk(source.path()), disk(target.path()), options().with_observer(vanish)).run().await;
    assert_eq!((report.deleted, report.withheld, report.is_clean()), (0, 2, false), "{report:?}");
    assert_eq!(paths(target.path()), ["a/", "a/x", "z"]);
}

#[tokio::test]
async fn a_name_that_vanishes_while_its_directory_is_walked_withholds_the_deletes() {
    let source = directory(&[]);
    for number in 0..3_000 {
        fs::write(source.path().join(format!("f{number:04}")), "x").unwrap();
    }
    fs::create_dir(source.path().join("y")).unwrap();
    fs::write(source.path().join("y/inside"), "x").unwrap();
    fs::write(source.path().join("z.new"), "x").unwrap();
    // The walk has read all names, has sent the first thousand, and waits until they are received.
    let mut listing = disk(source.path()).list("", ListOptions::default());
    assert_eq!(listing.next().await.unwrap().unwrap().key.as_str(), "f0000");
    fs::rename(source.path().join("y"), source.path().join("b")).unwrap();
    fs::rename(source.path().join("z.new"), source.path().join("a")).unwrap();
    let listed: Vec<_> = listing.map(|entry| entry.unwrap()).collect().await;
    let gone: Vec<_> = listed[2_999..].iter().map(|entry| (entry.key.as_str(), &entry.kind)).collect();
    let vanished = &pos3_core::Kind::Protected(pos3_core::Protection::Vanished);
    assert_eq!(gone, [("y/", vanished), ("z.new", vanished)]);
}

#[tokio::test]
async fn a_source_without_a_single_file_deletes_nothing() {
    let link = || {
        let source = directory(&[]);
        symlink("elsewhere", source.path().join("data")).unwrap();
        source
    };
    let unmounted = directory(&[("lost+found/", "")]);
    let (link, excluded) = (link(), directory(&[("x.log", "1"), ("d/y.log", "2")]));
    let markers = bucket(&[("a/", ""), ("b/c/", "")]).await;
    let without_logs = Filter::builder().exclude("*.log").unwrap().build().unwrap();
    let sources: [(&str, Arc<dyn RemoteStore>, Filter); 4] = [
        ("only lost+found/", disk(unmounted.path()), Filter::default()),
        ("only a link", disk(link.path()), Filter::default()),
        ("only markers", markers, Filter::default()),
        ("only excluded files", disk(excluded.path()), without_logs),
    ];
    for (name, source, filter) in sources {
        let store = bucket(&[("a/x", "1"), ("b", "2")]).await;
        let options = options().with_filter(filter);
        let report = run_with(source.clone(), store.clone(), options.clone()).run().await;
        let (Refusal::SourceEmpty { files } | Refusal::NoSourceFile { files }) = refusal(&report) else {
            panic!("{name}: {report:?}")
        };
        assert_eq!((*files, report.copied), (2, 0), "{name}");
        assert!(refusal(&report).to_string().starts_with("the source is empty"), "{name}: {report:?}");
        assert_eq!(keys(&store).await, ["a/x", "b"], "{name}");

        let allowed = options.with_guards(Guards::default().with_allow_empty(true));
        let report = run_with(source, store, allowed).run().await;
        assert_eq!((report.deleted, report.stopped.is_none()), (2, true), "{name}: {report:?}");
    }
}

#[tokio::test]
async fn directories_alone_may_replace_directories() {
    let source = directory(&[("kept/", "")]);
    let store = bucket(&[("gone/", ""), ("kept/", "")]).await;
    let report = mirror(disk(source.path()), store.clone()).await.into_result().unwrap();
    assert_eq!(report.deleted, 1, "no file is lost by it");
    assert_eq!(keys(&store).await, ["kept/"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_emptied_is_not_emptied_for_a_file() {
    let filter = || Filter::builder().exclude("*.log").unwrap().exclude("*.log/").unwrap().build().unwrap();
    for (kept, stays) in [("a/sub/x.log", "a/sub/x.log"), ("a/link", "a/link"), ("a/empty.log/", "a/empty.log/")] {
        let store = bucket(&[("a", "a file now"), ("z", "1")]).await;
        let target = directory(&[("a/b", "1"), ("a/sub/c", "2"), ("old", "3")]);
        match kept {
            "a/link" => symlink("elsewhere", target.path().join(kept)).unwrap(),
            directory if directory.ends_with('/') => fs::create_dir_all(target.path().join(directory)).unwrap(),
            file => fs::write(target.path().join(file), "kept").unwrap(),
        }
        let before = paths(target.path());
        let job = run_with(store, disk(target.path()), options().with_filter(filter()));
        let skip = Action::Skip { key: Key::from("a"), why: SkipReason::Occupied(Key::from(stays)) };
        let plan = job.plan().await.unwrap();
        let mut shown = plan.actions().collect::<Result<Vec<_>, _>>().unwrap();
        shown.retain(|action| !matches!(action, Action::Copy { .. }));
        assert_eq!((shown, plan.tally.withheld), (vec![skip], 3), "the plan says what the run does");

        let report = job.run().await;
        assert_eq!((report.copied, report.deleted, report.withheld), (1, 0, 3), "{report:?}");
        assert_eq!(reasons(&report).len(), 1, "{report:?}");
        assert!(!report.is_clean());
        let mut after = paths(target.path());
        after.retain(|path| path != "z");
        assert_eq!(after, before, "{kept}: no neighbour is deleted");
    }
}

#[tokio::test]
async fn what_may_not_be_deleted_gives_its_place_to_nothing() {
    for (object, on_disk) in [("a", "a/x"), ("a/x", "a")] {
        let store = bucket(&[(object, "new"), ("z", "1")]).await;
        let target = directory(&[(on_disk, "old"), ("other", "2")]);
        let may_go = pos3_core::Deletable::when(|entry, _| entry.key.as_str() == "other");
        let report = run_with(store, disk(target.path()), options().with_deletable(may_go)).run().await;
        assert_eq!((report.copied, report.deleted, report.withheld), (1, 0, 1), "{report:?}");
        assert_eq!(report.skipped.to_vec().unwrap()[0].0.as_str(), object, "{report:?}");
        assert_eq!(fs::read_to_string(target.path().join(on_disk)).unwrap(), "old");
    }
}

/// Every cause for withholding deletes: while the plan is made, before and while content is staged, and at a delete.
#[tokio::test]
async fn a_replacement_that_is_withheld_is_named_once_with_its_reason() {
    let named = |report: &Report| {
        let mut named: Vec<_> = report.skipped.iter().map(Result::unwrap).collect();
        named.sort_by(|one, other| one.0.cmp(&other.0));
        named
    };
    let withheld = |key: &str| (Key::from(key), SkipReason::Withheld(Key::from(format!("{key}/"))));

    let store = bucket(&[("a", "new"), ("c/c", "1"), ("z", "1")]).await;
    let target = directory(&[("a/old", "1")]);
    symlink("elsewhere", target.path().join("c")).unwrap();
    let job = run_with(store, disk(target.path()), options());
    let planned = Report::of_plan(&job.plan().await.unwrap());
    let report = job.run().await;
    assert_eq!((report.copied, report.withheld), (1, 2), "{report:?}");
    assert_eq!((&named(&report)[0], report.skipped.len()), (&withheld("a"), 2));
    assert_eq!(named(&planned), named(&report));

    // A copy before the deletes is not made.
    let source = directory(&[("a", "new"), ("b", "new"), ("gone", "1"), ("z", "1")]);
    let gone = source.path().join("gone");
    let vanish = When::decided("gone", move || fs::remove_file(&gone).unwrap());
    let target = directory(&[("a/old", "1"), ("b/old", "1")]);
    let report = run_with(disk(source.path()), disk(target.path()), options().with_observer(vanish)).run().await;
    let expected = [withheld("a"), withheld("b"), (Key::from("gone"), SkipReason::Vanished)];
    assert_eq!((named(&report), report.copied, report.withheld), (expected.to_vec(), 1, 4), "{report:?}");

    // The content of one replacement cannot be staged.
    let source = directory(&[("a", "new"), ("b", "new"), ("z", "1")]);
    let first = source.path().join("a");
    let vanish = When::decided("b", move || fs::remove_file(&first).unwrap());
    let report = run_with(disk(source.path()), disk(target.path()), options().with_observer(vanish)).run().await;
    assert_eq!(named(&report), [(Key::from("a"), SkipReason::Vanished), withheld("b")], "{report:?}");

    // A file in the way changes before its delete.
    let source = directory(&[("a", "new"), ("z", "1")]);
    let target = directory(&[("a/old", "1")]);
    let old = target.path().join("a/old");
    let change = When::decided("a/old", move || fs::write(&old, "changed").unwrap());
    let report = run_with(disk(source.path()), disk(target.path()), options().with_observer(change)).run().await;
    assert_eq!((named(&report), report.failed.len(), report.copied), (vec![withheld("a")], 1, 1), "{report:?}");
    assert_eq!(paths(target.path()), ["a/", "a/old", "z"]);
}

const STAGED: &str = ".pos3-new.1f-18ab4c2d9e0f1234.0";

/// A download that was killed after it had deleted `m/x`, and before it moved the new content to `m`.
#[tokio::test]
async fn new_content_of_a_killed_run_in_the_source_withholds_every_delete() {
    for staged in [STAGED.to_owned(), format!("d/{STAGED}")] {
        let source = directory(&[("k", "1"), ("d/l", "1"), (&staged, "content of m")]);
        let store = bucket(&[("d/l", "1"), ("d/m", "content of m"), ("m", "content of m"), ("n/x", "1")]).await;
        let job = run_with(disk(source.path()), store.clone(), options());
        let planned = job.plan().await.unwrap();
        assert_eq!((planned.counts().deletes, planned.tally.withheld), (0, 3), "{staged}");
        let report = job.run().await;
        let named = report.skipped.to_vec().unwrap();
        let expected = (Key::from(staged.as_str()), SkipReason::Source(pos3_core::Protection::Staged));
        assert_eq!((named, report.copied, report.deleted, report.withheld), (vec![expected], 1, 0, 3), "{report:?}");
        assert!(!report.is_clean(), "{report:?}");
        assert_eq!(keys(&store).await, ["d/l", "d/m", "k", "m", "n/x"]);

        let without_deletes = run_with(disk(source.path()), store.clone(), SyncOptions::default()).run().await;
        assert!(without_deletes.is_clean(), "it loses nothing: {without_deletes:?}");

        fs::remove_file(source.path().join(staged)).unwrap();
        let report = run_with(disk(source.path()), store.clone(), options()).run().await;
        assert_eq!((report.deleted, report.is_clean()), (3, true), "{report:?}");
    }
}

#[tokio::test]
async fn an_object_of_a_staged_name_that_the_source_has_again_is_not_deleted() {
    let source = bucket(&[("a", "1")]).await;
    let target = bucket(&[(STAGED, "theirs"), ("a", "1")]).await;
    let again = source.clone();
    let write = When::decided(STAGED, move || {
        again.write(&Key::from(STAGED), "again".into()).now_or_never().unwrap().unwrap();
    });
    let options = options().with_observer(write).with_preconditions(Preconditions::Strict);
    let report = run_with(source, target.clone(), options).run().await;
    assert_eq!((report.deleted, report.failed.len()), (0, 1), "{report:?}");
    assert_eq!(keys(&target).await, [STAGED, "a"]);
}
