//! GET and HEAD with responses that are cut, stall, or do not match the request.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use pos3_core::{
    Content, ErrorKind, Fingerprint, GetOptions, Key, ListOptions, PutOptions, RemoteStore, RemoteStoreExt, Result,
    StoreError, collect_exactly,
};
use pos3_local::LocalStore;
use pos3_s3::{RequestLimit, S3Store};
use pos3_tests::server::{Answer, Fault, Operation, S3Server};

use super::{BUCKET, config, random_bytes, server, store, store_with, told};

const SIZE: usize = 1 << 20;

fn seeded() -> (S3Server, Vec<u8>) {
    let server = server();
    let content = random_bytes(1, SIZE);
    server.put(BUCKET, "k", content.clone());
    (server, content)
}

async fn read(store: &S3Store, range: std::ops::Range<u64>) -> Result<bytes::Bytes, StoreError> {
    let size = range.end - range.start;
    let download = store.get(&Key::from("k"), GetOptions::default().with_range(range)).await?;
    assert_eq!(download.entry.size, SIZE as u64, "the size is the whole object's");
    collect_exactly(download.body, size).await
}

#[tokio::test]
async fn a_cut_body_is_taken_up_where_it_stopped() {
    let (server, content) = seeded();
    server.fault(Fault::on(Operation::GetObject).answer(Answer::CutBody { after: 300_000 }));
    server.fault(Fault::on(Operation::GetObject).nth(2).answer(Answer::CutBody { after: 0 }));
    server.fault(Fault::on(Operation::GetObject).nth(3).answer(Answer::CutBody { after: 300_000 }));
    let store = store(&server);
    assert_eq!(store.read(&Key::from("k")).await.unwrap(), content);
    assert_eq!(server.requests().of(Operation::GetObject), 4);

    server.fault(Fault::on(Operation::GetObject).answer(Answer::CutBody { after: 1000 }));
    assert_eq!(read(&store, 5000..905_000).await.unwrap(), content[5000..905_000]);
    assert_eq!(server.faults_waiting(), 0);
}

#[tokio::test]
async fn a_body_that_always_breaks_is_an_error() {
    let (server, _) = seeded();
    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::CutBody { after: 0 }));
    let store = store_with(config(&server).with_attempts(3));
    let error = store.read(&Key::from("k")).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert_eq!(error.key(), Some(&Key::from("k")));
}

#[tokio::test]
async fn a_stalled_body_is_taken_up_elsewhere() {
    let (server, content) = seeded();
    server.fault(Fault::on(Operation::GetObject).answer(Answer::StallBody { after: 200_000 }));
    let store = store_with(config(&server).with_idle_timeout(Duration::from_millis(200)));
    assert_eq!(store.read(&Key::from("k")).await.unwrap(), content);
    assert_eq!(server.requests().of(Operation::GetObject), 2);
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_sent_again() {
    let (server, content) = seeded();
    server.fault(Fault::on(Operation::GetObject).answer(Answer::Delay(Duration::from_secs(600))));
    let store = store_with(config(&server).with_idle_timeout(Duration::from_millis(200)));
    assert_eq!(store.read(&Key::from("k")).await.unwrap(), content);
}

#[tokio::test]
async fn a_server_that_ignores_ranges_gives_no_wrong_bytes() {
    let (server, content) = seeded();
    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::IgnoreRange));
    let store = store(&server);
    assert_eq!(read(&store, 5000..905_000).await.unwrap(), content[5000..905_000]);
    assert_eq!(read(&store, 0..10).await.unwrap(), content[..10]);
}

