//! A bucket in another region than the configured one: the client takes the region from the refusal.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use http::StatusCode;
use pos3_core::{Content, ErrorKind, Key, MemoryStore, RemoteStore, RemoteStoreExt};
use pos3_s3::{S3Client, S3Store};
use pos3_tests::server::{Answer, Fault, Operation, S3Server, WrongRegion};

use super::{BUCKET, config, random_bytes, server, store, store_with, told};

const REGION: &str = "eu-west-1";

/// Returns a server whose one bucket is not where the client looks for it.
fn elsewhere(wrong_region: WrongRegion) -> S3Server {
    let regions = [(BUCKET.to_owned(), REGION.to_owned())].into();
    let server = S3Server::builder().bucket(BUCKET);
    server.configure(|settings| (settings.regions, settings.wrong_region) = (regions, wrong_region)).start().unwrap()
}

/// What a client does first.
#[derive(Clone, Copy, Debug)]
enum First {
    Put,
    StreamedPut,
    Multipart,
    Delete,
    List,
    Head,
    Get,
}

impl First {
    const ALL: [Self; 7] =
        [Self::Put, Self::StreamedPut, Self::Multipart, Self::Delete, Self::List, Self::Head, Self::Get];

    /// Returns the request that is the first on the wire.
    fn operation(self) -> Operation {
        match self {
            Self::Put | Self::StreamedPut => Operation::PutObject,
            Self::Multipart => Operation::CreateMultipartUpload,
            Self::Delete => Operation::DeleteObjects,
            Self::List => Operation::ListObjectsV2,
            Self::Head => Operation::HeadObject,
            Self::Get => Operation::GetObject,
        }
    }

    /// Does it, on a server that has the object `there`, and checks what came of it.
    async fn done(self, store: &S3Store, server: &S3Server) {
        server.put(BUCKET, "there", "hello");
        let there = Key::from("there");
        match self {
            Self::Put => {
                store.write(&Key::from("put"), "x".into()).await.unwrap();
                assert_eq!(server.object(BUCKET, "put").unwrap().bytes, "x");
            }
            Self::StreamedPut => put(store, server, 1 << 20).await,
            Self::Multipart => put(store, server, 6 << 20).await,
            Self::Delete => {
                server.put(BUCKET, "gone", "x");
                let gone = store.remove_all(&[Key::from("gone"), Key::from("nowhere")]).await;
                assert!(gone.iter().all(Result::is_ok), "{gone:?}");
                assert!(server.object(BUCKET, "gone").is_none());
            }
            Self::List => {
                let entries = store.list_all("there").await.unwrap();
                assert_eq!(entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>(), [there]);
            }
            Self::Head => assert_eq!(store.head(&there).await.unwrap().size, 5),
            Self::Get => assert_eq!(store.read(&there).await.unwrap(), "hello"),
        }
    }
}

/// Uploads what is read while it is sent.
async fn put(store: &S3Store, server: &S3Server, size: usize) {
    let source = Arc::new(MemoryStore::new());
    let bytes = random_bytes(7, size);
    let entry = source.write(&Key::from("large"), bytes.clone().into()).await.unwrap();
    store.write(&Key::from("large"), Content::stored(source, entry)).await.unwrap();
    assert!(server.object(BUCKET, "large").unwrap().bytes == bytes);
}

/// Returns what was asked since the last time.
fn asked(server: &S3Server) -> BTreeMap<Operation, usize> {
    let asked = server.requests().iter().collect();
    server.reset_requests();
    asked
}

