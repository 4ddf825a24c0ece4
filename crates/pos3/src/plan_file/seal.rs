//! The checksum of a whole plan, which its header contains.
//!
//! Each line of a plan may be valid, and the plan may still not be the one that was reviewed: its target may be another
//! bucket, or an action may be missing. So the checksum is compared before anything is executed.

use sha2::{Digest, Sha256};

/// The last field of the header, up to its value.
const FIELD: &[u8] = b",\"checksum\":\"";

/// The end of the header after the value.
const END: &[u8] = b"\"}";

/// Computes the checksum of a plan, line by line.
#[derive(Clone, Debug, Default)]
pub(super) struct Seal(Sha256);

impl Seal {
    /// Adds a line. Its line end does not matter.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.0.update(content(line));
        self.0.update(b"\n");
    }

    /// Adds a header that already contains a checksum, without that checksum. Returns false if it has none at its end.
    pub(super) fn add_header(&mut self, line: &[u8], checksum: &str) -> bool {
        let line = content(line);
        let end = [FIELD, checksum.as_bytes(), END].concat();
        let start = line.strip_suffix(end.as_slice());
        start.map(|start| self.add(&[start, b"}"].concat())).is_some()
    }

    /// Returns the checksum as hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Returns a line without its end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
