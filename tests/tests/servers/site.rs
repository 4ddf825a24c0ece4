//! The addresses of the servers, and a store on each.

use std::env::var;
use std::net::SocketAddr;
use std::sync::Arc;

use pos3_core::conformance::Subject;
use pos3_s3::{Addressing, Credentials, S3Client, S3Config};
use pos3_tests::server::{ListingOrder, S3Server, Settings};

use super::quirks::Server;
use super::rerouted::Rerouted;

const BUCKET: &str = "data";

/// Pages of our server are small, so that every listing has several.
pub(super) const OWN_PAGE: u64 = 100;

/// Returns the store on a server of others, or a subject whose tests are all skipped where it does not run.
pub(super) fn other(server: &'static Server) -> Subject {
    given(server, |config, _| config)
}

/// Returns the same with the bucket in the host's name.
pub(super) fn other_by_host(server: &'static Server) -> Subject {
    given(server, |config, endpoint| by_host(config, endpoint.strip_prefix("http://").unwrap().parse().unwrap()))
}

/// Returns the store on our server, with the bucket in the path.
pub(super) fn own() -> Subject {
    started(|_| {}, |config, _| config)
}

/// Returns the same with the bucket in the host's name.
pub(super) fn own_by_host() -> Subject {
    started(|_| {}, by_host)
}

/// Returns the store on our server while that lists directory by directory.
pub(super) fn own_out_of_order() -> Subject {
    let subject = started(|settings| settings.listing_order = ListingOrder::DirectoryTree, |config, _| config);
    subject.skipping("list_is_in_byte_order", "it lists directory by directory, as it was told to")
}

/// A user of a server of others.
pub(super) struct Account {
    pub(super) endpoint: String,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) bucket: String,
}

/// Returns who the tests are on a server of others, or why they cannot be there.
pub(super) fn account(server: &Server) -> Result<Account, String> {
    let endpoint = var(server.variable).map_err(|_| format!("{} is not set", server.variable))?;
    let setting = |name, usual: &str| var(name).unwrap_or_else(|_| usual.to_owned());
    Ok(Account {
        endpoint,
        key: setting("POS3_TEST_ACCESS_KEY", "pos3-test-key"),
        secret: setting("POS3_TEST_SECRET_KEY", "pos3-test-secret"),
        bucket: setting("POS3_TEST_BUCKET", "pos3-test"),
    })
}

fn given(server: &'static Server, adapt: impl FnOnce(S3Config, &str) -> S3Config) -> Subject {
    let Account { endpoint, key, secret, bucket } = match account(server) {
        Ok(account) => account,
        Err(why) => return Subject::absent(why),
    };
    let config =
        S3Config::new().with_endpoint(endpoint.as_str()).with_credentials(Credentials::fixed(key, secret, None));
    let subject = subject(adapt(config, &endpoint), &bucket);
    if var("POS3_TEST_QUIRKS").is_ok_and(|quirks| quirks == "off") {
        return subject;
    }
    let subject = server.clauses.iter().fold(subject, |subject, (clause, why)| subject.skipping(clause, why));
    server.keys.iter().fold(subject, |subject, (key, why)| subject.without_key(key, why))
}

fn started(settings: impl FnOnce(&mut Settings), adapt: impl FnOnce(S3Config, SocketAddr) -> S3Config) -> Subject {
    let page = usize::try_from(OWN_PAGE).unwrap();
    let server = S3Server::builder().bucket(BUCKET).page_size(page).configure(settings).start().unwrap();
    let config = S3Config::new().with_endpoint(server.endpoint()).with_credentials(Credentials::fixed(
        server.access_key(),
        server.secret_key(),
        None,
    ));
    subject(adapt(config, server.address()), BUCKET).keeping(server)
}

fn by_host(config: S3Config, address: SocketAddr) -> S3Config {
    config
        .with_endpoint(format!("http://localhost:{}", address.port()))
        .with_addressing(Addressing::VirtualHosted)
        .with_http_client(Rerouted::to(address))
}

fn subject(config: S3Config, bucket: &str) -> Subject {
    Subject::new(Arc::new(S3Client::new(config).unwrap().bucket(bucket).unwrap()))
}
