//! The address of a request: scheme, host, and the exact, percent-encoded path and query.
//!
//! No URL library processes keys, because all of them normalise paths: `x/../y` would become `y`, which is another
//! object. Every byte that is not unreserved is encoded exactly once, and the same text is signed and sent.

use std::borrow::Cow;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::settings::{Addressing, S3ConfigError};

/// All bytes except `A-Za-z0-9-._~`.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Like [`STRICT`], but `/` is a separator and is not encoded.
const PATH: &AsciiSet = &STRICT.remove(b'/');

/// Encodes a value in a query.
pub(crate) fn encode_value(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, STRICT)
}

/// Encodes a key for a path or for `x-amz-copy-source`.
pub(crate) fn encode_path(key: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(key, PATH)
}

/// Decodes a text in a listing with `encoding-type=url`, where `+` is a space. Returns `None` if the result is not
/// UTF-8.
pub(crate) fn decode_listed(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let blanks: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    let decoded = percent_decode(blanks.as_bytes()).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

/// The checked address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) scheme: Scheme,
    authority: Authority,
    /// A path before all others, without a `/` at the end. It is usually empty.
    base: String,
}

impl Endpoint {
    /// Parses an endpoint such as `http://127.0.0.1:9000`.
    pub(crate) fn parse(text: &str) -> Result<Self, S3ConfigError> {
        let refuse = |why| S3ConfigError::endpoint(text, why);
        let uri: Uri = text.parse().map_err(|_| refuse("it is not a URL"))?;
        let scheme = uri.scheme().ok_or_else(|| refuse("it must start with http:// or https://"))?;
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(refuse("it must start with http:// or https://"));
        }
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("credentials do not belong in it"));
        }
        // `Authority` accepts any digits as a port, and then reports no port if they are not a valid number.
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if !port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(refuse("it names no port from 1 to 65535"));
        }
        if uri.query().is_some() {
            return Err(refuse("it must not have a query"));
        }
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme: scheme.clone(), authority: without_default_port(scheme, authority), base })
    }

    /// Returns Amazon's endpoint for a region.
    pub(crate) fn aws(region: &str) -> Result<Self, S3ConfigError> {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        Self::parse(&format!("https://s3.{region}.{domain}"))
    }

    /// Returns a name that identifies the bucket of a request on this server: the host of a virtual-hosted request,
    /// else the first segment of the path.
    pub(crate) fn place(&self, uri: &Uri) -> String {
        match uri.authority() {
            Some(authority) if *authority != self.authority => authority.to_string(),
            _ => {
                let path = uri.path().strip_prefix(&self.base).unwrap_or(uri.path());
                path.split('/').nth(1).unwrap_or_default().to_owned()
            }
        }
    }

    /// Returns the same address on another endpoint that serves the same buckets.
    pub(crate) fn moved(&self, uri: &Uri, there: &Self) -> Result<Uri, http::Error> {
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let bucket = host.strip_suffix(self.authority.as_str()).unwrap_or_default();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Uri::builder()
            .scheme(there.scheme.clone())
            .authority(format!("{bucket}{}", there.authority))
            .path_and_query(path)
            .build()
    }

    /// Returns the address of a bucket on this server.
    pub(crate) fn bucket(&self, bucket: &str, addressing: Addressing) -> Result<BucketUri, S3ConfigError> {
        let (authority, path) = match addressing {
            Addressing::Path => (self.authority.clone(), format!("{}/{}", self.base, encode_path(bucket))),
            Addressing::VirtualHosted => {
                let authority = format!("{bucket}.{}", self.authority);
                let refuse = |_| S3ConfigError::bucket(bucket, "it cannot be part of a host name");
                (authority.parse().map_err(refuse)?, self.base.clone())
            }
        };
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| S3ConfigError::endpoint(authority.as_str(), "it is not a host name"))?;
        Ok(BucketUri { scheme: self.scheme.clone(), authority, host, path })
    }
}

/// Removes the default port. HTTP clients omit it from `Host`, which must be the same in the signature and in the
/// request.
fn without_default_port(scheme: &Scheme, authority: &Authority) -> Authority {
    let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    if authority.port_u16() != Some(default) {
        return authority.clone();
    }
    authority.host().parse().unwrap_or_else(|_| authority.clone())
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.base)
    }
}

/// The address of one bucket. The addresses of its objects are derived from it.
#[derive(Clone, Debug)]
pub(crate) struct BucketUri {
    scheme: Scheme,
    authority: Authority,
    pub(crate) host: HeaderValue,
    /// The path without a `/` at the end.
    path: String,
}

impl BucketUri {
    /// Returns the address for a request about the bucket itself.
    pub(crate) fn bucket(&self, query: &[(&str, &str)]) -> Result<Uri, http::Error> {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        self.build(path.to_owned(), query)
    }

    /// Returns the address for a request about an object.
    pub(crate) fn object(&self, key: &str, query: &[(&str, &str)]) -> Result<Uri, http::Error> {
        let mut path = String::with_capacity(self.path.len() + key.len() + 64);
        path.push_str(&self.path);
        path.push('/');
        path.extend(utf8_percent_encode(key, PATH));
        self.build(path, query)
    }

