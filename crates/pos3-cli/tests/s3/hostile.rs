//! Servers and credential processes whose texts try to control the terminal.

use http::StatusCode;
use pos3_tests::server::{Answer, Fault, Operation, WrongRegion};

use super::{BUCKET, Cloud};
use crate::terminal::{HOSTILE, assert_plain};

/// A code of an error, which an answer carries as it is.
const CODE: &str = "It's\u{9b}2J\u{202e}\u{2028}\u{200b}";

#[test]
fn texts_of_a_server_do_nothing_on_a_terminal() {
    for json in [&[][..], &["--json"]] {
        let cloud = Cloud::new(&[("d/a", "1")]);
        cloud.server.put(BUCKET, &format!("k/{HOSTILE}"), "2");
        let listed = cloud.run(&[&["ls", "s3://data/k/"][..], json].concat());
        assert_plain(&listed, "ls");
        let fetched = cloud.run(&[&["sync", "s3://data/k", "there", "-v"][..], json].concat());
        assert_plain(&fetched, "sync");
        assert!(format!("{listed:?} {fetched:?}").contains("202e"), "{listed:?} {fetched:?}");

        for operation in [Operation::ListObjectsV2, Operation::PutObject] {
            cloud.server.fault(
                Fault::on(operation).always().answer(Answer::Error { status: StatusCode::BAD_REQUEST, code: CODE }),
            );
            let refused = cloud.run(&[&["sync", "d", "s3://data/d"][..], json].concat());
            assert_eq!(refused.code, Some(1), "{refused:?}");
            assert_plain(&refused, "a refusal");
            assert!(refused.err.contains("It's\\u{9b}2J\\u{202e}\\u{2028}\\u{200b}"), "{}", refused.err);
            cloud.server.clear_faults();
        }
    }
}

#[test]
fn a_region_that_a_server_names_does_nothing_on_a_terminal() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    cloud.server.configure(|settings| {
        settings.regions.insert(BUCKET.to_owned(), "eu\u{9b}2J\u{202e}west".to_owned());
        settings.wrong_region = WrongRegion::Malformed;
    });
    let refused = cloud.run(&["sync", "d", "s3://data/d"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_plain(&refused, "a region");
}

#[test]
fn output_of_a_credential_process_does_nothing_on_a_terminal() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    let script = "#!/bin/sh\nprintf 'error\\033[2J\\302\\233\\342\\200\\256\\nerror: forged\\n' >&2\nexit 1\n";
    let path = cloud.program.path("process");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let config = format!("[default]\ncredential_process = {}\n", path.display());
    std::fs::write(cloud.program.path("config"), config).unwrap();
    let mut command = cloud.program.command(&["sync", "d", "s3://data/d"]);
    command.env("AWS_CONFIG_FILE", cloud.program.path("config")).env("PATH", "/usr/bin:/bin");
    command.env("AWS_ENDPOINT_URL", cloud.server.endpoint());
    let failed = crate::program::Ended::from(command.output().unwrap());
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert_plain(&failed, "a process");
}
