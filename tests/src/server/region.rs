//! Buckets in regions, and the refusal of requests that are signed for another region.
//!
//! A signature names a region, so a client that does not know the region of a bucket must learn it from a refusal.
//! Servers use different forms, and the response to a HEAD has no body.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::{operation::bucket_of, settings::Settings};

/// How a request for a bucket in another region is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongRegion {
    /// 301 `PermanentRedirect`, with the region in a header, as Amazon does.
    Redirect,
    /// 400 `AuthorizationHeaderMalformed` with the region in the document, as MinIO does. A HEAD gets no document.
    Malformed,
    /// 301 with a header that names a wrong region, each time a different one.
    Endless,
}

/// The response to a refused request.
pub(super) struct Elsewhere {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    /// Elements of the document in addition to code and message.
    pub(super) details: String,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

/// Returns the refusal of a request that is not signed, or is signed for another region than that of its bucket.
pub(super) fn refusal(method: &Method, uri: &http::Uri, headers: &HeaderMap, settings: &Settings) -> Option<Elsewhere> {
    let region = settings.regions.get(&bucket_of(uri, headers))?;
    let signed_for = signed_for(headers).unwrap_or_default();
    if signed_for == region && settings.wrong_region != WrongRegion::Endless {
        return None;
    }
    let named =
        |region: &str| Some((HeaderName::from_static("x-amz-bucket-region"), HeaderValue::from_str(region).ok()?));
    Some(match settings.wrong_region {
        WrongRegion::Redirect => Elsewhere {
            status: StatusCode::MOVED_PERMANENTLY,
            code: "PermanentRedirect",
            details: "<Endpoint>elsewhere.example</Endpoint>".to_owned(),
            header: named(region),
        },
        WrongRegion::Malformed => Elsewhere {
            status: StatusCode::BAD_REQUEST,
            code: "AuthorizationHeaderMalformed",
            details: if *method == Method::HEAD { String::new() } else { format!("<Region>{region}</Region>") },
            header: None,
        },
        WrongRegion::Endless => Elsewhere {
            status: StatusCode::MOVED_PERMANENTLY,
            code: "PermanentRedirect",
            details: String::new(),
            header: named(&format!("{region}{}", signed_for.len())),
        },
    })
}

/// Returns the region in the scope of a signature.
fn signed_for(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    authorization.split_once("Credential=")?.1.split('/').nth(2)
}
