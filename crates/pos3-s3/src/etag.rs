//! The ETag: the token by which S3 identifies an object's content.
//!
//! Listings wrap it in `&quot;`, headers in quotes, and some servers use no quotes. This module removes the quotes, so
//! that `list`, `head`, `get` and `put` return equal tokens. They are added again in requests.

use std::borrow::Cow;

use http::HeaderMap;
use pos3_core::{Digest, Fingerprint};

use crate::headers::header;

/// Returns the token in an ETag as received, if there is one.
pub(crate) fn fingerprint(etag: &str) -> Option<Fingerprint> {
    let token = unquoted(etag);
    (!token.is_empty()).then(|| Fingerprint::from(token))
}

fn unquoted(etag: &str) -> &str {
    let etag = etag.trim();
    etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag)
}

/// Returns a token as a value for `If-Match`.
pub(crate) fn quoted(fingerprint: &Fingerprint) -> Cow<'_, str> {
    match fingerprint.as_str() {
        // A weak tag already contains its quotes.
        Some(token) if token.contains('"') => Cow::Borrowed(token),
        Some(token) => Cow::Owned(format!("\"{token}\"")),
        None => Cow::Borrowed("\"\""),
    }
}

/// Returns the digest in the ETag of an object's headers. Returns `None` if the headers report encryption with a
/// customer's key or a key service, because such an ETag has the form of a digest but is not one.
pub(crate) fn told(headers: &HeaderMap) -> Option<Digest> {
    digest(header(headers, "etag")).filter(|_| !is_encrypted(headers))
}

/// Returns true if an object's headers report an encryption with which the ETag is not a digest.
pub(crate) fn is_encrypted(headers: &HeaderMap) -> bool {
    header(headers, "x-amz-server-side-encryption").starts_with("aws:")
        || headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
}

/// Returns the digest in an ETag that has the form of one: 32 hexadecimal digits, optionally followed by the number of
/// parts.
///
/// The ETags of objects that are encrypted with a key service have the same form but are not MD5, and a listing does
/// not report encryption. That is safe: a wrong digest can only make equal content look different.
pub(crate) fn digest(etag: &str) -> Option<Digest> {
    let token = unquoted(etag);
    let (hex, parts) = match token.split_once('-') {
        Some((hex, parts)) => (hex, Some(parts)),
        None => (token, None),
    };
    let digest = parse_md5(hex)?;
    match parts {
        None => Some(Digest::Md5(digest)),
        Some(parts) => Some(Digest::Md5OfParts { digest, parts: parts.parse().ok().filter(|parts| *parts > 0)? }),
    }
}

/// The MD5 of no content.
const EMPTY: [u8; 16] =
    [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];

/// The largest part that S3 accepts.
const LARGEST_PART: u64 = 5 << 30;

/// Returns true if some content of this size can have the digest. Some servers store a placeholder in its form.
pub(crate) fn is_possible(digest: &Digest, size: u64) -> bool {
    match digest {
        Digest::Md5(md5) | Digest::Md5OfParts { digest: md5, .. } if *md5 == [0; 16] => false,
        Digest::Md5(md5) => (*md5 == EMPTY) == (size == 0),
        Digest::Md5OfParts { parts, .. } => {
            let parts = u64::from(*parts);
            parts <= size.max(1) && size <= parts.saturating_mul(LARGEST_PART)
        }
        _ => true,
    }
}

fn parse_md5(hex: &str) -> Option<[u8; 16]> {
    let hex: &[u8; 32] = hex.as_bytes().try_into().ok()?;
    let mut digest = [0; 16];
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_one_fingerprint() {
        for etag in ["\"abc\"", "abc", " \"abc\" "] {
            assert_eq!(fingerprint(etag), Some(Fingerprint::from("abc")), "{etag}");
        }
        assert_eq!(quoted(&Fingerprint::from("abc")), "\"abc\"");
        assert_eq!(quoted(&fingerprint("W/\"abc\"").unwrap()), "W/\"abc\"");
        assert_eq!(fingerprint("\"\""), None);
        assert_eq!(fingerprint(""), None);
    }

    #[test]
    fn digests_are_known_by_their_form() {
        let md5 = [0x0f; 16];
        let hex = "0f".repeat(16);
        assert_eq!(digest(&format!("\"{hex}\"")), Some(Digest::Md5(md5)));
        assert_eq!(digest(&hex.to_uppercase()), Some(Digest::Md5(md5)));
        assert_eq!(digest(&format!("{hex}-12")), Some(Digest::Md5OfParts { digest: md5, parts: 12 }));
        for other in [format!("{hex}-0"), format!("{hex}-x"), "0f".repeat(15), "zz".repeat(16), String::new()] {
            assert_eq!(digest(&other), None, "{other}");
        }
    }
}
