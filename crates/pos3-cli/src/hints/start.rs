//! The hints for commands that could not start.

use pos3::{CredentialsFailure, Error, Location, ProfileError, S3ConfigError, S3SettingsError, StateError};

use super::{EMPTY_SOURCE, TRUST, for_nothing, for_store};
use crate::name;
use crate::shell::quoted;

/// Returns the hint for an operation that could not start.
pub(crate) fn for_error(error: &Error) -> Option<String> {
    let hint = match error {
        Error::UnknownProfile { .. } => "remove 'PROFILE@': only s3:// has profiles",
        Error::Profile { source, .. } => return for_profile(source),
        Error::NoSource { location } => {
            return Some(format!("{}; to accept an empty source, add --allow-empty", for_nothing(location)));
        }
        Error::NoSourceFile { .. } => EMPTY_SOURCE,
        Error::NoTarget { location } if location.contains("://") => {
            let program = name::name();
            return Some(format!(
                "check the spelling with '{program} ls'; to accept an empty target, add --allow-empty"
            ));
        }
        Error::NoTarget { .. } => {
            "check the spelling, and that the disk is mounted; to accept a target that does not exist, add --allow-empty"
        }
        Error::SourceMissing { location } | Error::NotFound { location } if location.contains("://") => {
            return Some(format!("check the spelling with '{} ls'", name::name()));
        }
        Error::SourceMissing { .. } | Error::NotFound { .. } => "check the spelling, and that the disk is mounted",
        Error::SourceIsFile { location } => return Some(for_one_file(location)),
        Error::SourceIsSpecial { .. } => "name a directory, or save the content in a file and upload that",
        Error::BackupIsFile { .. } => "name a directory, or one that does not exist yet (--backup-dir)",
        Error::TargetIsFile { .. } => "name a directory, or one that does not exist yet",
        Error::BackupOverlaps { .. } => {
            "choose a backup location outside both, or exclude it from the sync: --exclude 'DIRECTORY/*'"
        }
        Error::Overlap { .. } => {
            "choose a target outside the source, and a source outside the target; 'findmnt' shows mounts that lead from one \
             to the other"
        }
        Error::OtherServer { .. } => {
            "use the endpoint and the profiles that the plan was made with (--endpoint-url, AWS_ENDPOINT_URL_S3, \
             AWS_ENDPOINT_URL, the profiles file), or make a new plan"
        }
        Error::S3Settings(S3SettingsError::NoCredentials { .. }) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile of ~/.aws/config, or name a \
             profile of a server (--profile); for a public bucket, add --no-sign-request"
        }
        Error::S3Settings(S3SettingsError::CredentialsFailed { failure: CredentialsFailure::SignOn, .. }) => {
            "sign in again: aws sso login"
        }
        Error::S3Settings(S3SettingsError::CredentialsFailed { failure: CredentialsFailure::NotSecure, .. }) => TRUST,
        Error::S3Settings(S3SettingsError::CredentialsFailed { .. }) => {
            "fix that source, or choose another with AWS_PROFILE or --profile: if a configured source of credentials fails, \
             pos3 tries no other"
        }
        Error::S3Settings(S3SettingsError::UnknownAwsProfile { .. }) => {
            "check AWS_PROFILE and AWS_DEFAULT_PROFILE, or unset them; a profile of another server is named with --profile"
        }
        Error::S3Settings(S3SettingsError::HalfCredentials { .. }) => "set both, or neither",
        Error::S3Settings(S3SettingsError::Blank(_)) => {
            "set it without blanks; a value read from a file with Windows line ends has a carriage return at its end"
        }
        Error::S3Settings(S3SettingsError::Config(S3ConfigError::Endpoint { .. })) => {
            "write it like http://127.0.0.1:9000 or https://s3.example.org (--endpoint-url, AWS_ENDPOINT_URL_S3, \
             AWS_ENDPOINT_URL)"
        }
        Error::S3Settings(
            S3SettingsError::CaBundle { .. } | S3SettingsError::Config(S3ConfigError::RootCertificates(_)),
        ) => "name a PEM file of the certificates to trust (--ca-bundle, AWS_CA_BUNDLE)",
        Error::State(StateError::Locked { .. }) => {
            "wait until it has ended, or make this command wait with --lock-wait SECONDS"
        }
        Error::State(StateError::Newer { .. }) => {
            "use that version, sync with --no-manifest, or delete the file: no data is lost, but the next sync compares more \
             files"
        }
        Error::Store { source, .. } => return for_store(source),
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns the commands that copy one file, because `sync` copies only directories.
fn for_one_file(location: &str) -> String {
    let program = name::name();
    // With the slash, it would name a directory.
    let location = location.trim_end_matches('/');
    let one = match location.parse() {
        Ok(Location::Remote(_)) => format!("to copy one object: {program} download {} --local FILE", quoted(location)),
        _ => format!("to copy one file: {program} upload s3://BUCKET/KEY --local {}", quoted(location)),
    };
    let (directory, file) = location.rsplit_once('/').unwrap_or((".", location));
    let (directory, file) = (quoted(directory), quoted(file));
    format!("{one}; to sync it with its directory: {program} sync {directory} TARGET --exclude '*' --include {file}")
}

/// Returns the hint for a profile that cannot be used.
fn for_profile(error: &ProfileError) -> Option<String> {
    let hint = match error {
        ProfileError::Unknown { .. } => {
            "define it as [profiles.NAME] with endpoint = \"https://...\"; for Amazon with the usual credentials, write \
             s3://aws@BUCKET"
        }
        ProfileError::CredentialsUnreadable { .. } => {
            "fix that file: a profile with a credentials_file uses no other credentials"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_copied_by_a_command_that_can_be_pasted() {
        for (location, copy, sync) in [
            ("a/b", "upload s3://BUCKET/KEY --local 'a/b'; ", "sync 'a' TARGET --exclude '*' --include 'b'"),
            ("b", "upload s3://BUCKET/KEY --local 'b'; ", "sync '.' TARGET --exclude '*' --include 'b'"),
            (
                "s3://k/a/b",
                "download 's3://k/a/b' --local FILE; ",
                "sync 's3://k/a' TARGET --exclude '*' --include 'b'",
            ),
            (
                "s3://k/a/b/",
                "download 's3://k/a/b' --local FILE; ",
                "sync 's3://k/a' TARGET --exclude '*' --include 'b'",
            ),
        ] {
            let hint = for_error(&Error::SourceIsFile { location: location.to_owned() }).unwrap();
            assert!(hint.contains(copy) && hint.contains(sync), "{hint}");
        }
    }
}
