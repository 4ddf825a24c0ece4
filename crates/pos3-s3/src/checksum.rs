//! Checksums of content in S3 headers.
//!
//! Only a checksum of the whole object can be compared. A checksum that is composed of those of the parts depends on
//! the part boundaries. A value that does not have exactly the length of its algorithm is ignored, because some servers
//! send other values in these headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use http::header::HeaderName;
use pos3_core::{Checksum, Checksummer};

use crate::headers::header;

pub(crate) const CRC64NVME: HeaderName = HeaderName::from_static("x-amz-checksum-crc64nvme");
pub(crate) const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
pub(crate) const KIND: HeaderName = HeaderName::from_static("x-amz-checksum-type");
pub(crate) const MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");
pub(crate) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

const CRC32C: HeaderName = HeaderName::from_static("x-amz-checksum-crc32c");
const CRC32: HeaderName = HeaderName::from_static("x-amz-checksum-crc32");

/// The checksum type for checksums of whole objects.
pub(crate) const FULL_OBJECT: &str = "FULL_OBJECT";

/// Returns the CRC-64/NVME of bytes.
pub(crate) fn crc64_nvme(bytes: &[u8]) -> Checksum {
    let mut sum = Checksummer::crc64_nvme();
    sum.update(bytes);
    sum.finish()
}

/// Returns a checksum as the value of a header, or `None` for an algorithm that this client does not send.
pub(crate) fn written(checksum: Checksum) -> Option<String> {
    match checksum {
        Checksum::Crc64Nvme(value) => Some(BASE64.encode(value.to_be_bytes())),
        _ => None,
    }
}

/// Parses a CRC-64/NVME from a header or a document.
pub(crate) fn read_crc64_nvme(text: &str) -> Option<Checksum> {
    let bytes = BASE64.decode(text.trim()).ok()?;
    Some(Checksum::Crc64Nvme(u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// Returns the checksum of the whole object from the headers of a response, if there is one.
pub(crate) fn told(headers: &HeaderMap) -> Option<Checksum> {
    let kind = header(headers, KIND.as_str());
    if !kind.is_empty() && kind != FULL_OBJECT {
        return None;
    }
    read_crc64_nvme(header(headers, CRC64NVME.as_str()))
        .or_else(|| read_crc32(header(headers, CRC32C.as_str())).map(Checksum::Crc32c))
        .or_else(|| read_crc32(header(headers, CRC32.as_str())).map(Checksum::Crc32))
}

fn read_crc32(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(BASE64.decode(text).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_by(pairs: &[(&'static str, &'static str)]) -> Option<Checksum> {
        told(&pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
    }

    #[test]
    fn only_whole_objects_have_checksums() {
        let [crc64, crc32c, crc32] = ["x-amz-checksum-crc64nvme", "x-amz-checksum-crc32c", "x-amz-checksum-crc32"];
        let sum = crc64_nvme(b"hello world");
        assert_eq!(written(sum).as_deref(), Some("jSnVw/bqjr4="));
        assert_eq!(told_by(&[(crc64, "jSnVw/bqjr4=")]), Some(sum));
        assert_eq!(told_by(&[(crc64, "jSnVw/bqjr4="), ("x-amz-checksum-type", "FULL_OBJECT")]), Some(sum));
        assert_eq!(told_by(&[(crc32c, "4waSgw==")]), Some(Checksum::Crc32c(0xe306_9283)));
        assert_eq!(told_by(&[(crc32, "y/Q5Jg==")]), Some(Checksum::Crc32(0xcbf4_3926)));
        for none in [
            &[][..],
            &[(crc64, "rRO7Ng==")],
            &[(crc64, "jSnVw/bqjr4=-3")],
            &[(crc64, "nonsense")],
            &[(crc32c, "4waSgw==-2")],
            &[(crc32c, "4waSgw=="), ("x-amz-checksum-type", "COMPOSITE")],
        ] {
            assert_eq!(told_by(none), None, "{none:?}");
        }
    }
}
