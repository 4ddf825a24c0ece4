//! A failure as it is written to a temporary file, with its causes as text.

use serde::{Deserialize, Serialize};

use super::{ErrorKind, Operation, Reach, StoreError};
use crate::key::Key;

/// Everything about a [`StoreError`] except the errors that caused it, which are kept as text.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorRecord {
    kind: ErrorKind,
    operation: Operation,
    key: Option<Key>,
    cause: String,
    code: Option<String>,
    status: Option<u16>,
    temporary: bool,
}

impl From<&StoreError> for ErrorRecord {
    fn from(error: &StoreError) -> Self {
        Self {
            kind: error.kind,
            operation: error.operation,
            key: error.key.clone(),
            cause: error.cause(),
            code: error.code().map(str::to_owned),
            status: error.status(),
            temporary: error.temporary,
        }
    }
}

impl ErrorRecord {
    /// Returns the failure. This is not a `From` impl: a second `From` impl for [`StoreError`] would make type
    /// inference fail in code that relies on the only one.
    pub(crate) fn into_error(self) -> StoreError {
        let Self { kind, operation, key, cause, code, status, temporary } = self;
        let message = Some(cause);
        let reach = Reach::Key;
        StoreError { kind, operation, key, message, code, status, temporary, retried: false, reach, source: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_everything_that_a_decision_depends_on() {
        let server = StoreError::new(ErrorKind::Denied, Operation::Write).with_code("AccessDenied").with_status(403);
        let error = StoreError::new(ErrorKind::Denied, Operation::BackUp).with_key(&"a".into()).temporary();
        let error = error.with_message("not kept").with_source(server);
        let read = ErrorRecord::from(&error).into_error();
        assert_eq!((read.kind(), read.operation(), read.key()), (error.kind(), error.operation(), error.key()));
        assert_eq!((read.code(), read.status(), read.is_temporary()), (Some("AccessDenied"), Some(403), true));
        assert_eq!(read.cause(), error.cause());
    }
}
