//! Content that is damaged in transit, in both directions, and servers that do not support checksums.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::TryStreamExt;
use pos3_core::{
    Checksum, Checksummer, Content, ErrorKind, GetOptions, Key, ListOptions, MemoryStore, PutOptions, RemoteStore,
    RemoteStoreExt, StoreError,
};
use pos3_local::LocalStore;
use pos3_s3::{Checksums, Etags, PayloadSigning, S3Config, S3Store};
use pos3_tests::server::{self, Answer, Fault, Operation, Properties, S3Server, StoredObject};

use super::{BUCKET, config, random_bytes, server, store, store_with};

const LARGE: usize = 20 << 20;

const HEADER: &str = "x-amz-checksum-crc64nvme";

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
async fn put(store: &S3Store, key: &str, bytes: &[u8]) -> bool {
    store.put(&Key::from(key), Content::from(bytes.to_vec()), PutOptions::default()).await.unwrap().verified
}

fn stored(server: &S3Server, key: &str) -> StoredObject {
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

/// Reads the whole object and returns what was given out before the end or the error.
async fn read(store: &S3Store, checked: bool) -> (Vec<u8>, Option<ErrorKind>) {
    let download = store.get(&Key::from("k"), GetOptions::default()).await.unwrap();
    assert_eq!(download.checked, checked);
    let mut body = download.body;
    let mut bytes = Vec::new();
    loop {
        match body.try_next().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, None),
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                return (bytes, Some(error.kind()));
            }
        }
    }
}

#[tokio::test]
async fn what_is_damaged_on_its_way_down_is_never_whole() {
    let bytes = random_bytes(6, 3 << 20);
    let plain = || StoredObject::new(bytes.clone().into(), Properties::default());
    let with_sum = {
        let server = server();
        put(&store(&server), "k", &bytes).await;
        stored(&server, "k")
    };
    for (object, name) in [(plain(), "md5"), (with_sum, "crc64nvme")] {
        for at in [0, 1 << 20, bytes.len() - 1] {
            let server = server();
            server.put_object(BUCKET, "k", object.clone());
            server.fault(Fault::on(Operation::GetObject).answer(Answer::FlipByte { at }));
            let (given, error) = read(&store(&server), true).await;
            assert_eq!(error, Some(ErrorKind::Integrity), "{name} {at}");
            assert!(given.len() < bytes.len(), "{name} {at}: a damaged object was given out whole");
            assert_eq!(read(&store(&server), true).await, (bytes.clone(), None), "{name}: there is no fault any more");
        }
        let server = server();
        server.put_object(BUCKET, "k", object);
        server.fault(Fault::on(Operation::GetObject).answer(Answer::CutBody { after: 1 << 20 }));
        assert_eq!(read(&store(&server), true).await, (bytes.clone(), None), "{name}: taken up and compared");
        assert_eq!(server.requests().of(Operation::GetObject), 2);

        server.fault(Fault::on(Operation::GetObject).answer(Answer::FlipByte { at: 7 }));
        let (given, error) = read(&store_with(config(&server).with_checksums(Checksums::Off)), false).await;
        assert!(error.is_none() && given != bytes, "what the others guard against");
    }
}

#[tokio::test]
async fn a_small_damaged_object_is_read_again() {
    let server = server();
    server.put(BUCKET, "k", "0123456789");
    server.fault(Fault::on(Operation::GetObject).times(2).answer(Answer::FlipByte { at: 3 }));
    assert_eq!(store(&server).read(&Key::from("k")).await.unwrap(), "0123456789");
    assert_eq!(server.requests().of(Operation::GetObject), 3);

    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::FlipByte { at: 3 }));
    let error = store_with(config(&server).with_attempts(3)).read(&Key::from("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn only_what_speaks_of_the_content_is_compared() {
    let bytes = random_bytes(7, 1000);
    let object = |etag: &str, checksum: &'static str| {
        let mut object = StoredObject::new(bytes.clone().into(), Properties::default());
        if !etag.is_empty() {
            object.etag = etag.to_owned();
        }
        if !checksum.is_empty() {
            object.checksums.insert(HEADER, checksum.to_owned());
        }
        object
    };
    let of_parts = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f-2";
    for (etag, checksum, checked, error) in [
        (of_parts, "", false, None),
        ("opaque", "", false, None),
        // Composite, and of a wrong length: moto answers the latter.
        (of_parts, "AAAAAAAAAAA=-2", false, None),
        (of_parts, "rRO7Ng==", false, None),
        ("", "rRO7Ng==", true, None),
        ("", "AAAAAAAAAAA=", true, Some(ErrorKind::Integrity)),
        ("0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", "", true, Some(ErrorKind::Integrity)),
    ] {
        let server = server();
        server.put_object(BUCKET, "k", object(etag, checksum));
        let store = store_with(config(&server).with_attempts(1));
        assert_eq!(read(&store, checked).await.1, error, "{etag} {checksum}");
    }
}

