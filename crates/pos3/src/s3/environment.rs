//! Reads the S3 settings from the environment, when the caller asks for it. No other module of the S3 support reads the
//! environment, but the AWS SDK reads some variables itself, such as those of containers.

#[cfg(feature = "aws")]
mod metadata;

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

/// Returns the settings in these variables. If a variable is not set, the value comes from the files of the AWS tools.
pub(super) fn settings(variable: impl Fn(&str) -> Option<OsString>) -> Result<S3Settings, S3SettingsError> {
    let shared = shared_config::read(&variable);
    let value = |name: &'static str| match variable(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => clean(name, value).map(Some),
    };
    for name in shared_config::PROFILES {
        value(name)?;
    }
    let first = |names: [&'static str; 2]| match value(names[0])? {
        Some(found) => Ok(Some(found)),
        None => value(names[1]),
    };
    let keys_are_for_a_role = shared.takes_keys_of_environment();
    let settings = S3Settings {
        endpoint: first(ENDPOINTS)?.or(shared.endpoint).map(Url::from),
        region: first(REGIONS)?.or(shared.region),
        // A path need not be UTF-8.
        ca_bundle: variable(CA_BUNDLE).filter(|path| !path.is_empty()).map(PathBuf::from).or(shared.ca_bundle),
        asker: Asker::Standard,
        #[cfg(feature = "aws")]
        aws_profile: shared.profile,
        #[cfg(feature = "aws")]
        metadata: metadata::read(value)?,
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

/// Returns the text of a variable. White space around the value usually comes from a file that was read with its line
/// end. It is an error here, because the server would only report an unknown key.
fn clean(name: &'static str, value: OsString) -> Result<String, S3SettingsError> {
    let value = value.into_string().map_err(|_| S3SettingsError::NotUtf8(name))?;
    if value.trim() != value || value.contains(char::is_control) {
        return Err(S3SettingsError::Blank(name));
    }
    Ok(value)
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

    #[test]
    fn a_blank_around_a_value_is_refused_with_the_name_of_the_variable() {
        for name in [KEY_ID, SECRET_KEY, TOKEN, "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"]
        {
            for value in ["hush\r", "hush\n", " hush", "hush\t", "hu\u{7}sh", "\u{a0}hush"] {
                let mut variables = vec![(KEY_ID, "id"), (SECRET_KEY, "secret"), (TOKEN, "token")];
                variables.retain(|(key, _)| *key != name);
                variables.push((name, value));
                let error = read(&variables).unwrap_err().to_string();
                let expected =
                    format!("the value of the environment variable {name} begins or ends with a blank or a line end");
                assert_eq!(error, expected, "{value:?}");
            }
        }
    }
}
