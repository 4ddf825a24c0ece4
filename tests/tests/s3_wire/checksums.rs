//! Content that is damaged on its way to the server, and servers that do not support checksums.

use std::sync::{Arc, Mutex};

use pos3_core::{Checksum, Checksummer, Content, ErrorKind, Key, MemoryStore, PutOptions, RemoteStore, RemoteStoreExt};
use pos3_s3::{Checksums, PayloadSigning, S3Config, S3Store};
use pos3_tests::server::{self, Answer, Fault, Operation, S3Server, StoredObject};

use super::{BUCKET, config, random_bytes, server, store_with};

pub(super) const LARGE: usize = 20 << 20;

pub(super) const HEADER: &str = "x-amz-checksum-crc64nvme";

/// A store with the warnings it gave.
pub(super) struct Warned {
    pub(super) store: S3Store,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Warned {
    pub(super) fn new(config: S3Config) -> Self {
        let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = warnings.clone();
        let tell = move |warning: &str| told.lock().unwrap().push(warning.to_owned());
        Self { store: store_with(config.with_warnings(tell)), warnings }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap().clone()
    }
}

fn sum(bytes: &[u8]) -> Checksum {
    let mut sum = Checksummer::crc64_nvme();
    sum.update(bytes);
    sum.finish()
}

/// Stores bytes and returns whether they were proven to have arrived.
pub(super) async fn put(store: &S3Store, key: &str, bytes: &[u8]) -> bool {
    store.put(&Key::from(key), Content::from(bytes.to_vec()), PutOptions::default()).await.unwrap().verified
}

pub(super) fn stored(server: &S3Server, key: &str) -> StoredObject {
    server.object(BUCKET, key).unwrap()
}

#[tokio::test]
async fn the_server_checks_and_keeps_the_checksum_of_the_whole() {
    for signing in [PayloadSigning::Unsigned, PayloadSigning::Signed] {
        let server = server();
        let store = Warned::new(config(&server).with_payload_signing(signing));
        for (key, size) in [("empty", 0), ("small", 1000), ("large", LARGE + 17)] {
            let bytes = random_bytes(1, size);
            assert!(put(&store.store, key, &bytes).await, "{key} {signing:?}");
            assert!(stored(&server, key).checksums.contains_key(HEADER), "{key} {signing:?}");
            let entry = store.store.head(&Key::from(key)).await.unwrap();
            assert_eq!(entry.checksum, Some(sum(&bytes)), "{key} {signing:?}");
        }
        assert_eq!(store.warnings(), [""; 0]);
    }
}

#[tokio::test]
async fn what_is_damaged_on_its_way_up_is_sent_again() {
    for (checksums, signing, recovers) in [
        (Checksums::Auto, PayloadSigning::Unsigned, true),
        (Checksums::Auto, PayloadSigning::Signed, true),
        (Checksums::Crc64Nvme, PayloadSigning::Unsigned, true),
        (Checksums::Md5, PayloadSigning::Unsigned, true),
        (Checksums::Md5, PayloadSigning::Signed, true),
        (Checksums::Off, PayloadSigning::Signed, true),
        // What the others guard against.
        (Checksums::Off, PayloadSigning::Unsigned, false),
    ] {
        for (operation, size) in [(Operation::PutObject, 1000), (Operation::UploadPart, LARGE)] {
            let server = server();
            let store = Warned::new(config(&server).with_checksums(checksums).with_payload_signing(signing));
            server.fault(Fault::on(operation).answer(Answer::FlipSentByte { at: 500 }));
            let bytes = random_bytes(2, size);
            let proven = put(&store.store, "k", &bytes).await;
            let case = format!("{checksums:?} {signing:?} {operation}");
            assert_eq!(server.faults_waiting(), 0, "{case}");
            assert_eq!(stored(&server, "k").bytes == bytes, recovers, "{case}");
            assert_eq!(proven, checksums != Checksums::Off, "{case}");
            assert_eq!(store.warnings(), [""; 0], "{case}");
        }
    }
}

#[tokio::test]
async fn a_server_that_refuses_or_ignores_checksums_gets_md5() {
    for (habit, word) in [(server::Checksums::Refused, "refuses"), (server::Checksums::Ignored, "ignores")] {
        for (first, second) in [(1000, LARGE), (LARGE, 1000)] {
            let server = server();
            server.configure(|settings| settings.checksums = habit);
            let store = Warned::new(config(&server));
            for (key, size) in [("a", first), ("b", second), ("c", 1000)] {
                let bytes = random_bytes(3, size);
                let proven = put(&store.store, key, &bytes).await;
                assert!(stored(&server, key).bytes == bytes && stored(&server, key).checksums.is_empty(), "{key}");
                assert!(proven, "{key} {habit:?}");
            }
            let warnings = store.warnings();
            assert!(warnings.len() == 1 && warnings[0].contains(word), "{warnings:?}");

            server.reset_requests();
            server.fault(Fault::on(Operation::PutObject).answer(Answer::FlipSentByte { at: 5 }));
            assert!(put(&store.store, "d", b"0123456789").await);
            assert_eq!((stored(&server, "d").bytes, server.requests().total()), ("0123456789".into(), 2));
        }
    }
}

#[tokio::test]
async fn a_server_that_must_check_and_cannot_fails_the_write() {
    let server = server();
    server.configure(|settings| settings.checksums = server::Checksums::Refused);
    let store = store_with(config(&server).with_checksums(Checksums::Crc64Nvme));
    for size in [1000, LARGE] {
        let error = store.write(&Key::from("k"), random_bytes(4, size).into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!((server.keys(BUCKET), server.open_uploads(BUCKET)), (vec![], vec![]));
}

#[tokio::test]
async fn a_server_that_puts_checksums_together_wrongly_is_not_believed() {
    let server = server();
    let store = Warned::new(config(&server));
    for (key, warnings) in [("a", 0), ("a", 0), ("b", 1)] {
        let wrong = Answer::Error { status: http::StatusCode::BAD_REQUEST, code: "BadDigest" };
        server.fault(Fault::on(Operation::CompleteMultipartUpload).answer(wrong));
        server.reset_requests();
        let bytes = random_bytes(5, LARGE);
        assert!(put(&store.store, key, &bytes).await, "every part was proven");
        assert!(stored(&server, key).bytes == bytes);
        let completions = server.requests().of(Operation::CompleteMultipartUpload);
        assert_eq!((store.warnings().len(), completions), (warnings, 2), "{key} {:?}", store.warnings());
    }
    assert!(store.warnings()[0].contains("miscalculates CRC-64/NVME checksums"), "{:?}", store.warnings());
}

/// A response without a checksum, or with one of a wrong length, and one with the checksum of other content.
#[tokio::test]
async fn the_responses_about_one_object_are_no_evidence_that_a_server_ignores_checksums() {
    let is_kept = |server: &S3Server, key: &str| stored(server, key).checksums.contains_key(HEADER);
    for (operation, size, checksum, is_evidence) in [
        (Operation::PutObject, 1000, None, true),
        (Operation::PutObject, 1000, Some("rRO7Ng=="), true),
        (Operation::PutObject, 1000, Some("AAAAAAAAAAA="), false),
        (Operation::UploadPart, LARGE, Some("AAAAAAAAAAA="), false),
        (Operation::CreateMultipartUpload, LARGE, None, true),
    ] {
        let case = format!("{operation} {size} {checksum:?}");
        let server = server();
        let store = Warned::new(config(&server));
        let put = async |key: &str, has_fault: bool| {
            if has_fault {
                server.fault(Fault::on(operation).key(key).answer(Answer::Checksum(checksum)));
            }
            let bytes = random_bytes(6, size);
            assert!(put(&store.store, key, &bytes).await && stored(&server, key).bytes == bytes, "{case} {key}");
            assert_eq!(server.faults_waiting(), 0, "{case} {key}");
        };
        for _ in 0..3 {
            put("a", true).await;
        }
        put("b", false).await;
        assert!(is_kept(&server, "b") && store.warnings().is_empty(), "{case}: {:?}", store.warnings());

        // A right response is between the two others.
        put("c", true).await;
        put("d", false).await;
        assert!(is_kept(&server, "d") && store.warnings().is_empty(), "{case}: {:?}", store.warnings());

        put("e", true).await;
        put("f", true).await;
        server.clear_faults();
        put("g", false).await;
        assert_eq!((is_kept(&server, "g"), store.warnings().len()), (!is_evidence, usize::from(is_evidence)), "{case}");
        assert!(store.warnings().iter().all(|told| told.contains("ignores CRC-64/NVME checksums")), "{case}");
    }
}

#[tokio::test]
async fn a_source_that_changes_while_it_is_summed_is_not_stored() {
    // An MD5 is sent before the content, which is then read once more.
    let server = server();
    let source = Arc::new(MemoryStore::new());
    let entry = source.write(&Key::from("k"), random_bytes(9, LARGE).into()).await.unwrap();
    source.write(&Key::from("k"), random_bytes(10, LARGE).into()).await.unwrap();
    let store = store_with(config(&server).with_checksums(Checksums::Md5));
    let error = store.write(&Key::from("k"), Content::stored(source, entry)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!((server.keys(BUCKET), server.open_uploads(BUCKET)), (vec![], vec![]));
}
