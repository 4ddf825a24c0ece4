//! A second run finds every change, and reads no file that did not change.

use std::fs::{self, FileTimes};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::inotify;

use super::{BUCKET, Cloud};
use crate::program::Ended;

const UP: [&str; 3] = ["sync", "d", "s3://data/d"];
const DOWN: [&str; 3] = ["sync", "s3://data/d", "d"];

/// Counts how often files (not directories) directly below some directories are opened.
struct Opens(rustix::fd::OwnedFd);

impl Opens {
    fn watch(directories: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        for directory in directories {
            inotify::add_watch(&watch, directory.as_ref(), inotify::WatchFlags::OPEN).unwrap();
        }
        Self(watch)
    }

    fn count(&self) -> usize {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 65536];
        let mut events = inotify::Reader::new(self.0.as_fd(), &mut buffer);
        let mut opened = 0;
        while let Ok(event) = events.next() {
            assert!(!event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW));
            opened += usize::from(!event.events().contains(inotify::ReadFlags::ISDIR));
        }
        opened
    }
}

fn sync(cloud: &Cloud, arguments: &[&str]) -> (i32, serde_json::Value) {
    let (code, told) = cloud.json(arguments);
    cloud.server.reset_requests();
    (code, told)
}

/// Returns what was copied by a run that must go well.
fn copied(cloud: &Cloud, arguments: &[&str]) -> u64 {
    let (code, told) = sync(cloud, arguments);
    assert_eq!(code, 0, "{told}");
    told["copied"]["files"].as_u64().unwrap()
}

#[test]
fn two_thousand_unchanged_files_cost_listings_and_no_look_inside() {
    let files: Vec<(String, String)> =
        (0..2000).map(|number| (format!("d/{}/{number:04}", number % 20), format!("content {number}"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let cloud = Cloud::new(&files);
    assert_eq!(copied(&cloud, &UP), 2000);
    let opens = Opens::watch((0..20).map(|directory| cloud.program.path(&format!("d/{directory}"))));
    for arguments in [&UP, &DOWN] {
        let (code, told) = cloud.json(arguments);
        assert_eq!((code, &told["unchanged"]), (0, &2000.into()), "{told}");
        let requests = cloud.requests_as_told(&told);
        assert!(matches!(requests.as_slice(), [(kind, 1..=3)] if kind == "ListObjectsV2"), "{requests:?}");
        assert_eq!(opens.count(), 0, "{arguments:?} opened files");
    }
}

/// How a test changes the sync state before a run.
#[derive(Clone, Copy, Debug)]
enum Memory {
    Kept,
    Deleted,
    Corrupted,
    Unusable,
}

impl Memory {
    fn befall(self, cloud: &Cloud) {
        let state = cloud.program.state();
        match self {
            Self::Kept => {}
            Self::Deleted => {
                fs::remove_dir_all(state).unwrap();
            }
            Self::Unusable => {
                fs::remove_dir_all(state).unwrap();
                fs::write(state, "in the way").unwrap();
            }
            Self::Corrupted => {
                let databases = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
                let databases: Vec<_> =
                    databases.filter(|path| path.extension().is_some_and(|is| is == "redb")).collect();
                assert!(!databases.is_empty());
                for path in databases {
                    let mut bytes = fs::read(&path).unwrap();
                    bytes.iter_mut().skip(64).for_each(|byte| *byte = byte.wrapping_add(41));
                    fs::write(path, bytes).unwrap();
                }
            }
        }
    }
}

/// What can change without its size telling.
#[derive(Clone, Copy, Debug)]
enum Change {
    EditedLongAgo,
    OverwrittenRemotely,
    ReplacedByMove,
}

impl Change {
    fn happen(self, cloud: &Cloud) {
        let file = cloud.program.path("d/file");
        match self {
            Self::EditedLongAgo => {
                fs::write(&file, "edited").unwrap();
                let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
                set_modified(&file, long_ago);
            }
            Self::OverwrittenRemotely => cloud.server.put(BUCKET, "d/file", "remote"),
            Self::ReplacedByMove => {
                let modified = fs::metadata(&file).unwrap().modified().unwrap();
                let other = cloud.program.path("other");
                fs::write(&other, "moved!").unwrap();
                set_modified(&other, modified);
                fs::rename(other, &file).unwrap();
            }
        }
    }
}

fn set_modified(path: &Path, modified: SystemTime) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
}

fn both(cloud: &Cloud) -> (String, String) {
    let local = fs::read_to_string(cloud.program.path("d/file")).unwrap();
    let remote = cloud.server.object(BUCKET, "d/file").unwrap().bytes;
    (local, String::from_utf8(remote.to_vec()).unwrap())
}

#[test]
fn every_change_that_keeps_the_size_is_found_by_the_first_run_after_it() {
    for memory in [Memory::Kept, Memory::Deleted, Memory::Corrupted, Memory::Unusable] {
        for change in [Change::EditedLongAgo, Change::OverwrittenRemotely, Change::ReplacedByMove] {
            for direction in [&UP, &DOWN] {
                let cloud = Cloud::new(&[("d/file", "first!"), ("d/other", "other!")]);
                copied(&cloud, &UP);
                // What came down has the remote's own time: the hardest case for a rule that trusts times.
                fs::remove_dir_all(cloud.program.path("d")).unwrap();
                assert_eq!(copied(&cloud, &DOWN), 2);
                assert_eq!(copied(&cloud, direction), 0);
                change.happen(&cloud);
                memory.befall(&cloud);
                let winner = if direction == &UP { both(&cloud).0 } else { both(&cloud).1 };
                let (code, foreseen) = cloud.json(&[&direction[..], &["-n"]].concat());
                assert_eq!(
                    (code, &foreseen["plan"][0]["key"]),
                    (0, &"file".into()),
                    "{change:?} {memory:?} {foreseen}"
                );
                assert_eq!(copied(&cloud, direction), 1, "{change:?} {memory:?} {direction:?}");
                assert_eq!(both(&cloud), (winner.clone(), winner), "{change:?} {memory:?} {direction:?}");
                assert_eq!(copied(&cloud, direction), 0, "{change:?} {memory:?} {direction:?}");
            }
        }
    }
}

#[test]
fn two_runs_of_one_pair_at_once_do_each_other_no_harm() {
    let files: Vec<(String, String)> = (0..300).map(|number| (format!("d/{number:03}"), number.to_string())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let cloud = Cloud::new(&files);
    let both = [cloud.command(&UP).spawn().unwrap(), cloud.command(&UP).spawn().unwrap()];
    for child in both {
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!(cloud.server.keys(BUCKET).len(), 300);
    assert_eq!(copied(&cloud, &UP), 0);

    let holder = cloud.command(&["sync", "d", "s3://data/d", "--checksum"]).spawn().unwrap();
    let refused = cloud.run(&["sync", "d", "s3://data/d", "--lock-wait", "0"]);
    assert!(matches!(refused.code, Some(0 | 4)), "{refused:?}");
    assert!(
        refused.code == Some(0) || refused.err.contains("a sync between these two locations is running"),
        "{refused:?}"
    );
    assert!(holder.wait_with_output().unwrap().status.success());
}
