//! The hints: what users can do about an error.
//!
//! The libraries report what happened. Hints name options and variables of this program, so only the command line adds them.

mod report;
mod start;
mod store;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use pos3::{ConflictingPair, Location, SpillError, StoreError};
use rustix::io::Errno;

use crate::name;
use crate::shell::quoted;

pub(crate) use report::{Advice, for_report, for_stop, is_behind_link};
pub(crate) use start::for_error;

/// The option that limits the requests in flight.
pub(crate) const CONCURRENCY: &str = "concurrency";

/// The part of a hint that names this option, after another remedy.
const OR_FEWER_REQUESTS: &str = ", or use fewer requests at once";

/// The hint about too many open files.
const MORE_FILES: &str =
    "raise the limit of open files (ulimit -n 4096), or use fewer requests at once (--concurrency 8)";

/// The hint about a server that is overloaded.
const FEWER_REQUESTS: &str = "use fewer requests at once: --concurrency 8";

/// The same for a command without this option.
const LATER: &str = "run the command again later";

/// Whether the command has the option. It is global, like the command.
static HAS_CONCURRENCY: OnceLock<bool> = OnceLock::new();

/// The hint about a connection without TLS, or with a certificate that is not trusted.
const TRUST: &str = "for a certificate of a private authority, name that authority's PEM file (--ca-bundle, \
                     AWS_CA_BUNDLE); for a server without TLS, write http:// in the endpoint";

/// The hint about temporary files that cannot be used.
const TEMPORARY: &str = "set TMPDIR to a directory on a disk with free space: pos3 stores plans and reports there that \
                         are too large for memory";

/// The hint about a fault of pos3 itself.
const FAULT: &str = "report this message to the developers of pos3; nothing in the configuration is wrong";

/// Returns the hint about a record of a plan or a report that could not be stored.
pub(crate) fn for_spill(error: &SpillError) -> String {
    if error.is_of_file() { TEMPORARY } else { FAULT }.to_owned()
}

/// The hint about a local link where an object should be downloaded.
const LINK: &str = "delete the local link to download the object, or leave it out with --exclude";

/// The hint about a source without a file, if files of the target would be deleted.
const EMPTY_SOURCE: &str = "if the source is meant to be empty, add --allow-empty";

/// The hint about patterns that exclude everything.
pub(crate) const EXCLUDED: &str = "change the patterns of --exclude, or leave them out";

/// The hint about an object that hides a directory.
pub(crate) const HIDDEN_BY_OBJECT: &str =
    "use another location, or one that ends in '/', or delete the object if it is not needed";

/// The hint about local copies that cannot be used.
pub(crate) const OTHER_CACHE: &str = "use another directory for local copies (--cache-root, POS3_CACHE_ROOT)";

/// The hint about archived objects.
const RESTORE: &str = "restore it first: aws s3api restore-object --bucket BUCKET --key KEY --restore-request Days=7";

/// Records whether the command that begins has the option [`CONCURRENCY`]: hints name only options that it has.
pub(crate) fn begin(has_concurrency: bool) {
    let _first = HAS_CONCURRENCY.set(has_concurrency);
}

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
    let hint = store::hint(error, |name| std::env::var(name).ok())?;
    Some(if HAS_CONCURRENCY.get() == Some(&false) { without_concurrency(&hint).to_owned() } else { hint })
}

/// Returns the hint for a command without the option.
fn without_concurrency(hint: &str) -> &str {
    match hint.split_once(OR_FEWER_REQUESTS) {
        Some((other_remedy, _)) => other_remedy,
        None if hint == FEWER_REQUESTS => LATER,
        None => hint,
    }
}

/// Returns the hint for a file and an object that are in conflict. The upload of the whole location would also replace
/// objects that are newer than their files.
pub(crate) fn for_conflict(pair: &ConflictingPair) -> String {
    let (program, remote, local) = (name::name(), quoted(&pair.remote), quoted(&pair.local));
    format!(
        "compare the two; to use the object, delete the local file; to use the local file: {program} upload {remote} \
         --local {local}"
    )
}

/// Returns the hint for an output whose path leads to another directory.
pub(crate) fn for_moved() -> String {
    format!("restore the mount or the directory, then upload its files with '{} upload'", name::name())
}

/// Returns the hint for local copies that belong to another server.
pub(crate) fn for_other_server(path: &Path, record: &Path) -> String {
    let (path, remove) = (quoted(&path.display().to_string()), removal(record));
    format!(
        "name this server with a profile, whose local copies have a directory of their own (--profile, docs/PROFILES.md), or \
         {OTHER_CACHE}; if both are one server: {remove}; if nothing from the other server is needed, mount all of its \
         disks in {path}, delete its files there, and then: {remove}"
    )
}

/// Returns the hint for local copies of an unknown server. `at` is the record that cannot be used, or a directory above it.
pub(crate) fn for_unknown_server(path: &Path, record: &Path, at: &Path) -> String {
    if at != record {
        let at = quoted(&at.display().to_string());
        return format!("make {at} the directory that it was, because it has other records, too; or {OTHER_CACHE}");
    }
    let (path, remove) = (quoted(&path.display().to_string()), removal(record));
    format!("{OTHER_CACHE}; if all files in {path}, also on disks that are not mounted, are from this server: {remove}")
}

/// Returns the hint for output of an unknown server. `output` is its path, if the mark can be read.
pub(crate) fn for_output_of_unknown_server(mark: &Path, output: Option<&Path>) -> String {
    let remove = removal(mark);
    let Some(output) = output else {
        return format!("once all output is stored: {remove}; or {OTHER_CACHE}");
    };
    let (program, output) = (name::name(), quoted(&output.display().to_string()));
    format!(
        "mount its disk and upload it to the server that it belongs to: {program} upload URL --local {output}; if it is \
         stored, or no longer needed: {remove}"
    )
}

/// Returns the command that removes a file or a directory of pos3.
fn removal(path: &Path) -> String {
    let command = if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) { "rm -r" } else { "rm" };
    format!("{command} {}", quoted(&path.display().to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_no_option_that_the_command_lacks() {
        for (hint, expected) in [
            (FEWER_REQUESTS, LATER),
            (MORE_FILES, "raise the limit of open files (ulimit -n 4096)"),
            (RESTORE, RESTORE),
        ] {
            assert_eq!(without_concurrency(hint), expected);
        }
        let has = |command| crate::cli::has_option(command, CONCURRENCY);
        assert_eq!(["sync", "apply", "check", "download", "run"].map(has), [true; 5]);
        assert_eq!(["ls", "cleanup", "manifest"].map(has), [false; 3]);
    }
}
