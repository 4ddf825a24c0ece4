//! Listings with several pages, interrupted or refused listings, and edge cases.

use std::time::Duration;

use futures::TryStreamExt;
use pos3_core::{ErrorKind, Key, Kind, ListOptions, RemoteStore, RemoteStoreExt};
use pos3_tests::server::{Answer, Fault, ListingFault, ListingOrder, Operation, S3Server};

use super::{BUCKET, config, server, store, store_with};

fn seeded(page_size: usize, keys: usize) -> S3Server {
    let server = S3Server::builder().bucket(BUCKET).page_size(page_size).start().unwrap();
    for index in 0..keys {
        server.put(BUCKET, &format!("d/{index:04}"), "x");
    }
    server
}

async fn keys(store: &impl RemoteStore, prefix: &str, options: ListOptions) -> Vec<String> {
    store.list(prefix, options).map_ok(|entry| entry.key.as_str().to_owned()).try_collect().await.unwrap()
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let server = seeded(3, 10);
    let store = store(&server);
    let all = keys(&store, "d/", ListOptions::default()).await;
    assert_eq!(all, server.keys(BUCKET));
    assert_eq!(server.requests().of(Operation::ListObjectsV2), 4);
    assert_eq!(store.usage().get("ListObjectsV2"), 4);

    let after = keys(&store, "d/", ListOptions::default().with_start_after(Key::from("d/0006"))).await;
    assert_eq!(after, ["d/0007", "d/0008", "d/0009"]);
}

#[tokio::test]
async fn the_client_can_ask_for_small_pages() {
    let server = seeded(1000, 7);
    let store = store_with(config(&server).with_list_page(3));
    assert_eq!(keys(&store, "", ListOptions::default()).await.len(), 7);
    assert_eq!(server.requests().of(Operation::ListObjectsV2), 3);
}

#[tokio::test]
async fn only_one_page_is_fetched_ahead() {
    let server = seeded(2, 40);
    let store = store(&server);
    let mut listing = store.list("", ListOptions::default());
    listing.try_next().await.unwrap();
    while server.requests().total() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.requests().total(), 2);
}

#[tokio::test]
async fn a_page_that_is_cut_or_refused_is_asked_for_again() {
    for answer in [
        Answer::CutBody { after: 0 },
        Answer::CutBody { after: 400 },
        Answer::Reset,
        Answer::slow_down(),
        Answer::internal_error(),
        Answer::request_timeout(),
        Answer::ErrorInOk { code: "InternalError" },
    ] {
        let server = seeded(3, 10);
        server.fault(Fault::on(Operation::ListObjectsV2).nth(2).answer(answer.clone()));
        let listed = keys(&store(&server), "", ListOptions::default()).await;
        assert_eq!(listed, server.keys(BUCKET), "{answer:?}");
        assert_eq!((server.faults_waiting(), server.requests().total()), (0, 5), "{answer:?}");
    }
}

#[tokio::test]
async fn a_listing_that_cannot_go_on_ends_with_an_error() {
    for (answer, kind) in [
        (Answer::access_denied(), ErrorKind::Denied),
        (Answer::internal_error(), ErrorKind::Unavailable),
        (Answer::CutBody { after: 400 }, ErrorKind::Unavailable),
        (Answer::ErrorInOk { code: "AccessDenied" }, ErrorKind::Denied),
    ] {
        let server = seeded(3, 10);
        server.fault(Fault::on(Operation::ListObjectsV2).nth(3).always().answer(answer.clone()));
        let store = store_with(config(&server).with_attempts(3));
        let mut listing = store.list("d/", ListOptions::default());
        for _ in 0..6 {
            listing.try_next().await.unwrap().unwrap();
        }
        let error = listing.try_next().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
        assert!(listing.try_next().await.unwrap().is_none(), "an error is the end");
    }
}

#[tokio::test]
async fn a_listing_continues_after_its_last_key_where_the_server_lost_the_token() {
    for (shallow, page_size) in [(false, 1), (false, 3), (false, 10), (true, 3)] {
        let server = seeded(page_size, 10);
        server.configure(|settings| {
            settings.listing_faults = [(Operation::ListObjectsV2, ListingFault::LostTokens)].into();
        });
        let listed = keys(&store(&server), "d/", ListOptions::default().with_shallow(shallow)).await;
        assert_eq!(listed, server.keys(BUCKET), "{shallow} {page_size}");
    }
}

#[tokio::test]
async fn only_a_listing_in_another_order_has_an_unverified_end() {
    for (order, is_in_doubt) in [(ListingOrder::Bytes, false), (ListingOrder::Shuffled { seed: 1 }, true)] {
        for fault in [ListingFault::LostTokens, ListingFault::EmptyLastPage] {
            let server = seeded(3, 10);
            server.configure(|settings| {
                settings.listing_order = order;
                settings.listing_faults = [(Operation::ListObjectsV2, fault)].into();
            });
            let options = ListOptions::default();
            let doubts = options.doubts.clone();
            keys(&store(&server), "d/", options).await;
            assert_eq!(doubts.against_deletes().is_some(), is_in_doubt, "{order:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_shallow_listing_merges_directories_over_pages() {
    let server = S3Server::builder().bucket(BUCKET).page_size(2).start().unwrap();
    for key in ["p/a", "p/a-b", "p/a/1", "p/a/2", "p/b/1", "p/c", "p/d/", "p/d/1", "q"] {
        server.put(BUCKET, key, "x");
    }
    let listing = store(&server).list("p/", ListOptions::default().with_shallow(true));
    let entries: Vec<_> = listing.map_ok(|entry| (entry.key.to_string(), entry.kind)).try_collect().await.unwrap();
    let expected = [
        ("p/a", Kind::File),
        ("p/a-b", Kind::File),
        ("p/a/", Kind::Directory),
        ("p/b/", Kind::Directory),
        ("p/c", Kind::File),
        ("p/d/", Kind::Directory),
    ];
    assert_eq!(entries, expected.map(|(key, kind)| (key.to_owned(), kind)));
}

#[tokio::test]
async fn an_empty_listing_is_no_error() {
    let server = server();
    assert_eq!(store(&server).list_all("nothing/").await.unwrap(), []);
}
