//! The profile that a location uses, and the locations that are treated as the same.

use super::*;
use crate::registry::Registry;
use crate::resolve::OpenLocation;
use crate::sync::PreparedSync;

const SERVER: &str = "http://127.0.0.1:1";

fn settings() -> S3Settings {
    S3Settings::default().with_endpoint(SERVER).with_credentials("id", "secret", None)
}

fn profiles() -> Profiles {
    Profiles::default()
        .with("same", Profile::new("HTTP://127.0.0.1:1/"))
        .and_then(|profiles| profiles.with("other", Profile::new("http://127.0.0.1:2").with_anonymous()))
        .and_then(|profiles| profiles.with("clash", Profile::new("http://127.0.0.1:3").with_local_name("other")))
        .and_then(|profiles| profiles.with("twin", Profile::new("http://127.0.0.1:2").with_local_name("other")))
        .and_then(|profiles| profiles.with("short", Profile::new("http://127.1:01")))
        .and_then(|profiles| profiles.with("name", Profile::new("http://LocalHost.:1")))
        .and_then(|profiles| profiles.with("host", Profile::new("http://bucket.localhost:1")))
        .and_then(|profiles| profiles.with("file", Profile::new(SERVER).with_credentials_file("/nowhere/keys")))
        .unwrap()
}

fn registry(provider: S3Provider) -> Registry {
    Registry::default().with("s3", provider)
}

async fn open(registry: &Registry, location: &str) -> Result<OpenLocation, Error> {
    registry.open(&location.parse().unwrap(), Role::Source).await
}

/// Returns the error and its causes.
fn told(error: &Error) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn clients_of_one_server_share_a_limit() {
    let provider = S3Provider::new(settings()).with_profiles(profiles()).with_concurrency(7);
    let limit = |location: &str| {
        let location: Location = location.parse().unwrap();
        let (_, selected) = provider.selected(&location).unwrap();
        provider.client(&location, selected).unwrap().client.request_limit().clone()
    };
    let [default, same, other, twin] = ["s3://b", "s3://same@c", "s3://other@b", "s3://twin@b"].map(limit);
    assert_eq!((default.most(), other.most()), (7, 7));
    assert!(default.is_same(&same) && other.is_same(&twin) && !default.is_same(&other));
    let amazon = |region| server::of_requests(None, region);
    assert_ne!(amazon(Some("eu-west-1")), amazon(Some("us-east-1")), "each region is a server of its own");
}

#[tokio::test]
async fn nested_prefixes_of_one_server_are_refused() {
    let registry = registry(S3Provider::new(settings()).with_profiles(profiles()));
    for (from, to, overlap) in [
        ("s3://bucket/a", "s3://bucket/a/", true),
        ("s3://bucket", "s3://bucket/a", true),
        ("s3://bucket/a/b", "s3://bucket/a", true),
        ("s3://bucket/a", "s3://bucket/ab", false),
        ("s3://bucket/a", "s3://bucket2/a", false),
        ("s3://bucket/a", "s3://same@bucket/a/b", true),
        ("s3://other@bucket/a", "s3://twin@bucket/a", true),
        ("s3://same@bucket/a", "s3://other@bucket/a", false),
        ("s3://short@bucket/a", "s3://bucket/a/b", true),
        ("s3://name@bucket/a", "s3://bucket/a/b", true),
        ("s3://host@bucket/a", "s3://bucket/a/b", true),
    ] {
        let opened =
            PreparedSync::open(&registry, &from.parse().unwrap(), &to.parse().unwrap(), Default::default()).await;
        assert_eq!(matches!(opened, Err(Error::Overlap { .. })), overlap, "{from} {to}: {opened:?}");
    }
}

#[tokio::test]
async fn the_location_comes_before_the_default_and_aws_is_none() {
    let registry = registry(S3Provider::new(settings()).with_profiles(profiles()).with_default_profile("other"));
    for (location, place, local_name) in [
        ("s3://b/k", "//127.0.0.1:2/b/k/", "other"),
        ("s3://same@b/k", "//127.0.0.1:1/b/k/", "same"),
        ("s3://twin@b/k", "//127.0.0.1:2/b/k/", "other"),
        ("s3://aws@b/k", "//127.0.0.1:1/b/k/", "_"),
    ] {
        let location = location.parse().unwrap();
        assert_eq!(registry.place(&location).unwrap().name(), place, "{location}");
        assert_eq!(registry.local_name(&location).unwrap(), local_name, "{location}");
        assert!(registry.open(&location, Role::Source).await.is_ok(), "{location}");
    }
}

