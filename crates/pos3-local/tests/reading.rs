//! A read returns the content that the file had when it was opened, or an error.

use super::*;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use pos3_core::{Content, ErrorKind, GetOptions, collect_exactly};

/// Larger than any read ahead.
const LARGE: usize = 5 << 20;

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from((n ^ (n >> 9)) & 0xff).unwrap()).collect()
}

#[tokio::test]
async fn ranges_across_chunks_are_exact_and_ranges_outside_fail() {
    let world = World::new();
    let content = pattern(LARGE);
    fs::write(world.path("f"), &content).unwrap();
    for range in [0..LARGE, 1..LARGE, 524_287..1_048_577, 300_000..600_001, LARGE - 1..LARGE, 7..7] {
        let options = GetOptions::default().with_range(range.start as u64..range.end as u64);
        let body = world.store().get(&key("f"), options).await.unwrap().body;
        assert!(collect_exactly(body, range.len() as u64).await.unwrap() == content[range.clone()], "{range:?}");
    }
    let options = GetOptions::default().with_range(0..LARGE as u64 + 1);
    assert!(world.store().get(&key("f"), options).await.is_err());
}

#[tokio::test]
async fn a_file_rewritten_while_it_is_read_ends_with_an_error() {
    let world = World::new();
    let torn: [fn(&Path); 3] = [
        |path| fs::write(path, vec![9; LARGE]).unwrap(),
        |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap(),
        |path| std::io::Write::write_all(&mut fs::OpenOptions::new().append(true).open(path).unwrap(), b"x").unwrap(),
    ];
    for change in torn {
        fs::write(world.path("f"), pattern(LARGE)).unwrap();
        let mut body = world.store().get(&key("f"), GetOptions::default()).await.unwrap().body;
        body.next().await.unwrap().unwrap();
        change(&world.path("f"));
        let (mut delivered, mut last) = (0, None);
        while let Some(chunk) = body.next().await {
            delivered += chunk.as_ref().map_or(0, bytes::Bytes::len);
            last = Some(chunk.map(drop));
        }
        assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::Precondition);
        assert!(delivered < LARGE, "the last piece must not come");
    }
}

#[tokio::test]
async fn the_ranges_of_one_content_come_from_one_open_file() {
    let world = World::new();
    fs::create_dir(world.path("d")).unwrap();
    fs::write(world.path("d/f"), pattern(LARGE)).unwrap();
    let store = Arc::new(world.store());
    let content = Content::stored(store.clone(), store.head(&key("d/f")).await.unwrap());
    let middle = LARGE as u64 / 2;
    let mut read = content.read_to_bytes(0..middle).await.unwrap().to_vec();
    fs::rename(world.path("d"), world.path("elsewhere")).unwrap();
    read.extend(content.read_to_bytes(middle..LARGE as u64).await.unwrap());
    assert!(read == pattern(LARGE), "the name is gone, the open file is not");

    fs::write(world.path("elsewhere/f"), vec![9; LARGE]).unwrap();
    let error = content.read_to_bytes(0..10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
}

#[tokio::test]
async fn a_file_replaced_while_it_is_read_is_never_a_mixture() {
    let world = World::new();
    fs::write(world.path("f"), pattern(LARGE)).unwrap();
    fs::write(world.path("new"), vec![9; LARGE]).unwrap();
    let mut body = world.store().get(&key("f"), GetOptions::default()).await.unwrap().body;
    let mut read = body.next().await.unwrap().unwrap().to_vec();
    fs::rename(world.path("new"), world.path("f")).unwrap();
    let mut last = None;
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => read.extend_from_slice(&chunk),
            Err(error) => last = Some(error),
        }
    }
    assert!(read == pattern(LARGE)[..read.len()], "the open file is the old one");
    // Losing its name changes the old file's status time, which a reader cannot tell from a write.
    assert_eq!(last.unwrap().kind(), ErrorKind::Precondition);
}

#[tokio::test]
async fn markers_read_as_empty_and_directories_are_not_files() {
    let world = World::new();
    world.make(&["empty/", "full/x", "file"]);
    for name in ["empty/", "full/"] {
        assert_eq!(world.store().read(&key(name)).await.unwrap(), "");
    }
    for name in ["empty", "file/", "file/x", "none/"] {
        let error = world.store().read(&key(name)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}: {error}");
    }
    for name in ["../root/file", "a//b", "", "/file", ".pos3-partial.0000000000000001"] {
        assert_eq!(world.store().read(&key(name)).await.unwrap_err().kind(), ErrorKind::InvalidKey, "{name}");
    }
}

#[tokio::test]
async fn what_was_read_has_a_fingerprint_that_no_later_content_has() {
    let world = World::new();
    let path = world.path("f");
    let old = std::fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
    for n in 0..50_u8 {
        fs::write(&path, [n; 9]).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_times(old).unwrap();
        let read = world.store().get(&key("f"), GetOptions::default()).await.unwrap();
        let content = collect_exactly(read.body, 9).await.unwrap();
        let stat = fs::metadata(&path).unwrap();
        let changed = Duration::new(stat.ctime().try_into().unwrap(), stat.ctime_nsec().try_into().unwrap());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(now - changed >= Duration::from_millis(20), "a clock that ticks every 10 ms could not tell");
        fs::write(&path, [n + 100; 9]).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_times(old).unwrap();
        let edited = world.store().head(&key("f")).await.unwrap();
        assert_eq!((content.as_ref(), edited.size, edited.modified), (&[n; 9][..], 9, read.entry.modified));
        assert_ne!(edited.fingerprint, read.entry.fingerprint, "the edit cannot be told from what was read");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_with_content_and_a_size_of_zero_is_an_error() {
    let store = Arc::new(LocalStore::new("/proc/self").unwrap());
    let key = key("status");
    let entry = store.head(&key).await.unwrap();
    assert_eq!(entry.size, 0);
    let error = store.get(&key, GetOptions::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("has content although"), "{error}");

    let world = World::new();
    let error = world.store().write(&key, Content::stored(store, entry)).await.unwrap_err();
    assert!(error.to_string().contains("has content although"), "{error}");
    assert!(!world.path("status").exists());
    fs::write(world.path("empty"), "").unwrap();
    assert_eq!(world.store().read(&super::key("empty")).await.unwrap(), "");
}
