//! Two servers whose endpoints may lead to one server, but do not: nothing of one reaches the other.

use std::fs;
use std::net::{Ipv6Addr, TcpListener};

use pos3_tests::server::S3Server;

use super::run::{run, sh, stored};
use super::{BUCKET, Cloud};
use crate::program::Ended;

/// Returns a second server, which has the same port on the other loopback address and accepts the same keys. A machine
/// without an IPv6 loopback address cannot have one.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn twin(cloud: &Cloud) -> Option<S3Server> {
    if let Err(error) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        eprintln!("the part of this test that needs the IPv6 loopback address is left out: {error}");
        return None;
    }
    let address = format!("[::1]:{}", cloud.server.address().port()).parse().unwrap();
    let (access_key, secret_key) = (cloud.server.access_key(), cloud.server.secret_key());
    let builder = S3Server::builder().bucket(BUCKET).credentials(access_key, secret_key).address(address);
    Some(builder.start().unwrap())
}

fn run_on(server: &S3Server, cloud: &Cloud, arguments: &[&str]) -> Ended {
    cloud.command(arguments).env("AWS_ENDPOINT_URL", server.endpoint()).output().unwrap().into()
}

#[test]
fn local_copies_are_not_used_for_a_server_that_is_only_perhaps_the_same() {
    let cloud = Cloud::new(&[]).with_objects(&[("x/a", "1")]);
    let failed = run(&cloud, &sh(&["--sync", "o=s3://data/x"], r#"echo new > "$POS3_PATH_O/f"; exit 3"#));
    assert_eq!(failed.code, Some(3), "{failed:?}");
    if let Some(twin) = twin(&cloud) {
        for line in [
            &["run", "--sync", "o=s3://data/x", "--", "true"][..],
            &["run", "--upload", "o=s3://data/x", "--", "true"],
            &["upload", "s3://data/x"],
            &["download", "s3://data/x"],
        ] {
            let ended = run_on(&twin, &cloud, line);
            assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{line:?}: {ended:?}");
            let told = format!("is on the server {}", twin.address());
            assert!(
                ended.err.contains(&told) && ended.err.contains("if both are one server: rm "),
                "{line:?}: {ended:?}"
            );
        }
        assert_eq!((twin.requests().total(), twin.keys(BUCKET).len()), (0, 0));
    }
    assert_eq!(run(&cloud, &["upload", "s3://data/x", "-q"]).code, Some(0));
    assert_eq!(stored(&cloud, "x/f").as_deref(), Some("new\n"));
}

#[test]
fn a_plan_is_not_executed_on_a_server_that_is_only_perhaps_the_same() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    assert_eq!(cloud.run(&["plan", "d", "s3://data/d", "-o", "plan"]).code, Some(0));
    if let Some(twin) = twin(&cloud) {
        twin.put(BUCKET, "d/theirs", "2");
        let ended = run_on(&twin, &cloud, &["apply", "plan"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{ended:?}");
        let told =
            format!("on the server {}, and the settings of this run name {}", cloud.server.address(), twin.address());
        assert!(ended.err.contains(&told), "{ended:?}");
        assert_eq!(twin.keys(BUCKET), ["d/theirs"]);
    }
    assert_eq!(cloud.run(&["apply", "plan"]).code, Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["d/a"]);
}

#[test]
fn sync_state_is_not_used_for_a_server_that_is_only_perhaps_the_same() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d", "-q"]).code, Some(0));
    let show = ["manifest", "show", "d", "s3://data/d"];
    assert!(cloud.run(&show).err.starts_with("1 file, "));
    let Some(twin) = twin(&cloud) else { return };
    let none = run_on(&twin, &cloud, &show);
    assert_eq!(none.err, "there is no sync state of 'd' and 's3://data/d'\n");
    assert_eq!(run_on(&twin, &cloud, &["sync", "d", "s3://data/d", "-q"]).code, Some(0));
    assert_eq!(twin.keys(BUCKET), ["d/a"]);
}

/// An overlap is refused as before.
#[test]
fn a_sync_to_a_server_that_is_perhaps_the_same_is_refused() {
    let cloud = Cloud::new(&[]).with_objects(&[("a/f", "1")]);
    let Some(twin) = twin(&cloud) else { return };
    let profiles = format!("[profiles.twin]\nendpoint = \"{}\"\n", twin.endpoint());
    fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
    let mut command = cloud.command(&["sync", "s3://data/a", "s3://twin@data/a"]);
    let ended: Ended = command.env("POS3_PROFILES_FILE", cloud.program.path("profiles.toml")).output().unwrap().into();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("overlap"), "{ended:?}");
    assert_eq!(twin.requests().total(), 0);
}
