//! What to do about it. The libraries say what happened; advice that names options and variables of this program is
//! added here, at the edge.

use std::error::Error as _;
use std::{io, iter};

use pos3::{
    Archived, Error, ErrorKind, Location, ProfileError, Protection, Refusal, Report, S3ConfigError, S3SettingsError,
    SkipReason, StateError, Stop, StoreError,
};
use rustix::io::Errno;

use crate::name;
use crate::shell::quoted;

/// Says that there is no TLS with a server.
const NOT_SECURE: &str = "no secure connection";

/// What to do about too many open files.
const MORE_FILES: &str =
    "raise the limit of open files (ulimit -n 4096), or use fewer requests at once (--concurrency 8)";

/// What to do about that.
const TRUST: &str = "for a certificate of a private authority, name that authority's PEM file (--ca-bundle, \
                     AWS_CA_BUNDLE); for a server without TLS, write http:// in the endpoint";

/// What to do about temporary files that cannot be used.
pub(crate) const TEMPORARY: &str = "set TMPDIR to a directory on a disk with free space: plans and reports that are too large for memory \
                         are kept there while the command runs";

/// What to do about a link where an object should be downloaded.
const LINK: &str = "delete the local link to download the object, or leave it out with --exclude";

/// Returns true if a key is skipped because the target has a symbolic link there, or above it.
pub(crate) fn is_behind_link(why: &SkipReason) -> bool {
    matches!(why, SkipReason::Target(Protection::Symlink) | SkipReason::Shielded { why: Protection::Symlink, .. })
}

/// What to do about a bucket that has a name both as a file and as a directory.
const OTHER_SHAPE: &str = "the copies were made; delete the old objects in the bucket, or let the same command do it with \
                           --delete";

/// Returns advice on what kept the program from being started at all.
pub(crate) fn for_start(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(code) if Errno::from_raw_os_error(code) == Errno::MFILE => Some(MORE_FILES),
        Some(_) => None,
        None if error.kind() == io::ErrorKind::OutOfMemory => Some("raise the limit of the address space (ulimit -v)"),
        None => Some("raise the limit of processes and threads (ulimit -u), or that of the container"),
    }
}

/// The option of 'sync' and 'plan' that leaves archived objects out.
pub(crate) const SKIP_ARCHIVED: &str = "--skip-archived";

/// The option of 'download', 'upload' and 'run' that leaves them out.
pub(crate) const EXCLUDE: &str = "--exclude";

/// What to do about objects in an archive.
const RESTORE: &str = "restore it first: aws s3api restore-object --bucket BUCKET --key KEY --restore-request Days=7";

