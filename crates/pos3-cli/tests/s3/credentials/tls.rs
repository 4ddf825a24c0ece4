//! TLS to the sources of credentials: pos3 trusts only the configured certificates, as for the store.

use pos3_tests::credentials::CredentialServer;
use pos3_tests::server::S3Server;

use super::{Account, BUCKET, SECRET, SIGNED_ON, TOKEN_FILE, sso_token};

const ROLE: &str = "[default]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\n\
                    [profile base]\naws_access_key_id = base-key\naws_secret_access_key = base-secret\n";

/// Returns a store and services, both behind TLS, each under its own authority; `all.pem` has the certificates of both
/// and `store.pem` that of the store alone.
fn account(files: &[(&str, &str)]) -> Account {
    let server = S3Server::builder().bucket(BUCKET).credentials("test-key", SECRET).tls().start().unwrap();
    let services = CredentialServer::start_tls("test-key", SECRET).unwrap();
    let (store, all) = (server.authority().unwrap().to_owned(), services.authority().unwrap());
    let all = format!("{store}{all}");
    let account = Account::of(server, services, files);
    Account { program: account.program.with(&[("all.pem", &all), ("store.pem", &store)]), ..account }
}

/// Checks that the credentials are had with the authority of the services, and not without.
fn needs_the_authority(account: &Account, variables: &[(&str, &str)], given: &[(&str, usize)]) {
    let with = |file| [variables, &[("AWS_CA_BUNDLE", file)]].concat();
    let error = account.fails(&with("store.pem"));
    assert!(error.starts_with("error: cannot get S3 credentials from "), "{error}");
    let told = format!("): there is no secure connection to {}: invalid peer certificate", account.services.endpoint());
    assert!(error.contains(&told) && error.contains("\nhint: for a certificate of a private authority"), "{error}");
    for (service, _) in given {
        assert_eq!(account.services.given(service), 0, "{service}");
    }
    account.copies(&with("all.pem"), given);
}

#[test]
fn an_assumed_role() {
    needs_the_authority(&account(&[(".aws/config", ROLE)]), &[], &[("AssumeRole", 1)]);
}

#[test]
fn a_web_identity() {
    let account = account(&[("token", "a.web.token")]);
    let token = account.program.path("token");
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
    ];
    needs_the_authority(&account, &variables, &[("AssumeRoleWithWebIdentity", 1)]);
}

#[test]
fn a_container() {
    let account = account(&[]);
    let uri = format!("{}/container", account.services.endpoint());
    needs_the_authority(&account, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)], &[("container", 1)]);
}

#[test]
fn single_sign_on() {
    let account = account(&[(".aws/config", SIGNED_ON), (TOKEN_FILE, &sso_token("2999-01-01T00:00:00Z"))]);
    needs_the_authority(&account, &[], &[("sso", 1)]);
}

#[test]
fn a_single_sign_on_that_is_renewed() {
    let account = account(&[(".aws/config", SIGNED_ON), (TOKEN_FILE, &sso_token("2020-01-01T00:00:00Z"))]);
    account.copies(&[("AWS_CA_BUNDLE", "all.pem")], &[("sso-oidc", 1), ("sso", 1)]);
}

#[test]
fn the_certificates_of_the_aws_profile() {
    let account = account(&[(".aws/config", &ROLE.replace("[default]", "[default]\nca_bundle = ~/all.pem"))]);
    account.copies(&[], &[("AssumeRole", 1)]);
}
