//! Two users with buckets on two servers in one session. One server is a third-party server, and neither accepts the
//! other's keys.

use std::fs;
use std::path::Path;

use pos3::{
    DownloadOptions, Profile, Profiles, Registry, S3Provider, S3Settings, Session, StateDirectory, UploadOptions,
};
use pos3_core::RemoteStoreExt;
use pos3_core::conformance::Subject;
use pos3_tests::server::S3Server;

use super::quirks::{MOTO, RADOSGW, SEAWEEDFS, Server};
use super::site::{self, Account};

/// Returns the account on a server of others, and a prefix of its own there.
fn user(server: &'static Server) -> Option<(Account, Subject)> {
    let subject = site::other(server);
    let is_absent = subject.skips("two users");
    (!is_absent).then(|| (site::account(server).unwrap(), subject))
}

fn profile(user: &Account, keys_of: &Account) -> Profile {
    Profile::new(&*user.endpoint).with_credentials(&*keys_of.key, &*keys_of.secret, None)
}

/// Returns a session that knows two users, and one who takes the second's keys to the first's server.
fn session(disk: &Path, first: &Account, second: &Account) -> Session {
    let profiles = Profiles::default()
        .with("first", profile(first, first))
        .and_then(|profiles| profiles.with("second", profile(second, second)))
        .and_then(|profiles| profiles.with("mistaken", profile(first, second)))
        .unwrap();
    let registry = Registry::default().with("s3", S3Provider::new(S3Settings::default()).with_profiles(profiles));
    let state = StateDirectory::new(disk.join("state"));
    Session::builder().registry(registry).cache_root(disk.join("cache")).state(state).open().unwrap()
}

/// Brings a file from each user to the other.
async fn exchange(session: Session, first: &str, second: &str) {
    session
        .scope(async |session| {
            for (from, to) in [(first, second), (second, first)] {
                let input = session.download(&format!("{from}/in"), DownloadOptions::default()).await?;
                let output = session.upload(&format!("{to}/out"), UploadOptions::default()).await?;
                fs::copy(input.join("a"), output.join("a")).unwrap();
            }
            Ok::<_, pos3::SessionError>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_user_on_a_server_of_others_and_one_on_ours() {
    for server in [&SEAWEEDFS, &MOTO, &RADOSGW] {
        let Some((account, subject)) = user(server) else { continue };
        let ours = S3Server::builder().bucket("data").credentials("another-key", "another-secret").start().unwrap();
        let another = Account {
            endpoint: ours.endpoint(),
            key: ours.access_key().to_owned(),
            secret: ours.secret_key().to_owned(),
            bucket: "data".to_owned(),
        };
        subject.store.write(&subject.key("in/a"), "theirs".into()).await.unwrap();
        ours.put("data", "in/a", "ours");
        let disk = tempfile::tempdir().unwrap();
        let session = session(disk.path(), &account, &another);
        let place = format!("{}/{}", account.bucket, subject.prefix);
        let first = format!("s3://first@{}", place.trim_end_matches('/'));

        // Moto checks no signatures.
        if server.name != MOTO.name {
            let mistaken = first.replace("first@", "mistaken@");
            let error = session.download(&format!("{mistaken}/in"), DownloadOptions::default()).await.unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.contains("another-secret") && told.contains("status: 403"), "{}: {told}", server.name);
        }
        exchange(session, &first, "s3://second@data").await;
        assert_eq!(subject.store.read(&subject.key("out/a")).await.unwrap(), "ours", "{}", server.name);
        assert_eq!(ours.object("data", "out/a").unwrap().bytes, "theirs", "{}", server.name);
    }
}

#[tokio::test]
async fn a_user_on_each_of_two_servers_of_others() {
    let (Some((first, here)), Some((second, there))) = (user(&SEAWEEDFS), user(&MOTO)) else { return };
    // Moto takes any keys, and SeaweedFS those of its user alone.
    let second = Account { key: "another-key".to_owned(), secret: "another-secret".to_owned(), ..second };
    here.store.write(&here.key("in/a"), "here".into()).await.unwrap();
    there.store.write(&there.key("in/a"), "there".into()).await.unwrap();
    let disk = tempfile::tempdir().unwrap();
    let session = session(disk.path(), &first, &second);
    let place = |name: &str, account: &Account, subject: &Subject| {
        format!("s3://{name}@{}/{}", account.bucket, subject.prefix).trim_end_matches('/').to_owned()
    };
    let places = [place("first", &first, &here), place("second", &second, &there)];
    let mistaken = places[0].replace("first@", "mistaken@");
    assert!(session.download(&format!("{mistaken}/in"), DownloadOptions::default()).await.is_err());
    exchange(session, &places[0], &places[1]).await;
    assert_eq!(here.store.read(&here.key("out/a")).await.unwrap(), "there");
    assert_eq!(there.store.read(&there.key("out/a")).await.unwrap(), "here");
}
