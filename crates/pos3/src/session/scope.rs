//! A session around a piece of work, which ends with it however it ends.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::Session;
use super::ending::{Ended, Ending};
use super::error::SessionError;
use super::signals::Arrivals;

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
    /// A signal came, during the work or while its outputs were uploaded, and not everything was done.
    Interrupted {
        /// Its name.
        signal: &'static str,
        /// How the session ended.
        ending: Ending,
    },
}

/// How a piece of work came to its end.
pub(crate) enum Work<T, E> {
    /// It returned.
    Returned(Result<T, E>),
    /// It panicked.
    Panicked(Box<dyn Any + Send>),
    /// A signal came before its end.
    Interrupted(&'static str),
}

impl Session {
    /// Runs `body` with this session and ends the session with it.
    ///
    /// A signal during the body, where signals end the session, drops the body where it waits, and ends the session as
    /// after an error. A signal during the uploads that follow work that was done hurries them: nothing is deleted from
    /// then on, and they have the [deadline](super::SessionBuilder::deadline); if everything makes it, that is no error. A
    /// second signal ends them at once. All signals that come before the uploads begin count as one.
    ///
    /// # Errors
    ///
    /// The body's own error; what could not be uploaded after it; a signal.
    ///
    /// # Panics
    ///
    /// With the body's panic, after the session has ended as after an error.
    pub async fn scope<T, E>(self, body: impl AsyncFnOnce(&Session) -> Result<T, E>) -> Result<T, ScopeError<E>> {
        self.around(body(&self)).await
    }

    /// Runs a piece of work, and ends the session with it.
    pub(super) async fn around<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, ScopeError<E>> {
        let mut arrivals = self.listen();
        let work = tokio::select! {
            returned = AssertUnwindSafe(work).catch_unwind() => match returned {
                Ok(result) => Work::Returned(result),
                Err(panic) => Work::Panicked(panic),
            },
            signal = arrivals.next() => Work::Interrupted(signal),
        };
        self.end_with(work, arrivals).await
    }

    /// Begins to listen for signals, if they are to end the session.
    pub(crate) fn listen(&self) -> Arrivals {
        self.signals.listen()
    }

    /// Ends the session by how the work ended.
    pub(crate) async fn end_with<T, E>(&self, work: Work<T, E>, arrivals: Arrivals) -> Result<T, ScopeError<E>> {
        let attending = arrivals.attend(self.inner.clone()).await;
        match work {
            Work::Returned(Ok(value)) => {
                let ending = self.close().await;
                match attending.first().filter(|_| !ending.uploads.iter().all(Ended::is_done)) {
                    Some(signal) => Err(ScopeError::Interrupted { signal, ending }),
                    None => ending.into_result().map(|()| value).map_err(ScopeError::Ending),
                }
            }
            Work::Returned(Err(error)) => Err(ScopeError::Body { error, ending: self.give_up().await }),
            Work::Panicked(panic) => {
                let ending = self.give_up().await;
                if let Err(error) = ending.into_result() {
                    tracing::error!(%error, "the work panicked, and not everything was uploaded");
                }
                std::panic::resume_unwind(panic)
            }
            Work::Interrupted(signal) => Err(ScopeError::Interrupted { signal, ending: self.give_up().await }),
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
    let errors: Vec<_> = ending.uploads.iter().filter_map(|ended| ended.error.as_ref()).collect();
    match errors.as_slice() {
        [] => Ok(()),
        [only] => write!(f, " (and 1 upload did not make it: {only})"),
        [first, ..] => write!(f, " (and {} uploads did not make it, the first: {first})", errors.len()),
    }
}

impl<E: fmt::Display + fmt::Debug> std::error::Error for ScopeError<E> {}
