//! Tests that need no server: a process that never ends, and an address that is not on this machine.

use std::env;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::s3::shared_config;

/// Returns the sources of credentials with this `~/.aws/config`.
fn chain(home: &tempfile::TempDir, config: &str) -> Chain {
    fs::create_dir(home.path().join(".aws")).unwrap();
    fs::write(home.path().join(".aws/config"), config).unwrap();
    let shared = shared_config::read(|name| (name == "HOME").then(|| home.path().into()));
    Chain::new(&S3Settings { aws_profile: shared.profile, ..S3Settings::default() }).unwrap()
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_process_that_hangs_is_given_up() {
    let home = tempfile::tempdir().unwrap();
    let chain = chain(&home, "[default]\ncredential_process = exec sleep 1000\n");
    let begun = tokio::time::Instant::now();
    let Err(Missing::Failed { place, why, .. }) = chain.load().await else { panic!("it hangs") };
    assert!(place.starts_with("the AWS profile 'default' ('") && place.contains("/.aws/config' or '"), "{place}");
    assert_eq!(why, "the credential process 'exec' of the profile 'default': it did not end within 60 seconds");
    assert_eq!(begun.elapsed().as_secs(), DEADLINE.as_secs());
}

#[cfg(unix)]
#[tokio::test]
async fn a_failure_shows_no_secret() {
    let home = tempfile::tempdir().unwrap();
    for process in ["echo 'SecretAccessKey: hush'", "echo '{\"Version\":1,\"SecretAccessKey\":\"hush\"}'"] {
        fs::remove_dir_all(home.path().join(".aws")).ok();
        let chain = chain(&home, &format!("[default]\ncredential_process = {process}\n"));
        let Err(missing) = chain.load().await else { panic!("it gives none") };
        let shown = format!("{missing} {missing:?}");
        let error = S3SettingsError::from(missing);
        let shown = format!("{shown} {error} {error:?}");
        assert!(shown.contains("the AWS profile 'default'") && !shown.contains("hush"), "{shown}");
    }
}

/// Responds like a container's endpoint at any address, and records the requests.
#[derive(Clone, Debug, Default)]
struct Endpoint(Arc<Mutex<Vec<String>>>);

impl HttpClient for Endpoint {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Endpoint {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let authorization = request.headers().get("authorization").unwrap_or_default();
        let asked = format!("{} {} {authorization}", request.method(), request.uri());
        self.0.lock().unwrap().push(asked);
        let body = r#"{"AccessKeyId":"id","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}"#;
        let response = http::Response::new(SdkBody::from(body));
        HttpConnectorFuture::ready(Ok(HttpResponse::try_from(response).unwrap()))
    }
}

/// The endpoint of a container is not a loopback address, so the test checks the request and makes no connection.
#[tokio::test]
async fn a_container_is_asked_at_its_own_address() {
    const THIS: &str = "s3::credentials::chain::tests::a_container_is_asked_at_its_own_address";
    let variables = [(CONTAINER_RELATIVE, "/v2/credentials/7?a=b"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me")];
    if env::var_os(CONTAINER_RELATIVE).is_none() {
        // The AWS SDK reads the environment of the process. The test starts a child process with other variables,
        // because changing its own environment would affect other tests.
        let child = Command::new(env::current_exe().unwrap()).args(["--exact", THIS]).envs(variables).output().unwrap();
        let told = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && told.contains("1 passed"), "{told}");
        return;
    }
    let endpoint = Endpoint::default();
    let home = tempfile::tempdir().unwrap();
    let chain = Chain { http: SharedHttpClient::new(endpoint.clone()), ..chain(&home, "") };
    let Ok(loaded) = chain.load().await else { panic!("there are credentials") };
    assert_eq!((loaded.credential.key_id.as_str(), loaded.credential.token.as_deref()), ("id", Some("t")));
    assert!(loaded.end.is_some());
    assert_eq!(*endpoint.0.lock().unwrap(), ["GET http://169.254.170.2/v2/credentials/7?a=b let-me"]);
}
