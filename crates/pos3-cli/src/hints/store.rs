//! The hints for failures of a store.
//!
//! They depend only on data: the kind of the error, the code and the status of the server, the system's error number. A
//! message is for users and may change at any time.

use std::error::Error;
use std::{io, iter};

use pos3::{
    APPEND_ONLY, BEHIND_LINK, ErrorKind as Kind, IMMUTABLE, OTHER_DIGEST, OTHER_SPELLING, S3Refusal, SpillError,
    StoreError, TransportError, TransportErrorKind, WEB_PAGE,
};
use rustix::io::Errno;

use super::{FEWER_REQUESTS, LINK, MORE_FILES, RESTORE, TEMPORARY, TRUST};

/// The data of a failure that its hint depends on.
#[derive(Clone, Copy, Debug)]
struct Facts<'a> {
    kind: Kind,
    /// The server's code, such as `AccessDenied`; empty if there is none.
    code: &'a str,
    /// Whether a server responded.
    side: Side,
    /// The region of the bucket, if the server refused the request because of it.
    region: Option<&'a str>,
    /// The region that the server expected in the signature.
    expected_region: Option<&'a str>,
    is_elsewhere: bool,
    /// The server refused the condition of a write.
    is_refused_condition: bool,
    are_credentials_from_known_source: bool,
    connection: Option<TransportErrorKind>,
    is_temporary_file: bool,
    system: Option<Errno>,
}

/// The side of the connection that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Server,
    /// This machine, or the network.
    Here,
}

/// Returns the hint for a failure. `variable` looks up environment variables.
pub(super) fn hint(error: &StoreError, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    table(Facts::of(error), variable)
}

