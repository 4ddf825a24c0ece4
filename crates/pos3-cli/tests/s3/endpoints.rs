//! Endpoints that are invalid, and endpoints that do not respond.

use std::process::Stdio;

use super::Cloud;
use crate::program::Ended;

#[test]
fn an_endpoint_that_is_none_is_a_usage_error_with_a_hint() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    for (endpoint, why) in [
        ("127.0.0.1:9000", "it must start with http:// or https://"),
        ("localhost", "it must start with http:// or https://"),
        ("ftp://127.0.0.1", "it must start with http:// or https://"),
        ("http://", "it is not a URL"),
        ("http://a b", "it is not a URL"),
        ("http://127.0.0.1:99999", "it names no port from 1 to 65535"),
        ("http://127.0.0.1?x=1", "it must not have a query"),
    ] {
        for command in [&["sync", "d", "s3://data/d"][..], &["ls", "s3://data"]] {
            let ended = cloud.run(&[command, &["--endpoint-url", endpoint]].concat());
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
            let lines: Vec<&str> = ended.err.lines().collect();
            assert_eq!(lines.len(), 2, "{}", ended.err);
            let begin = if command[0] == "ls" { "pos3-cli ls" } else { "error" };
            assert_eq!(lines[0], format!("{begin}: '{endpoint}' is not an S3 endpoint: {why}"));
            assert!(lines[1].starts_with("hint: write it like http://127.0.0.1:9000"), "{}", ended.err);
        }
    }
    assert_eq!(cloud.server.connections(), 0);
}

#[test]
fn an_endpoint_that_does_not_answer_is_given_up_by_the_policy_for_one_request() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    // Nobody listens on a port that is reserved for a service that has gone.
    let refusing = "http://127.0.0.1:1".to_owned();
    // No name server is asked for a label this long.
    let nowhere = format!("http://{}.invalid", "x".repeat(64));
    let runs = [(refusing, "Connection refused"), (nowhere, "failed to lookup address")].map(|(endpoint, why)| {
        let mut command = cloud.command(&["sync", "d", "s3://data/d", "--endpoint-url", &endpoint]);
        (command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), endpoint, why)
    });
    for (child, endpoint, why) in runs {
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        // A run of ten seconds may have said before that it is still at it.
        let first = ended.err.lines().find(|line| line.starts_with("error: ")).unwrap();
        let told = format!("error: cannot list the target 's3://data/d': cannot connect to {endpoint}: ");
        assert!(first.starts_with(&told) && first.contains(why), "{}", ended.err);
        assert!(ended.err.contains("\nhint: check that the endpoint is right and can be reached"), "{}", ended.err);
        assert!(ended.err.contains(" 8 ListObjectsV2\n"), "{}", ended.err);
    }
}

#[test]
fn a_path_in_an_endpoint_goes_before_the_bucket() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    let endpoint = format!("{}/storage/v1", cloud.server.endpoint());
    let ended = cloud.run(&["sync", "d", "s3://data/d", "--endpoint-url", &endpoint]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.lines().next().unwrap().starts_with("error: "), "{}", ended.err);
    assert!(ended.err.contains("\nhint: "), "{}", ended.err);
}
