//! One function per clause of the contract of [`RemoteStore`]. Each panics if the store violates it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "these functions are tests")]

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::{LONGEST_KEY, Subject};
use crate::entry::{Entry, Kind};
use crate::error::{ErrorKind, Operation};
use crate::key::Key;
use crate::store::{
    Content, DeleteKey, Expect, GetOptions, ListOptions, Namespace, PutOptions, RemoteStore, RemoteStoreExt,
    collect_exactly,
};

async fn write(subject: &Subject, name: &str, content: impl Into<Content>) -> Entry {
    subject.store.write(&subject.key(name), content.into()).await.unwrap()
}

/// Returns the names below the test's prefix, without the directories that a disk lists in addition. Sorts them if the
/// store does not.
async fn names(subject: &Subject, prefix: &str, options: ListOptions) -> Vec<String> {
    let listing = subject.store.list(&format!("{}{prefix}", subject.prefix), options);
    let entries: Vec<Entry> = listing.try_collect().await.unwrap();
    let contents = entries.iter().filter(|entry| entry.has_content());
    let mut names: Vec<String> = contents.map(|entry| entry.key.as_str()[subject.prefix.len()..].to_owned()).collect();
    if !subject.store.capabilities().ordered {
        names.sort();
    }
    names
}

/// Entries are listed in the byte order of their full keys, each key once.
pub async fn list_is_in_byte_order(subject: &Subject) {
    for name in ["a/x", "a-b", "a.txt", "b", "a/y/z", "a0", "é", "Z"] {
        write(subject, name, "x").await;
    }
    let listed = names(subject, "", ListOptions::default()).await;
    let mut sorted = listed.clone();
    sorted.sort();
    if subject.store.capabilities().ordered {
        assert_eq!(listed, sorted);
    }
    assert_eq!(sorted, ["Z", "a-b", "a.txt", "a/x", "a/y/z", "a0", "b", "é"]);
}

/// Every entry below the prefix is listed, over any number of pages. A prefix is a text and need not end in `/`.
pub async fn list_is_complete(subject: &Subject) {
    let expected: Vec<String> = (0..1203).map(|n| format!("d{}/f{n:04}", n % 3)).collect();
    let writes = expected.iter().map(|name| write(subject, name, "x"));
    futures::stream::iter(writes).buffer_unordered(16).collect::<Vec<_>>().await;
    let mut sorted = expected.clone();
    sorted.sort();
    let mut listed = names(subject, "", ListOptions::default()).await;
    listed.sort();
    assert_eq!(listed, sorted);
    assert_eq!(names(subject, "d1/f000", ListOptions::default()).await, ["d1/f0001", "d1/f0004", "d1/f0007"]);
    assert_eq!(names(subject, "nothing", ListOptions::default()).await, [""; 0]);
}

/// With `start_after`, only greater keys are listed.
pub async fn list_start_after(subject: &Subject) {
    for name in ["a", "b/x", "b/y", "c"] {
        write(subject, name, "x").await;
    }
    for (after, expected) in
        [("a", vec!["b/x", "b/y", "c"]), ("b/x", vec!["b/y", "c"]), ("b", vec!["b/x", "b/y", "c"]), ("c", vec![])]
    {
        let options = ListOptions::default().with_start_after(subject.key(after));
        assert_eq!(names(subject, "", options).await, expected, "after {after}");
    }
}

/// A shallow listing contains the entries directly below the prefix, and each deeper level once.
pub async fn list_shallow_names_directories(subject: &Subject) {
    for name in ["d/a", "d/b/x", "d/b/y", "d/b-c", "d/e/f/g"] {
        write(subject, name, "x").await;
    }
    let options = ListOptions::default().with_shallow(true);
    let listing = subject.store.list(subject.key("d/").as_str(), options);
    let mut level: Vec<(String, bool)> = listing
        .map_ok(|entry| (entry.key.as_str()[subject.prefix.len()..].to_owned(), entry.kind == Kind::Directory))
        .try_collect()
        .await
        .unwrap();
    if !subject.store.capabilities().ordered {
        level.sort();
    }
    let expected = [("d/a", false), ("d/b-c", false), ("d/b/", true), ("d/e/", true)];
    assert_eq!(level, expected.map(|(name, directory)| (name.to_owned(), directory)));
}

/// `head` and `list` return the same size, fingerprint and digest.
pub async fn head_equals_list(subject: &Subject) {
    let put = write(subject, "k", "content").await;
    let head = subject.store.head(&subject.key("k")).await.unwrap();
    let listed = subject.store.list_all(&subject.prefix).await.unwrap();
    let listed = listed.iter().find(|entry| entry.key == subject.key("k")).unwrap();
    for entry in [&put, &head, listed] {
        assert_eq!((entry.size, &entry.kind), (7, &Kind::File));
        assert_eq!(entry.fingerprint, head.fingerprint);
        assert_eq!(entry.digest, head.digest);
    }
    assert!(head.fingerprint.is_some());
    assert!(head.modified.is_some());
}

