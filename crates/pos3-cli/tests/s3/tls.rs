//! https with a private certificate authority, given by an option or the environment. The hint for an untrusted
//! certificate names both.

use std::fs;

use pos3_tests::server::S3Server;

use super::{BUCKET, Cloud};
use crate::program::{Ended, Program, expected};

fn cloud() -> Cloud {
    let program = Program::new().with(&[("from/a", "1"), ("from/d/b", "2")]);
    let server = S3Server::builder().bucket(BUCKET).tls().start().unwrap();
    fs::write(program.path("ca.pem"), server.authority().unwrap()).unwrap();
    Cloud { server, program }
}

#[test]
fn a_private_authority_is_named_by_the_environment_or_an_option() {
    let cloud = cloud();
    let mut up = cloud.command(&["sync", "from", "s3://data/x"]);
    let up = Ended::from(up.env("AWS_CA_BUNDLE", cloud.program.path("ca.pem")).output().unwrap());
    assert_eq!(up.code, Some(0), "{up:?}");
    // The option comes before the environment.
    let mut down = cloud.command(&["sync", "s3://data/x", "to", "--ca-bundle", "ca.pem"]);
    let down = Ended::from(down.env("AWS_CA_BUNDLE", "missing.pem").output().unwrap());
    assert_eq!(down.code, Some(0), "{down:?}");
    assert_eq!(cloud.program.files("to"), expected(&[("a", "1"), ("d/b", "2")]));
}

#[test]
fn an_authority_that_is_not_trusted_is_told_once_with_what_to_do() {
    let cloud = cloud();
    for arguments in [&["sync", "from", "s3://data/x"][..], &["sync", "s3://data/x", "to"], &["ls", "s3://data/x/"]] {
        let connections = cloud.server.connections();
        let ended = cloud.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        let told = format!("there is no secure connection to {}: invalid peer certificate", cloud.server.endpoint());
        assert!(ended.err.lines().next().unwrap().contains(&told), "{}", ended.err);
        assert!(ended.err.contains("\nhint: for a certificate of a private authority"), "{}", ended.err);
        assert!(ended.err.contains("--ca-bundle, AWS_CA_BUNDLE"), "{}", ended.err);
        assert_eq!(cloud.server.connections() - connections, 1, "{arguments:?}");
    }
    assert_eq!(cloud.server.requests().total(), 0);
}

#[test]
fn certificates_that_cannot_be_used_are_a_usage_error() {
    let cloud = cloud();
    fs::write(cloud.program.path("empty.pem"), "").unwrap();
    for (file, why) in
        [("missing.pem", "cannot read the certificates in 'missing.pem'"), ("empty.pem", "no certificate")]
    {
        let ended = cloud.run(&["sync", "from", "s3://data/x", "--ca-bundle", file]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.starts_with("error: ") && ended.err.contains(why), "{}", ended.err);
        assert!(ended.err.contains("\nhint: name a PEM file"), "{}", ended.err);
    }
    assert_eq!(cloud.server.connections(), 0);
}