    /// Appends the query, which must be sorted by name, because it is signed exactly as it is sent.
    fn build(&self, mut target: String, query: &[(&str, &str)]) -> Result<Uri, http::Error> {
        debug_assert!(query.is_sorted(), "the signature sorts the query");
        for (index, (name, value)) in query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            target.extend(utf8_percent_encode(value, STRICT));
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(target))?);
        Ok(Uri::from_parts(parts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(endpoint: &str, addressing: Addressing) -> BucketUri {
        Endpoint::parse(endpoint).unwrap().bucket("my-bucket", addressing).unwrap()
    }

    #[test]
    fn keys_go_out_exactly() {
        let place = bucket("http://127.0.0.1:9000", Addressing::Path);
        for (key, path) in [
            ("a/b.txt", "a/b.txt"),
            ("a//b", "a//b"),
            ("/lead", "/lead"),
            ("dir/", "dir/"),
            ("c/./d", "c/./d"),
            ("../up", "../up"),
            ("a b+c", "a%20b%2Bc"),
            ("a%20b", "a%2520b"),
            ("x#1?y;z&=", "x%231%3Fy%3Bz%26%3D"),
            ("\n\u{1}\u{7f}", "%0A%01%7F"),
            ("é~_-.", "%C3%A9~_-."),
            ("!*'()", "%21%2A%27%28%29"),
        ] {
            let uri = place.object(key, &[]).unwrap();
            assert_eq!(uri.to_string(), format!("http://127.0.0.1:9000/my-bucket/{path}"), "{key:?}");
        }
    }

    #[test]
    fn queries_are_encoded_strictly() {
        let uri = bucket("http://h", Addressing::Path).bucket(&[("list-type", "2"), ("prefix", "a/b c+")]).unwrap();
        assert_eq!(uri.to_string(), "http://h/my-bucket?list-type=2&prefix=a%2Fb%20c%2B");
    }

    #[test]
    fn both_addressings_and_a_base_path() {
        let table = [
            ("https://h:443/", Addressing::Path, "https://h/my-bucket/k", "h"),
            ("https://h:444", Addressing::Path, "https://h:444/my-bucket/k", "h:444"),
            ("http://h:80/s3/", Addressing::Path, "http://h/s3/my-bucket/k", "h"),
            ("http://h:8080", Addressing::VirtualHosted, "http://my-bucket.h:8080/k", "my-bucket.h:8080"),
        ];
        for (endpoint, addressing, uri, host) in table {
            let place = bucket(endpoint, addressing);
            assert_eq!(place.object("k", &[]).unwrap().to_string(), uri);
            assert_eq!(place.host, host);
        }
        let place = bucket("http://h", Addressing::VirtualHosted);
        assert_eq!(place.bucket(&[("delete", "")]).unwrap().to_string(), "http://my-bucket.h/?delete=");
    }

    #[test]
    fn endpoints_are_checked() {
        for bad in [
            "",
            "h:9000",
            "ftp://h",
            "http://",
            "http://u:p@h",
            "http://h?x=1",
            "http://h:",
            "http://h:0",
            "http://h:99999",
            "http://[::1]:x",
            "not a url",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
        for bad in
            ["http://u:SECRET@h", "u:SECRET@h:9000", "http://u:SEC/RET@h", "http://u:SECRET @h", "ftp://u:SECRET@h"]
        {
            let refused = Endpoint::parse(bad).unwrap_err();
            assert!(!format!("{refused} {refused:?}").contains("SEC"), "{refused}");
        }
        assert_eq!(Endpoint::aws("cn-north-1").unwrap().to_string(), "https://s3.cn-north-1.amazonaws.com.cn");
    }

    #[test]
    fn listed_names_are_decoded() {
        for (listed, name) in
            [("plain", Some("plain")), ("a+b", Some("a b")), ("a%2Bb%0A%C3%A9", Some("a+b\né")), ("%FF", None)]
        {
            assert_eq!(decode_listed(listed).as_deref(), name);
        }
    }

    #[test]
    fn a_request_moves_to_the_host_of_another_region_with_its_bucket() {
        let (here, there) = (Endpoint::aws("us-east-1").unwrap(), Endpoint::aws("eu-west-1").unwrap());
        for (addressing, place, expected) in [
            (
                Addressing::VirtualHosted,
                "b1.s3.us-east-1.amazonaws.com",
                "https://b1.s3.eu-west-1.amazonaws.com/a//b%23?x=%2F",
            ),
            (Addressing::Path, "b1", "https://s3.eu-west-1.amazonaws.com/b1/a//b%23?x=%2F"),
        ] {
            let uri = here.bucket("b1", addressing).unwrap().object("a//b#", &[("x", "/")]).unwrap();
            assert_eq!(here.place(&uri), place);
            assert_eq!(here.moved(&uri, &there).unwrap(), expected);
        }
        let base = Endpoint::parse("http://h/base").unwrap();
        let uri = base.bucket("b1", Addressing::Path).unwrap().object("a/b", &[]).unwrap();
        assert_eq!(base.place(&uri), "b1");
    }
}