/// Returns advice on what kept a command from being begun.
pub(crate) fn for_error(error: &Error) -> Option<String> {
    let hint = match error {
        Error::UnknownProfile { .. } => "leave 'PROFILE@' out: only s3:// has profiles",
        Error::Profile { source, .. } => return for_profile(source),
        Error::NoSource { location } => {
            return Some(format!("{}; --allow-empty accepts a source that is empty", for_nothing(location)));
        }
        Error::NoTarget { location } if location.contains("://") => {
            let program = name::name();
            return Some(format!(
                "check the spelling; '{program} ls' shows what is there; --allow-empty accepts a target that is empty"
            ));
        }
        Error::NoTarget { .. } => {
            "check the spelling, and that the disk is mounted; --allow-empty accepts a target that does not exist"
        }
        Error::SourceMissing { location } | Error::NotFound { location } if location.contains("://") => {
            return Some(format!("check the spelling; '{} ls' shows what is there", name::name()));
        }
        Error::SourceMissing { .. } | Error::NotFound { .. } => "check the spelling, and that the disk is mounted",
        Error::SourceIsFile { location } => return Some(for_one_file(location)),
        Error::BackupIsFile { .. } => "name a directory, or one that does not exist yet (--backup-dir)",
        Error::TargetIsFile { .. } => "name a directory, or one that does not exist yet",
        Error::BackupOverlaps { .. } => {
            "choose a place outside both, or leave it out of the sync: --exclude 'DIRECTORY/*'"
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
             profile of a server (--profile); for a public bucket say --no-sign-request"
        }
        Error::S3Settings(S3SettingsError::CredentialsFailed { why, .. }) if why.contains("SSO") => {
            "sign in again: aws sso login"
        }
        Error::S3Settings(S3SettingsError::CredentialsFailed { why, .. }) if why.contains(NOT_SECURE) => TRUST,
        Error::S3Settings(S3SettingsError::CredentialsFailed { .. }) => {
            "fix that source, or choose another with AWS_PROFILE or --profile: where one source should have credentials, no \
             other is tried"
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
            "wait until it has ended, or let this one wait with --lock-wait SECONDS"
        }
        Error::State(StateError::Newer { .. }) => {
            "use that version; or delete the file, which costs time and no data; or sync with --no-manifest"
        }
        Error::Store { source, .. } => return for_store(source),
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns advice on a location without a single key.
pub(crate) fn for_nothing(location: &str) -> String {
    let location: Result<Location, _> = location.parse();
    match location.as_ref().ok().and_then(Location::wildcards) {
        Some((above, pattern)) => format!(
            "keys are exact, and '*', '?' and '[' match nothing else; to select by a pattern: {} sync {} TARGET \
             --exclude '*' --include {}",
            name::name(),
            quoted(&above.to_string()),
            quoted(pattern)
        ),
        None => format!("check the spelling, and the bucket with '{} ls'", name::name()),
    }
}

/// Returns the commands that copy one file, which a sync does not.
fn for_one_file(location: &str) -> String {
    let program = name::name();
    // With a slash it would be the name of a directory.
    let location = location.trim_end_matches('/');
    let one = match location.parse() {
        Ok(Location::Remote(_)) => format!("to copy one object: {program} download {} --local FILE", quoted(location)),
        _ => format!("to copy one file: {program} upload s3://BUCKET/KEY --local {}", quoted(location)),
    };
    let (directory, file) = location.rsplit_once('/').unwrap_or((".", location));
    let (directory, file) = (quoted(directory), quoted(file));
    format!("{one}; to sync it with its directory: {program} sync {directory} TARGET --exclude '*' --include {file}")
}

/// Returns advice on a profile that cannot be used.
fn for_profile(error: &ProfileError) -> Option<String> {
    let hint = match error {
        ProfileError::Unknown { .. } => {
            "write it down as [profiles.NAME] with endpoint = \"https://...\"; for Amazon with the usual credentials say \
             s3://aws@BUCKET"
        }
        ProfileError::CredentialsUnreadable { .. } => {
            "a profile with a credentials_file uses these credentials and no others"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns advice on a run that ended early.
pub(crate) fn for_stop(stop: &Stop) -> Option<String> {
    match stop {
        Stop::Listing { error, .. } => for_store(error),
        Stop::Fatal(failure) => for_store(&failure.error),
        Stop::Refused(Refusal::SourceEmpty { .. } | Refusal::NoSourceFile { .. }) => {
            Some("if the source is meant to be empty, say --allow-empty".to_owned())
        }
        Stop::Spill(_) => Some(TEMPORARY.to_owned()),
        Stop::Refused(Refusal::Unreliable { .. }) => Some(format!(
            "list the location with '{} ls --recursive' and report what is wrong to the operator of the server",
            name::name()
        )),
        Stop::Refused(Refusal::UnmatchedPattern { pattern, .. }) => Some(format!(
            "write --exclude {} to leave out what is in the directory; if it may be deleted, leave the pattern out",
            quoted(&format!("{pattern}/*"))
        )),
        Stop::Refused(Refusal::SamePlace { .. } | Refusal::WroteIntoSource { .. }) => {
            Some("use one name for the server in both locations".to_owned())
        }
        Stop::Refused(Refusal::LeadsToOtherSide { .. }) => {
            Some("leave that directory out on both sides: --exclude 'DIRECTORY/*'".to_owned())
        }
        Stop::Refused(Refusal::TooManyDeletes { deletes, .. }) => Some(format!(
            "look at the plan with --dry-run --max-delete {deletes}; if it is right, say --max-delete {deletes}"
        )),
        _ => None,
    }
}

/// Returns advice on what failed or was skipped, once for the whole report.
pub(crate) fn for_report(report: &Report, leave_out: &str) -> Option<String> {
    let failed = report.failed.head().iter().find_map(|failure| for_store(&failure.error));
    failed.or_else(|| {
        if report.skipped.any(|why| matches!(why, SkipReason::Archived(Archived::Missing))) {
            return Some(format!("{RESTORE}; or leave archived objects out with {leave_out}"));
        }
        if report.skipped.any(|why| matches!(why, SkipReason::OtherShape(_))) {
            return Some(OTHER_SHAPE.to_owned());
        }
        if report.skipped.any(is_behind_link) {
            return Some(LINK.to_owned());
        }
        let clash = report.skipped.any(|why| matches!(why, SkipReason::Clash(_)));
        let stale = report.failed.stale() > 0;
        let conflict = report.skipped.any(SkipReason::is_conflict);
        let upload = format!(
            "compare the two; to take the object, delete the local file; to keep the local file, upload it with '{} upload'",
            name::name()
        );
        let advice = match (conflict, clash, stale) {
            (true, ..) => &upload,
            (false, true, _) => {
                "a disk cannot hold a file and a directory of one name; use --exclude to choose one, or --delete where \
                 only the target has the other"
            }
            (false, false, true) => "look at what changed meanwhile, then sync again, or make the plan again",
            (false, false, false) => return None,
        };
        Some(advice.to_owned())
    })
}

/// Returns advice on a failure of a store.
pub(crate) fn for_store(error: &StoreError) -> Option<String> {
    let cause = error.cause();
    if let Some((_, region)) = cause.split_once("is in region '")
        && let Some((region, _)) = region.split_once('\'')
    {
        return Some(format!("use --region {region}"));
    }
    let says = |code: &str| cause.contains(code);
    let hint = match error.kind() {
        ErrorKind::NotFound if says("NoSuchBucket") => {
            "check the bucket's name and the endpoint; buckets are not made by this program"
        }
        // What follows says where and why.
        ErrorKind::Unauthenticated if says("no credentials found") => return None,
        ErrorKind::Unauthenticated if says("RequestTimeTooSkewed") => "set this machine's clock",
        ErrorKind::Unauthenticated if says("Expired") => {
            return Some(for_expired(&cause, |name| std::env::var(name).ok()));
        }
        ErrorKind::Unauthenticated if says("AuthorizationHeaderMalformed") => return Some(for_region(&cause)),
        ErrorKind::Unauthenticated if says("SignatureDoesNotMatch") => {
            "check AWS_SECRET_ACCESS_KEY, the region (--region) and this machine's clock"
        }
        ErrorKind::Unauthenticated => "check AWS_ACCESS_KEY_ID, and that --endpoint-url names the server it belongs to",
        ErrorKind::Archived => RESTORE,
        ErrorKind::Denied if says("http ") => {
            "ask the bucket's owner to allow it: a sync needs s3:ListBucket, s3:GetObject, s3:PutObject, and with --delete \
             s3:DeleteObject"
        }
        ErrorKind::Denied => "check the permissions of the file or directory",
        ErrorKind::Unavailable if says(NOT_SECURE) => TRUST,
        ErrorKind::Unavailable if !says("http ") => {
            "check that the endpoint is right and can be reached (--endpoint-url, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL)"
        }
        ErrorKind::Throttled => "use fewer requests at once: --concurrency 8",
        ErrorKind::Exhausted => for_exhausted(error, &cause),
        _ if says("at another endpoint") => {
            "set the bucket's region (--region, AWS_REGION), or the server it is on (--endpoint-url, AWS_ENDPOINT_URL_S3)"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns where credentials that have expired are renewed.
fn for_expired(cause: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    if cause.contains("; they came from ") {
        return "renew them there: new keys in the file, a new answer of the credential_process, or 'aws sso login'; then run the \
                same command again"
            .to_owned();
    }
    let of = |name: &str| variable(name).filter(|value| !value.is_empty());
    if of("AWS_ACCESS_KEY_ID").is_some() {
        return "get new credentials, and set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; those of \
                s3://PROFILE@… are in the profile's credentials_file"
            .to_owned();
    }
    let profile = of("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let keys = of("AWS_SHARED_CREDENTIALS_FILE").unwrap_or_else(|| "~/.aws/credentials".to_owned());
    let config = of("AWS_CONFIG_FILE").unwrap_or_else(|| "~/.aws/config".to_owned());
    format!(
        "renew the credentials of the AWS profile '{profile}': its keys in {keys}, or what its credential_process in {config} \
         prints, or the sign-on (aws sso login); those of s3://PROFILE@… are in the profile's credentials_file"
    )
}

/// Returns the region to set, where a server says which one it expected.
fn for_region(cause: &str) -> String {
    let expected = cause.split_once("expecting '").and_then(|(_, rest)| rest.split_once('\''));
    let region = expected.map_or("REGION", |(region, _)| region);
    format!("set the region that the server expects: --region {region}, or AWS_REGION")
}

/// Returns advice on a lack of space, files or memory.
fn for_exhausted(error: &StoreError, cause: &str) -> &'static str {
    let code = system_code(error).map(Errno::from_raw_os_error);
    match code {
        Some(Errno::MFILE) => MORE_FILES,
        Some(Errno::NFILE) => "the whole machine has too many files open: end other programs, or raise fs.file-max",
        Some(Errno::NOMEM) => "end other programs, or use fewer requests at once: --concurrency 8",
        Some(Errno::FBIG) => "raise the limit of file sizes (ulimit -f), or use a file system that holds larger files",
        _ if cause.contains(" a temporary file in ") => TEMPORARY,
        None if cause.contains("http ") => {
            "free some space on the server, or raise the bucket's quota, then run the same command again: it copies what \
             is missing"
        }
        _ => "free some space, then run the same command again: it copies what is missing",
    }
}

/// Returns the error number of the system that is at the bottom of a failure.
fn system_code(error: &StoreError) -> Option<i32> {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(io::Error::raw_os_error)
}

#[cfg(test)]
mod tests {
    use pos3::Operation;

    use super::*;

    #[test]
    fn what_is_exhausted_is_named() {
        let system =
            |errno: Errno| StoreError::new(ErrorKind::Exhausted, Operation::Write).with_source(io::Error::from(errno));
        let server = StoreError::new(ErrorKind::Exhausted, Operation::Write).with_message("http 507 QuotaExceeded");
        let sorted = StoreError::new(ErrorKind::Exhausted, Operation::List)
            .with_message("cannot create a temporary file in '/x'");
        for (error, expected) in [
            (system(Errno::NOSPC), "free some space, then"),
            (system(Errno::MFILE), "raise the limit of open files (ulimit -n 4096)"),
            (system(Errno::NFILE), "the whole machine"),
            (system(Errno::FBIG), "raise the limit of file sizes"),
            (server, "free some space on the server"),
            (sorted.with_source(io::Error::from(Errno::ACCESS)), "set TMPDIR"),
        ] {
            let hint = for_store(&error).unwrap();
            assert!(hint.starts_with(expected), "{error}: {hint}");
        }
    }

    #[test]
    fn advice_fits_the_cause() {
        let error = |kind, message: &str| StoreError::new(kind, Operation::List).with_message(message);
        for (error, expected) in [
            (error(ErrorKind::Other, "bucket 'b' is in region 'eu-west-1'"), Some("use --region eu-west-1")),
            (error(ErrorKind::NotFound, "bucket 'b' does not exist: http 404 NoSuchBucket"), Some("check the bucket")),
            (error(ErrorKind::NotFound, "http 404 NoSuchKey"), None),
            (
                error(ErrorKind::Unauthenticated, "http 400 AuthorizationHeaderMalformed expecting 'eu-west-1'"),
                Some("set the region that the server expects: --region eu-west-1"),
            ),
            (
                error(ErrorKind::Unauthenticated, "http 400 AuthorizationHeaderMalformed"),
                Some("set the region that the server expects: --region REGION"),
            ),
            (
                error(ErrorKind::Other, "bucket 'b' is in another region or at another endpoint"),
                Some("set the bucket's region (--region, AWS_REGION), or the server"),
            ),
            (error(ErrorKind::Denied, "access denied: http 403 AccessDenied"), Some("ask the bucket's owner")),
            (error(ErrorKind::Denied, "permission denied"), Some("check the permissions")),
            (error(ErrorKind::Unavailable, "connection refused"), Some("check that the endpoint")),
            (error(ErrorKind::Unavailable, "there is no secure connection to https://h"), Some("for a certificate")),
            (error(ErrorKind::Unavailable, "http 500 InternalError"), None),
        ] {
            let hint = for_store(&error);
            assert!(
                match expected {
                    Some(start) => hint.as_deref().is_some_and(|hint| hint.starts_with(start)),
                    None => hint.is_none(),
                },
                "{error}: {hint:?}"
            );
        }
    }

    #[test]
    fn expired_credentials_are_renewed_where_they_come_from() {
        let hint = |variables: &[(&str, &str)]| {
            for_expired("http 400 ExpiredToken", |name| {
                variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let there = for_expired("the credentials have expired; they came from a web identity", |_| None);
        assert!(there.starts_with("renew them there: "), "{there}");
        assert!(hint(&[("AWS_ACCESS_KEY_ID", "id")]).contains("set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and"));
        let profile = hint(&[("AWS_PROFILE", "lab"), ("AWS_SHARED_CREDENTIALS_FILE", "/etc/keys")]);
        for named in ["the AWS profile 'lab'", "/etc/keys", "credential_process in ~/.aws/config", "aws sso login"] {
            assert!(profile.contains(named), "{profile}");
        }
    }

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

    #[test]
    fn who_meets_a_clash_is_told_of_both_ways_out() {
        let mut report = Report::default();
        report.skipped.push(("a".into(), SkipReason::Clash("a/".into())));
        let hint = for_report(&report, SKIP_ARCHIVED).unwrap();
        assert!(hint.contains("--exclude") && hint.contains("--delete"), "{hint}");
    }
}
