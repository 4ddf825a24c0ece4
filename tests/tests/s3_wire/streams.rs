//! Parts that are read while they are sent: memory, counts, and sources that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pos3_core::conformance::FaultStore;
use pos3_core::{Budget, Content, ErrorKind, Key, MemoryStore, PutOptions, RemoteStore, RemoteStoreExt};
use pos3_s3::PayloadSigning;
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, config, random_bytes, server, store, store_with};

const LARGE: usize = 40 << 20;

#[tokio::test]
async fn as_many_parts_are_sent_at_once_as_fit_into_memory() {
    for (signing, bytes, most) in [(PayloadSigning::Unsigned, 3 << 20, 2), (PayloadSigning::Signed, 8 << 20, 1)] {
        let server = server();
        let store = store_with(config(&server).with_payload_signing(signing));
        let content = random_bytes(1, LARGE);
        let options = PutOptions::default().with_budget(Budget::new(64, bytes));
        store.put(&Key::from("large"), content.clone().into(), options).await.unwrap();
        assert!(server.object(BUCKET, "large").unwrap().bytes == content);
        assert!(server.most_in_flight() <= most, "{signing:?}: {}", server.most_in_flight());
    }
}

#[tokio::test]
async fn what_is_sent_again_is_counted_once() {
    let server = server();
    server.fault(Fault::on(Operation::UploadPart).nth(1).times(3).answer(Answer::ResetAfterPerforming));
    let metered = Arc::new(AtomicU64::new(0));
    let meter = metered.clone();
    let content = random_bytes(2, LARGE);
    let metered_content = Content::from(content.clone()).with_meter(Arc::new(move |bytes| {
        meter.fetch_add(bytes, Ordering::Relaxed);
    }));
    store(&server).write(&Key::from("large"), metered_content).await.unwrap();
    assert!(server.object(BUCKET, "large").unwrap().bytes == content);
    assert_eq!(server.requests().of(Operation::UploadPart), 8);
    assert_eq!(metered.load(Ordering::Relaxed), LARGE as u64);
}

#[tokio::test]
async fn a_source_that_fails_midway_is_not_asked_again_and_tells_why() {
    let server = server();
    let source = Arc::new(MemoryStore::new());
    let entry = source.write(&Key::from("large"), random_bytes(3, LARGE).into()).await.unwrap();
    let broken = FaultStore::over_shared(source).cutting_bodies_after(1 << 20);
    let put = store(&server).write(&Key::from("large"), Content::stored(Arc::new(broken), entry)).await;
    let error = put.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, pos3_core::Operation::Read), "{error}");
    assert!(error.cause().contains("broken on purpose"), "{error}");
    assert!(server.requests().of(Operation::UploadPart) <= 5);
    assert_eq!(server.requests().of(Operation::CompleteMultipartUpload), 0);
    assert_eq!((server.open_uploads(BUCKET), server.keys(BUCKET)), (vec![], vec![]));
}
