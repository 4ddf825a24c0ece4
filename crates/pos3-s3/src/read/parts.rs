//! Determines the size of the parts in which an object was uploaded.
//!
//! The ETag of such an object is computed from the MD5s of its parts, but listings do not contain their size. Without
//! it, damaged content cannot be distinguished from content with parts of an unusual size.

use http::header::IF_MATCH;
use pos3_core::{Digest, Entry, ErrorKind, Operation, Result};

use super::content_length;
use crate::bucket::Bucket;
use crate::error::Failure;
use crate::etag;
use crate::headers::header;
use crate::operation::S3Operation;

/// The header with the number of parts, in the response to a request for one part.
const PARTS: &str = "x-amz-mp-parts-count";

impl Bucket {
    /// Returns the size of an object's parts, if the server supports part numbers and only the last part has another
    /// size.
    pub(crate) async fn part_size(&self, entry: &Entry) -> Result<Option<u64>> {
        let Some(Digest::Md5OfParts { parts, .. }) =
            entry.fingerprint.as_ref().and_then(|token| etag::digest(token.as_str()?))
        else {
            return Ok(None);
        };
        let Some(first) = self.size_of_part(entry, 1, parts).await? else { return Ok(None) };
        let last = if parts == 1 { Some(first) } else { self.size_of_part(entry, parts, parts).await? };
        let whole = u64::from(parts - 1).checked_mul(first).zip(last).map(|(begin, last)| begin.saturating_add(last));
        let is_even = last.is_some_and(|last| last <= first) && whole == Some(entry.size);
        Ok(is_even.then_some(first))
    }

    /// Returns the size of one part of an object with this number of parts. A server that does not support part numbers
    /// returns the whole object or refuses the request.
    async fn size_of_part(&self, entry: &Entry, number: u32, parts: u32) -> Result<Option<u64>> {
        let exchange = async {
            let number = number.to_string();
            let query = [("partNumber", number.as_str())];
            let mut request = self.object_request(S3Operation::HeadObject, &entry.key, &query)?;
            if let Some(fingerprint) = &entry.fingerprint {
                request = request.header(IF_MATCH, &etag::quoted(fingerprint))?;
            }
            self.exchange(&request, |answer| {
                let told = header(&answer.headers, PARTS).parse() == Ok(parts);
                Ok(if told { content_length(&answer.headers) } else { None })
            })
            .await
        };
        match exchange.await {
            Ok(size) => Ok(size),
            Err(failure) => {
                let is_refused = matches!(failure, Failure::Refused(_));
                let error = self.error(Operation::Read, &entry.key, failure);
                let is_unknown = is_refused && !error.is_temporary() && error.kind() != ErrorKind::Precondition;
                if is_unknown { Ok(None) } else { Err(error) }
            }
        }
    }
}
