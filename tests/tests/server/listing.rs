//! Listings with several pages.

use pos3_tests::server::{ListingOrder, Operation, S3Server};

use super::{
    client::{Reply, form_decoded, get},
    objects::ODD_KEYS,
};

/// Lists to the end and returns the pages.
async fn pages(server: &S3Server, parameters: &[(&str, &str)]) -> Vec<Reply> {
    let mut pages: Vec<Reply> = Vec::new();
    loop {
        let mut call = get("data").query("list-type", "2").query("encoding-type", "url");
        for (name, value) in parameters {
            call = call.query(name, value);
        }
        if let Some(token) = pages.last().and_then(|page| page.elements("NextContinuationToken").pop()) {
            call = call.query("continuation-token", &token);
        }
        let page = call.send(server).await.unwrap();
        let truncated = page.elements("IsTruncated") == ["true"];
        pages.push(page);
        if !truncated {
            return pages;
        }
    }
}

async fn keys(server: &S3Server, parameters: &[(&str, &str)]) -> Vec<String> {
    pages(server, parameters).await.iter().flat_map(Reply::keys).collect()
}

#[tokio::test]
async fn pages_together_are_the_bucket_in_byte_order() {
    let server = S3Server::builder().page_size(7).start().unwrap();
    for key in ODD_KEYS {
        server.put("data", key, key);
    }
    assert_eq!(keys(&server, &[]).await, server.keys("data"));
    assert_eq!(server.requests().of(Operation::ListObjectsV2), ODD_KEYS.len().div_ceil(7));
    assert_eq!(keys(&server, &[("max-keys", "1")]).await, server.keys("data"));
}

#[tokio::test]
async fn a_listing_starts_after_any_key() {
    let server = S3Server::start().unwrap();
    for key in ["a", "b/1", "b/2", "c"] {
        server.put("data", key, "");
    }
    assert_eq!(keys(&server, &[("start-after", "b/1")]).await, ["b/2", "c"]);
    assert_eq!(keys(&server, &[("start-after", "a"), ("prefix", "b/")]).await, ["b/1", "b/2"]);
    assert_eq!(keys(&server, &[("start-after", "zz")]).await, [""; 0]);
}

#[tokio::test]
async fn a_common_prefix_appears_once() {
    let server = S3Server::start().unwrap();
    for key in ["a", "b/1", "b/2", "b//3", "b.txt", "c/d/e"] {
        server.put("data", key, "");
    }
    for page_size in [1, 2, 1000] {
        server.configure(|settings| settings.page_size = page_size);
        let pages = pages(&server, &[("delimiter", "/")]).await;
        let listed: String = pages.iter().flat_map(|page| page.elements("CommonPrefixes")).collect();
        assert_eq!(form_decoded(&listed), "<Prefix>b/</Prefix><Prefix>c/</Prefix>");
        assert_eq!(pages.iter().flat_map(Reply::keys).collect::<Vec<_>>(), ["a", "b.txt"]);
    }
}

#[tokio::test]
async fn the_order_is_a_setting() {
    let server = S3Server::builder().page_size(2).start().unwrap();
    for key in ["a b", "a/x", "a/y", "b", "c"] {
        server.put("data", key, "");
    }
    server.configure(|settings| settings.listing_order = ListingOrder::DirectoryTree);
    assert_eq!(keys(&server, &[]).await, ["a/x", "a/y", "a b", "b", "c"]);

    server.configure(|settings| settings.listing_order = ListingOrder::Shuffled { seed: 1 });
    let shuffled = keys(&server, &[]).await;
    assert_ne!(shuffled, server.keys("data"));
    assert_eq!(keys(&server, &[]).await, shuffled);
    let mut sorted = shuffled;
    sorted.sort();
    assert_eq!(sorted, server.keys("data"));
}
