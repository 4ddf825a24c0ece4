//! Detects archived objects in listings and in HEAD responses.
//!
//! An archived object exists and has a size and an ETag, but the server refuses a GET until the object has been
//! restored. Detecting it in advance saves the request.

use http::HeaderMap;
use pos3_core::Availability;

use crate::headers::header;

/// The storage classes whose objects must be restored before they can be read. `GLACIER_IR` can be read immediately.
/// For `INTELLIGENT_TIERING`, listings do not report whether an object is archived.
const CLASSES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Asks a listing to report temporarily restored copies. Without this header they look like other archived objects.
pub(crate) const OPTIONAL_ATTRIBUTES: http::header::HeaderName =
    http::header::HeaderName::from_static("x-amz-optional-object-attributes");

/// The value of that header.
pub(crate) const RESTORE_STATUS: &str = "RestoreStatus";

/// Whether an archived object has a temporarily restored copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Restored {
    #[default]
    No,
    Yes,
}

/// Returns whether an object with this storage class can be read immediately.
pub(crate) fn availability(class: &str, restored: Restored) -> Availability {
    match restored {
        Restored::No if CLASSES.contains(&class.trim()) => Availability::Archived,
        Restored::No | Restored::Yes => Availability::Ready,
    }
}

/// Returns the availability from the headers of an object. `x-amz-archive-status` is set only for archive tiers.
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
