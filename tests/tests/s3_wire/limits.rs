//! The number of requests in flight: as many as the server handles quickly, and never more than the maximum.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use pos3_core::{Budget, Content, DeleteKey, GetOptions, Key, ListOptions, PutOptions, RemoteStore, RemoteStoreExt};
use pos3_s3::{RequestLimit, S3Client, S3Store};
use pos3_tests::server::{Answer, Fault, Operation, Overload, Overloaded, S3Server};
use tokio::time::{Instant, sleep};

use super::{BUCKET, config, random_bytes, server, store_with};

/// The time limit for operations that must not block each other.
const SOON: Duration = Duration::from_secs(60);

/// The smallest part that S3 accepts.
const PART: u64 = 5 << 20;

/// Stores a number of small objects, as many at once as the limit allows.
async fn put_many(store: &S3Store, count: usize) {
    let puts = stream::iter(0..count).map(|number| async move {
        let content = Content::from(Bytes::from(format!("{number}")));
        store.put(&Key::from(format!("many/{number:05}")), content, PutOptions::default()).await.map(drop)
    });
    puts.buffer_unordered(512).try_collect::<()>().await.unwrap();
}

/// Returns the mean number of requests in flight from a time on, until this is dropped.
async fn mean_in_flight(server: &S3Server, from: Duration, work: impl Future<Output = ()>) -> f64 {
    let begin = Instant::now();
    let mut samples = Vec::new();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => break,
            () = sleep(Duration::from_millis(5)) => {
                if begin.elapsed() >= from {
                    samples.push(server.in_flight() as f64);
                }
            }
        }
    }
    assert!(samples.len() > 20, "the work was too short to be measured: {} samples", samples.len());
    samples.iter().sum::<f64>() / samples.len() as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requests_settle_near_what_an_overloaded_server_executes() {
    const ABOVE: usize = 20;
    const FILES: usize = 800;
    for refusal in [Overloaded::SlowDown, Overloaded::Unavailable, Overloaded::TooMany, Overloaded::Reset] {
        let server = server();
        server.configure(|settings| {
            settings.latency = Duration::from_millis(100);
            settings.overload = Some(Overload { above: ABOVE, refusal });
        });
        let store = store_with(config(&server));
        let mean = mean_in_flight(&server, Duration::from_millis(500), put_many(&store, FILES)).await;
        let refused = server.requests().of(Operation::PutObject) - FILES;
        assert_eq!(server.keys(BUCKET).len(), FILES);
        // A busy machine can be slower than this server, and then fewer requests are as fast.
        assert!((ABOVE as f64 * 0.25..=ABOVE as f64 * 1.3).contains(&mean), "{refusal:?}: {mean} in flight on average");
        assert!((1..FILES / 10).contains(&refused), "{refusal:?}: {refused} requests were refused");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_server_gets_as_many_requests_as_are_allowed() {
    let server = server();
    server.configure(|settings| settings.latency = Duration::from_millis(100));
    let limit = RequestLimit::new(48);
    let store = store_with(config(&server).with_request_limit(limit.clone()));
    put_many(&store, 600).await;
    assert_eq!((limit.current(), server.most_in_flight()), (48, 48));
}

/// Runs every kind of request at once.
async fn everything(server: &S3Server, store: &S3Store) {
    for number in 0..40 {
        server.put(BUCKET, &format!("old/{number:03}"), "old");
        server.create_upload(BUCKET, &format!("open/{number:03}"));
    }
    let large = random_bytes(1, 3 * PART as usize);
    server.put(BUCKET, "large", large.clone());
    let put = async {
        store.put(&Key::from("parts"), Content::from(Bytes::from(large.clone())), PutOptions::default()).await.unwrap();
        store.copy(&Key::from("parts"), &Key::from("copied")).await.unwrap();
    };
    let get = async { assert_eq!(store.read(&Key::from("large")).await.unwrap(), large) };
    let list = async {
        let listed = store.list("", ListOptions::default()).try_collect::<Vec<_>>().await.unwrap();
        assert!(!listed.is_empty());
    };
    let delete = async {
        let keys: Vec<_> = (0..40).map(|number| DeleteKey::new(Key::from(format!("old/{number:03}")))).collect();
        assert!(store.delete(&keys).await.iter().all(Result::is_ok));
    };
    let abort = async {
        let uploads = store.unfinished("open/").await.unwrap();
        assert_eq!(uploads.len(), 40);
        assert!(store.abandon(&uploads).await.iter().all(Result::is_ok));
    };
    futures::join!(put_many(store, 40), put, get, list, delete, abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_all_kinds_share_one_limit() {
    for most in [1, 3] {
        let server = server();
        server.configure(|settings| {
            settings.latency = Duration::from_millis(5);
            settings.page_size = 10;
        });
        let config = config(&server).with_part_size(PART).with_multipart_threshold(PART).with_copy_limit(PART);
        let store = store_with(config.with_request_limit(RequestLimit::new(most)));
        tokio::time::timeout(SOON, everything(&server, &store)).await.unwrap();
        assert_eq!(server.most_in_flight(), most);
    }
}

/// Returns two clients of one server that share a limit of one request.
fn two_clients(server: &S3Server) -> [S3Store; 2] {
    let limit = RequestLimit::new(1);
    let config = config(server).with_part_size(PART).with_multipart_threshold(PART).with_request_limit(limit);
    [config.clone(), config].map(|config| S3Client::new(config).unwrap().bucket(BUCKET).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_from_the_same_server_does_not_wait_for_its_own_upload() {
    let server = server();
    let [from, to] = two_clients(&server);
    for (name, size) in [("small", 1000), ("large", 3 * PART as usize)] {
        let content = random_bytes(size as u64, size);
        server.put(BUCKET, name, content.clone());
        // The response is cut once, so that it is requested again while the upload waits for it.
        server.fault(Fault::on(Operation::GetObject).key(name).answer(Answer::CutBody { after: size / 9 }));
        let begin = Instant::now();
        let entry = from.head(&Key::from(name)).await.unwrap();
        let object = Content::stored(Arc::new(from.clone()), entry);
        let options = PutOptions::default().with_budget(Budget::new(8, 64 << 20));
        let key = Key::from(format!("copy of {name}"));
        let put = to.put(&key, object, options);
        tokio::time::timeout(SOON, put).await.unwrap().unwrap();
        assert_eq!(server.object(BUCKET, key.as_str()).unwrap().bytes, content);
        assert!(begin.elapsed() < SOON / 2, "{name}: {:?}", begin.elapsed());
    }
    assert_eq!(server.faults_waiting(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_not_read_does_not_block_other_requests() {
    let server = server();
    let [store, _] = two_clients(&server);
    let content = random_bytes(7, 3 << 20);
    server.put(BUCKET, "k", content.clone());
    let open = async || store.get(&Key::from("k"), GetOptions::default()).await.unwrap();
    let both = async {
        let (first, second) = (open().await, open().await);
        store.head(&Key::from("k")).await.unwrap();
        for download in [second, first] {
            assert_eq!(download.body.try_collect::<Vec<_>>().await.unwrap().concat(), content);
        }
    };
    tokio::time::timeout(SOON, both).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_pauses_before_its_next_attempt_has_no_slot() {
    let server = server();
    server.put(BUCKET, "good", "content");
    server.put(BUCKET, "bad", "content");
    let limit = RequestLimit::new(1);
    let store = store_with(config(&server).with_longest_pause(Duration::from_secs(20)).with_request_limit(limit));
    store.head(&Key::from("good")).await.unwrap();
    // After five resets, the pauses are at least a second and a half together.
    server.fault(Fault::on(Operation::HeadObject).key("bad").times(5).answer(Answer::Reset));
    let (good, bad) = (Key::from("good"), Key::from("bad"));
    let begin = Instant::now();
    let many = async {
        for _ in 0..20 {
            store.head(&good).await.unwrap();
        }
        begin.elapsed()
    };
    let (bad, many) = futures::join!(async { store.head(&bad).await.map(|_| begin.elapsed()) }, many);
    let bad = bad.unwrap();
    assert!(bad >= Duration::from_millis(1500) && many < bad / 2, "{many:?} of {bad:?}");
}
