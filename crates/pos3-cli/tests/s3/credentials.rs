//! The standard sources of AWS credentials, each served on loopback. Requests signed with their keys must succeed.

mod expiry;
mod failures;
mod names;
mod roles;
mod tls;

use std::process::Command;

use pos3_tests::credentials::CredentialServer;
use pos3_tests::server::S3Server;

use super::BUCKET;
use crate::program::{Ended, Program};

const SECRET: &str = "the-secret-key-of-the-test";

/// A server that knows one key, services that give it, and the binary in a home of its own without any key.
struct Account {
    server: S3Server,
    services: CredentialServer,
    program: Program,
}

impl Account {
    fn new(files: &[(&str, &str)]) -> Self {
        let server = S3Server::builder().bucket(BUCKET).credentials("test-key", SECRET).start().unwrap();
        Self::of(server, CredentialServer::start("test-key", SECRET).unwrap(), files)
    }

    fn of(server: S3Server, services: CredentialServer, files: &[(&str, &str)]) -> Self {
        Self { server, services, program: Program::new().with(files).with(&[("from/a", "1"), ("from/b", "2")]) }
    }

    fn command(&self) -> Command {
        let mut command = self.program.command(&["sync", "from", "s3://data/to"]);
        self.prepare(&mut command);
        command
    }

    /// Sets the variables that lead a command to these servers.
    fn prepare(&self, command: &mut Command) {
        command
            .env("HOME", self.program.path(""))
            .env("AWS_ENDPOINT_URL_S3", self.server.endpoint())
            .env("AWS_ENDPOINT_URL_STS", self.services.endpoint())
            .env("AWS_ENDPOINT_URL_SSO", self.services.endpoint())
            .env("AWS_ENDPOINT_URL_SSO_OIDC", self.services.endpoint());
    }

    /// Runs with these variables, and checks that everything was copied, in how many requests for credentials.
    fn copies(&self, variables: &[(&str, &str)], given: &[(&str, usize)]) {
        let mut command = self.command();
        let ended = Ended::from(command.envs(variables.iter().copied()).output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}\n{:?}", self.services.requests());
        assert_eq!(self.server.keys(BUCKET), ["to/a", "to/b"]);
        assert!(!format!("{ended:?}").contains(SECRET));
        for (service, times) in given {
            assert_eq!(self.services.given(service), *times, "{service}");
        }
    }

    /// Runs with these variables, and checks that nothing came of it.
    fn fails(&self, variables: &[(&str, &str)]) -> String {
        self.ends(1, variables)
    }

    /// The same with another exit code.
    fn ends(&self, code: i32, variables: &[(&str, &str)]) -> String {
        let mut command = self.command();
        let ended = Ended::from(command.envs(variables.iter().copied()).output().unwrap());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(self.server.connections(), 0, "{ended:?}");
        assert!(!format!("{ended:?}").contains(SECRET), "{ended:?}");
        ended.err
    }
}

#[test]
fn the_keys_of_the_aws_profile() {
    let keys = format!("[work]\naws_access_key_id = test-key\naws_secret_access_key = {SECRET}\n");
    let account = Account::new(&[(".aws/credentials", &keys)]);
    account.copies(&[("AWS_PROFILE", "work")], &[]);
}

#[test]
fn a_credential_process() {
    let answer = format!(
        "{{\"Version\":1,\"AccessKeyId\":\"test-key\",\"SecretAccessKey\":\"{SECRET}\",\"SessionToken\":\"t\",\
         \"Expiration\":\"2999-01-01T00:00:00Z\"}}"
    );
    let account = Account::new(&[
        ("answer.json", &answer),
        (".aws/config", "[default]\ncredential_process = echo once >> asked; cat answer.json\n"),
    ]);
    account.copies(&[("PATH", "/usr/bin:/bin")], &[]);
    assert_eq!(std::fs::read_to_string(account.program.path("asked")).unwrap(), "once\n");
}

#[test]
fn a_web_identity() {
    let account = Account::new(&[("token", "a.web.token")]);
    let token = account.program.path("token");
    account.copies(
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
        ],
        &[("AssumeRoleWithWebIdentity", 1)],
    );
    assert!(account.services.requests()[0].contains("a.web.token"));
}

#[test]
fn a_container() {
    let account = Account::new(&[]);
    let uri = format!("{}/container", account.services.endpoint());
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me")];
    account.copies(&variables, &[("container", 1)]);
    assert!(account.services.requests()[0].to_ascii_lowercase().contains("authorization: let-me"));
}

#[test]
fn a_container_with_its_token_in_a_file() {
    let account = Account::new(&[("token", "let-me-by-file")]);
    let (uri, token) = (format!("{}/container", account.services.endpoint()), account.program.path("token"));
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
        // The file comes before it.
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me"),
    ];
    account.copies(&variables, &[("container", 1)]);
    assert!(account.services.requests()[0].to_ascii_lowercase().contains("authorization: let-me-by-file\r\n"));
}

#[test]
fn the_instance() {
    let account = Account::new(&[]);
    let endpoint = account.services.endpoint();
    let variables = [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*endpoint)];
    account.copies(&variables, &[("instance", 1)]);
}

/// A profile with single sign-on; the name of the token's file is the SHA-1 of the session's, `ours`.
const SIGNED_ON: &str = "[default]\nsso_session = ours\nsso_account_id = 123456789012\nsso_role_name = dev\n\
                         [sso-session ours]\nsso_region = eu-west-1\nsso_start_url = https://ours.example/start\n";
const TOKEN_FILE: &str = ".aws/sso/cache/48537f613ab85111413f2369616ae97481429bd1.json";

/// Returns what stands in the token's file.
fn sso_token(end: &str) -> String {
    format!(
        "{{\"accessToken\":\"signed-in-{SECRET}\",\"expiresAt\":\"{end}\",\"region\":\"eu-west-1\",\
         \"startUrl\":\"https://ours.example/start\",\"clientId\":\"c\",\"clientSecret\":\"{SECRET}\",\
         \"refreshToken\":\"r\",\"registrationExpiresAt\":\"2999-01-01T00:00:00Z\"}}"
    )
}

#[test]
fn single_sign_on() {
    let account = Account::new(&[(".aws/config", SIGNED_ON), (TOKEN_FILE, &sso_token("2999-01-01T00:00:00Z"))]);
    account.copies(&[], &[("sso", 1), ("sso-oidc", 0)]);
}

#[test]
fn a_single_sign_on_that_ended_is_renewed_where_it_may_be() {
    let account = Account::new(&[(".aws/config", SIGNED_ON), (TOKEN_FILE, &sso_token("2020-01-01T00:00:00Z"))]);
    account.copies(&[], &[("sso", 1), ("sso-oidc", 1)]);
    let asked = account.services.requests();
    assert!(asked.last().unwrap().contains("signed-in-again"), "{asked:?}");
}

#[test]
fn keys_in_the_environment_come_first() {
    let account = Account::new(&[(".aws/config", "[default]\ncredential_process = exit 1\n")]);
    account.copies(&[("AWS_ACCESS_KEY_ID", "test-key"), ("AWS_SECRET_ACCESS_KEY", SECRET)], &[]);
}
