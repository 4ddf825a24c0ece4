//! Puts content into a request, with the evidence that it arrives undamaged.
//!
//! Content in memory has a checksum header, which the server verifies before it stores anything. The checksum of
//! content that is read while it is sent is known only at the end. In that case the server returns the checksum of the
//! data that it received, and the client compares it.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::HeaderMap;
use md5::{Digest as _, Md5};
use pos3_core::{Checksum, Content, Digest, Reads, hash_body, run_blocking};

use crate::bucket::Bucket;
use crate::checksum::{self, CONTENT_MD5, CRC64NVME};
use crate::client::habits::Protection;
use crate::client::request::Request;
use crate::client::sign::Payload;
use crate::client::stream::Streamable;
use crate::error::Failure;
use crate::etag;
use crate::settings::PayloadSigning;

/// A larger body is hashed on a separate thread, so that other requests can continue.
const HASHED_IN_PLACE: usize = 64 << 10;

/// The same for a CRC, which is more than ten times as fast as an MD5 or a SHA-256.
const SUMMED_IN_PLACE: usize = 1 << 20;

/// The value in the response that shows that the content arrived undamaged.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// The server returns this checksum.
    Sum(Checksum),
    /// The server returns the checksum that is known when everything has been sent.
    SumOf(Streamable),
    /// The ETag is this MD5.
    Md5([u8; 16]),
    /// The response contains no evidence.
    None,
}

impl Proof {
    /// Returns the checksum of the bytes that were sent, if it was computed.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        match self {
            Self::Sum(checksum) => Some(*checksum),
            Self::SumOf(content) => content.checksum(),
            Self::Md5(_) | Self::None => None,
        }
    }

    /// Returns the evidence in the response that the server received the sent bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the checksum in the response is that of other bytes.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Evidence, Failure> {
        if let Self::Md5(md5) = self {
            return Ok(match etag::told(headers) {
                Some(Digest::Md5(told)) if told == *md5 => Evidence::Proven,
                Some(Digest::Md5(_)) => Evidence::Contradicted,
                _ => Evidence::Untold,
            });
        }
        match (self.checksum(), checksum::told(headers)) {
            (Some(sent), Some(received @ Checksum::Crc64Nvme(_))) if sent != received => {
                Err(Failure::Garbled("the content that the server received differs from the sent content".into()))
            }
            (Some(sent), Some(received)) if sent == received => Ok(Evidence::Proven),
            _ => Ok(Evidence::Untold),
        }
    }
}

/// The evidence in a response that the server received the sent bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The server received the bytes that were sent.
    Proven,
    /// The response has no evidence.
    Untold,
    /// The ETag is the MD5 of other bytes, or this server's ETags are not MD5s.
    Contradicted,
}

impl Bucket {
    /// Puts bytes into a request.
    pub(crate) async fn carry(
        &self,
        request: Request,
        body: &Bytes,
        protection: Protection,
    ) -> Result<(Request, Proof), Failure> {
        let request = request.body(body.clone(), self.payload(body).await);
        match protection {
            Protection::Crc64Nvme => {
                let sum = hashed(body, SUMMED_IN_PLACE, checksum::crc64_nvme).await;
                let text = checksum::written(sum).unwrap_or_default();
                Ok((request.header(CRC64NVME, &text)?, Proof::Sum(sum)))
            }
            Protection::Md5 => {
                let md5 = md5_of(body).await;
                Ok((request.header(CONTENT_MD5, &BASE64.encode(md5))?, Proof::Md5(md5)))
            }
            Protection::None => Ok((request, Proof::None)),
        }
    }

    /// Puts a range of content into a request. The range is read while it is sent, if that is possible; otherwise it is
    /// read into memory first.
    pub(crate) async fn carry_range(
        &self,
        request: Request,
        content: &Content,
        range: Range<u64>,
        protection: Protection,
    ) -> Result<(Request, Proof), Failure> {
        if !self.streams(content, protection) {
            let body = content.read_to_bytes(range).await?;
            return self.carry(request, &body, protection).await;
        }
        match protection {
            Protection::Crc64Nvme => {
                let streamable = Streamable::new(content.clone(), range).summed();
                Ok((request.streamed(streamable.clone()), Proof::SumOf(streamable)))
            }
            Protection::Md5 => {
                let md5 = md5_of_range(content, range.clone()).await?;
                let request = request.streamed(Streamable::new(content.clone(), range));
                Ok((request.header(CONTENT_MD5, &BASE64.encode(md5))?, Proof::Md5(md5)))
            }
            Protection::None => Ok((request.streamed(Streamable::new(content.clone(), range)), Proof::None)),
        }
    }

    /// Returns true if content is sent while it is read. An MD5 must be known in advance, so the content is then read
    /// twice. That is done only if reading does not cost a request.
    pub(crate) fn streams(&self, content: &Content, protection: Protection) -> bool {
        self.client.streams() && (protection != Protection::Md5 || is_near(content))
    }

    /// Returns how the signature covers the body.
    async fn payload(&self, body: &Bytes) -> Payload {
        match self.client.config().payload_signing {
            _ if body.is_empty() => Payload::Empty,
            PayloadSigning::Unsigned => Payload::Unsigned,
            PayloadSigning::Signed => hashed(body, HASHED_IN_PLACE, Payload::signed).await,
        }
    }
}

/// Returns true if the content can be read without a request, so that no network can damage it.
pub(crate) fn is_near(content: &Content) -> bool {
    content.reads() == Reads::Local
}

/// Returns the MD5 of bytes.
pub(crate) async fn md5_of(body: &Bytes) -> [u8; 16] {
    hashed(body, HASHED_IN_PLACE, |bytes| Md5::digest(bytes).into()).await
}

/// Returns the MD5 of a range of content. It reads the range.
async fn md5_of_range(content: &Content, range: Range<u64>) -> Result<[u8; 16], Failure> {
    let body = content.without_meter().read(range).await?;
    let md5 = hash_body(body, Md5::new(), |md5, piece| md5.update(piece)).await?;
    Ok(md5.finalize().into())
}

/// Hashes bytes, on a thread that may block if there are more than `in_place`.
async fn hashed<T: Send + 'static>(body: &Bytes, in_place: usize, hash: fn(&[u8]) -> T) -> T {
    if body.len() <= in_place {
        return hash(body);
    }
    let body = body.clone();
    run_blocking(move || hash(&body)).await
}
