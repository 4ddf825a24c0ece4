//! Converts tokens, digests and checksums to text and back without loss.
//!
//! Plans and listings are text, but a fingerprint may be any bytes. Without one exact conversion for both directions, a
//! token would be read back as a different one, and every entry of a saved plan would appear to have changed.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Checksum, Digest, Fingerprint};
use crate::text::is_deceptive;

/// The prefix of a token that is written as hexadecimal digits.
const HEX: &str = "hex:";

/// A text that is not a valid token, digest or checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct TextError(&'static str);

impl Fingerprint {
    /// Returns the token as text that [`from_text`](Self::from_text) reads: the token itself if it is plain text,
    /// otherwise `hex:` and its bytes in hexadecimal digits.
    pub fn to_text(&self) -> String {
        match self.as_str() {
            Some(text) if !text.starts_with(HEX) && !text.contains(is_deceptive) => text.to_owned(),
            _ => format!("{HEX}{}", hex(self.as_bytes())),
        }
    }

    /// Returns the token that a text represents.
    ///
    /// # Errors
    ///
    /// Fails if the text starts with `hex:` and continues with anything but pairs of hexadecimal digits.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        match text.strip_prefix(HEX) {
            None => Ok(Self::from(text)),
            Some(digits) => bytes(digits).map(Self::new).ok_or(TextError("pairs of hexadecimal digits after 'hex:'")),
        }
    }
}

/// Serializes as text in human-readable formats and as bytes in all others.
impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.to_text())
        } else {
            serializer.serialize_bytes(self.as_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::from_text(&text).map_err(D::Error::custom)
        } else {
            deserializer.deserialize_byte_buf(Token)
        }
    }
}

struct Token;

impl Visitor<'_> for Token {
    type Value = Fingerprint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a fingerprint")
    }

    fn visit_bytes<E>(self, token: &[u8]) -> Result<Fingerprint, E> {
        Ok(Fingerprint::new(token))
    }

    fn visit_byte_buf<E>(self, token: Vec<u8>) -> Result<Fingerprint, E> {
        Ok(Fingerprint::new(token))
    }
}

/// Formats like an S3 ETag: the hexadecimal digest, and for an object in parts `-` and their number.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5(digest) => f.write_str(&hex(digest)),
            Self::Md5OfParts { digest, parts } => write!(f, "{}-{parts}", hex(digest)),
        }
    }
}

impl FromStr for Digest {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let error = TextError("32 hexadecimal digits, or these with '-' and a number of parts");
        let (digits, parts) = match text.split_once('-') {
            Some((digits, parts)) => (digits, Some(parts.parse().map_err(|_| error)?)),
            None => (text, None),
        };
        let digest = bytes(digits).and_then(|bytes| bytes.try_into().ok()).ok_or(error)?;
        Ok(parts.map_or(Self::Md5(digest), |parts| Self::Md5OfParts { digest, parts }))
    }
}

/// Formats as the name of the algorithm and the value: `crc64nvme:…`, `crc32c:…`, `crc32:…`.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crc64Nvme(value) => write!(f, "crc64nvme:{value:016x}"),
            Self::Crc32c(value) => write!(f, "crc32c:{value:08x}"),
            Self::Crc32(value) => write!(f, "crc32:{value:08x}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the bytes of hexadecimal digits in either case, or `None` if the text contains anything else.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_same_after_it_was_text() {
        for (token, text) in [
            (Fingerprint::from("\"abc-3\""), "\"abc-3\""),
            (Fingerprint::from(""), ""),
            (Fingerprint::from("hex:00"), "hex:6865783a3030"),
            (Fingerprint::from("a\nb"), "hex:610a62"),
            (Fingerprint::new([0xff, 0x00, 0x7f]), "hex:ff007f"),
        ] {
            assert_eq!(token.to_text(), text);
            assert_eq!(Fingerprint::from_text(text), Ok(token.clone()));
            let binary = postcard::to_allocvec(&token).unwrap();
            assert_eq!(postcard::from_bytes::<Fingerprint>(&binary).unwrap(), token);
            assert_eq!(binary.len(), token.as_bytes().len() + 1, "bytes are written as they are");
        }
        for text in ["hex:0", "hex:0g", "hex:é"] {
            assert!(Fingerprint::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_digest_is_the_same_after_it_was_text() {
        let digest = [0xab; 16];
        for known in [Digest::Md5(digest), Digest::Md5OfParts { digest, parts: 3 }] {
            assert_eq!(known.to_string().parse(), Ok(known));
        }
        for text in ["", "ab", "abab-x", &format!("{}-", "ab".repeat(16)), &"ab".repeat(17)] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
