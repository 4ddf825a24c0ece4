//! The variables about the metadata service of an instance, which has credentials.

use std::time::Duration;

use crate::s3::settings::{Metadata, S3SettingsError};

const METADATA_TIMEOUT: &str = "AWS_METADATA_SERVICE_TIMEOUT";
const METADATA_ATTEMPTS: &str = "AWS_METADATA_SERVICE_NUM_ATTEMPTS";

/// Parses the timeout in seconds and the number of attempts for the instance's metadata service.
pub(super) fn read(
    value: impl Fn(&'static str) -> Result<Option<String>, S3SettingsError>,
) -> Result<Metadata, S3SettingsError> {
    let timeout = value(METADATA_TIMEOUT)?.map(|text| {
        let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0);
        let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        timeout.ok_or(S3SettingsError::Number { variable: METADATA_TIMEOUT, what: "a number of seconds" })
    });
    let attempts = value(METADATA_ATTEMPTS)?.map(|text| {
        let attempts = text.parse().ok().filter(|attempts| *attempts > 0);
        attempts.ok_or(S3SettingsError::Number { variable: METADATA_ATTEMPTS, what: "a number of attempts" })
    });
    Ok(Metadata { timeout: timeout.transpose()?, attempts: attempts.transpose()? })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::s3::settings::S3Settings;

    fn read(variables: &[(&str, &str)]) -> Result<S3Settings, S3SettingsError> {
        super::super::settings(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(*value))
        })
    }

    #[test]
    fn the_metadata_service_is_asked_as_the_variables_say() {
        let found = read(&[(METADATA_TIMEOUT, "2.5"), (METADATA_ATTEMPTS, "3")]).unwrap().metadata;
        assert_eq!((found.timeout, found.attempts), (Some(Duration::from_millis(2500)), Some(3)));
        for (name, value) in [
            (METADATA_TIMEOUT, "soon"),
            (METADATA_TIMEOUT, "0"),
            (METADATA_TIMEOUT, "nan"),
            (METADATA_TIMEOUT, "1e300"),
            (METADATA_ATTEMPTS, "0"),
            (METADATA_ATTEMPTS, "-1"),
            (METADATA_ATTEMPTS, "1.5"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} must be a number of ")), "{error}");
        }
    }
}