/// `head_confirmed` returns the same entry as `head`, or the same kind of error.
pub async fn head_confirmed_equals_head(subject: &Subject) {
    let key = subject.key("k");
    assert_eq!(subject.store.head_confirmed(&key).await.unwrap_err().kind(), ErrorKind::NotFound);
    write(subject, "k", "content").await;
    assert_eq!(subject.store.head_confirmed(&key).await.unwrap(), subject.store.head(&key).await.unwrap());
}

/// The body is the content, even if that is empty.
pub async fn get_returns_what_put_stored(subject: &Subject) {
    for content in [&b""[..], b"x", b"some\0bytes\r\n\xff"] {
        write(subject, "k", content.to_vec()).await;
        let download = subject.store.get(&subject.key("k"), GetOptions::default()).await.unwrap();
        assert_eq!(download.entry.size, content.len() as u64);
        assert_eq!(collect_exactly(download.body, content.len() as u64).await.unwrap(), content);
    }
}

/// A range read returns exactly that range.
pub async fn get_range(subject: &Subject) {
    write(subject, "k", "0123456789").await;
    for (range, expected) in [(0..4, "0123"), (4..10, "456789"), (3..4, "3"), (0..10, "0123456789"), (5..5, "")] {
        let options = GetOptions::default().with_range(range.clone());
        let download = subject.store.get(&subject.key("k"), options).await.unwrap();
        let body = collect_exactly(download.body, range.end - range.start).await.unwrap();
        assert_eq!(body, expected, "{range:?}");
        assert_eq!(download.entry.size, 10, "the entry tells of the whole object");
    }
}

