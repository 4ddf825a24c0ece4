//! Tests of the names of moved files, and of how later listings and writes treat such files.

use std::fs;
use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::FlockOperation;

use super::*;

struct World {
    directory: tempfile::TempDir,
    opened: OwnedFd,
}

impl World {
    fn new(names: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let opened = fs::File::open(directory.path()).unwrap().into();
        Self { directory, opened }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn stat(&self, name: &str) -> Stat {
        rustix::fs::statat(&self.opened, name, AtFlags::SYMLINK_NOFOLLOW).unwrap()
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path().join(from), self.path().join(to)).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn settle(&self, name: &str, later: Duration) -> Vec<String> {
        settle(self.opened.as_fd(), name, SystemTime::now() + later).unwrap();
        self.names()
    }
}

const LATER: Duration = Duration::from_secs(2);

#[test]
fn a_name_says_what_it_is_and_a_long_one_leaves_the_files_own_name_out() {
    let world = World::new(&["new", "before"]);
    let (new, before) = (world.stat("new"), world.stat("before"));
    let longest = LONGEST - MOVED_PREFIX.len() - MOVED_DIGITS - 1;
    let (fits, too_long) = ("é".repeat(longest / 2), "x".repeat(longest + 1));
    for (own, expected) in [("a.txt", Some("a.txt")), (&fits, Some(fits.as_str())), (&too_long, None)] {
        let name = name(own, Some(&new), &before);
        assert!(name.len() <= LONGEST && is_moved_name(&name), "{name}");
        let moved = Moved::parse(&name).unwrap();
        assert_eq!((moved.own, moved.new, moved.before), (expected, state(&new).as_str(), state(&before).as_str()));
        assert_eq!(Moved::parse(shortened(&name)), Some(Moved { own: None, ..moved }));
    }
    assert_ne!(name("a", None, &before), name("a", None, &before), "two files of one name may be moved at once");
    let digits = "0".repeat(MOVED_DIGITS);
    for own in ["..", ".", "a/b"] {
        let name = format!("{MOVED_PREFIX}{digits}.{own}");
        assert_eq!(Moved::parse(&name).map(|moved| moved.own), Some(None), "{name}");
    }
}

#[test]
fn only_a_new_file_without_writer_and_a_replaced_one_are_removed() {
    let world = World::new(&["a", "new", "before", "theirs"]);
    let name = |own: &str| name(own, Some(&world.stat("new")), &world.stat("before"));
    let names = [name("a"), name("a"), name("a"), name("free")];
    for (from, to) in ["new", "before", "theirs"].into_iter().zip(&names) {
        world.rename(from, to);
    }
    fs::write(world.path().join(&names[3]), "theirs, too").unwrap();
    let writer = fs::File::open(world.path().join(&names[0])).unwrap();
    rustix::fs::flock(&writer, FlockOperation::NonBlockingLockExclusive).unwrap();
    for name in &names {
        assert_eq!(world.settle(name, Duration::ZERO).len(), 5, "they may still be compared");
    }
    assert!(world.settle(&names[0], LATER).contains(&names[0]), "it has a writer");
    drop(writer);
    assert!(!world.settle(&names[0], Duration::ZERO).contains(&names[0]));
    assert!(!world.settle(&names[1], LATER).contains(&names[1]), "another file is in its place");
    assert!(world.settle(&names[2], LATER).contains(&names[2]), "nobody knows it");
    assert_eq!(world.settle(&names[3], LATER), [names[2].as_str(), "a", "free"]);
    assert_eq!(fs::read(world.path().join("free")).unwrap(), b"theirs, too");
}

#[test]
fn a_file_that_was_changed_after_it_was_replaced_stays() {
    let world = World::new(&["a", "before"]);
    let moved = name("a", None, &world.stat("before"));
    world.rename("before", &moved);
    fs::write(world.path().join(&moved), "a program had it open").unwrap();
    assert_eq!(world.settle(&moved, LATER), [moved.as_str(), "a"]);
    fs::remove_file(world.path().join("a")).unwrap();
    assert_eq!(world.settle(&moved, LATER), ["a"]);
}
