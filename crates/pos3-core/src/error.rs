//! Failures of a store: kind, operation, key and cause.
//!
//! Callers decide by [`ErrorKind`]; users read one line that names the key. The cause is only in the chain of sources,
//! not in the message, so it is printed once.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::key::Key;

/// A failure of one operation on a store.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    key: Option<Key>,
    message: Option<String>,
    temporary: bool,
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
            Self::Other => "failed",
        }
    }
}

impl StoreError {
    /// Returns a failure of `operation`, which is a verb: "list", "read", "write".
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self {
            kind,
            operation: operation.into(),
            key: None,
            message: None,
            temporary: false,
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

    /// Returns the verb of the failed operation.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Returns the key that the failure is about, if any.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Returns true if the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// Returns the whole chain of causes as one line, without the operation and the key.
    pub fn cause(&self) -> String {
        with_causes(self.message.clone().unwrap_or_else(|| self.kind.as_str().to_owned()), self)
    }
}

/// A failure as it is written to a temporary file, with its causes as text.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorRecord {
    kind: ErrorKind,
    operation: String,
    key: Option<Key>,
    cause: String,
    temporary: bool,
}

impl From<&StoreError> for ErrorRecord {
    fn from(error: &StoreError) -> Self {
        Self {
            kind: error.kind,
            operation: error.operation().to_owned(),
            key: error.key.clone(),
            cause: error.cause(),
            temporary: error.temporary,
        }
    }
}

impl ErrorRecord {
    /// Returns the failure. This is not a `From` impl: a second `From` impl for [`StoreError`] would make type
    /// inference fail in code that relies on the only one.
    pub(crate) fn into_error(self) -> StoreError {
        let Self { kind, operation, key, cause, temporary } = self;
        StoreError {
            kind,
            operation: operation.into(),
            key,
            message: Some(cause),
            temporary,
            reach: Reach::Key,
            source: None,
        }
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