/// A missing object is `NotFound`, with its key.
pub async fn get_missing_is_not_found(subject: &Subject) {
    let key = subject.key("missing");
    let error = subject.store.get(&key, GetOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::NotFound, Some(&key)));
    assert_eq!(subject.store.head(&key).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// If the fingerprint of an object is not the expected one, it is not read.
pub async fn get_if_match_mismatch(subject: &Subject) {
    let old = write(subject, "k", "one").await;
    let options = || GetOptions::default().with_if_match(old.fingerprint.clone());
    assert!(subject.store.get(&subject.key("k"), options()).await.is_ok());
    write(subject, "k", "another").await;
    let error = subject.store.get(&subject.key("k"), options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
}

/// A put replaces the earlier content, even with less.
pub async fn put_replaces(subject: &Subject) {
    write(subject, "k", "the first content").await;
    write(subject, "k", "second").await;
    assert_eq!(subject.store.read(&subject.key("k")).await.unwrap(), "second");
    assert_eq!(names(subject, "", ListOptions::default()).await, ["k"]);
}

/// A put that fails midway preserves the earlier content and leaves no half-written entry.
pub async fn put_is_atomic(subject: &Subject) {
    write(subject, "k", "old").await;
    let broken = || {
        let source = super::FaultStore::over(crate::MemoryStore::new());
        let entry = Entry::file("source", 1 << 20);
        (std::sync::Arc::new(source.cutting_bodies_after(1000)), entry)
    };
    for name in ["k", "new"] {
        let (source, entry) = broken();
        source.write(&entry.key, vec![7; 1 << 20].into()).await.unwrap();
        let content = Content::stored(source, entry);
        subject.store.put(&subject.key(name), content, PutOptions::default()).await.unwrap_err();
    }
    assert_eq!(subject.store.read(&subject.key("k")).await.unwrap(), "old");
    assert_eq!(names(subject, "", ListOptions::default()).await, ["k"]);
}

/// If an expectation is not met, nothing changes.
pub async fn put_expectation(subject: &Subject) {
    if !subject.store.capabilities().conditional_put {
        return;
    }
    let key = subject.key("k");
    let put = async |content: &'static str, expect| {
        subject.store.put(&key, content.into(), PutOptions::default().with_expect(expect)).await
    };
    let first = put("first", Expect::Absent).await.unwrap().entry;
    assert_eq!(put("again", Expect::Absent).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let seen = first.fingerprint.unwrap();
    put("second!", Expect::Unchanged(seen.clone())).await.unwrap();
    assert_eq!(put("third", Expect::Unchanged(seen)).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(subject.store.read(&key).await.unwrap(), "second!");
}

/// Content larger than any internal part size is stored completely.
pub async fn put_large_content(subject: &Subject) {
    let size = 37 * (1 << 20) + 11;
    let content: Bytes =
        (0..size).map(|n: u32| u8::try_from((n ^ (n >> 11)) & 0xff).unwrap()).collect::<Vec<_>>().into();
    let source = std::sync::Arc::new(crate::MemoryStore::new());
    let entry = source.write(&Key::from("large"), content.clone().into()).await.unwrap();
    let stored =
        subject.store.put(&subject.key("k"), Content::stored(source, entry), PutOptions::default()).await.unwrap();
    assert_eq!(stored.entry.size, u64::from(size));
    assert!(subject.store.read(&subject.key("k")).await.unwrap() == content, "the content differs");
}

/// Other content under the same key has another fingerprint, even if the size is the same.
pub async fn fingerprint_changes_with_content(subject: &Subject) {
    let first = write(subject, "k", "aaaa").await;
    let second = write(subject, "k", "bbbb").await;
    assert_ne!(first.fingerprint, second.fingerprint);
}

/// Deleting a missing key succeeds.
pub async fn delete_missing_is_ok(subject: &Subject) {
    subject.store.remove(&subject.key("missing")).await.unwrap();
    subject.store.remove(&subject.key("no/such/directory/file")).await.unwrap();
}

/// Each key has a result, in the given order. The entries below a placeholder stay.
pub async fn delete_answers_per_key(subject: &Subject) {
    for name in ["a", "b", "d/x", "keep"] {
        write(subject, name, "x").await;
    }
    let keys = ["a", "missing", "b", "d/"].map(|name| subject.key(name));
    let answers = subject.store.remove_all(&keys).await;
    assert_eq!(answers.len(), 4);
    for answer in answers {
        answer.unwrap();
    }
    assert_eq!(names(subject, "", ListOptions::default()).await, ["d/x", "keep"]);
}

/// An object that has changed since it was seen stays, and only its own result reports this.
pub async fn delete_spares_what_changed(subject: &Subject) {
    if !subject.store.capabilities().conditional_delete {
        return;
    }
    let mut seen = Vec::new();
    for name in ["changed", "gone", "same"] {
        seen.push(write(subject, name, "first").await);
    }
    write(subject, "changed", "later").await;
    subject.store.remove(&subject.key("gone")).await.unwrap();
    let keys: Vec<DeleteKey> =
        seen.iter().map(|entry| DeleteKey::new(entry.key.clone()).unless_changed(entry)).collect();
    let answers = subject.store.delete(&keys).await;
    assert_eq!(answers.len(), 3);
    let kinds: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.kind())).collect();
    assert_eq!(kinds, [Err(ErrorKind::Precondition), Ok(()), Ok(())]);
    assert_eq!(names(subject, "", ListOptions::default()).await, ["changed"]);
    assert_eq!(subject.store.read(&subject.key("changed")).await.unwrap(), "later");
}

/// A copy inside the store has the content of its source and replaces the earlier content.
pub async fn copy_keeps_content(subject: &Subject) {
    if !subject.store.capabilities().server_copy {
        return;
    }
    write(subject, "from", "content").await;
    write(subject, "to", "something longer than that").await;
    let copied = subject.store.copy(&subject.key("from"), &subject.key("to")).await.unwrap();
    assert_eq!(copied.size, 7);
    assert_eq!(subject.store.read(&subject.key("to")).await.unwrap(), "content");
    assert_eq!(subject.store.read(&subject.key("from")).await.unwrap(), "content");
    let error = subject.store.copy(&subject.key("missing"), &subject.key("to")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Content of this store is put into this store without being read, even if both are used through a wrapper.
pub async fn copy_through_a_wrapper_stays_inside_the_store(subject: &Subject) {
    if !subject.store.capabilities().server_copy {
        return;
    }
    for (name, size) in [("small", 7), ("large", 20 << 20)] {
        let wrapper = || std::sync::Arc::new(super::FaultStore::over_shared(subject.store.clone()));
        let (source, target) = (wrapper(), wrapper());
        let (from, to) = (subject.key(name), subject.key(&format!("copy of {name}")));
        let content = vec![7; size];
        source.write(&from, content.clone().into()).await.unwrap();
        let entry = source.head(&from).await.unwrap();
        let copied = target.put(&to, Content::stored(source.clone(), entry), PutOptions::default()).await.unwrap();
        assert_eq!(copied.entry.size, content.len() as u64);
        assert_eq!(source.calls(Operation::Read) + target.calls(Operation::Read), 0, "{name}: the content was read");
        assert!(subject.store.read(&to).await.unwrap() == content, "{name}: the content differs");
    }
}

/// A listed key can be read, replaced and deleted, for every key that the store admits.
pub async fn keys_round_trip(subject: &Subject) {
    let namespace = subject.store.capabilities().namespace;
    let longest = "x".repeat(1024 - subject.prefix.len());
    let mut admitted: Vec<&str> = subject.odd_keys();
    admitted.extend(subject.takes(LONGEST_KEY).then_some(longest.as_str()));
    admitted.retain(|name| admits(namespace, name));
    admitted.sort_unstable();
    for name in &admitted {
        let content = if namespace == Namespace::Hierarchical && name.ends_with('/') { "" } else { name };
        write(subject, name, content.as_bytes().to_vec()).await;
    }
    let mut listed = names(subject, "", ListOptions::default()).await;
    listed.sort_unstable();
    // On a disk, a directory with contents is not a placeholder.
    admitted.retain(|name| {
        namespace == Namespace::Flat || !name.ends_with('/') || listed.iter().any(|listed| listed == name)
    });
    assert_eq!(listed, admitted);
    for name in &admitted {
        let key = subject.key(name);
        if namespace == Namespace::Flat || !key.is_marker() {
            assert_eq!(subject.store.read(&key).await.unwrap(), name.as_bytes(), "{name:?}");
        }
    }
    for (index, name) in admitted.iter().enumerate() {
        subject.store.remove(&subject.key(name)).await.unwrap();
        let mut left = names(subject, "", ListOptions::default()).await;
        left.retain(|name| namespace == Namespace::Flat || !name.ends_with('/'));
        let mut expected = admitted[index + 1..].to_vec();
        expected.retain(|name| namespace == Namespace::Flat || !name.ends_with('/'));
        left.sort_unstable();
        assert_eq!(left, expected, "after deleting {name:?}");
    }
}

/// A disk cannot store `dir` together with `dir/`, keys that are not paths, or very long names.
fn admits(namespace: Namespace, name: &str) -> bool {
    namespace == Namespace::Flat || (name != "dir" && Key::from(name).check_path().is_ok())
}

/// If a store cannot store a key, only that put is refused.
pub async fn bad_key_hurts_only_itself(subject: &Subject) {
    write(subject, "good", "x").await;
    let too_long = "y".repeat(5000);
    let namespace = subject.store.capabilities().namespace;
    let mut refused: Vec<&str> = subject.odd_keys();
    refused.push(&too_long);
    refused.retain(|name| match namespace {
        Namespace::Flat => *name == too_long,
        Namespace::Hierarchical => Key::from(*name).check_path().is_err(),
    });
    for name in refused {
        match subject.store.write(&subject.key(name), "x".into()).await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidKey, "{name:?}: {error}"),
            // A store without limits may store it exactly.
            Ok(_) => assert_eq!(subject.store.read(&subject.key(name)).await.unwrap(), "x"),
        }
        subject.store.remove(&subject.key(name)).await.ok();
    }
    assert_eq!(names(subject, "", ListOptions::default()).await, ["good"]);
}

/// Uploads that `unfinished` returns are gone after `abandon`, and an aborted put leaves no entry.
pub async fn unfinished_puts_can_be_abandoned(subject: &Subject) {
    write(subject, "neighbour", "x").await;
    let size = 20 << 20;
    let content = std::sync::Arc::new(crate::MemoryStore::new());
    let entry = content.write(&Key::from("source"), vec![7; size].into()).await.unwrap();
    let stalling = std::sync::Arc::new(super::FaultStore::over_shared(content.clone()).stalling_bodies_after(1000));
    let journal: std::sync::Arc<dyn crate::Journal> = std::sync::Arc::new(crate::MemoryJournal::default());
    let options = || PutOptions::default().with_journal(Some(journal.clone()));
    let key = subject.key("k");

    let put = subject.store.put(&key, Content::stored(stalling.clone(), entry.clone()), options());
    let stalled = async {
        while stalling.faults() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        put = put => panic!("a put of content that never ends has ended: {put:?}"),
        () = stalled => {}
    }
    assert_eq!(names(subject, "", ListOptions::default()).await, ["neighbour"]);

    let left = subject.store.unfinished(&subject.prefix).await.unwrap();
    assert!(left.iter().all(|(left, _)| *left == key), "{left:?}");
    for _ in ["there", "gone already"] {
        for abandoned in subject.store.abandon(&left).await {
            abandoned.unwrap();
        }
        assert_eq!(subject.store.unfinished(&subject.prefix).await.unwrap(), []);
    }
    assert_eq!(names(subject, "", ListOptions::default()).await, ["neighbour"]);

    subject.store.put(&key, Content::stored(content, entry), options()).await.unwrap();
    assert!(subject.store.read(&key).await.unwrap() == vec![7; size], "the content differs");
    assert_eq!(subject.store.unfinished(&subject.prefix).await.unwrap(), []);
}

/// The counts of `usage` grow with every request.
pub async fn usage_counts_requests(subject: &Subject) {
    let before = subject.store.usage();
    write(subject, "k", "x").await;
    subject.store.read(&subject.key("k")).await.unwrap();
    let used = subject.store.usage().since(&before).total();
    assert!(used == 0 || used >= 2, "a store counts all its requests or sends none: {used}");
}