#[tokio::test]
async fn what_other_programs_sent_is_compared_with_the_checksum_they_chose() {
    let bytes = random_bytes(7, 1000);
    for (header, kind) in [("x-amz-checksum-crc32", Checksum::Crc32(0)), ("x-amz-checksum-crc32c", Checksum::Crc32c(0))]
    {
        let mut sum = Checksummer::like(&kind);
        sum.update(&bytes);
        let (Checksum::Crc32(value) | Checksum::Crc32c(value)) = sum.finish() else { panic!("{kind} is of 32 bits") };
        for (value, error) in [(value, None), (value ^ 1, Some(ErrorKind::Integrity))] {
            let server = server();
            let mut object = StoredObject::new(bytes.clone().into(), Properties::default());
            object.etag = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f-2".to_owned();
            object.checksums.insert(header, BASE64.encode(value.to_be_bytes()));
            server.put_object(BUCKET, "k", object);
            let store = store_with(config(&server).with_attempts(1));
            assert_eq!(read(&store, true).await.1, error, "{header}");
        }
    }
}

#[tokio::test]
async fn parts_of_another_store_are_compared_with_its_checksum() {
    let (from, to) = (server(), server());
    let (source, target) = (store(&from), store(&to));
    let bytes = random_bytes(8, LARGE);
    put(&source, "k", &bytes).await;
    let entry = source.head(&Key::from("k")).await.unwrap();
    let content = || Content::stored(Arc::new(source.clone()), entry.clone());

    from.fault(Fault::on(Operation::GetObject).nth(2).answer(Answer::FlipByte { at: 99 }));
    let error = target.write(&Key::from("k"), content()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Integrity, true), "{error}");
    assert_eq!((to.keys(BUCKET), to.open_uploads(BUCKET)), (vec![], vec![]));

    let written = target.put(&Key::from("k"), content(), PutOptions::default()).await.unwrap();
    assert!(written.verified && stored(&to, "k").bytes == bytes);
}

