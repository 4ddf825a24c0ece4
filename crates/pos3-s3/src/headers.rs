//! Reads the headers of a response.

use http::HeaderMap;

/// Returns the text of a header. It is empty if the header is missing or not readable text.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
