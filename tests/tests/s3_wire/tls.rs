//! https: connections are encrypted, and only to servers with a trusted certificate.

use pos3_core::{ErrorKind, Key, RemoteStore, RemoteStoreExt};
use pos3_s3::{S3Client, S3Config, S3ConfigError};
use pos3_tests::server::{Operation, S3Server};

use super::{BUCKET, config, random_bytes, store_with, told};

fn server() -> S3Server {
    S3Server::builder().bucket(BUCKET).tls().start().unwrap()
}

fn trusting(server: &S3Server) -> S3Config {
    config(server).with_root_certificates(server.authority().unwrap().to_owned())
}

#[tokio::test]
async fn a_private_authority_that_is_trusted_is_enough() {
    let server = server();
    assert!(server.endpoint().starts_with("https://"));
    for endpoint in [server.endpoint(), server.endpoint().replace("127.0.0.1", "localhost")] {
        let store = store_with(trusting(&server).with_endpoint(endpoint));
        let large = random_bytes(4, 17 << 20);
        store.write(&Key::from("a b+c%20/é#?"), "hello".into()).await.unwrap();
        store.write(&Key::from("large"), large.clone().into()).await.unwrap();
        assert_eq!(store.usage().get("UploadPart"), 3);
        let keys: Vec<Key> = store.list_all("").await.unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, [Key::from("a b+c%20/é#?"), Key::from("large")]);
        assert_eq!(store.read(&keys[0]).await.unwrap(), "hello");
        assert!(store.read(&keys[1]).await.unwrap() == large);
        assert!(store.remove_all(&keys).await.iter().all(Result::is_ok));
    }
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_ends_it_after_one_handshake() {
    let strange = server();
    let server = server();
    let other_authority = strange.authority().unwrap().to_owned();
    for config in [config(&server), config(&server).with_root_certificates(other_authority)] {
        let connections = server.connections();
        let error = store_with(config).list_all("").await.unwrap_err();
        assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Unavailable, false));
        let expected = format!("cannot list: there is no secure connection to {}: ", server.endpoint());
        assert!(told(&error).starts_with(&expected), "{}", told(&error));
        assert!(told(&error).contains("invalid peer certificate"), "{}", told(&error));
        assert_eq!(server.connections() - connections, 1, "it is not tried again");
    }
    assert_eq!(server.requests().total(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let server = server();
    let elsewhere = server.endpoint().replace("127.0.0.1", "127.0.0.2");
    let listening = std::net::TcpListener::bind(elsewhere.trim_start_matches("https://")).unwrap();
    let forward = std::thread::spawn({
        let address = server.address();
        move || {
            let (mut from, _) = listening.accept().unwrap();
            let mut to = std::net::TcpStream::connect(address).unwrap();
            let (mut back, mut out) = (to.try_clone().unwrap(), from.try_clone().unwrap());
            let answers = std::thread::spawn(move || std::io::copy(&mut back, &mut out));
            // Either end may hang up in the middle of the handshake, as it should here.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
            let _ = answers.join();
        }
    });
    let error = store_with(trusting(&server).with_endpoint(elsewhere)).list_all("").await.unwrap_err();
    assert!(told(&error).contains("not valid for name"), "{}", told(&error));
    forward.join().unwrap();
    assert_eq!(server.requests().total(), 0);
}

#[tokio::test]
async fn tls_to_a_server_that_speaks_none_is_not_tried_again() {
    let plain = super::server();
    let config = config(&plain).with_endpoint(plain.endpoint().replace("http:", "https:"));
    let error = store_with(config).list_all("").await.unwrap_err();
    assert!(told(&error).contains("no secure connection to https://127.0.0.1:"), "{}", told(&error));
    assert_eq!(plain.connections(), 1);
}

#[tokio::test]
async fn plain_http_to_a_server_that_wants_tls_fails() {
    let server = server();
    let plain = config(&server).with_endpoint(server.endpoint().replace("https:", "http:")).with_attempts(2);
    let error = store_with(plain).list_all("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", told(&error));
    assert_eq!(server.requests().of(Operation::ListObjectsV2), 0);
}

#[test]
fn what_is_no_certificate_is_refused_before_any_request() {
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let config = S3Config::new().with_endpoint("https://127.0.0.1:1").with_root_certificates(pem);
        let error = S3Client::new(config).unwrap_err();
        assert!(matches!(error, S3ConfigError::RootCertificates(_)), "{pem:?}: {error}");
    }
}
