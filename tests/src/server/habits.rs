//! Headers that a server refuses, whatever their values are.

use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::{
    clock,
    settings::{Checksums, ConditionalWrites, Settings},
};

/// Returns the reason to refuse a request before its operation is considered.
pub(super) fn refusal(method: &Method, headers: &HeaderMap, settings: &Settings) -> Option<(StatusCode, &'static str)> {
    if clock::refuses(headers, settings.clock_ahead) {
        return Some((StatusCode::FORBIDDEN, "RequestTimeTooSkewed"));
    }
    if method != Method::PUT && method != Method::POST {
        return None;
    }
    let conditional = [header::IF_MATCH, header::IF_NONE_MATCH].iter().any(|name| headers.contains_key(name));
    let has_checksum = headers.keys().any(is_checksum);
    let refused = match (settings.conditional_writes, settings.checksums) {
        (ConditionalWrites::IfMatchFails, _) if headers.contains_key(header::IF_MATCH) => {
            return Some((StatusCode::PRECONDITION_FAILED, "PreconditionFailed"));
        }
        (ConditionalWrites::RefusedWithoutCode, _) if conditional => return Some((StatusCode::BAD_REQUEST, "")),
        (_, Checksums::RefusedWithoutCode) if has_checksum => return Some((StatusCode::BAD_REQUEST, "")),
        (ConditionalWrites::Refused, _) if conditional => true,
        (_, Checksums::Refused) => has_checksum,
        _ => false,
    };
    refused.then_some((StatusCode::NOT_IMPLEMENTED, "NotImplemented"))
}

fn is_checksum(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-amz-checksum-") || name.as_str() == "x-amz-sdk-checksum-algorithm"
}
