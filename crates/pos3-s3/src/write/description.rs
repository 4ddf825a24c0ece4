//! The description of an object: its media type and the user's metadata.
//!
//! Without a media type, a browser offers an object for download instead of showing it, and no program that downloads
//! the object can find out its type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use pos3_core::{Key, PutOptions, printable};

use crate::error::Failure;

/// The media type of unknown content (RFC 2046).
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The headers that describe an object. They are built before anything is sent.
pub(crate) type ObjectHeaders = Vec<(HeaderName, HeaderValue)>;

/// Returns the headers for the description in the options. There are none if the options have no description.
pub(crate) fn told(options: &PutOptions) -> Result<ObjectHeaders, Failure> {
    let mut headers = ObjectHeaders::new();
    if let Some(content_type) = &options.content_type {
        headers.push((CONTENT_TYPE, HeaderValue::from_str(content_type)?));
    }
    for (name, value) in &options.metadata {
        let header = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes())
            .map_err(|_| Failure::Request(format!("the metadata name '{}' is not allowed", printable(name))))?;
        headers.push((header, metadata_value(value)?));
    }
    Ok(headers)
}

/// Adds a media type, if the caller gave none: the one that belongs to the extension of the key.
pub(crate) fn with_content_type(mut headers: ObjectHeaders, key: &Key) -> ObjectHeaders {
    if headers.iter().all(|(name, _)| name != CONTENT_TYPE) {
        headers.push((CONTENT_TYPE, guess(key.as_str())));
    }
    headers
}

/// Returns the media type for the extension of a name, in upper or lower case. The marker of a directory has no
/// extension.
fn guess(key: &str) -> HeaderValue {
    let name = key.rsplit('/').next().unwrap_or_default();
    mime_guess::from_path(name).first_raw().map_or(UNKNOWN, HeaderValue::from_static)
}

/// Returns a metadata value as a header. A value that is not printable ASCII is encoded as an RFC 2047 word, which is
/// also how S3 returns such values.
fn metadata_value(value: &str) -> Result<HeaderValue, Failure> {
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim() == value;
    if plain {
        return Ok(HeaderValue::from_str(value)?);
    }
    Ok(HeaderValue::try_from(format!("=?UTF-8?B?{}?=", BASE64.encode(value)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_cannot_break_a_request() {
        let mut options = PutOptions::default().with_content_type(Some("text/plain".into()));
        options.metadata.insert("name".into(), "value".into());
        options.metadata.insert("odd".into(), "line\nbreak é".into());
        let headers = told(&options).unwrap();
        let shown: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            shown,
            [
                ("content-type", "text/plain"),
                ("x-amz-meta-name", "value"),
                ("x-amz-meta-odd", "=?UTF-8?B?bGluZQpicmVhayDDqQ==?=")
            ]
        );
        options.metadata.insert("a b".into(), "x".into());
        assert!(told(&options).is_err());
        assert!(told(&PutOptions::default().with_content_type(Some("a\nb".into()))).is_err());
    }

    #[test]
    fn an_extension_tells_the_media_type() {
        for (key, expected) in [
            ("index.html", "text/html"),
            ("a/b/Photo.JPG", "image/jpeg"),
            ("x.tar.gz", "application/gzip"),
            ("data.json", "application/json"),
            ("style.css", "text/css"),
            ("a.html/readme", "application/octet-stream"),
            ("page.html/", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("odd.é\n", "application/octet-stream"),
            ("..", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(guess(key), expected, "{key:?}");
        }
    }

    #[test]
    fn a_media_type_that_was_told_is_not_guessed() {
        let given = told(&PutOptions::default().with_content_type(Some("text/x-note".into()))).unwrap();
        assert_eq!(with_content_type(given.clone(), &Key::from("a.html")), given);
    }
}