#[tokio::test]
async fn large_files_that_have_only_an_md5_are_compared_with_it() {
    let bytes = random_bytes(11, LARGE);
    let of = |etag: Option<String>| {
        let mut object = StoredObject::new(bytes.clone().into(), Properties::default());
        object.etag = etag.unwrap_or(object.etag);
        object
    };
    let mut encrypted = of(Some("0f".repeat(16)));
    encrypted.properties.server_side_encryption = Some("aws:kms".to_owned());
    let in_parts = {
        let server = server();
        store_with(config(&server)).write(&Key::from("k"), bytes.clone().into()).await.unwrap();
        stored(&server, "k").etag
    };
    assert!(in_parts.ends_with("-3"), "{in_parts}");
    let in_unusual_parts = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f-3".to_owned();
    // If the parts are unknown, damaged content cannot be distinguished from intact content, so neither is verified.
    for (object, is_told, is_certain) in [
        (of(None), true, true),
        (of(Some(in_parts)), true, false),
        (of(Some(in_unusual_parts)), false, false),
        (encrypted, false, false),
    ] {
        for is_damaged in [false, true] {
            let server = server();
            let etag = &object.etag;
            server.put_object(BUCKET, "k", object.clone());
            if is_damaged {
                server.fault(Fault::on(Operation::GetObject).nth(2).answer(Answer::FlipByte { at: 99 }));
            }
            let directory = tempfile::tempdir().unwrap();
            let target = LocalStore::new(directory.path()).unwrap();
            let source = Arc::new(store(&server));
            let listed = source.list("", ListOptions::default()).try_next().await.unwrap().unwrap();
            let content = Content::stored(source.clone(), listed);
            let stored = target.put(&Key::from("k"), content, PutOptions::default()).await;
            let is_verified = stored.as_ref().is_ok_and(|stored| stored.verified);
            let refused = is_certain && is_damaged;
            assert_eq!(stored.err().map(|error| error.kind()), refused.then_some(ErrorKind::Integrity), "{etag}");
            assert_eq!(is_verified, is_told && !is_damaged, "{etag}");
            assert_eq!(directory.path().join("k").exists(), !refused, "{etag}: a bad file has no name");
            assert_eq!(server.requests().of(Operation::GetObject), 3, "{etag}");
        }
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

/// Returns a server without checksums that has 40,000,000 bytes, uploaded in parts of this size.
async fn uploaded_in_parts(part_size: u64) -> (S3Server, Vec<u8>) {
    let server = server();
    server.configure(|settings| settings.checksums = server::Checksums::Ignored);
    let bytes = random_bytes(11, 40_000_000);
    put(&store_with(config(&server).with_part_size(part_size)), "k", &bytes).await;
    (server, bytes)
}

/// Downloads that object and returns the content, if the download succeeds, and whether it was compared with anything.
async fn downloaded(server: &S3Server) -> (Result<Vec<u8>, StoreError>, bool) {
    let directory = tempfile::tempdir().unwrap();
    let target = LocalStore::new(directory.path()).unwrap();
    let source = Arc::new(store(server));
    let listed = source.list("", ListOptions::default()).try_next().await.unwrap().unwrap();
    let content = Content::stored(source, listed);
    let written = target.put(&Key::from("k"), content, PutOptions::default()).await;
    let file = std::fs::read(directory.path().join("k"));
    assert_eq!(written.is_ok(), file.is_ok(), "only what is whole has its name");
    let is_verified = written.as_ref().is_ok_and(|stored| stored.verified);
    (written.map(|_| file.unwrap()), is_verified)
}

#[tokio::test]
async fn a_download_that_contradicts_the_etag_of_its_parts_is_no_copy() {
    for part_size in [8 << 20, 9_000_000] {
        let (server, bytes) = uploaded_in_parts(part_size).await;
        server.fault(Fault::on(Operation::GetObject).nth(3).answer(Answer::FlipByte { at: 17 }));
        let (damaged, _) = downloaded(&server).await;
        let error = damaged.unwrap_err();
        assert!(error.kind() == ErrorKind::Integrity && error.is_temporary(), "{part_size}: {error}");
        let (whole, is_verified) = downloaded(&server).await;
        assert!(whole.unwrap() == bytes && is_verified, "{part_size}");
    }
}

#[tokio::test]
async fn a_small_object_in_parts_is_compared_with_its_etag() {
    for (size, part_size) in [(600_000, 600_000), (900_000, 500_000), (3 << 20, 2 << 20)] {
        for part_numbers in [true, false] {
            for is_damaged in [false, true] {
                let server = server();
                let bytes = random_bytes(12, size);
                server.put_object(BUCKET, "k", StoredObject::in_parts(bytes.clone().into(), part_size));
                if is_damaged {
                    server.fault(Fault::on(Operation::GetObject).answer(Answer::FlipByte { at: 99 }));
                }
                if !part_numbers {
                    let refusal = Answer::Error { status: http::StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" };
                    server.fault(Fault::on(Operation::HeadObject).always().answer(refusal));
                }
                let (whole, is_verified) = downloaded(&server).await;
                let is_known = part_numbers || part_size == size;
                let case = format!("{size} {part_numbers} {is_damaged}");
                assert_eq!(is_verified, is_known && !is_damaged, "{case}");
                match whole {
                    // Without a part size, damage cannot be distinguished from parts of an unusual size.
                    Ok(whole) => assert!((whole == bytes) != is_damaged && !(is_damaged && part_numbers), "{case}"),
                    Err(error) => assert!(is_damaged && error.kind() == ErrorKind::Integrity, "{case}: {error}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn an_etag_that_is_no_md5_is_a_failure_that_is_named_and_can_be_allowed() {
    for size in [1000, 3 << 20, 20 << 20] {
        let server = server();
        let bytes = random_bytes(13, size);
        let object = StoredObject::new(bytes.clone().into(), Properties::default());
        server.put_object(BUCKET, "k", StoredObject { etag: "0f".repeat(16), ..object });
        let shared = Arc::new(store(&server));
        let read = async |source: Arc<S3Store>| {
            let directory = tempfile::tempdir().unwrap();
            let target = LocalStore::new(directory.path()).unwrap();
            let listed = source.list("", ListOptions::default()).try_next().await.unwrap().unwrap();
            let content = Content::stored(source, listed);
            let written = target.put(&Key::from("k"), content, PutOptions::default()).await;
            let is_verified = written.as_ref().is_ok_and(|stored| stored.verified);
            (written.map(|_| std::fs::read(directory.path().join("k")).unwrap()), is_verified)
        };
        // A large object is not compared by the store, and a small one is read again by it.
        let (mut error, _) = read(shared.clone()).await;
        for _ in 0..2 {
            if size == 3 << 20 {
                error = read(shared.clone()).await.0;
            }
        }
        let error = error.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Integrity, Some(pos3_core::OTHER_DIGEST)),
            "{size}: {error}"
        );
        assert!(error.to_string().contains("ETag"), "{error}");
        if size < 20 << 20 {
            assert!(!error.is_temporary(), "{error}");
        }
        let opaque = Arc::new(store_with(config(&server).with_etags(Etags::Opaque)));
        let (whole, is_verified) = read(opaque).await;
        assert!(whole.unwrap() == bytes && !is_verified, "{size}");
    }
}

#[tokio::test]
async fn what_no_part_size_explains_is_unverified_where_the_server_does_not_tell_one() {
    let (server, bytes) = uploaded_in_parts(9_000_000).await;
    let mut object = stored(&server, "k");
    object.part_sizes = vec![9_000_000, 9_000_000, 9_000_000, 8_000_000, 5_000_000];
    server.put_object(BUCKET, "k", object);
    let (uneven, is_verified) = downloaded(&server).await;
    assert!(uneven.unwrap() == bytes && !is_verified);

    let (server, bytes) = uploaded_in_parts(9_000_000).await;
    let refusal = Answer::Error { status: http::StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" };
    server.fault(Fault::on(Operation::HeadObject).nth(2).always().answer(refusal));
    let (unknown, is_verified) = downloaded(&server).await;
    assert!(unknown.unwrap() == bytes && !is_verified);
}
