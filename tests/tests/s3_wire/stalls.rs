//! A server that stops reading.

use std::net::TcpListener;
use std::time::Duration;

use pos3_core::{ErrorKind, Key, RemoteStoreExt};
use pos3_s3::{Credentials, S3Config};

use super::{random_bytes, store_with};

#[tokio::test]
async fn a_request_that_nobody_reads_is_given_up() {
    // Connections are accepted by the kernel, and their buffers fill.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = S3Config::new()
        .with_endpoint(format!("http://{}", listener.local_addr().unwrap()))
        .with_credentials(Credentials::fixed("key", "secret", None))
        .with_longest_pause(Duration::from_millis(20))
        .with_idle_timeout(Duration::from_millis(200))
        .with_attempts(2);
    let content = random_bytes(1, 16 << 20);
    let error = store_with(config).write(&Key::from("k"), content.into()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Unavailable, true), "{error}");
}
