//! The source of a copy inside the server, as the headers of a request.

use std::ops::Range;
use std::sync::Arc;

use http::header::HeaderName;
use pos3_core::{Digest, Entry, Fingerprint, Key};

use crate::bucket::Bucket;
use crate::client::request::{LONG, Request};
use crate::error::Failure;
use crate::etag;
use crate::uri::encode_path;

const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
const COPY_SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");
const COPY_SOURCE_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");

/// An object on the same server, with its known fingerprint.
#[derive(Clone, Copy)]
pub(crate) struct CopySource<'s> {
    pub(crate) bucket: &'s Arc<Bucket>,
    pub(crate) key: &'s Key,
    pub(crate) size: u64,
    pub(crate) fingerprint: Option<&'s Fingerprint>,
    pub(crate) digest: Option<Digest>,
}

impl<'s> CopySource<'s> {
    pub(crate) fn new(bucket: &'s Arc<Bucket>, entry: &'s Entry) -> Self {
        let digest = entry.digest;
        Self { bucket, key: &entry.key, size: entry.size, fingerprint: entry.fingerprint.as_ref(), digest }
    }

    pub(crate) fn of(&self, request: Request) -> Result<Request, Failure> {
        let path = format!("{}/{}", encode_path(&self.bucket.name), encode_path(self.key.as_str()));
        let request = request.header(COPY_SOURCE, &path)?.patience(LONG);
        match self.fingerprint {
            Some(fingerprint) => request.header(COPY_SOURCE_IF_MATCH, &etag::quoted(fingerprint)),
            None => Ok(request),
        }
    }

    pub(crate) fn part_of(&self, request: Request, range: &Range<u64>) -> Result<Request, Failure> {
        self.of(request)?.header(COPY_SOURCE_RANGE, &format!("bytes={}-{}", range.start, range.end - 1))
    }
}
