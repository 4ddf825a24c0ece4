//! A pull that breaks off at any request, followed by a push: the location is never worse than before.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use pos3::Workspace;
use pos3_core::{Event, Observer};
use pos3_tests::server::{Answer, Fault};

use super::{Contents, World, everything, files, pairs, set_aside, write};

const OBJECTS: [&str; 6] = ["a", "b", "d/a", "d/b", "d/e/c", "z"];

/// The versions at the location. A workspace of the second kind has the first ones of some.
const FIRST: &str = "the first version, which is in the directory";
const SECOND: &str = "the second version, of another writer";

fn answers() -> [Answer; 4] {
    [Answer::access_denied(), Answer::internal_error(), Answer::Reset, Answer::CutBody { after: 10 }]
}

/// A workspace whose next pull has much to do.
struct Case {
    world: World,
    one: Workspace,
    /// Whether the directory has earlier versions, and one change that was never pushed.
    is_warm: bool,
}

impl Case {
    async fn new(is_warm: bool) -> Self {
        let mut world = World::new();
        world.attempts = 1;
        OBJECTS.iter().for_each(|key| world.put(key, FIRST));
        let one = world.workspace("one");
        if is_warm {
            assert!(one.pull().await.unwrap().success);
            write(one.path(), "d/a", "a change that was never pushed");
            OBJECTS.iter().for_each(|key| world.put(key, SECOND));
            // The clock of the file system must have moved on, or the change may be one during the pull.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Self { world, one, is_warm }
    }

    /// Works in the directory after the pull, as a program that does not look at its result: creates all that is missing.
    fn work(&self) {
        let present = files(self.one.path());
        for key in OBJECTS.iter().filter(|key| !present.contains_key(**key)) {
            write(self.one.path(), key, &format!("{key} made up"));
        }
        write(self.one.path(), "new", "new");
    }

    /// Pushes, and then pulls and pushes until both sides are equal.
    async fn check(&self, case: &str, works: bool) {
        let before = self.world.objects();
        if works {
            self.work();
        }
        let pushed = self.one.push().await;
        self.assert_not_worse(&before, &format!("{case}: {pushed:?}"));
        let pulled = self.one.pull().await.unwrap();
        assert!(pulled.success, "{case}: {pulled:?}");
        let again = self.one.push().await.unwrap();
        assert!(again.success, "{case}: {again:?}");
        self.assert_not_worse(&before, &format!("{case}: {again:?}"));
        assert_eq!(files(self.one.path()), self.world.objects(), "{case}");
        if self.is_warm {
            let mut all: Vec<String> = self.world.objects().into_values().collect();
            all.extend(set_aside(self.one.path()));
            assert!(all.iter().any(|content| content.contains("never pushed")), "{case}: the change is lost");
        }
    }

    fn assert_not_worse(&self, before: &Contents, case: &str) {
        let now = self.world.objects();
        for (key, content) in before {
            assert_eq!(now.get(key), Some(content), "'{key}' is worse than before: {case}");
        }
    }
}

#[tokio::test]
async fn a_pull_that_breaks_off_at_any_request_makes_no_push_harm_the_location() {
    let mut broken = 0;
    for is_warm in [false, true] {
        for nth in 1..=OBJECTS.len() + 2 {
            for (answer, times) in answers().into_iter().flat_map(|answer| [(answer.clone(), 1), (answer, usize::MAX)])
            {
                let works = (nth + usize::from(times == 1)) % 2 == 0;
                let case = format!("warm: {is_warm}, request {nth}, {times} times, {answer:?}");
                let this = Case::new(is_warm).await;
                this.world.server.fault(Fault::on_any().nth(nth).times(times).answer(answer));
                let pulled = this.one.pull().await;
                let is_hit = this.world.server.faults_waiting() == 0;
                this.world.server.clear_faults();
                broken += usize::from(is_hit && !pulled.is_ok_and(|report| report.success));
                this.check(&case, works).await;
            }
        }
    }
    assert!(broken >= 80, "only {broken} pulls were broken");
}

/// Fills the disk once the first file has been fetched.
struct Filler(std::path::PathBuf, AtomicBool);

impl Observer for Filler {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Done(_)) && !self.1.swap(true, Ordering::Relaxed) {
            let _full = std::fs::write(&self.0, vec![0; 64 << 20]);
        }
    }
}

#[tokio::test]
async fn a_disk_that_is_full_during_a_pull_makes_no_push_harm_the_location() {
    let mut world = World::new();
    world.attempts = 1;
    let small = world.path("small");
    std::fs::create_dir(&small).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&small).status();
    if !mount.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: no small file system can be mounted here");
    }
    let _mounted = Mounted(&small);
    let large = "x".repeat(300_000);
    OBJECTS.iter().for_each(|key| world.put(key, &large));
    let filler = small.join("filler");
    let builder = world.builder(small.join("ws")).download_concurrency(1);
    let one = builder.observer(Filler(filler.clone(), AtomicBool::new(false))).open().unwrap();
    let pulled = one.pull().await;
    assert!(!matches!(&pulled, Ok(report) if report.success), "{pulled:?}");
    let before = world.objects();
    let _report = one.push().await;
    assert_eq!(world.objects(), before);
    let refused = one.pull().await;
    assert!(!matches!(&refused, Ok(report) if report.success), "{refused:?}");
    let _report = one.push().await;
    assert_eq!(world.objects(), before);

    std::fs::remove_file(filler).unwrap();
    let pulled = one.pull().await.unwrap();
    assert!(pulled.success, "{pulled:?}");
    assert!(one.push().await.unwrap().success);
    assert_eq!((files(one.path()), world.objects()), (before.clone(), before));
    assert!(everything(one.path()).keys().all(|path| !path.contains("partial")), "nothing unfinished is left");
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn the_objects_of_a_pull_that_broke_off_are_named_and_those_after_it_are_not() {
    let world = World::with(&[("a", "1"), ("b", "1"), ("c", "1")]);
    world.server.fault(Fault::on_any().key("tenant/ws/b").always().answer(Answer::access_denied()));
    let one = world.workspace("one");
    let report = one.pull().await.unwrap();
    assert!(!report.success && report.errors.len() == 1 && report.errors[0].contains("'b'"), "{report:?}");
    std::fs::remove_file(one.path().join("a")).unwrap();
    let report = one.push().await.unwrap();
    assert_eq!((report.protected.as_slice(), report.deleted), (&["b".to_owned()][..], 0), "{report:?}");
    assert!(report.warnings.iter().any(|warning| warning.contains("pull again")), "{report:?}");
    world.server.clear_faults();
    assert!(one.pull().await.unwrap().success);
    std::fs::remove_file(one.path().join("a")).unwrap();
    assert_eq!(one.push().await.unwrap().deleted, 1);
    assert_eq!(world.objects(), pairs(&[("b", "1"), ("c", "1")]));
}
