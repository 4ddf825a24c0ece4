//! Failures of a store: kind, operation, key and cause.
//!
//! Callers decide by [`ErrorKind`]; users read one line that names the key. The cause is only in the chain of sources,
//! not in the message, so it is printed once.

mod operation;
mod record;

use std::error::Error as StdError;
use std::fmt;
use std::iter;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::key::Key;

pub use operation::Operation;
pub(crate) use record::ErrorRecord;

/// A failure of one operation on a store.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: ErrorKind,
    operation: Operation,
    key: Option<Key>,
    message: Option<String>,
    code: Option<String>,
    status: Option<u16>,
    temporary: bool,
    retried: bool,
    reach: Reach,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kinds of failure that callers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The object, bucket or directory does not exist.
    NotFound,
    /// The target of the operation exists already.
    AlreadyExists,
    /// The object is not in the expected state (`If-Match`, or it changed while it was read).
    Precondition,
    /// The identity has no permission for this.
    Denied,
    /// The credentials are missing, wrong or expired.
    Unauthenticated,
    /// The content is archived and must be restored before it can be read.
    Archived,
    /// The store cannot represent this key.
    InvalidKey,
    /// The store does not support this operation at all.
    Unsupported,
    /// The store rejected the request because it receives too many.
    Throttled,
    /// The store could not be reached, or it failed internally.
    Unavailable,
    /// Data was lost or changed in transit.
    Integrity,
    /// No space, quota or file handles are left.
    Exhausted,
    /// A listing was not in order or contained a key twice.
    Disorder,
    /// A directory that was met belongs to the other side of the sync too.
    Overlap,
    /// Any other failure; see the message.
    Other,
    /// The caller stopped the operation before anything was done.
    Stopped,
}

/// How many requests a failure affects beyond its own. A run ends early if every other request would fail too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// As far as is known, it affects only this key.
    #[default]
    Key,
    /// It may affect every key, like a denied request or an outage. The run ends early only if the failure repeats.
    Suspected,
    /// It affects every key: the bucket is gone, the credentials are no longer valid, or the disk is full.
    Everything,
}

impl ErrorKind {
    /// Returns a description of the failure.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "another entry already exists",
            Self::Precondition => "it changed meanwhile",
            Self::Denied => "access denied",
            Self::Unauthenticated => "not authenticated",
            Self::Archived => "it is archived and must be restored first",
            Self::InvalidKey => "the store cannot store this key",
            Self::Unsupported => "not supported by this store",
            Self::Throttled => "the store is overloaded",
            Self::Unavailable => "the store is unavailable",
            Self::Integrity => "the content arrived damaged",
            Self::Exhausted => "out of space or other resources",
            Self::Disorder => "the listing is out of order",
            Self::Overlap => "it belongs to the other side too",
            Self::Stopped => "stopped before anything was done",
            Self::Other => "failed",
        }
    }
}

impl StoreError {
    /// Returns a failure of `operation`.
    pub fn new(kind: ErrorKind, operation: Operation) -> Self {
        Self {
            kind,
            operation,
            key: None,
            message: None,
            code: None,
            status: None,
            temporary: false,
            retried: false,
            reach: Reach::Key,
            source: None,
        }
    }

    /// Returns this error with the key that it is about.
    #[must_use]
    pub fn with_key(mut self, key: &Key) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Returns this error with a message that replaces the description of its kind: lower case, one line, without the
    /// cause.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Returns this error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// Returns this error with the code that the store itself gave it, such as `AccessDenied`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Returns this error with the HTTP status of the server's response.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Returns this error marked as temporary: the same request may succeed later.
    #[must_use]
    pub fn temporary(mut self) -> Self {
        self.temporary = true;
        self
    }

    /// Returns this error marked as permanent: the same request will not succeed later.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.temporary = false;
        self
    }

    /// Returns this error marked as retried: the store has already repeated the request as often as it may. The engine
    /// then does not transfer damaged content again, because the repeats of both would multiply.
    #[must_use]
    pub fn retried(mut self) -> Self {
        self.retried = true;
        self
    }

    /// Returns this error with its reach.
    #[must_use]
    pub fn with_reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// Returns the reach.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the failed operation.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Returns the code that the store itself gave the failure or its cause, such as `AccessDenied` or `NoSuchBucket`.
    pub fn code(&self) -> Option<&str> {
        self.chain().find_map(|error| error.code.as_deref())
    }

    /// Returns the HTTP status of the server's response, if the failure or its cause is such a response.
    pub fn status(&self) -> Option<u16> {
        self.chain().find_map(|error| error.status)
    }

    /// Returns the first cause of type `E`, for callers that know the errors of a certain store.
    pub fn cause_as<E: StdError + 'static>(&self) -> Option<&E> {
        self.causes().find_map(|cause| cause.downcast_ref())
    }

    /// Returns the key that the failure is about, if any.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Returns true if the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// Returns true if the store has already repeated the request as often as it may.
    pub fn is_retried(&self) -> bool {
        self.retried
    }

    /// Returns the message, if there is one that replaces the description of its kind.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the whole chain of causes as one line, without the operation and the key.
    pub fn cause(&self) -> String {
        with_causes(self.message.clone().unwrap_or_else(|| self.kind.as_str().to_owned()), self)
    }

    /// Returns this error and its causes that are errors of a store, too.
    fn chain(&self) -> impl Iterator<Item = &Self> {
        iter::once(self).chain(self.causes().filter_map(|cause| cause.downcast_ref()))
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        iter::successors(self.source(), |&cause| cause.source())
    }
}

/// Returns an error and its chain of causes as one line. A cause is left out if the line already ends with its text.
pub fn one_line(error: &dyn StdError) -> String {
    with_causes(error.to_string(), error)
}

fn with_causes(mut line: String, error: &dyn StdError) -> String {
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation)?;
        if let Some(key) = &self.key {
            write!(f, " '{key}'")?;
        }
        write!(f, ": {}", self.message.as_deref().unwrap_or(self.kind.as_str()))
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
