//! Success responses that are not from S3: no command treats them as a success.

use std::fs;

use http::StatusCode;
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};

/// Responses of proxies that are not executed.
const FORMS: [(u16, &str, &str); 5] = [
    (200, "", "<!-- proxy --><html><body>sign in</body></html>"),
    (200, "", "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"></html>"),
    (200, "text/html", "sign in"),
    (200, "application/json", "{\"message\": \"sign in\"}"),
    (202, "", ""),
];

const HINT: &str = "hint: check that the endpoint is right and can be reached (--endpoint-url";

fn foreign((status, media_type, body): (u16, &'static str, &'static str)) -> Answer {
    Answer::Foreign { status: StatusCode::from_u16(status).unwrap(), media_type, body, performs: false }
}

#[test]
fn a_delete_that_no_s3_server_answered_is_not_counted() {
    std::thread::scope(|scope| {
        for form in FORMS {
            scope.spawn(move || {
                // A batch cannot contain this key.
                let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/a", "1"), ("d/\u{1}", "1")]);
                cloud.server.fault(Fault::on(Operation::DeleteObject).always().answer(foreign(form)));
                let (code, report) = cloud.json(&["sync", "d", "s3://data/d", "--delete"]);
                assert_eq!((code, &report["deleted"]), (1, &0.into()), "{form:?}: {report}");
                assert!(cloud.server.object(BUCKET, "d/\u{1}").is_some(), "{form:?}");
            });
        }
    });
}

#[test]
fn an_abort_that_no_s3_server_answered_is_not_counted() {
    std::thread::scope(|scope| {
        for form in FORMS {
            scope.spawn(move || {
                let cloud = Cloud::new(&[]);
                cloud.server.create_upload(BUCKET, "d/left");
                cloud.server.fault(Fault::on(Operation::AbortMultipartUpload).always().answer(foreign(form)));
                let ended = cloud.run(&["cleanup", "s3://data/d", "--older-than", "0s", "--abort"]);
                assert_eq!(ended.code, Some(1), "{form:?}: {ended:?}");
                assert_eq!(cloud.server.open_uploads(BUCKET), ["d/left"], "{form:?}");
            });
        }
    });
}

#[test]
fn a_web_page_in_place_of_the_response_to_a_write_is_named_with_a_hint() {
    for (operation, size) in
        [(Operation::PutObject, 5), (Operation::UploadPart, 17 << 20), (Operation::CompleteMultipartUpload, 17 << 20)]
    {
        let cloud = Cloud::new(&[("d/f", "")]);
        fs::write(cloud.program.path("d/f"), vec![b'x'; size]).unwrap();
        cloud.server.fault(Fault::on(operation).always().answer(foreign(FORMS[0])));
        let ended = cloud.run(&["sync", "d", "s3://data/d"]);
        assert_eq!(ended.code, Some(1), "{operation}: {ended:?}");
        let message = "the server returned a web page instead of an S3 response: a proxy, the login page of a network";
        assert!(ended.err.contains(message) && ended.err.contains(HINT), "{operation}: {}", ended.err);
        assert!(cloud.server.keys(BUCKET).is_empty(), "{operation}");
    }
}