#[tokio::test]
async fn an_object_that_changes_while_it_is_read_is_not_mixed() {
    let (server, content) = seeded();
    server.fault(Fault::on(Operation::GetObject).answer(Answer::CutBody { after: 300_000 }));
    let download = store(&server).get(&Key::from("k"), GetOptions::default()).await.unwrap();
    server.put(BUCKET, "k", random_bytes(2, SIZE));
    let mut body = download.body;
    let mut seen = Vec::new();
    let error = loop {
        match body.try_next().await {
            Ok(Some(chunk)) => seen.extend_from_slice(&chunk),
            Ok(None) => panic!("the body ended well"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(seen, content[..seen.len()]);
}

#[tokio::test]
async fn conditions_and_ranges_are_kept() {
    let (server, content) = seeded();
    let store = store(&server);
    let key = Key::from("k");
    let entry = store.head(&key).await.unwrap();
    let same = GetOptions::default().with_if_match(entry.fingerprint.clone());
    let download = store.get(&key, same).await.unwrap();
    assert_eq!(download.entry, entry);
    assert_eq!(collect_exactly(download.body, entry.size).await.unwrap(), content);

    let other = GetOptions::default().with_if_match(Some(Fingerprint::from("other")));
    assert_eq!(store.get(&key, other.clone()).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(store.get(&key, other.with_range(3..3)).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(read(&store, 7..7).await.unwrap(), "");
    let last = SIZE as u64 - 1;
    assert_eq!(read(&store, last..last + 1).await.unwrap(), content[SIZE - 1..]);
    let outside = store.get(&key, GetOptions::default().with_range(last..last + 2)).await;
    assert!(outside.is_err(), "a range that is not there is not a shorter one");
}

#[tokio::test]
async fn ranges_that_nothing_shows_to_be_right_are_an_error_and_no_copy() {
    let large = random_bytes(3, 20 << 20);
    for in_parts in [false, true] {
        for lie in [Answer::NoEtag, Answer::ShiftRange { by: 4096 }, Answer::OtherRange { by: 4096 }] {
            let server = server();
            if in_parts {
                store(&server).write(&Key::from("k"), large.clone().into()).await.unwrap();
                // Parts of no usual size: the ETag shows nothing.
                let mut object = server.object(BUCKET, "k").unwrap();
                object.etag = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f-3".to_owned();
                object.checksums.clear();
                server.put_object(BUCKET, "k", object);
            } else {
                server.put(BUCKET, "k", large.clone());
            }
            server.fault(Fault::on(Operation::GetObject).always().answer(lie.clone()));
            server.fault(Fault::on(Operation::HeadObject).always().answer(Answer::NoEtag));
            let directory = tempfile::tempdir().unwrap();
            let target = LocalStore::new(directory.path()).unwrap();
            let source = Arc::new(store_with(config(&server).with_attempts(2)));
            let listed = source.list("", ListOptions::default()).try_next().await.unwrap().unwrap();
            let content = Content::stored(source, listed);
            let copied = target.put(&Key::from("k"), content, PutOptions::default()).await;
            let is_copied = lie == Answer::NoEtag && !in_parts;
            assert_eq!(copied.is_ok(), is_copied, "{lie:?} {in_parts}: {copied:?}");
            assert_eq!(copied.is_ok_and(|stored| stored.verified), is_copied, "{lie:?}: the listing tells the MD5");
            assert_eq!(directory.path().join("k").exists(), is_copied, "{lie:?}");
        }
    }
}

#[tokio::test]
async fn a_whole_object_without_an_etag_is_compared_with_the_listing() {
    let server = server();
    server.put(BUCKET, "k", "0123456789");
    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::NoEtag));
    let store = store_with(config(&server).with_attempts(2));
    let listed = store.head(&Key::from("k")).await.unwrap().fingerprint;
    let options = || GetOptions::default().with_if_match(listed.clone());
    assert!(store.get(&Key::from("k"), options()).await.unwrap().checked);

    server.clear_faults();
    let other = Fingerprint::from("0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f");
    let mut object = server.object(BUCKET, "k").unwrap();
    object.etag = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f".to_owned();
    server.put_object(BUCKET, "k", object);
    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::NoEtag));
    let download = store.get(&Key::from("k"), GetOptions::default().with_if_match(Some(other))).await.unwrap();
    assert_eq!(collect_exactly(download.body, 10).await.unwrap_err().kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn a_checksum_without_an_etag_does_not_outweigh_the_listing() {
    let server = server();
    let store = store_with(config(&server).with_attempts(2));
    store.write(&Key::from("k"), bytes::Bytes::from_static(b"0123456789").into()).await.unwrap();
    let mut object = server.object(BUCKET, "k").unwrap();
    assert!(!object.checksums.is_empty());
    object.etag = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f".to_owned();
    let listed = Some(Fingerprint::from(object.etag.as_str()));
    server.put_object(BUCKET, "k", object);
    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::NoEtag));
    let download = store.get(&Key::from("k"), GetOptions::default().with_if_match(listed)).await.unwrap();
    assert_eq!(collect_exactly(download.body, 10).await.unwrap_err().kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn a_response_without_an_etag_and_with_another_time_is_another_object() {
    let server = server();
    server.put(BUCKET, "k", "0123456789");
    let mut object = server.object(BUCKET, "k").unwrap();
    object.etag = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f-3".to_owned();
    server.put_object(BUCKET, "k", object);
    let source = Arc::new(store(&server));
    let listed = source.list("", ListOptions::default()).try_next().await.unwrap().unwrap();
    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::NoEtag));
    let content = |entry| Content::stored(source.clone(), entry);
    assert_eq!(content(listed.clone()).read_to_bytes(0..10).await.unwrap(), "0123456789");
    let later = listed.modified.map(|time| time + Duration::from_secs(60));
    let other = pos3_core::Entry { modified: later, ..listed };
    assert_eq!(content(other).read_to_bytes(0..10).await.unwrap_err().kind(), ErrorKind::Precondition);
}

#[tokio::test]
async fn an_answer_of_another_size_is_another_object() {
    let server = server();
    server.put(BUCKET, "k", random_bytes(5, SIZE));
    let source = Arc::new(store(&server));
    let mut listed = source.head(&Key::from("k")).await.unwrap();
    listed.size = 1000;
    listed.fingerprint = None;
    let content = Content::stored(source, listed);
    assert_eq!(content.read_to_bytes(0..1000).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(content.read_to_bytes(0..10).await.unwrap_err().kind(), ErrorKind::Precondition);
}

/// Returns a server whose object has an `ETag` that stays when the content is replaced behind the server's back.
fn gateway(content: Vec<u8>) -> S3Server {
    let server = server();
    server.put(BUCKET, "k", content);
    let mut object = server.object(BUCKET, "k").unwrap();
    object.etag = "kept-by-the-gateway".to_owned();
    server.put_object(BUCKET, "k", object);
    server
}

#[tokio::test]
async fn ranges_of_two_versions_with_one_etag_are_never_one_file() {
    let (old, new) = (random_bytes(6, 20 << 20), bytes::Bytes::from(random_bytes(7, 20 << 20)));
    let server = gateway(old);
    // One request after the other, so the first one is answered before the content is replaced.
    let source = Arc::new(store_with(config(&server).with_request_limit(RequestLimit::new(1))));
    let directory = tempfile::tempdir().unwrap();
    let target = LocalStore::new(directory.path()).unwrap();
    let replaced = Answer::ReplacedBehind { content: new.clone() };
    server.fault(Fault::on(Operation::GetObject).nth(2).answer(replaced));
    let listed = source.head(&Key::from("k")).await.unwrap();
    let error = target.write(&Key::from("k"), Content::stored(source.clone(), listed)).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Precondition, pos3_core::Operation::Read), "{error}");
    assert!(!directory.path().join("k").exists());

    let listed = source.head(&Key::from("k")).await.unwrap();
    target.write(&Key::from("k"), Content::stored(source, listed)).await.unwrap();
    assert!(std::fs::read(directory.path().join("k")).unwrap() == new, "the new content, and nothing of the old");
}

#[tokio::test]
async fn a_body_is_not_taken_up_in_another_version_with_the_same_etag() {
    let (old, new) = (random_bytes(8, SIZE), random_bytes(9, SIZE));
    let server = gateway(old);
    server.fault(Fault::on(Operation::GetObject).answer(Answer::CutBody { after: 300_000 }));
    server.fault(Fault::on(Operation::GetObject).nth(2).answer(Answer::ReplacedBehind { content: new.into() }));
    let error = store(&server).read(&Key::from("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
}

#[tokio::test]
async fn an_answer_that_is_too_short_is_not_called_a_change() {
    let (server, _) = seeded();
    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::Shortened { to: 1000 }));
    let source = Arc::new(store(&server));
    let listed = source.head(&Key::from("k")).await.unwrap();
    let error = Content::stored(source, listed).read_to_bytes(0..SIZE as u64).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(told(&error).contains("the response has 1000 bytes of an object of 1048576 bytes"), "{}", told(&error));
}
