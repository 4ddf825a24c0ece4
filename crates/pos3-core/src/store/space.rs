//! The address space that this process may use.
//!
//! With a low limit (`ulimit -v`), the content of the default number of parallel copies would not fit, and the program
//! would abort.

/// The part of the address space that content may use. The program, its threads and its connections need the rest.
const SHARE: u64 = 8;

/// The address space for one request in flight: its connection, and its part of the buffers.
const PER_REQUEST: u64 = 16 << 20;

/// Returns how many bytes of address space this process may use, if that is limited.
#[cfg(unix)]
pub(super) fn address_space_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::As).current
}

/// Returns how many bytes of address space this process may use, if that is limited.
#[cfg(not(unix))]
pub(super) fn address_space_limit() -> Option<u64> {
    None
}

/// Returns the largest numbers of requests and of bytes of content in flight within this limit.
pub(super) fn most_in_flight(space: Option<u64>) -> (usize, u64) {
    let Some(space) = space else { return (usize::MAX, u64::MAX) };
    (usize::try_from(space / PER_REQUEST).unwrap_or(usize::MAX), space / SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_bytes_follow_the_limit_of_the_address_space() {
        assert_eq!(most_in_flight(None), (usize::MAX, u64::MAX));
        assert_eq!(most_in_flight(Some(256 << 20)), (16, 32 << 20));
        assert_eq!(most_in_flight(Some(0)), (0, 0));
    }
}
