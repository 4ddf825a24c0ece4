//! Failures of the connection to a server, without the layers of the HTTP client.

use std::error::Error as StdError;
use std::{io, iter};

use object_store::client::{HttpError, HttpErrorKind};

/// The error numbers of too many open files: in this process, and on the whole machine. They are the same on every Unix.
pub(super) const TOO_MANY_FILES: [i32; 2] = [24, 23];

/// A failure of the connection to a server. It is a cause of a [`StoreError`](pos3_core::StoreError).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{causes}")]
pub struct TransportError {
    kind: TransportErrorKind,
    causes: String,
}

/// The stage at which a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The server could not be reached.
    Connect,
    /// There is no secure connection: for example, the server's certificate is not trusted.
    Secure,
    /// The connection ended before the response was complete.
    Interrupted,
}

impl TransportError {
    /// Returns the stage at which the connection failed.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    pub(super) fn new(error: &HttpError) -> Self {
        Self { kind: TransportErrorKind::of(error), causes: causes_of(error) }
    }
}

impl TransportErrorKind {
    pub(super) fn of(error: &HttpError) -> Self {
        match error.kind() {
            HttpErrorKind::Connect => Self::Connect,
            HttpErrorKind::Unknown => Self::Secure,
            _ => Self::Interrupted,
        }
    }

    /// Returns the beginning of a message, before the server's address.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "cannot connect to",
            Self::Secure => "there is no secure connection to",
            Self::Interrupted => "no complete response from",
        }
    }
}

/// Returns the number of the system's error if this machine has too many files open.
pub(super) fn exhausted(error: &HttpError) -> Option<i32> {
    let mut codes = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    codes.find(|code| TOO_MANY_FILES.contains(code))
}

/// Returns the failure without the layers and the type of the HTTP client.
pub(super) fn untyped(error: &HttpError) -> io::Error {
    exhausted(error).map_or_else(|| io::Error::other(causes_of(error)), io::Error::from_raw_os_error)
}

/// Returns the causes as one line, without the layers of the HTTP client that only pass them on.
fn causes_of(error: &HttpError) -> String {
    let causes: Vec<String> =
        causes(error).map(ToString::to_string).filter(|cause| cause != "client error (Connect)").collect();
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

fn causes(error: &HttpError) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}
