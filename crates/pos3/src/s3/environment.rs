//! What the environment says about S3. Nothing else in the library looks there, and nothing looks here on its own.

use std::ffi::OsString;
use std::path::PathBuf;

use pos3_core::Url;

use super::settings::{Asker, S3Settings, S3SettingsError};
use super::shared_config;

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

/// Returns the settings that these variables hold, and where they say nothing those of the files they name.
pub(super) fn settings(variable: impl Fn(&str) -> Option<OsString>) -> Result<S3Settings, S3SettingsError> {
    let shared = shared_config::read(&variable);
    let value = |name: &'static str| match variable(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value.into_string().map(Some).map_err(|_| S3SettingsError::NotUtf8(name)),
    };
    let first = |names: [&'static str; 2]| match value(names[0])? {
        Some(found) => Ok(Some(found)),
        None => value(names[1]),
    };
    let keys_are_for_a_role = shared.takes_keys_of_environment();
    let settings = S3Settings {
        endpoint: first(ENDPOINTS)?.or(shared.endpoint).map(Url::from),
        region: first(REGIONS)?.or(shared.region),
        // A path need not be text.
        ca_bundle: variable(CA_BUNDLE).filter(|path| !path.is_empty()).map(PathBuf::from).or(shared.ca_bundle),
        asker: Asker::Standard,
        aws_profile: shared.profile,
        ..S3Settings::default()
    };
    match (value(KEY_ID)?, value(SECRET_KEY)?) {
        (Some(_), Some(_)) if keys_are_for_a_role => Ok(settings),
        (Some(key_id), Some(secret_key)) => Ok(settings.with_credentials(key_id, secret_key, value(TOKEN)?)),
        (None, None) => Ok(settings),
        (Some(_), None) => Err(S3SettingsError::HalfCredentials { set: KEY_ID, missing: SECRET_KEY }),
        (None, Some(_)) => Err(S3SettingsError::HalfCredentials { set: SECRET_KEY, missing: KEY_ID }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<S3Settings, S3SettingsError> {
        settings(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(*value)))
    }

    #[test]
    fn the_more_special_variable_wins_and_an_empty_one_does_not_count() {
        let found = read(&[
            ("AWS_ENDPOINT_URL", "http://general"),
            ("AWS_ENDPOINT_URL_S3", "http://s3"),
            ("AWS_REGION", ""),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_CA_BUNDLE", "/etc/ca.pem"),
        ])
        .unwrap();
        assert_eq!(found.endpoint.as_ref().map(Url::as_str), Some("http://s3"));
        assert_eq!(found.region.as_deref(), Some("eu-west-1"));
        assert!(matches!(found.asker, Asker::Known(_)));
        assert_eq!(found.ca_bundle.as_deref(), Some(std::path::Path::new("/etc/ca.pem")));
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[test]
    fn half_of_the_credentials_is_a_mistake() {
        let error = read(&[("AWS_ACCESS_KEY_ID", "id")]).unwrap_err();
        assert_eq!(error.to_string(), "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
        let error = read(&[("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_ACCESS_KEY_ID", "")]).unwrap_err();
        assert_eq!(error.to_string(), "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not");
        assert!(matches!(read(&[]).unwrap().asker, Asker::Standard));
    }
}
