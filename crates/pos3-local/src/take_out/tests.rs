//! Kills the process, or lets other programs write, at every step of a replacement and of a delete.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use pos3_core::{
    Content, DeleteKey, Entry, Expect, Key, Kind, Protection, PutOptions, RemoteStore, RemoteStoreExt, is_moved_name,
    is_partial_name,
};
use rustix::fd::AsFd;

use super::*;
use crate::store::LocalStore;

const NAME: &str = "a";
const STAGED: &str = ".pos3-partial.0000000000000001";

/// An event before a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Another program replaces the file.
    Replace(&'static str),
    /// Another program moves the file away.
    Remove,
    /// Another program appends to the file.
    Append,
    /// Another run sweeps the directory, so late that it takes this one for dead.
    Sweep,
    /// The process dies.
    Die,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Replace,
    Delete,
}

/// The unwinding of a process that dies.
struct Died;

struct Script {
    step: usize,
    acts: Vec<(usize, Act)>,
    world: PathBuf,
    precious: BTreeSet<String>,
}

thread_local! {
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

/// The instructions for a child process of a test.
struct Orders {
    root: PathBuf,
    dies_at: usize,
    is_raced: bool,
}

const ORDERS: [&str; 4] = ["POS3_TAKE_OUT_ROOT", "POS3_TAKE_OUT_WORK", "POS3_TAKE_OUT_DIES_AT", "POS3_TAKE_OUT_RACE"];

fn orders() -> Option<&'static Orders> {
    static ORDERED: OnceLock<Option<Orders>> = OnceLock::new();
    let read = || {
        let root = PathBuf::from(std::env::var_os(ORDERS[0])?);
        let dies_at = std::env::var(ORDERS[2]).ok()?.parse().unwrap();
        Some(Orders { root, dies_at, is_raced: std::env::var_os(ORDERS[3]).is_some() })
    };
    ORDERED.get_or_init(read).as_ref()
}

