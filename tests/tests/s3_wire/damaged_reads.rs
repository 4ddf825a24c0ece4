//! Content that is damaged on its way from the server, and the checksums and MD5s that show it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::TryStreamExt;
use pos3_core::{
    Checksum, Checksummer, Content, ErrorKind, GetOptions, Key, ListOptions, PutOptions, RemoteStore, RemoteStoreExt,
};
use pos3_local::LocalStore;
use pos3_s3::{Checksums, S3Store};
use pos3_tests::server::{Answer, Fault, Operation, Properties, StoredObject};

use super::checksums::{HEADER, LARGE, put, stored};
use super::{BUCKET, config, random_bytes, server, store, store_with};

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
