//! Which objects lie in an archive, from what listings and HEAD say of them.
//!
//! An archived object is there, with its size and ETag, but a GET is refused until somebody has it restored. Known
//! beforehand, that costs no request.

use http::HeaderMap;
use pos3_core::Availability;

use crate::bucket::header;

/// The classes that have to be restored before they can be read. `GLACIER_IR` can be read at once; of
/// `INTELLIGENT_TIERING` no listing tells.
const CLASSES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Asks a listing for copies that were restored for a while; without it they look like all others of their class.
pub(crate) const OPTIONAL_ATTRIBUTES: http::header::HeaderName =
    http::header::HeaderName::from_static("x-amz-optional-object-attributes");

/// The value of that header.
pub(crate) const RESTORE_STATUS: &str = "RestoreStatus";

/// Whether an archived object was restored for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Restored {
    #[default]
    No,
    Yes,
}

/// Returns whether an object of a storage class can be read at once.
pub(crate) fn availability(class: &str, restored: Restored) -> Availability {
    match restored {
        Restored::No if CLASSES.contains(&class.trim()) => Availability::Archived,
        Restored::No | Restored::Yes => Availability::Ready,
    }
}

/// Returns what the headers of an object say. `x-amz-archive-status` is that of an archive tier.
pub(crate) fn told(headers: &HeaderMap) -> Availability {
    let is_restored = header(headers, "x-amz-restore").contains("ongoing-request=\"false\"");
    let restored = if is_restored { Restored::Yes } else { Restored::No };
    match (header(headers, "x-amz-archive-status"), restored) {
        ("", _) | (_, Restored::Yes) => availability(header(headers, "x-amz-storage-class"), restored),
        (_, Restored::No) => Availability::Archived,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_tiers_and_restored_copies_are_told_apart() {
        use Availability::{Archived, Ready};
        let restored = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2026 00:00:00 GMT\"";
        for (class, tier, restore, expected) in [
            ("", "", "", Ready),
            ("STANDARD", "", "", Ready),
            ("GLACIER_IR", "", "", Ready),
            ("GLACIER", "", "", Archived),
            ("DEEP_ARCHIVE", "", "ongoing-request=\"true\"", Archived),
            ("DEEP_ARCHIVE", "", restored, Ready),
            ("INTELLIGENT_TIERING", "", "", Ready),
            ("INTELLIGENT_TIERING", "ARCHIVE_ACCESS", "", Archived),
        ] {
            let pairs = [("x-amz-storage-class", class), ("x-amz-archive-status", tier), ("x-amz-restore", restore)];
            let mut headers = HeaderMap::new();
            for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
                headers.insert(name, value.parse().unwrap());
            }
            assert_eq!(told(&headers), expected, "{pairs:?}");
        }
    }
}