/// Called before each step of the code under test.
pub(crate) fn before_step() {
    static STEPS: AtomicUsize = AtomicUsize::new(0);
    if let Some(orders) = orders() {
        let step = STEPS.fetch_add(1, Ordering::SeqCst);
        if step == 0 && orders.is_raced {
            fs::rename(orders.root.join("theirs"), orders.root.join("d").join(NAME)).unwrap();
        }
        if step == orders.dies_at {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
    }
    let is_dead = SCRIPT.with_borrow_mut(|script| script.as_mut().is_some_and(Script::advance));
    if is_dead {
        panic::resume_unwind(Box::new(Died));
    }
}

impl Script {
    /// Performs what happens before this step. Returns true if the process dies.
    fn advance(&mut self) -> bool {
        let step = self.step;
        self.step += 1;
        let acts: Vec<Act> = self.acts.iter().filter(|(at, _)| *at == step).map(|(_, act)| *act).collect();
        acts.into_iter().any(|act| self.act(act))
    }

    fn act(&mut self, act: Act) -> bool {
        let (directory, outside) = (self.world.join("d"), self.world.join("outside"));
        let path = directory.join(NAME);
        let free = || outside.join(fs::read_dir(&outside).unwrap().count().to_string());
        match act {
            Act::Replace(content) => {
                // The other program may lose its own files. The test looks only for what pos3 loses.
                let _ = fs::hard_link(&path, free());
                let new = free();
                fs::write(&new, content).unwrap();
                fs::rename(new, path).unwrap();
                self.precious.insert(content.to_owned());
            }
            Act::Remove => drop(fs::rename(&path, free())),
            Act::Append => {
                let Ok(content) = fs::read_to_string(&path) else { return false };
                let longer = format!("{content}+");
                // In place, so the file keeps its inode.
                fs::write(&path, &longer).unwrap();
                self.precious.remove(&content);
                self.precious.insert(longer);
            }
            Act::Sweep => sweep(&directory),
            Act::Die => return true,
        }
        false
    }
}

/// Settles the moved files of a directory, as seen two seconds from now.
fn sweep(directory: &Path) {
    let opened = fs::File::open(directory).unwrap();
    for (name, _) in files(directory).into_iter().filter(|(name, _)| is_moved_name(name)) {
        let _ = moved::settle(opened.as_fd(), &name, SystemTime::now() + Duration::from_secs(2));
    }
}

fn files(directory: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// The state after a run of the code under test.
struct Ended {
    world: tempfile::TempDir,
    /// `None` if the process died.
    result: Option<Result<Taken, Errno>>,
    steps: usize,
    precious: BTreeSet<String>,
}

impl Ended {
    fn directory(&self) -> PathBuf {
        self.world.path().join("d")
    }

    fn files(&self) -> Vec<(String, String)> {
        files(&self.directory())
    }

    fn has(&self, content: &str) -> bool {
        let outside = files(&self.world.path().join("outside"));
        self.files().into_iter().chain(outside).any(|(_, found)| found == content)
    }

    fn at_name(&self) -> Option<String> {
        fs::read_to_string(self.directory().join(NAME)).ok()
    }
}

fn run(work: Work, acts: &[(usize, Act)]) -> Ended {
    let world = tempfile::tempdir().unwrap();
    let directory = world.path().join("d");
    fs::create_dir(&directory).unwrap();
    fs::create_dir(world.path().join("outside")).unwrap();
    fs::write(directory.join(NAME), "old").unwrap();
    if work == Work::Replace {
        fs::write(directory.join(STAGED), "new").unwrap();
    }
    let opened = fs::File::open(&directory).unwrap();
    let stat = |name: &str| rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW);
    let (before, new) = (stat(NAME).unwrap(), stat(STAGED));
    let script = Script { step: 0, acts: acts.to_vec(), world: world.path().to_owned(), precious: BTreeSet::new() };
    SCRIPT.set(Some(script));
    let result = panic::catch_unwind(|| match work {
        Work::Replace => replace(opened.as_fd(), NAME, &before, STAGED, &new.unwrap()),
        Work::Delete => delete(opened.as_fd(), NAME, &before),
    });
    let Some(script) = SCRIPT.take() else { panic!("the script is gone") };
    let result = match result {
        Ok(result) => Some(result),
        Err(cause) if cause.is::<Died>() => None,
        Err(cause) => panic::resume_unwind(cause),
    };
    Ended { world, result, steps: script.step, precious: script.precious }
}

/// Checks what holds after every run, whatever happened in it.
fn check(work: Work, acts: &[(usize, Act)]) -> usize {
    let ended = run(work, acts);
    let shown = || format!("{work:?} {acts:?} {:?} {:?}", ended.result, ended.files());
    let nothing_is_lost = |when: &str| {
        for content in &ended.precious {
            assert!(ended.has(content), "{when}: '{content}' of another program is lost: {}", shown());
        }
    };
    nothing_is_lost("at the end");
    let is_alone = acts.iter().all(|(_, act)| *act == Act::Die);
    if is_alone && work == Work::Replace {
        assert!(matches!(ended.at_name().as_deref(), Some("old" | "new")), "{}", shown());
    }
    if is_alone && ended.result.is_none() {
        assert!(ended.has("old") || ended.at_name().as_deref() == Some("new"), "{}", shown());
    }
    for (name, content) in ended.files() {
        assert!(!is_partial_name(&name) || content == "new", "it would be removed as unfinished: {}", shown());
        if let Some(result) = &ended.result {
            let is_named = matches!(result, Ok(Taken::Stuck { at, .. }) if *at == name);
            assert!(!is_moved_name(&name) || is_named, "nothing names it: {}", shown());
        }
    }
    sweep(&ended.directory());
    nothing_is_lost("after a sweep");
    for (name, content) in ended.files().into_iter().filter(|(name, _)| is_moved_name(name)) {
        assert!(ended.precious.contains(&content), "'{name}' is certainly ours, and stays: {}", shown());
        assert!(ended.at_name().is_some(), "its place is free: {}", shown());
    }
    ended.steps
}

/// Checks a run and the same run with a kill at each step after the last act. Returns the number of steps.
fn check_with_kills(work: Work, acts: &[(usize, Act)]) -> usize {
    let steps = check(work, acts);
    for step in acts.last().map_or(0, |(last, _)| *last)..steps {
        let acts: Vec<_> = acts.iter().copied().chain([(step, Act::Die)]).collect();
        check(work, &acts);
    }
    steps
}

#[test]
fn a_kill_at_any_step_loses_no_file_of_another_program() {
    let acts = [Act::Remove, Act::Append, Act::Sweep];
    for work in [Work::Replace, Work::Delete] {
        let steps = check_with_kills(work, &[]);
        for first in [Act::Replace("theirs")].into_iter().chain(acts) {
            for one in 0..steps {
                let steps = check_with_kills(work, &[(one, first)]);
                for second in [Act::Replace("a third one")].into_iter().chain(acts) {
                    for other in one..steps {
                        check_with_kills(work, &[(one, first), (other, second)]);
                    }
                }
            }
        }
    }
}

#[test]
fn the_expected_file_is_replaced_or_deleted() {
    let replaced = run(Work::Replace, &[]);
    assert!(matches!(replaced.result, Some(Ok(Taken::Done))));
    assert_eq!(replaced.files(), [(NAME.to_owned(), "new".to_owned())]);
    let deleted = run(Work::Delete, &[]);
    assert!(matches!(deleted.result, Some(Ok(Taken::Done))));
    assert_eq!(deleted.files(), []);
    for work in [Work::Replace, Work::Delete] {
        assert!(matches!(run(work, &[(0, Act::Remove)]).result, Some(Ok(Taken::Missing))), "{work:?}");
    }
}

#[test]
fn a_file_that_was_replaced_after_the_check_comes_back() {
    for (work, staged) in [(Work::Replace, Some(STAGED)), (Work::Delete, None)] {
        let ended = run(work, &[(0, Act::Replace("theirs"))]);
        assert!(matches!(ended.result, Some(Ok(Taken::Changed))), "{:?}", ended.result);
        let staged = staged.map(|name| (name.to_owned(), "new".to_owned()));
        let theirs = (NAME.to_owned(), "theirs".to_owned());
        assert_eq!(ended.files(), staged.into_iter().chain([theirs]).collect::<Vec<_>>());
    }
}

#[test]
fn a_file_that_cannot_come_back_keeps_a_name_that_is_reported() {
    let ended = run(Work::Delete, &[(0, Act::Replace("theirs")), (2, Act::Replace("a third one"))]);
    let Some(Ok(Taken::Displaced(kept))) = &ended.result else { panic!("{:?}", ended.result) };
    let expected = [(NAME, "a third one"), (kept, "theirs")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(ended.files(), expected);
    let error = crate::error::displaced(pos3_core::Operation::Delete, &Key::from(NAME), kept);
    assert!(error.to_string().contains(kept.as_str()), "{error}");
}

#[test]
fn a_file_that_is_gone_while_it_is_compared_is_a_failure() {
    // Another run took this one for dead, and has moved the file back.
    let ended = run(Work::Delete, &[(1, Act::Sweep)]);
    assert!(matches!(ended.result, Some(Ok(Taken::Stuck { errno: Errno::NOENT, .. }))), "{:?}", ended.result);
    assert_eq!(ended.at_name().as_deref(), Some("old"));
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by the test below"]
async fn child() {
    let Some(orders) = orders() else { return };
    let store = LocalStore::new(orders.root.join("d")).unwrap();
    let key = Key::from(NAME);
    let listed = store.head(&key).await.unwrap();
    // Any result is right: the parent looks at the files.
    if std::env::var(ORDERS[1]).unwrap() == "Replace" {
        let options = PutOptions::default().with_expect(Expect::Unchanged(listed.fingerprint.unwrap()));
        let _ = store.put(&key, Content::from("new"), options).await;
    } else {
        let _ = store.delete(&[DeleteKey::new(key).unless_changed(&listed)]).await;
    }
}

/// Runs a child that is killed before a step. Returns false if it ended before this step.
fn is_killed(root: &Path, work: Work, is_raced: bool, dies_at: usize) -> bool {
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("d").join(NAME), "old").unwrap();
    fs::write(root.join("theirs"), "theirs").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "take_out::tests::child", "--ignored"]).stdout(Stdio::null()).stderr(Stdio::null());
    let values = [root.to_str().unwrap().to_owned(), format!("{work:?}"), dies_at.to_string()];
    command.envs(ORDERS.iter().zip(values));
    if is_raced {
        command.env(ORDERS[3], "1");
    }
    let status = command.status().unwrap();
    assert!(status.success() || status.signal() == Some(9), "{status}");
    !status.success()
}

