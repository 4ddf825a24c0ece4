//! Concurrent processes, and the files that remain when one is killed. The other processes run this test's own binary.

use super::*;
use crate::origin::{Origin, Then};
use crate::resuming::{SIZE, options, pattern};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pos3_core::{Content, ErrorKind, Expect, Journal, PutOptions, Unfinished};

/// What the other process does, and where.
const ROLE: &str = "POS3_LOCAL_TEST_ROLE";
const ROOT: &str = "POS3_LOCAL_TEST_ROOT";

/// Who owns nothing.
const NOBODY: u32 = 65534;

fn other(world: &World, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::child", "--ignored", "--nocapture"]);
    command.env(ROLE, role).env(ROOT, world.directory.path()).stdout(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own, started by the tests below"]
async fn child() {
    let (Ok(role), Some(directory)) = (std::env::var(ROLE), std::env::var_os(ROOT)) else { return };
    let directory = PathBuf::from(directory);
    let store = LocalStore::new(directory.join("root")).unwrap();
    let (role, argument) = role.split_once(' ').unwrap();
    match role {
        "stall" => {
            let origin = Arc::new(Origin::new().after(argument.parse().unwrap(), Then::Stall));
            let content = origin.content(pattern(0)).await;
            let journal = Arc::new(FileJournal(directory.join("journal")));
            let options = options(&journal);
            let _callers = options.budget.clone().slot().await;
            store.put(&key("d/f"), content, options).await.unwrap();
        }
        "write" => {
            for _ in 0..30 {
                store.write(&key("d/f"), vec![argument.as_bytes()[0]; 3 << 20].into()).await.unwrap();
            }
        }
        "claim" => {
            let mut won = 0;
            for n in 0..200 {
                let options = PutOptions::default().with_expect(Expect::Absent);
                match store.put(&key(&format!("d/{n}")), Content::from(argument.to_owned().into_bytes()), options).await
                {
                    Ok(_) => won += 1,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
                }
            }
            fs::write(directory.join(format!("won-{argument}")), won.to_string()).unwrap();
        }
        "follow" => {
            let mut log = String::new();
            for n in 0..300 {
                let Ok(listed) = store.head(&key("d/f")).await else { continue };
                let Ok(seen) = fs::read_to_string(directory.join("root/d/f")) else { continue };
                if store.head(&key("d/f")).await.ok().as_ref() != Some(&listed) {
                    continue;
                }
                let content = format!("{argument}{n:04}");
                let options = PutOptions::default().with_expect(Expect::Unchanged(listed.fingerprint.unwrap()));
                match store.put(&key("d/f"), Content::from(content.clone().into_bytes()), options).await {
                    Ok(_) => log.push_str(&format!("{content} {seen}\n")),
                    Err(error) => assert!(
                        matches!(error.kind(), ErrorKind::Precondition | ErrorKind::Other),
                        "{error}: {}",
                        error.cause()
                    ),
                }
            }
            fs::write(directory.join(format!("log-{argument}")), log).unwrap();
        }
        "denied" => {
            let large = Arc::new(Origin::new()).content(pattern(0)).await;
            for content in [Content::from("small"), large] {
                for name in ["closed/f", "closed/new", "closed/new/f"] {
                    let error = store.put(&key(name), content.clone(), PutOptions::default()).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
                    assert_eq!(error.to_string(), format!("cannot write '{name}': access denied"));
                    assert_eq!(error.cause(), "access denied: Permission denied (os error 13)");
                }
            }
        }
        _ => panic!("{role}"),
    }
}

/// Notes in a file, as another process finds them.
#[derive(Debug)]
struct FileJournal(PathBuf);

impl FileJournal {
    fn notes(&self) -> BTreeMap<Key, Unfinished> {
        fs::read(&self.0).map(|bytes| postcard::from_bytes(&bytes).unwrap()).unwrap_or_default()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Key, Unfinished>)) {
        let mut notes = self.notes();
        change(&mut notes);
        let new = self.0.with_extension("new");
        fs::write(&new, postcard::to_allocvec(&notes).unwrap()).unwrap();
        fs::rename(new, &self.0).unwrap();
    }
}

#[async_trait::async_trait]
impl Journal for FileJournal {
    async fn load(&self, key: &Key) -> Option<Unfinished> {
        self.notes().remove(key)
    }

    async fn save(&self, key: &Key, unfinished: &Unfinished) {
        self.change(|notes| drop(notes.insert(key.clone(), unfinished.clone())));
    }

    async fn remove(&self, key: &Key) {
        self.change(|notes| drop(notes.remove(key)));
    }

    async fn all(&self) -> Vec<(Key, Unfinished)> {
        self.notes().into_iter().collect()
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_put_whose_process_was_killed_goes_on() {
    for reads in [1, 5] {
        let world = World::new();
        world.root();
        let journal = Arc::new(FileJournal(world.directory.path().join("journal")));
        let child = other(&world, &format!("stall {reads}")).spawn().unwrap();
        while journal.notes().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(world.store().unfinished("").await.unwrap(), [], "somebody writes to it");
        kill(child);
        assert_eq!(world.shown().await, ["d/ empty"]);
        let left = world.store().unfinished("").await.unwrap();
        assert_eq!((left.len(), &left[0].1.id), (1, &journal.notes()[&key("d/f")].id));

        let origin = Arc::new(Origin::new());
        let content = origin.content(pattern(0)).await;
        let options = options(&journal);
        let _callers = options.budget.clone().slot().await;
        world.store().put(&key("d/f"), content, options).await.unwrap();
        let fetched: u64 = origin.reads().iter().map(|range| range.end - range.start).sum();
        assert!(fetched < SIZE, "all of it was fetched again");
        assert!(fs::read(world.path("d/f")).unwrap() == pattern(0));
        assert_eq!((world.names("d"), journal.notes().len()), (vec!["f".to_owned()], 0));
    }
}

#[tokio::test]
async fn two_processes_that_write_one_file_never_tear_it() {
    let world = World::new();
    world.root();
    let mut children = ["write a", "write b"].map(|role| other(&world, role).spawn().unwrap());
    let mut seen = [0, 0];
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        match fs::read(world.path("d/f")) {
            Ok(content) => {
                assert_eq!(content.len(), 3 << 20);
                assert!(content.iter().all(|byte| *byte == content[0]), "two contents in one file");
                seen[usize::from(content[0] == b'b')] += 1;
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!(seen[0] + seen[1] > 0);
    assert_eq!(world.names("d"), ["f"]);
}

#[tokio::test]
async fn of_two_processes_that_replace_one_file_each_replaces_only_what_it_has_seen() {
    let world = World::new();
    world.make(&["d/f"]);
    let children = ["follow a", "follow b"].map(|role| other(&world, role).spawn().unwrap());
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let logs = ["a", "b"].map(|name| fs::read_to_string(world.directory.path().join(format!("log-{name}"))).unwrap());
    let followed: Vec<&str> = logs.iter().flat_map(|log| log.lines()).map(|line| &line[6..]).collect();
    let distinct: std::collections::BTreeSet<_> = followed.iter().collect();
    assert_eq!(distinct.len(), followed.len(), "two writers replaced the same file");
    assert!(logs.iter().all(|log| !log.is_empty()), "one of them replaced nothing");
    let names = world.names("d");
    assert!(names.iter().all(|name| name == "f" || name.starts_with("f.changed-")), "{names:?}");
}

#[tokio::test]
async fn of_two_processes_that_expect_nothing_one_wins_each_file() {
    let world = World::new();
    world.root();
    let children = ["claim a", "claim b"].map(|role| other(&world, role).spawn().unwrap());
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let won = |name: &str| -> usize {
        fs::read_to_string(world.directory.path().join(format!("won-{name}"))).unwrap().parse().unwrap()
    };
    let of = |name: &str| {
        let names = world.names("d");
        names.iter().filter(|file| fs::read_to_string(world.path("d").join(file)).unwrap() == name).count()
    };
    assert_eq!((won("a"), won("b")), (of("a"), of("b")));
    assert_eq!(world.names("d").len(), 200);
}

#[tokio::test]
async fn a_directory_that_may_not_be_written_to_is_named_in_one_line_and_stays_as_it_was() {
    let world = World::new();
    world.make(&["closed/f"]);
    fs::set_permissions(world.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = other(&world, "denied -");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let status = command.status();
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(status.unwrap().success());
    assert_eq!(world.names("closed"), ["f"]);
    assert_eq!(fs::read(world.path("closed/f")).unwrap(), b"closed/f");
}
