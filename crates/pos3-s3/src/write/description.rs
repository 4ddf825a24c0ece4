//! The description of an object: its media type and the user's metadata.
//!
//! If it cannot be sent as headers, nothing is sent. A server would otherwise store the object under another description.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use pos3_core::{ContentTypeResolver, Key, PutOptions, printable};

use crate::error::Failure;

/// The headers that describe an object. They are built before anything is sent.
pub(crate) type ObjectHeaders = Vec<(HeaderName, HeaderValue)>;

/// Returns the headers for the description in the options. There are none if the options have no description.
pub(crate) fn told(options: &PutOptions) -> Result<ObjectHeaders, Failure> {
    let mut headers = ObjectHeaders::new();
    if let Some(content_type) = &options.content_type {
        headers.push((CONTENT_TYPE, media_type(content_type)?));
    }
    for (name, value) in &options.metadata {
        let header = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes())
            .map_err(|_| Failure::Request(format!("the metadata name '{}' is not allowed", printable(name))))?;
        headers.push((header, metadata_value(value)?));
    }
    Ok(headers)
}

/// Adds a media type, if the caller gave none: the one that the resolver returns for the key.
pub(crate) fn with_content_type(
    mut headers: ObjectHeaders,
    key: &Key,
    resolver: &ContentTypeResolver,
) -> Result<ObjectHeaders, Failure> {
    if headers.iter().all(|(name, _)| name != CONTENT_TYPE) {
        headers.push((CONTENT_TYPE, media_type(&resolver.content_type(key.as_str()))?));
    }
    Ok(headers)
}

/// Returns a media type as a header. It must be printable ASCII, because servers read other characters differently.
fn media_type(text: &str) -> Result<HeaderValue, Failure> {
    let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text;
    let header = HeaderValue::from_str(text).ok().filter(|_| is_printable && !text.is_empty());
    header.ok_or_else(|| {
        let rule = "use printable ASCII characters, as in 'text/plain; charset=utf-8'";
        Failure::Request(format!("the media type '{}' is not allowed: {rule}", printable(text)))
    })
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
    fn a_media_type_that_is_no_header_is_refused() {
        for bad in ["", " ", "text/plain\r\nx-amz-acl: public-read", "text/é", "text/plain\t", " text/plain", "a\0"] {
            let given = told(&PutOptions::default().with_content_type(Some(bad.into())));
            let resolver = ContentTypeResolver::new(move |_| Some(bad.to_owned()));
            let resolved = with_content_type(ObjectHeaders::new(), &Key::from("a"), &resolver);
            for failure in [given.unwrap_err(), resolved.unwrap_err()] {
                assert!(matches!(failure, Failure::Request(why) if why.starts_with("the media type '")), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_media_type_that_was_told_is_not_resolved() {
        let given = told(&PutOptions::default().with_content_type(Some("text/x-note".into()))).unwrap();
        let resolver = ContentTypeResolver::new(|_| panic!("it is known"));
        assert_eq!(with_content_type(given.clone(), &Key::from("a.html"), &resolver).unwrap(), given);
    }
}
