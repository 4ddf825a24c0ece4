//! A write stores exactly the given content, completely or not at all, and only at its key.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use pos3_core::conformance::FaultStore;
use pos3_core::{
    BEHIND_LINK, Budget, Content, DeleteKey, ErrorKind, Expect, GetOptions, Journal, MemoryStore, PutOptions, Reads,
};

const LARGE: usize = (20 << 20) + 3;

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from((n ^ (n >> 11)) & 0xff).unwrap()).collect()
}

/// Content that comes from another store, as in a sync.
async fn stored(content: Vec<u8>) -> Content {
    let source = Arc::new(MemoryStore::new());
    let entry = source.write(&key("source"), content.into()).await.unwrap();
    Content::stored(source, entry)
}

#[tokio::test]
async fn time_is_kept_to_the_nanosecond_and_mode_of_the_replaced_file_too() {
    let world = World::new();
    world.make(&["old"]);
    fs::set_permissions(world.path("old"), fs::Permissions::from_mode(0o640)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789);
    for (name, content) in [("old", b"new".to_vec()), ("large", pattern(LARGE)), ("dir/", Vec::new())] {
        let options = PutOptions::default().with_modified(Some(time));
        let put = world.store().put(&key(name), content.into(), options).await.unwrap();
        assert_eq!(put.entry.modified, Some(time), "{name}");
        assert_eq!(world.store().head(&key(name)).await.unwrap(), put.entry, "{name}");
    }
    assert_eq!(fs::metadata(world.path("old")).unwrap().mode() & 0o7777, 0o640);
}

#[tokio::test]
async fn nothing_is_written_through_a_link_or_over_another_kind() {
    let world = World::new();
    let outside = world.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "safe").unwrap();
    world.make(&["file", "dir/x"]).link("up", "../outside").link("f", "../outside/f").link("broken", "../outside/new");
    for name in ["up/f", "up/new", "up/new/deep", "f", "broken", "up/", "file/x", "file/x/y", "file/", "dir"] {
        for content in [Vec::new(), pattern(LARGE)] {
            if name.ends_with('/') && !content.is_empty() {
                continue;
            }
            let error = world.store().write(&key(name), content.into()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{name}: {error}");
            assert!(error.to_string().contains("is a "), "{error}");
        }
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"safe");
    for name in ["../outside/new", "/etc/new", "a/../../outside/new", "a//b", ".pos3-partial.0000000000000001", "a/"] {
        let error = world.store().write(&key(name), "x".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey, "{name}: {error}");
    }
    assert_eq!(world.names(""), ["broken", "dir", "f", "file", "up"]);
}

#[tokio::test]
async fn a_parent_that_becomes_a_link_is_not_written_through_when_following_either() {
    let world = World::following();
    world.make(&["real/x"]).link("link", "real");
    assert_eq!(world.store().read(&key("link/x")).await.unwrap(), "real/x");
    let error = world.store().write(&key("link/x"), "y".into()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::AlreadyExists, Some(BEHIND_LINK)));
    assert!(error.to_string().contains("'link' is a symbolic link"), "{error}");
    assert!(world.store().remove(&key("link/x")).await.is_err());
    assert_eq!(fs::read(world.path("real/x")).unwrap(), b"real/x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_swapped_for_a_link_under_way_is_never_written_through() {
    let world = World::new();
    let outside = world.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let (directory, link) = (world.path("d"), world.path("link"));
    fs::create_dir(&directory).unwrap();
    symlink("../outside", &link).unwrap();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let done = done.clone();
        move || {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, &directory, rustix::fs::CWD, &link, flags).unwrap();
            }
        }
    });
    let (mut written, mut refused) = (0, 0);
    for n in 0..2000 {
        match world.store().write(&key(&format!("d/{}/f", n % 7)), "x".into()).await {
            Ok(_) => written += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
                refused += 1;
            }
        }
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    swapping.join().unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(written + refused, 2000);
}

#[tokio::test]
async fn a_put_that_fails_midway_leaves_nothing() {
    let world = World::new();
    world.make(&["old"]);
    for cut in [1000, 10 << 20] {
        let source = FaultStore::over(MemoryStore::new()).cutting_bodies_after(cut);
        let source = Arc::new(source);
        let entry = source.write(&key("source"), pattern(LARGE).into()).await.unwrap();
        for name in ["old", "new"] {
            let content = Content::stored(source.clone(), entry.clone());
            world.store().put(&key(name), content, PutOptions::default()).await.unwrap_err();
        }
    }
    assert_eq!(world.names(""), ["old"]);
    assert_eq!(fs::read(world.path("old")).unwrap(), b"old");
}