#[test]
fn places_that_may_be_the_same_are_certainly_the_same_only_on_a_certain_server() {
    let registry = registry(S3Provider::new(settings()).with_profiles(profiles()));
    for (location, may_be, is) in [
        ("s3://bucket/a", true, true),
        ("s3://same@bucket/a", true, true),
        ("s3://short@bucket/a", true, false),
        ("s3://name@bucket/a", true, false),
        ("s3://host@bucket/a", true, false),
        ("s3://other@bucket/a", false, false),
    ] {
        let place = |location: &str| registry.place(&location.parse().unwrap()).unwrap();
        let (found, below) = (place("s3://bucket/a"), place("s3://bucket/a/b"));
        assert_eq!(place(location).overlaps(&found), may_be, "{location}");
        assert_eq!(place(location).is_certainly(&found), is, "{location}");
        assert_eq!(below.is_certainly_inside(&place(location)), is, "{location}");
    }
}

#[test]
fn two_servers_that_are_only_perhaps_the_same_do_not_share_a_local_name() {
    let profile = |endpoint: &str| Profile::new(endpoint).with_local_name("lab");
    let profiles = Profiles::default().with("one", profile(SERVER)).unwrap();
    let profiles = profiles.with("two", profile("http://[::1]:1")).unwrap();
    let registry = registry(S3Provider::new(settings()).with_profiles(profiles));
    let local_name = |location: &str| registry.local_name(&location.parse().unwrap());
    assert_eq!(local_name("s3://one@bucket").unwrap(), "lab");
    let error = local_name("s3://two@bucket").unwrap_err();
    assert!(told(&error).contains("'lab'"), "{}", told(&error));
}

#[tokio::test]
async fn one_profile_has_one_client() {
    let provider = S3Provider::new(settings()).with_profiles(profiles()).with_default_profile("same");
    for location in ["s3://b/k", "s3://same@c", "s3://aws@b", "s3://other@b", "s3://twin@b"] {
        provider.open(&location.parse().unwrap(), Role::Source).await.unwrap();
    }
    assert_eq!(provider.open.lock().unwrap().clients.len(), 4);
    let shown = format!("{provider:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn an_unknown_profile_and_one_that_cannot_be_used_are_named() {
    let registry = registry(S3Provider::new(settings()).with_profiles(profiles()));
    let error = open(&registry, "s3://work@bucket/a").await.unwrap_err();
    assert_eq!(
        told(&error),
        "'s3://work@bucket/a' cannot be opened: there is no profile 'work'; the program has 'clash', 'file', 'host', \
         'name', 'other', 'same', 'short', 'twin'; no profiles file is configured"
    );
    // A profile never falls back to the credentials of the default settings.
    let error = told(&open(&registry, "s3://file@bucket/a").await.unwrap_err());
    assert!(error.contains("cannot read the credentials in '/nowhere/keys'"), "{error}");
}

#[tokio::test]
async fn two_servers_cannot_have_one_local_name() {
    let registry = registry(S3Provider::new(settings()).with_profiles(profiles()));
    open(&registry, "s3://other@bucket").await.unwrap();
    let error = told(&open(&registry, "s3://clash@bucket").await.unwrap_err());
    let expected =
        "the profiles 'clash' (http://127.0.0.1:3) and 'other' (http://127.0.0.1:2) have the same local name 'other'";
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn no_credentials_is_an_error_before_any_request() {
    let registry = registry(S3Provider::new(S3Settings::default()).with_profiles(profiles()));
    for location in ["s3://bucket", "s3://same@bucket"] {
        let error = open(&registry, location).await.unwrap_err();
        assert!(matches!(error, Error::S3Settings(S3SettingsError::NoCredentials { .. })), "{error}");
        assert_eq!(error.to_string(), "no S3 credentials found");
    }
    assert!(open(&registry, "s3://other@bucket").await.is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn a_warning_is_told_once_however_much_is_opened() {
    use std::os::unix::fs::PermissionsExt;

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[default]\naws_access_key_id = id\naws_secret_access_key = hush\n").unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let profiles = Profiles::default().with("lab", Profile::new(SERVER).with_credentials_file(file.path())).unwrap();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = told.clone();
    let provider = S3Provider::new(settings()).with_profiles(profiles);
    let registry = registry(provider.with_warnings(move |warning| listener.lock().unwrap().push(warning.to_owned())));
    for location in ["s3://lab@bucket", "s3://lab@other/k", "s3://bucket"] {
        open(&registry, location).await.unwrap();
    }
    let expected =
        format!("other users can read the credentials in '{}'; restrict it with chmod 600", file.path().display());
    assert_eq!(*told.lock().unwrap(), [expected]);
}
