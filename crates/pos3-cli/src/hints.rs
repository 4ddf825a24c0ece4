//! The hints: what users can do about an error.
//!
//! The libraries report what happened. Hints name options and variables of this program, so only the command line adds them.

mod report;
mod start;
mod store;

use std::io;

use pos3::{Location, StoreError};
use rustix::io::Errno;

use crate::name;
use crate::shell::quoted;

pub(crate) use report::{for_report, for_stop, is_behind_link};
pub(crate) use start::for_error;

/// The hint about too many open files.
const MORE_FILES: &str =
    "raise the limit of open files (ulimit -n 4096), or use fewer requests at once (--concurrency 8)";

/// The hint about a connection without TLS, or with a certificate that is not trusted.
const TRUST: &str = "for a certificate of a private authority, name that authority's PEM file (--ca-bundle, \
                     AWS_CA_BUNDLE); for a server without TLS, write http:// in the endpoint";

/// The hint about temporary files that cannot be used.
pub(crate) const TEMPORARY: &str = "set TMPDIR to a directory on a disk with free space: pos3 stores plans and reports there that \
                         are too large for memory";

/// The option of 'sync' and 'plan' that leaves archived objects out.
pub(crate) const SKIP_ARCHIVED: &str = "--skip-archived";

/// The option of 'download', 'upload' and 'run' that leaves them out.
pub(crate) const EXCLUDE: &str = "--exclude";

/// The hint about archived objects.
const RESTORE: &str = "restore it first: aws s3api restore-object --bucket BUCKET --key KEY --restore-request Days=7";

/// Returns the hint for a process that the system does not let start its work.
pub(crate) fn for_start(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(code) if Errno::from_raw_os_error(code) == Errno::MFILE => Some(MORE_FILES),
        Some(_) => None,
        None if error.kind() == io::ErrorKind::OutOfMemory => Some("raise the limit of the address space (ulimit -v)"),
        None => Some("raise the limit of processes and threads (ulimit -u), or that of the container"),
    }
}

/// Returns the hint for a failure of a store.
pub(crate) fn for_store(error: &StoreError) -> Option<String> {
    store::hint(error, |name| std::env::var(name).ok())
}

/// Returns the hint for a location without keys.
pub(crate) fn for_nothing(location: &str) -> String {
    let location: Result<Location, _> = location.parse();
    match location.as_ref().ok().and_then(Location::wildcards) {
        Some((above, pattern)) => format!(
            "'*', '?' and '[' are ordinary characters in a key; to select keys by a pattern: {} sync {} TARGET \
             --exclude '*' --include {}",
            name::name(),
            quoted(&above.to_string()),
            quoted(pattern)
        ),
        None => format!("check the spelling, and the bucket with '{} ls'", name::name()),
    }
}
