//! The number of files and connections that this process may have open.
//!
//! Every copy needs some. With a low limit (`ulimit -n 64`), the default number of parallel copies would exceed it, and
//! copies would fail.

/// The open files of a run in addition to its copies: the standard streams, the runtime, the sync state, two directory
/// walks.
const BESIDES: usize = 32;

/// The most files that one copy has open: its connection, its file, and the directories of its path.
const PER_REQUEST: usize = 5;

/// Returns how many files this process may have open at once.
#[cfg(unix)]
pub fn open_file_limit() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Returns how many files this process may have open at once.
#[cfg(not(unix))]
pub fn open_file_limit() -> usize {
    usize::MAX
}

/// Returns how many requests may be in flight with this limit of open files; at least one.
pub(super) fn most_requests(open_files: usize) -> usize {
    (open_files.saturating_sub(BESIDES) / PER_REQUEST).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_follow_the_limit_of_open_files() {
        for (open_files, requests) in [(0, 1), (40, 1), (64, 6), (256, 44), (1024, 198)] {
            assert_eq!(most_requests(open_files), requests, "{open_files}");
        }
    }
}