/// Returns the hint of the first row that fits.
fn table(facts: Facts<'_>, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let hint = match facts {
        Facts { code: "RequestTimeTooSkewed" | "RequestExpired", .. } => "set this machine's clock",
        Facts { code: "ExpiredToken" | "TokenRefreshRequired", are_credentials_from_known_source: true, .. } => {
            "renew them there: write new keys to the file, fix the output of the credential_process, or run 'aws sso login'; \
             then run the same command again"
        }
        Facts { code: "ExpiredToken" | "TokenRefreshRequired", .. } => return Some(for_expired(variable)),
        Facts { code: "SignatureDoesNotMatch", .. } => {
            "check AWS_SECRET_ACCESS_KEY, the region (--region) and this machine's clock"
        }
        Facts { code: BEHIND_LINK, .. } => LINK,
        Facts { code: OTHER_DIGEST, .. } => {
            "set opaque_etags = true in the profile of this server if its ETags are not MD5s (docs/PROFILES.md); otherwise, \
             upload the object again"
        }
        Facts { kind: Kind::Other, is_refused_condition: true, .. } => {
            "repeat the command later; if this happens again, ask the operator of the server about its conditional writes"
        }
        Facts { code: OTHER_SPELLING, .. } => {
            "exclude one of the two with --exclude, rename it in the source, or use a target that distinguishes the names; \
             if the source no longer has the other one, delete it in the target"
        }
        Facts { code: APPEND_ONLY, .. } => {
            "pos3 renames finished files, which this attribute forbids: remove it (chattr -a), or use another directory"
        }
        Facts { code: IMMUTABLE, .. } => "remove the attribute (chattr -i), or leave the path out with --exclude",
        Facts { code: "NoSuchBucket", .. } => "check the bucket's name and the endpoint; pos3 does not create buckets",
        Facts { is_elsewhere: true, .. } => {
            "set the bucket's region (--region, AWS_REGION) or its server (--endpoint-url, AWS_ENDPOINT_URL_S3)"
        }
        Facts { code: "AuthorizationHeaderMalformed", region: None, expected_region, .. } => {
            let region = expected_region.unwrap_or("REGION");
            return Some(format!("set the region that the server expects: --region {region}, or AWS_REGION"));
        }
        Facts { region: Some(region), .. } => return Some(format!("use --region {region}")),
        // The message names the sources of credentials and their failures.
        Facts { kind: Kind::Unauthenticated, side: Side::Here, .. } => return None,
        Facts { kind: Kind::Unauthenticated, side: Side::Server, .. } => {
            "check AWS_ACCESS_KEY_ID, and that --endpoint-url is the server that issued it"
        }
        Facts { kind: Kind::Archived, .. } => RESTORE,
        Facts { kind: Kind::Denied, side: Side::Server, .. } => {
            "ask the bucket's owner for permission: a sync needs s3:ListBucket, s3:GetObject, s3:PutObject, and with --delete \
             s3:DeleteObject"
        }
        Facts { kind: Kind::Denied, side: Side::Here, system: Some(Errno::ROFS), .. } => {
            "mount the file system so that it can be written, or use a directory on another one"
        }
        Facts { kind: Kind::Denied, side: Side::Here, .. } => "check the permissions of the file or directory",
        Facts { kind: Kind::Unavailable, connection: Some(TransportErrorKind::Secure), .. } => TRUST,
        Facts { code: WEB_PAGE, .. } | Facts { kind: Kind::Unavailable, side: Side::Here, .. } => {
            "check that the endpoint is right and can be reached (--endpoint-url, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL)"
        }
        Facts { kind: Kind::Throttled, .. } => FEWER_REQUESTS,
        Facts { kind: Kind::Exhausted, system: Some(Errno::MFILE), .. } => MORE_FILES,
        Facts { kind: Kind::Exhausted, system: Some(Errno::NFILE), .. } => {
            "the whole machine has too many files open: end other programs, or raise fs.file-max"
        }
        Facts { kind: Kind::Exhausted, system: Some(Errno::NOMEM), .. } => {
            "end other programs, or use fewer requests at once: --concurrency 8"
        }
        Facts { kind: Kind::Exhausted, system: Some(Errno::FBIG), .. } => {
            "raise the limit of file sizes (ulimit -f), or use a file system that supports larger files"
        }
        Facts { kind: Kind::Exhausted, is_temporary_file: true, .. } => TEMPORARY,
        Facts { kind: Kind::Exhausted, side: Side::Server, .. } => {
            "free some space on the server, or raise the bucket's quota, then run the same command again: it copies only the \
             missing files"
        }
        Facts { kind: Kind::Exhausted, .. } => {
            "free some space, then run the same command again: it copies only the missing files"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

impl<'a> Facts<'a> {
    fn of(error: &'a StoreError) -> Self {
        let refusal = error.cause_as::<S3Refusal>();
        Self {
            kind: error.kind(),
            code: error.code().unwrap_or_default(),
            side: if error.status().is_some() { Side::Server } else { Side::Here },
            region: refusal.and_then(S3Refusal::region),
            expected_region: refusal.and_then(S3Refusal::expected_region),
            is_elsewhere: refusal.is_some_and(S3Refusal::is_elsewhere),
            is_refused_condition: refusal.is_some_and(S3Refusal::is_failed_condition),
            are_credentials_from_known_source: refusal.is_some_and(|refusal| refusal.credentials_from().is_some()),
            connection: error.cause_as::<TransportError>().map(TransportError::kind),
            is_temporary_file: error.cause_as::<SpillError>().is_some_and(SpillError::is_of_file),
            system: system_error(error),
        }
    }
}

/// Returns the system's error among the causes.
fn system_error(error: &StoreError) -> Option<Errno> {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    let number = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(io::Error::raw_os_error);
    number.map(Errno::from_raw_os_error)
}

/// Returns the hint for expired credentials of unknown source. The environment shows which source pos3 has used.
fn for_expired(variable: impl Fn(&str) -> Option<String>) -> String {
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
        "renew the credentials of the AWS profile '{profile}': its keys in {keys}, its credential_process in {config}, or its \
         sign-on (aws sso login); those of s3://PROFILE@… are in the profile's credentials_file"
    )
}

#[cfg(test)]
mod tests {
    use pos3::Operation;

    use super::*;

    const HERE: Facts<'_> = Facts {
        kind: Kind::Other,
        code: "",
        side: Side::Here,
        region: None,
        expected_region: None,
        is_elsewhere: false,
        is_refused_condition: false,
        are_credentials_from_known_source: false,
        connection: None,
        is_temporary_file: false,
        system: None,
    };
    const SERVER: Facts<'_> = Facts { side: Side::Server, ..HERE };
    const EXHAUSTED: Facts<'_> = Facts { kind: Kind::Exhausted, ..HERE };

    #[test]
    fn every_row_of_the_table_of_hints_has_its_hint() {
        let none = |_: &str| None;
        for (facts, expected) in [
            (Facts { code: "RequestTimeTooSkewed", ..SERVER }, "set this machine's clock"),
            (
                Facts { code: "ExpiredToken", are_credentials_from_known_source: true, region: Some("r"), ..SERVER },
                "renew them there: ",
            ),
            (Facts { code: "TokenRefreshRequired", ..SERVER }, "renew the credentials of the AWS profile 'default'"),
            (Facts { code: "SignatureDoesNotMatch", region: Some("r"), ..SERVER }, "check AWS_SECRET_ACCESS_KEY"),
            (Facts { code: "NoSuchBucket", kind: Kind::NotFound, ..SERVER }, "check the bucket's name"),
            (Facts { code: BEHIND_LINK, ..HERE }, "delete the local link"),
            (Facts { code: OTHER_DIGEST, kind: Kind::Integrity, ..HERE }, "set opaque_etags = true in the profile"),
            (Facts { is_refused_condition: true, ..SERVER }, "repeat the command later"),
            (Facts { code: OTHER_SPELLING, kind: Kind::InvalidKey, ..HERE }, "exclude one of the two with --exclude"),
            (Facts { code: APPEND_ONLY, kind: Kind::Denied, ..HERE }, "pos3 renames finished files"),
            (Facts { code: IMMUTABLE, kind: Kind::Denied, ..HERE }, "remove the attribute (chattr -i)"),
            (
                Facts { is_elsewhere: true, region: Some("r"), ..SERVER },
                "set the bucket's region (--region, AWS_REGION)",
            ),
            (
                Facts { code: "AuthorizationHeaderMalformed", expected_region: Some("eu-west-1"), ..SERVER },
                "set the region that the server expects: --region eu-west-1, or",
            ),
            (
                Facts { code: "AuthorizationHeaderMalformed", ..SERVER },
                "set the region that the server expects: --region REGION, or",
            ),
            (Facts { code: "AuthorizationHeaderMalformed", region: Some("r"), ..SERVER }, "use --region r"),
            (Facts { region: Some("eu-west-1"), ..SERVER }, "use --region eu-west-1"),
            (Facts { kind: Kind::Unauthenticated, code: "InvalidAccessKeyId", ..SERVER }, "check AWS_ACCESS_KEY_ID"),
            (Facts { kind: Kind::Archived, ..SERVER }, "restore it first"),
            (Facts { kind: Kind::Denied, ..SERVER }, "ask the bucket's owner"),
            (Facts { kind: Kind::Denied, ..HERE }, "check the permissions"),
            (Facts { kind: Kind::Denied, system: Some(Errno::ROFS), ..HERE }, "mount the file system"),
            (
                Facts { kind: Kind::Unavailable, connection: Some(TransportErrorKind::Secure), ..HERE },
                "for a certificate",
            ),
            (
                Facts { kind: Kind::Unavailable, connection: Some(TransportErrorKind::Connect), ..HERE },
                "check that the endpoint",
            ),
            (Facts { code: WEB_PAGE, kind: Kind::Integrity, ..HERE }, "check that the endpoint"),
            (Facts { kind: Kind::Throttled, ..SERVER }, "use fewer requests at once"),
            (Facts { system: Some(Errno::MFILE), ..EXHAUSTED }, "raise the limit of open files (ulimit -n 4096)"),
            (Facts { system: Some(Errno::NFILE), ..EXHAUSTED }, "the whole machine"),
            (Facts { system: Some(Errno::NOMEM), ..EXHAUSTED }, "end other programs, or use fewer"),
            (Facts { system: Some(Errno::FBIG), ..EXHAUSTED }, "raise the limit of file sizes"),
            (Facts { system: Some(Errno::NOSPC), is_temporary_file: true, ..EXHAUSTED }, "set TMPDIR"),
            (Facts { kind: Kind::Exhausted, ..SERVER }, "free some space on the server"),
            (Facts { system: Some(Errno::NOSPC), ..EXHAUSTED }, "free some space, then"),
        ] {
            let hint = table(facts, none).unwrap_or_default();
            assert!(hint.starts_with(expected), "{facts:?}: {hint}");
        }
        for facts in [
            Facts { kind: Kind::Unauthenticated, ..HERE },
            Facts { kind: Kind::Unavailable, ..SERVER },
            Facts { kind: Kind::NotFound, code: "NoSuchKey", ..SERVER },
            HERE,
        ] {
            assert_eq!(table(facts, none), None, "{facts:?}");
        }
    }

    #[test]
    fn the_facts_of_a_failure_are_its_data_and_not_its_message() {
        let server = StoreError::new(Kind::Denied, Operation::List).with_status(403).with_code("AccessDenied");
        let facts = Facts::of(&server);
        assert_eq!((facts.side, facts.code), (Side::Server, "AccessDenied"));
        let message = "http 403 NoSuchBucket: the bucket is in region 'r'";
        let here = StoreError::new(Kind::Denied, Operation::List).with_message(message);
        let facts = Facts::of(&here);
        assert_eq!((facts.side, facts.code, facts.region), (Side::Here, "", None));
        let full = StoreError::new(Kind::Exhausted, Operation::Write).with_source(io::Error::from(Errno::NOSPC));
        assert_eq!(Facts::of(&full).system, Some(Errno::NOSPC));
    }

    #[test]
    fn expired_credentials_are_renewed_where_they_come_from() {
        let hint = |variables: &[(&str, &str)]| {
            for_expired(|name| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(hint(&[("AWS_ACCESS_KEY_ID", "id")]).contains("set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and"));
        let profile = hint(&[("AWS_PROFILE", "lab"), ("AWS_SHARED_CREDENTIALS_FILE", "/etc/keys")]);
        for named in ["the AWS profile 'lab'", "/etc/keys", "credential_process in ~/.aws/config", "aws sso login"] {
            assert!(profile.contains(named), "{profile}");
        }
    }
}
