//! The standard places of AWS credentials, each served on loopback; what they give must really sign requests.

use std::process::Command;
use std::time::Duration;

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
        let services = CredentialServer::start("test-key", SECRET).unwrap();
        Self { server, services, program: Program::new().with(files).with(&[("from/a", "1"), ("from/b", "2")]) }
    }

    fn command(&self) -> Command {
        let mut command = self.program.command(&["sync", "from", "s3://data/to"]);
        command
            .env("HOME", self.program.path(""))
            .env("AWS_ENDPOINT_URL_S3", self.server.endpoint())
            .env("AWS_ENDPOINT_URL_STS", self.services.endpoint())
            .env("AWS_ENDPOINT_URL_SSO", self.services.endpoint());
        command
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
        let mut command = self.command();
        let ended = Ended::from(command.envs(variables.iter().copied()).output().unwrap());
        assert_eq!(ended.code, Some(1), "{ended:?}");
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
    // A profile that is not there gives nothing, and it is said which one that was.
    let account = Account::new(&[(".aws/credentials", &keys)]);
    let error = account.fails(&[("AWS_PROFILE", "wrok")]);
    assert!(error.contains("the AWS profile (") && error.contains("wrok"), "{error}");
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

    let account = Account::new(&[(".aws/config", "[default]\ncredential_process = echo broken >&2; exit 7\n")]);
    let error = account.fails(&[("PATH", "/usr/bin:/bin")]);
    assert!(error.starts_with("error: the S3 credentials could not be had: "), "{error}");
    assert!(error.contains("broken") && error.contains("hint: no other credentials are tried"), "{error}");
}

#[test]
fn an_assumed_role() {
    let account = Account::new(&[(
        ".aws/config",
        "[profile base]\naws_access_key_id = base-key\naws_secret_access_key = base-secret\n\
         [profile deploy]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\nregion = eu-west-1\n",
    )]);
    account.copies(&[("AWS_PROFILE", "deploy")], &[("AssumeRole", 1)]);
    let request = account.services.requests().remove(0);
    assert!(request.contains("Credential=base-key/") && request.contains("/eu-west-1/sts/"), "{request}");
    assert!(request.contains("role%2Fdeploy"), "{request}");
}

#[test]
fn an_assumed_role_that_ends_is_assumed_again_once_for_all_requests() {
    let config = "[profile base]\naws_access_key_id = base-key\naws_secret_access_key = base-secret\n\
                  [default]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\n";
    let names: Vec<String> = (0..60).map(|index| format!("from/{index:02}")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
    files.push((".aws/config", config));
    let account = Account::new(&files);
    account.services.next_lifetime(Duration::ZERO);
    account.services.next_lifetime(Duration::ZERO);
    let ended = Ended::from(account.command().output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(account.server.keys(BUCKET).len(), 62);
    // Opening, the listing, and the first of the copies: the last answer was good for all of them.
    assert_eq!(account.services.given("AssumeRole"), 3);
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
fn the_instance() {
    let account = Account::new(&[]);
    let endpoint = account.services.endpoint();
    let variables = [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*endpoint)];
    account.copies(&variables, &[("instance", 1)]);
}

#[test]
fn single_sign_on() {
    const CONFIG: &str = "[default]\nsso_session = ours\nsso_account_id = 123456789012\nsso_role_name = dev\n\
                          [sso-session ours]\nsso_region = eu-west-1\nsso_start_url = https://ours.example/start\n";
    // The name is the SHA-1 of the session's.
    const CACHE: &str = ".aws/sso/cache/";
    let token = "{\"accessToken\":\"signed-in\",\"expiresAt\":\"2999-01-01T00:00:00Z\",\"region\":\"eu-west-1\",\
                 \"startUrl\":\"https://ours.example/start\"}";
    let name = format!("{CACHE}{}.json", sha1_of_ours());
    let account = Account::new(&[(".aws/config", CONFIG), (&name, token)]);
    account.copies(&[], &[("sso", 1)]);

    let account = Account::new(&[(".aws/config", CONFIG)]);
    let error = account.fails(&[]);
    assert!(error.contains("hint: sign in again: aws sso login"), "{error}");
}

/// Returns the SHA-1 of the text `ours`.
fn sha1_of_ours() -> &'static str {
    "48537f613ab85111413f2369616ae97481429bd1"
}

#[test]
fn keys_in_the_environment_come_first() {
    let account = Account::new(&[(".aws/config", "[default]\ncredential_process = exit 1\n")]);
    account.copies(&[("AWS_ACCESS_KEY_ID", "test-key"), ("AWS_SECRET_ACCESS_KEY", SECRET)], &[]);
}
