//! Two servers with buckets of one name: the local copies of one are not used for the other.

use std::fs;

use pos3_tests::server::S3Server;
use serde_json::Value;

use super::run::{run, sh, stored};
use super::{BUCKET, Cloud};

/// Returns a second server, which accepts the keys of the first one.
fn staging(cloud: &Cloud) -> S3Server {
    let staging = S3Server::builder().bucket(BUCKET).credentials(cloud.server.access_key(), cloud.server.secret_key());
    staging.start().unwrap()
}

#[test]
fn objects_of_one_server_do_not_reach_another_one_through_the_local_copies() {
    let cloud = Cloud::new(&[]).with_objects(&[("x/a", "production"), ("x/b", "b")]);
    let staging = staging(&cloud);
    staging.put(BUCKET, "x/a", "staging");
    staging.put(BUCKET, "x/only", "staging");
    let (url, endpoint) = ("s3://data/x", staging.endpoint());
    assert_eq!(run(&cloud, &sh(&["--sync", "o=s3://data/x"], "true")).code, Some(0));
    staging.reset_requests();
    let copies = fs::canonicalize(cloud.program.path("cache/_/data")).unwrap();
    let record = copies.join("../../.pos3-servers/_/data");
    let host = |server: &S3Server| server.endpoint().trim_start_matches("http://").to_owned();
    let told = format!(
        "'{}' has local copies from the server {}, and '{url}' is on the server {}",
        copies.display(),
        host(&cloud.server),
        host(&staging)
    );
    for line in [
        &["run", "--download", "o=s3://data/x", "--", "true"][..],
        &["run", "--sync", "o=s3://data/x", "--json-report", "report", "--", "true"],
        &["run", "--upload", "o=s3://data/x", "--", "true"],
        &["run", "--upload-file", "o=s3://data/x", "--", "true"],
        &["download", url],
        &["download", url, "--dry-run"],
        &["upload", url],
        &["upload", url, "--dry-run", "--delete"],
    ] {
        let options = [&line[..1], &["--endpoint-url", &endpoint], &line[1..]].concat();
        let ended = run(&cloud, &options);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{line:?}: {ended:?}");
        assert!(ended.err.contains(&told), "{line:?}: {}", ended.err);
        for hint in ["\nhint: use a profile with a local_name of its own", "--cache-root", "rm -r '"] {
            assert!(ended.err.contains(hint), "{line:?}: {}", ended.err);
        }
    }
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert!(report["error"]["message"].as_str().unwrap().contains(&told), "{report}");
    assert_eq!(staging.requests().iter().count(), 0);
    assert_eq!(fs::read_to_string(copies.join("x/a")).unwrap(), "production");

    // A local path, another cache root, and the removal of the local copies are ways out.
    let of_staging = |line: &[&str]| run(&cloud, &[line, &["--endpoint-url", &endpoint, "-q"]].concat());
    assert_eq!(of_staging(&["download", url, "--local", "here"]).code, Some(0));
    assert_eq!(of_staging(&["download", url, "--cache-root", "other"]).code, Some(0));
    fs::remove_dir_all(&copies).unwrap();
    assert_eq!(of_staging(&["download", url]).code, Some(0));
    assert_eq!(fs::read_to_string(copies.join("x/a")).unwrap(), "staging");
    let ended = run(&cloud, &sh(&["--sync", "o=s3://data/x"], "true"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!((stored(&cloud, "x/a").as_deref(), stored(&cloud, "x/only")), (Some("production"), None));

    // A damaged record is no licence.
    fs::write(&record, "").unwrap();
    let ended = of_staging(&["download", url]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("cannot determine which server the local copies in '"), "{}", ended.err);
    assert!(ended.err.contains(" are from this server: rm '"), "{}", ended.err);
}

#[test]
fn two_profiles_with_one_local_name_do_not_share_local_copies_in_separate_commands() {
    let cloud = Cloud::new(&[]).with_objects(&[("x/a", "lab")]);
    let far = staging(&cloud);
    far.put(BUCKET, "x/a", "far");
    let profiles =
        [("lab", cloud.server.endpoint(), "same"), ("far", far.endpoint(), "same"), ("own", far.endpoint(), "own")];
    let profiles: String = profiles
        .map(|(name, endpoint, local)| {
            format!("[profiles.{name}]\nendpoint = \"{endpoint}\"\nlocal_name = \"{local}\"\n")
        })
        .concat();
    fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
    let download = |profile: &str| {
        let mut command = cloud.command(&["download", "s3://data/x", "--profile", profile, "-q"]);
        crate::program::Ended::from(
            command.env("POS3_PROFILES_FILE", cloud.program.path("profiles.toml")).output().unwrap(),
        )
    };
    assert_eq!(download("lab").code, Some(0));
    let ended = download("far");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("/same/data' has local copies from the server "), "{}", ended.err);
    assert_eq!(download("own").code, Some(0));
    let local = |name: &str| fs::read_to_string(cloud.program.path(name).join("data/x/a")).unwrap();
    assert_eq!((local("cache/same"), local("cache/own")), ("lab".to_owned(), "far".to_owned()));
}

/// The spelling of an endpoint does not make it another server.
#[test]
fn other_spellings_of_an_endpoint_use_the_same_local_copies() {
    let cloud = Cloud::new(&[]).with_objects(&[("x/a", "1")]);
    assert_eq!(run(&cloud, &["download", "s3://data/x", "-q"]).code, Some(0));
    let port = cloud.server.endpoint().rsplit(':').next().unwrap().to_owned();
    for endpoint in [format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}/")] {
        let ended = run(&cloud, &["download", "s3://data/x", "-q", "--endpoint-url", &endpoint]);
        assert_eq!(ended.code, Some(0), "{endpoint}: {ended:?}");
    }
}
