//! The buckets of two users on two servers in one session: each server gets only its own keys.

use std::fs;

use pos3::{
    Profile, Profiles, Registry, S3Provider, S3Settings, Session, SessionBuilder, StateDirectory, UploadOptions,
};
use pos3_tests::server::{Operation, S3Server};

use super::{download, tree, upload, write};

/// Two servers that know one user each, with a bucket of the same name.
struct Two {
    alice: S3Server,
    bob: S3Server,
    disk: tempfile::TempDir,
}

impl Two {
    fn new() -> Self {
        let server = |key: &str| {
            let secret = format!("{key}-secret");
            S3Server::builder().bucket("data").credentials(key, secret).start().unwrap()
        };
        Self { alice: server("alice"), bob: server("bob"), disk: tempfile::tempdir().unwrap() }
    }

    fn builder(&self) -> SessionBuilder {
        let keys = |server: &S3Server, of: &S3Server| {
            Profile::new(server.endpoint()).with_credentials(of.access_key(), of.secret_key(), None)
        };
        let profiles = Profiles::default()
            .with("alice", keys(&self.alice, &self.alice))
            .and_then(|profiles| profiles.with("bob", keys(&self.bob, &self.bob)))
            .and_then(|profiles| profiles.with("mistaken", keys(&self.bob, &self.alice)))
            .and_then(|profiles| profiles.with("twin", keys(&self.alice, &self.alice).with_local_name("bob")))
            .unwrap();
        // Without a profile these would be used: bob's own keys, which must not help one who is mistaken.
        let settings = S3Settings::default().with_endpoint(self.bob.endpoint()).with_credentials(
            self.bob.access_key(),
            self.bob.secret_key(),
            None,
        );
        let registry = Registry::default().with("s3", S3Provider::new(settings).with_profiles(profiles));
        let state = StateDirectory::new(self.disk.path().join("state"));
        Session::builder().registry(registry).cache_root(self.disk.path().join("cache")).state(state)
    }

    fn session(&self) -> Session {
        self.builder().open().unwrap()
    }
}

#[tokio::test]
async fn one_session_has_inputs_of_one_user_and_outputs_of_another() {
    let two = Two::new();
    two.alice.put("data", "in/a", "alice's");
    two.bob.put("data", "in/a", "bob's");
    let session = two.builder().default_profile("alice").open().unwrap();
    let to_bob = UploadOptions::default().with_profile("bob");
    session
        .scope(async |session| {
            let input = session.download("s3://data/in", download()).await?;
            let same_name = session.download("s3://bob@data/in", download()).await?;
            assert_ne!(input, same_name, "each has a directory of its own");
            assert_eq!(fs::read_to_string(input.join("a")).unwrap(), "alice's");
            assert_eq!(fs::read_to_string(same_name.join("a")).unwrap(), "bob's");
            let output = session.upload("s3://data/out", to_bob).await?;
            fs::copy(input.join("a"), output.join("copied")).unwrap();
            Ok::<_, pos3::SessionError>(())
        })
        .await
        .unwrap();
    assert_eq!(two.alice.keys("data"), ["in/a"]);
    assert_eq!(two.bob.keys("data"), ["in/a", "out/copied"]);
    assert_eq!(two.bob.object("data", "out/copied").unwrap().bytes, "alice's");
    assert_eq!((two.alice.requests().of(Operation::PutObject), two.bob.requests().of(Operation::GetObject)), (0, 1));
}

#[tokio::test]
async fn the_keys_of_one_user_are_refused_by_the_other_server_and_no_others_are_tried() {
    let two = Two::new();
    two.bob.put("data", "in/a", "bob's");
    let session = two.session();
    let error = session.download("s3://mistaken@data/in", download()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("alice-secret"), "{error:?}");
    // The response to a refused HEAD has no code, so a GET asks for the reason.
    let asked = two.bob.requests();
    assert!(asked.of(Operation::GetObject) <= asked.of(Operation::HeadObject), "{error}: {asked}");
    assert_eq!(two.alice.requests().total(), 0, "{error}");

    // In the cache, a server that refuses the keys gets no directory.
    let options = upload().with_local(two.disk.path().join("bad"));
    let bad = session.upload("s3://mistaken@data/out", options).await.unwrap();
    let good = session.upload("s3://alice@data/out", upload()).await.unwrap();
    write(&bad, "x", "1");
    write(&good, "x", "1");
    let ending = session.close().await;
    assert_eq!((two.bob.keys("data"), two.alice.keys("data")), (vec!["in/a".into()], vec!["out/x".into()]));
    let failed: Vec<&str> =
        ending.uploads.iter().filter(|ended| ended.error.is_some()).map(|ended| ended.location.as_str()).collect();
    assert_eq!(failed, ["s3://mistaken@data/out"]);
}

#[tokio::test]
async fn two_servers_do_not_share_a_directory_of_local_copies() {
    let two = Two::new();
    two.alice.put("data", "in/a", "alice's");
    two.bob.put("data", "in/a", "bob's");
    let session = two.session();
    let bob = session.download("s3://bob@data/in", download()).await.unwrap();
    let error = session.download("s3://twin@data/in", download()).await.unwrap_err();
    assert!(error.to_string().contains("twin"), "{error}");
    assert_eq!((tree(&bob), fs::read_to_string(bob.join("a")).unwrap()), (vec!["a".into()], "bob's".into()));
}