#[tokio::test]
async fn a_dropped_put_leaves_nothing() {
    let world = World::new();
    let source = Arc::new(Stalling(MemoryStore::new()));
    let entry = source.write(&key("source"), pattern(LARGE).into()).await.unwrap();
    let store = world.store();
    let name = key("new");
    let put = store.put(&name, Content::stored(source, entry), PutOptions::default());
    let begun = async {
        while world.names("").is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = put => panic!("the source stalls"),
        () = begun => {}
    }
    while !world.names("").is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn expectations_hold_until_the_rename_for_large_content_too() {
    let world = World::new();
    let put = async |content: Vec<u8>, expect| {
        world.store().put(&key("f"), stored(content).await, PutOptions::default().with_expect(expect)).await
    };
    let first = put(pattern(LARGE), Expect::Absent).await.unwrap();
    assert_eq!(put(pattern(LARGE), Expect::Absent).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    fs::write(world.path("f"), "mine").unwrap();
    let stale = Expect::Unchanged(first.entry.fingerprint.unwrap());
    assert_eq!(put(pattern(LARGE), stale.clone()).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(fs::read(world.path("f")).unwrap(), b"mine");
    fs::remove_file(world.path("f")).unwrap();
    assert_eq!(put(b"x".to_vec(), stale).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(world.names(""), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_who_expect_nothing_one_wins() {
    let world = World::new();
    let store = world.store();
    let writes = (0..32).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let options = PutOptions::default().with_expect(Expect::Absent);
            store.put(&key("d/f"), format!("writer {n}").into_bytes().into(), options).await
        })
    });
    let mut won = 0;
    for write in writes.collect::<Vec<_>>() {
        match write.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(world.names("d"), ["f"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_content_arrives_whole_with_any_budget() {
    let world = World::new();
    let content = pattern(LARGE);
    for (concurrency, bytes) in [(1, 4096), (1, 1 << 30), (8, 3 << 20), (64, 1 << 30)] {
        let budget = Budget::new(concurrency, bytes);
        let _callers = budget.slot().await;
        let source = Arc::new(Remote(MemoryStore::new()));
        let entry = source.write(&key("source"), content.clone().into()).await.unwrap();
        let options = PutOptions::default().with_budget(budget.clone());
        world.store().put(&key("f"), Content::stored(source, entry), options).await.unwrap();
        assert!(fs::read(world.path("f")).unwrap() == content, "{concurrency} slots, {bytes} bytes");
        assert_eq!(budget.try_slot().is_some(), concurrency > 1, "further slots came back");
    }
}

#[tokio::test]
async fn file_to_file_is_exact_metered_and_refuses_a_source_that_changed() {
    let world = World::new();
    let content = pattern(LARGE);
    fs::write(world.path("f"), &content).unwrap();
    let source = Arc::new(world.store());
    let entry = source.head(&key("f")).await.unwrap();
    let target = World::new();
    let counted = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let meter = counted.clone();
    let metered = Content::stored(source, entry).with_meter(Arc::new(move |bytes| {
        meter.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    }));
    target.store().put(&key("d/g"), metered.clone(), PutOptions::default()).await.unwrap();
    assert!(fs::read(target.path("d/g")).unwrap() == content);
    assert_eq!(counted.load(std::sync::atomic::Ordering::Relaxed), LARGE as u64);

    fs::write(world.path("f"), pattern(LARGE)).unwrap();
    let error = target.store().put(&key("d/h"), metered, PutOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(target.names("d"), ["g"]);
}

#[tokio::test]
async fn the_holes_of_a_sparse_file_are_copied_as_zeros() {
    use std::os::unix::fs::FileExt;
    let (from, to) = (World::new(), World::new());
    let sparse = fs::File::create(from.path("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    sparse.write_all_at(b"data", 1 << 20).unwrap();
    let source = Arc::new(from.store());
    let entry = source.head(&key("sparse")).await.unwrap();
    to.store().write(&key("copy"), Content::stored(source, entry)).await.unwrap();
    assert!(fs::read(to.path("copy")).unwrap() == fs::read(from.path("sparse")).unwrap());
}

#[tokio::test]
async fn a_full_disk_is_exhausted_and_leaves_nothing() {
    let world = World::new();
    let root = world.root();
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&root).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    }
    let journal = Arc::new(pos3_core::MemoryJournal::default());
    let resumable = PutOptions::default().with_journal(Some(journal.clone()));
    let far = Arc::new(crate::origin::Origin::new()).content(pattern(LARGE)).await;
    let source = World::new();
    fs::write(source.path("f"), pattern(LARGE)).unwrap();
    let source = Arc::new(source.store());
    let near = Content::stored(source.clone(), source.head(&key("f")).await.unwrap());
    let mut puts = Vec::new();
    for (content, options) in [
        (stored(pattern(LARGE)).await, PutOptions::default()),
        (far, resumable),
        (near, PutOptions::default()),
        (Content::from(pattern(LARGE)), PutOptions::default()),
    ] {
        puts.push((world.store().put(&key("f"), content, options).await, world.names("")));
    }
    assert!(std::process::Command::new("umount").arg(&root).status().unwrap().success());
    for (put, left) in puts {
        let error = put.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
        assert_eq!(error.to_string(), "cannot write 'f': the disk is full");
        assert_eq!(left, [""; 0]);
    }
    assert_eq!(journal.all().await, []);
}

#[tokio::test]
async fn a_file_system_that_cannot_be_written_to_is_named_as_such() {
    let world = World::new();
    let root = world.root();
    let mount = |arguments: &[&str]| {
        std::process::Command::new("mount").args(arguments).arg(&root).status().is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"]) {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    }
    fs::write(world.path("f"), "old").unwrap();
    let is_read_only = mount(&["-o", "remount,ro"]);
    let mut puts = Vec::new();
    for name in ["f", "new", "d/new"] {
        puts.push((name, world.store().put(&key(name), stored(vec![1; 9]).await, PutOptions::default()).await));
    }
    let left = (world.names(""), fs::read(world.path("f")).unwrap());
    assert!(std::process::Command::new("umount").arg(&root).status().unwrap().success());
    assert!(is_read_only);
    for (name, put) in puts {
        let error = put.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert_eq!(error.to_string(), format!("cannot write '{name}': the file system is read-only"));
    }
    assert_eq!(left, (vec!["f".to_owned()], b"old".to_vec()));
}

/// A memory store whose reads cost requests.
#[derive(Debug)]
struct Remote(MemoryStore);

/// A memory store whose bodies never come.
#[derive(Debug)]
struct Stalling(MemoryStore);

macro_rules! forward {
    ($store:ident, $reads:expr, $get:expr) => {
        impl std::fmt::Display for $store {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        #[async_trait::async_trait]
        impl RemoteStore for $store {
            fn capabilities(&self) -> pos3_core::Capabilities {
                self.0.capabilities().with_reads($reads)
            }
            fn backend(&self, _: &Key) -> Option<pos3_core::Backend<'_>> {
                None
            }
            fn usage(&self) -> pos3_core::Usage {
                self.0.usage()
            }
            fn list(&self, prefix: &str, options: ListOptions) -> pos3_core::EntryStream {
                self.0.list(prefix, options)
            }
            async fn head(&self, key: &Key) -> pos3_core::Result<Entry> {
                self.0.head(key).await
            }
            async fn get(&self, key: &Key, options: GetOptions) -> pos3_core::Result<pos3_core::Download> {
                let get: fn(pos3_core::Download) -> pos3_core::Download = $get;
                Ok(get(self.0.get(key, options).await?))
            }
            async fn put(
                &self,
                key: &Key,
                content: Content,
                options: PutOptions,
            ) -> pos3_core::Result<pos3_core::Stored> {
                self.0.put(key, content, options).await
            }
            async fn delete(&self, keys: &[DeleteKey]) -> Vec<pos3_core::Result<()>> {
                self.0.delete(keys).await
            }
            async fn unfinished(&self, prefix: &str) -> pos3_core::Result<Vec<(Key, pos3_core::Unfinished)>> {
                self.0.unfinished(prefix).await
            }
            async fn abandon(&self, puts: &[(Key, pos3_core::Unfinished)]) -> Vec<pos3_core::Result<()>> {
                self.0.abandon(puts).await
            }
            async fn copy(&self, from: &Key, to: &Key) -> pos3_core::Result<Entry> {
                self.0.copy(from, to).await
            }
        }
    };
}

forward!(Remote, Reads::Remote, |download| download);
forward!(Stalling, Reads::Remote, |download| pos3_core::Download {
    body: Box::pin(futures::stream::pending()),
    ..download
});
