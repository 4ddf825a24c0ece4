//! The S3 client on the wire: the requests that it sends, and how it handles failures of servers and networks.

mod answers;
mod checksums;
mod clocks;
mod conditional_deletes;
mod conditions;
mod copies;
mod damaged_reads;
mod deletes;
mod etags;
mod expiry;
mod foreign_answers;
mod limits;
mod listings;
mod lost_answers;
mod media_types;
mod messages;
mod reads;
mod refused_conditions;
mod refused_heads;
mod regions;
mod resume;
mod stale_heads;
mod stalls;
mod stray_refusals;
mod streams;
mod tls;
mod unfinished;
mod writes;

use std::time::Duration;

use pos3_core::{Key, StoreError};
use pos3_s3::{Credentials, S3Client, S3Config, S3Store};
use pos3_tests::server::S3Server;

const BUCKET: &str = "data";

/// Returns a running server with one bucket.
fn server() -> S3Server {
    S3Server::builder().bucket(BUCKET).start().unwrap()
}

/// Returns a configuration for a server, with pauses short enough for a test.
fn config(server: &S3Server) -> S3Config {
    S3Config::new()
        .with_endpoint(server.endpoint())
        .with_credentials(Credentials::fixed(server.access_key(), server.secret_key(), None))
        .with_longest_pause(Duration::from_millis(20))
}

/// Returns the store of a server's one bucket.
fn store(server: &S3Server) -> S3Store {
    store_with(config(server))
}

fn store_with(config: S3Config) -> S3Store {
    S3Client::new(config).unwrap().bucket(BUCKET).unwrap()
}

/// Returns bytes without a pattern, the same for the same seed.
fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Returns an error as `pos3-cli` prints it.
fn told(error: &StoreError) -> String {
    let key = error.key().map(|key: &Key| format!(" '{key}'")).unwrap_or_default();
    format!("cannot {}{key}: {}", error.operation(), error.cause())
}
