//! A session around a piece of work, which ends with it however it ends.

use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::Session;
use super::ending::Ending;
use super::error::SessionError;

/// Why a scope did not end well.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScopeError<E> {
    /// The work failed. Its error comes first; what could not be uploaded then is with it.
    Body {
        /// The work's own error.
        error: E,
        /// How the session ended.
        ending: Ending,
    },
    /// The work was done, and not everything could be uploaded.
    Ending(SessionError),
    /// A signal came.
    Interrupted {
        /// Its name.
        signal: &'static str,
        /// How the session ended.
        ending: Ending,
    },
}

impl Session {
    /// Runs `body` with this session and ends the session with it.
    ///
    /// # Errors
    ///
    /// The body's own error; what could not be uploaded after it; a signal, where signals end the session. The body is
    /// then dropped where it waits.
    ///
    /// # Panics
    ///
    /// With the body's panic, after the session has ended as after an error.
    pub async fn scope<T, E>(self, body: impl AsyncFnOnce(&Session) -> Result<T, E>) -> Result<T, ScopeError<E>> {
        let outcome = tokio::select! {
            outcome = AssertUnwindSafe(body(&self)).catch_unwind() => Ok(outcome),
            signal = self.signals.next() => Err(signal),
        };
        let _second = self.signals.abort_on_next(self.inner.abort.clone());
        match outcome {
            Ok(Ok(Ok(value))) => self.close().await.into_result().map(|()| value).map_err(ScopeError::Ending),
            Ok(Ok(Err(error))) => Err(ScopeError::Body { error, ending: self.give_up().await }),
            Ok(Err(panic)) => {
                let ending = self.give_up().await;
                if let Err(error) = ending.into_result() {
                    tracing::error!(%error, "the work panicked, and not everything was uploaded");
                }
                std::panic::resume_unwind(panic)
            }
            Err(signal) => Err(ScopeError::Interrupted { signal, ending: self.give_up().await }),
        }
    }
}

impl<E: fmt::Display> fmt::Display for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { error, ending } => {
                write!(f, "{error}")?;
                also(f, ending)
            }
            Self::Ending(error) => write!(f, "{error}"),
            Self::Interrupted { signal, ending } => {
                write!(f, "the session was ended by {signal}")?;
                also(f, ending)
            }
        }
    }
}

fn also(f: &mut fmt::Formatter<'_>, ending: &Ending) -> fmt::Result {
    match ending.uploads.iter().filter_map(|ended| ended.error.as_ref()).count() {
        0 => Ok(()),
        failures => write!(f, " (and {failures} uploads did not make it)"),
    }
}

impl<E: fmt::Display + fmt::Debug> std::error::Error for ScopeError<E> {}
