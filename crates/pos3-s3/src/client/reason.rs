//! Learns why a server refused a HEAD.
//!
//! The response to a HEAD has no body, so it has no S3 error code. Without the code, expired credentials, an unknown
//! access key and a missing permission look the same. A GET of the same object needs the same permission, and its
//! refusal has a body.

use http::header::{HOST, RANGE};
use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::S3Client;
use super::request::Request;
use super::sign::Signer;
use crate::error::{Failure, Refusal};
use crate::operation::{Counters, S3Operation};

/// The reason for the refusal of a request.
pub(super) enum Reason {
    /// This refusal contains all that the server states.
    Known(Box<Refusal>),
    /// The server did not refuse the GET for the same reason. For example, another request has renewed the credentials
    /// meanwhile.
    Unknown(Box<Refusal>),
}

impl S3Client {
    /// Returns the refusal of a GET in place of the refusal of a HEAD that states no reason. All other refusals are
    /// returned unchanged.
    ///
    /// # Errors
    ///
    /// Returns the failure of the GET if it is temporary. The reason may then be learned later.
    pub(super) async fn reason(
        &self,
        refusal: Box<Refusal>,
        signer: &Signer,
        counters: &Counters,
        request: &Request,
    ) -> Result<Reason, Failure> {
        if request.operation.method() != Method::HEAD || !refusal.is_without_reason(signer.region()) {
            return Ok(Reason::Known(refusal));
        }
        let Some(question) = first_byte(request) else { return Ok(Reason::Known(refusal)) };
        match self.attempt_in(self.slot().await, self.0.clock.now(), signer, counters, &question).await {
            Err(Failure::Refused(told)) if told.explains(&refusal) => Ok(Reason::Known(told)),
            Err(failure) if failure.is_temporary() => Err(failure),
            _ => Ok(Reason::Unknown(refusal)),
        }
    }
}

/// Returns a request for the first byte of the object.
fn first_byte(head: &Request) -> Option<Request> {
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(head.uri.path()).ok()?);
    let uri = Uri::from_parts(parts).ok()?;
    Request::new(S3Operation::GetObject, head.headers.get(HOST)?, uri).header(RANGE, "bytes=0-0").ok()
}
