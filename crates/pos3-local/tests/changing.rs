//! Listings of directories that another program changes at the same time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

/// Replaces files in a loop until it is dropped, as a program does that writes under another name and renames.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    fn start(directory: &Path, names: Vec<String>) -> Self {
        let (directory, stop) = (directory.to_owned(), Arc::new(AtomicBool::new(false)));
        let is_over = stop.clone();
        let replace = move || {
            for name in names.iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                fs::write(directory.join("being-written"), "same").unwrap();
                fs::rename(directory.join("being-written"), directory.join(name)).unwrap();
            }
        };
        Self { stop, thread: Some(thread::spawn(replace)) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

/// A file system in memory, where a replaced file moves to the end of its directory, and any other one.
#[allow(clippy::print_stderr, reason = "the output of a test states what it did not test")]
fn directories() -> Vec<TempDir> {
    let memory = tempfile::tempdir_in("/dev/shm");
    if memory.is_err() {
        eprintln!("not tested on tmpfs, because there is none at /dev/shm");
    }
    memory.into_iter().chain([tempfile::tempdir().unwrap()]).collect()
}

#[tokio::test]
async fn a_file_that_is_replaced_while_its_directory_is_listed_is_listed() {
    let names: Vec<String> = (0..2000).map(|n| format!("f{n:04}")).collect();
    for directory in directories() {
        names.iter().for_each(|name| fs::write(directory.path().join(name), "same").unwrap());
        // All files in turn, and one so often that no reading of the whole directory finds it where it was.
        for replaced in [names.clone(), vec!["f1000".to_owned()]] {
            let _writer = Writer::start(directory.path(), replaced);
            let store = LocalStore::new(directory.path()).unwrap();
            for _ in 0..8 {
                let listed = store.list_all("").await.unwrap();
                let files = listed.iter().filter(|entry| entry.kind == Kind::File);
                let files: HashSet<&str> = files.map(|entry| entry.key.as_str()).collect();
                let lacking: Vec<_> = names.iter().filter(|name| !files.contains(name.as_str())).collect();
                assert!(lacking.is_empty(), "{} files are lacking: {lacking:?}", lacking.len());
            }
        }
    }
}