#[tokio::test]
async fn whatever_comes_first_costs_one_refusal_and_nothing_after_it_any() {
    for wrong_region in [WrongRegion::Redirect, WrongRegion::Malformed] {
        for first in First::ALL {
            let (here, there) = (server(), elsewhere(wrong_region));
            let [store_here, store_there] = [&here, &there]
                .map(|server| store_with(config(server).with_part_size(5 << 20).with_multipart_threshold(5 << 20)));
            first.done(&store_here, &here).await;
            first.done(&store_there, &there).await;
            let mut expected = asked(&here);
            *expected.entry(first.operation()).or_default() += 1;
            if let (First::Head, WrongRegion::Malformed) = (first, wrong_region) {
                // The answer to a HEAD did not say where.
                *expected.entry(Operation::GetObject).or_default() += 1;
            }
            assert_eq!(asked(&there), expected, "{first:?} {wrong_region:?}");
            for next in [First::Put, First::List, First::Head, First::Get, first] {
                next.done(&store_here, &here).await;
                next.done(&store_there, &there).await;
                assert_eq!(asked(&there), asked(&here), "{first:?} {next:?} {wrong_region:?}");
            }
        }
    }
}

#[tokio::test]
async fn each_bucket_is_remembered_for_itself() {
    let server = elsewhere(WrongRegion::Redirect);
    for (bucket, region) in [("north", "eu-north-1"), ("home", "us-east-1")] {
        server.create_bucket(bucket);
        server.configure(|settings| drop(settings.regions.insert(bucket.to_owned(), region.to_owned())));
    }
    let client = S3Client::new(config(&server)).unwrap();
    for _ in 0..3 {
        for bucket in [BUCKET, "north", "home"] {
            client.bucket(bucket).unwrap().write(&Key::from("k"), "x".into()).await.unwrap();
        }
    }
    assert_eq!(server.requests().of(Operation::PutObject), 9 + 2);
}

#[tokio::test]
async fn what_is_under_way_when_a_region_is_learnt_is_sent_again_too() {
    let server = elsewhere(WrongRegion::Redirect);
    let store = store(&server);
    let puts = (0..32).map(|index| {
        let store = store.clone();
        async move { store.write(&Key::from(format!("k{index}")), "x".into()).await }
    });
    assert!(join_all(puts).await.iter().all(Result::is_ok));
    assert_eq!(server.keys(BUCKET).len(), 32);
    assert!(server.requests().total() <= 64, "{}", server.requests());
    server.reset_requests();
    store.write(&Key::from("k"), "x".into()).await.unwrap();
    assert_eq!(server.requests().total(), 1);
}

#[tokio::test]
async fn a_server_that_names_one_region_after_another_is_followed_once() {
    let server = elsewhere(WrongRegion::Endless);
    for first in [Operation::GetObject, Operation::PutObject] {
        let store = store(&server);
        let key = Key::from("k");
        let error = match first {
            Operation::GetObject => store.read(&key).await.unwrap_err(),
            _ => store.write(&key, "x".into()).await.unwrap_err(),
        };
        assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Other, false));
        let expected = "the server named region 'eu-west-19' for bucket 'data' and refused it there, and now names \
                        'eu-west-110': it must be in another region or at another endpoint: http 301 PermanentRedirect";
        assert!(error.cause().starts_with(expected), "{}", told(&error));
        assert_eq!(asked(&server), [(first, 2)].into());
    }
}

#[tokio::test]
async fn a_refusal_of_a_head_that_is_not_for_the_region_stays_what_it_was() {
    let server = server();
    let refused = Answer::Error { status: StatusCode::BAD_REQUEST, code: "" };
    server.fault(Fault::on(Operation::HeadObject).always().answer(refused));
    let error = store(&server).head(&Key::from("k")).await.unwrap_err();
    assert!(told(&error).contains("http 400"), "{}", told(&error));
    assert_eq!(asked(&server), [(Operation::HeadObject, 2), (Operation::GetObject, 2)].into());
}

/// A clock and a region that are both wrong are two refusals.
#[tokio::test]
async fn a_wrong_clock_does_not_hide_a_wrong_region() {
    let server = elsewhere(WrongRegion::Redirect);
    server.configure(|settings| settings.clock_ahead = 3600);
    let store = store(&server);
    store.write(&Key::from("k"), "x".into()).await.unwrap();
    assert_eq!(server.requests().total(), 3);
    assert_eq!(store.read(&Key::from("k")).await.unwrap(), "x");
    assert_eq!(server.requests().total(), 4);
}