#[tokio::test]
async fn what_a_killed_process_moved_away_is_named_and_comes_back() {
    let mut killed = Vec::new();
    for work in [Work::Replace, Work::Delete] {
        for is_raced in [false, true] {
            for dies_at in 0.. {
                let root = tempfile::tempdir().unwrap();
                if !is_killed(root.path(), work, is_raced, dies_at) {
                    break;
                }
                killed.push((work, is_raced, root));
            }
        }
    }
    assert!(killed.len() >= 12, "{}", killed.len());
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for (work, is_raced, root) in &killed {
        check_next_run(*work, *is_raced, &root.path().join("d")).await;
    }
}

async fn check_next_run(work: Work, is_raced: bool, directory: &Path) {
    let precious = if is_raced { "theirs" } else { "old" };
    let store = LocalStore::new(directory).unwrap();
    let listed = store.list_all("").await.unwrap();
    let shown = || format!("{work:?} {is_raced} {listed:?} {:?}", files(directory));
    let away = files(directory).into_iter().find(|(name, content)| is_moved_name(name) && content == precious);
    let is_moved = |entry: &Entry| matches!(entry.kind, Kind::Protected(Protection::Moved(_)));
    let named = listed.iter().find(|entry| is_moved(entry));
    let at_name = fs::read_to_string(directory.join(NAME)).ok();
    // The old file has been replaced: nothing of it is missing.
    let is_replaced = work == Work::Replace && !is_raced && at_name.as_deref() == Some("new");
    match (&away, named) {
        (Some((name, _)), Some(entry)) => {
            assert!(entry.key.as_str() == if at_name.is_some() { name } else { NAME }, "{}", shown());
            let Kind::Protected(why) = &entry.kind else { panic!("{}", shown()) };
            let reported = format!("{}: {why}", entry.key);
            assert!(reported.contains(name.as_str()), "{reported}");
        }
        (Some(_), None) => assert!(is_replaced, "{}", shown()),
        (None, None) => assert!(is_replaced || at_name.as_deref() == Some(precious), "{}", shown()),
        (None, Some(_)) => panic!("{}", shown()),
    }
    store.put(&Key::from("other"), Content::from("x"), PutOptions::default()).await.unwrap();
    let mut after = files(directory);
    for _ in 0..500 {
        let is_settled = |(name, content): &(String, String)| {
            let stays = at_name.as_deref() == Some("new") && content == precious && !is_replaced;
            !is_moved_name(name) && !is_partial_name(name) || stays
        };
        if after.iter().all(is_settled) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        after = files(directory);
    }
    let of = |wanted: &str| after.iter().filter(|(_, content)| content == wanted).count();
    assert_eq!(of(precious), usize::from(!is_replaced), "{} {after:?}", shown());
    let others = after.iter().filter(|(name, content)| is_moved_name(name) && content != precious).count();
    assert_eq!(others, 0, "{} {after:?}", shown());
    assert!(after.iter().any(|(name, _)| name == NAME), "{} {after:?}", shown());
}
