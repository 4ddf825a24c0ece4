//! Writes whose response was lost, on servers that describe or show their objects only in part.

use http::StatusCode;
use pos3_core::{ErrorKind, Expect};
use pos3_tests::server::{self, Answer, Fault, Operation};

use super::conditions::{LARGE, last_of, put, seen};
use super::{BUCKET, random_bytes, server, store};

/// No ETag and no checksum shows what the object contains.
#[tokio::test]
async fn an_object_that_nothing_describes_is_read_after_a_write_whose_answer_is_lost() {
    use server::Checksums::{Ignored, Kept};
    for size in [1000, LARGE] {
        for (kind, checksums) in
            [(server::Etags::Kms, Ignored), (server::Etags::Opaque, Ignored), (server::Etags::Kms, Kept)]
        {
            for replaces in [false, true] {
                let server = server();
                let store = store(&server);
                server.configure(|settings| (settings.etags, settings.checksums) = (kind, checksums));
                let expect = if replaces {
                    server.put(BUCKET, "k", "old");
                    seen(&store, "k").await
                } else {
                    Expect::Absent
                };
                server.fault(Fault::on(last_of(size)).answer(Answer::ResetAfterPerforming));
                let case = format!("{size} {kind:?} {checksums:?} {replaces}");
                put(&store, "k", size, expect).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
                assert_eq!(server.object(BUCKET, "k").unwrap().bytes, random_bytes(size as u64, size), "{case}");
                assert_eq!(server.requests().of(last_of(size)), 1, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_completion_whose_upload_is_gone_is_found_by_a_listing_or_its_result_is_unknown() {
    for may_list in [true, false] {
        let server = server();
        let store = store(&server);
        server.put(BUCKET, "k", "old");
        let expect = seen(&store, "k").await;
        server.fault(Fault::on(Operation::CompleteMultipartUpload).answer(Answer::ResetAfterPerforming));
        let gone = Answer::Error { status: StatusCode::NOT_FOUND, code: "NoSuchUpload" };
        server.fault(Fault::on(Operation::CompleteMultipartUpload).nth(2).answer(gone));
        server.fault(Fault::on(Operation::HeadObject).always().answer(Answer::access_denied()));
        if !may_list {
            server.fault(Fault::on(Operation::ListObjectsV2).always().answer(Answer::access_denied()));
        }
        match put(&store, "k", LARGE, expect).await {
            Ok(()) => assert!(may_list),
            Err(error) => {
                assert!(!may_list && error.kind() == ErrorKind::NotFound, "{error:?}");
                assert!(error.cause().contains("the upload was completed or aborted"), "{}", error.cause());
            }
        }
        assert_eq!(server.object(BUCKET, "k").unwrap().bytes, random_bytes(LARGE as u64, LARGE));
    }
}
