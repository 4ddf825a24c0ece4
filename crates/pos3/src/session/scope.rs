//! Runs work in a session and ends the session with it, however the work ends.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::Session;
use super::ending::{Ended, Ending};
use super::error::SessionError;
use super::signals::Arrivals;

/// Why a scope failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScopeError<E> {
    /// The work failed. The text begins with its error; the failed uploads follow.
    Body {
        /// The error of the work.
        error: E,
        /// The end of the session.
        ending: Ending,
    },
    /// The work succeeded, but not everything could be uploaded.
    Ending(SessionError),
    /// A signal arrived during the work or during its uploads, and not everything was done.
    Interrupted {
        /// The name of the signal.
        signal: &'static str,
        /// The end of the session.
        ending: Ending,
    },
}

/// How the work ended.
pub(crate) enum Work<T, E> {
    /// The work returned.
    Returned(Result<T, E>),
    /// The work panicked.
    Panicked(Box<dyn Any + Send>),
    /// A signal arrived before the work returned.
    Interrupted(&'static str),
}

impl Session {
    /// Runs `body` with this session and then ends the session.
    ///
    /// If a signal arrives while `body` runs, and [`on_signals`](super::SessionBuilder::on_signals) is set, the body is
    /// dropped at its next await, and the session ends as after an error. If the first signal arrives during the
    /// uploads after successful work, it hurries them: they have the [deadline](super::SessionBuilder::deadline), and
    /// nothing more is deleted. If everything is uploaded in time, this is not an error. A second signal ends the
    /// uploads immediately. All signals that arrive before the uploads begin are treated as one.
    ///
    /// # Errors
    ///
    /// Returns the error of the body, the files that could not be uploaded after it, or the signal.
    ///
    /// # Panics
    ///
    /// Resumes a panic of the body after the session has ended as after an error.
    pub async fn scope<T, E>(self, body: impl AsyncFnOnce(&Session) -> Result<T, E>) -> Result<T, ScopeError<E>> {
        self.around(body(&self)).await
    }

    /// Runs the work and then ends the session.
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

    /// Starts to listen for signals, if they end the session.
    pub(crate) fn listen(&self) -> Arrivals {
        self.signals.listen()
    }

    /// Ends the session according to the result of the work.
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
                // The alternate form of errors that box others, such as `anyhow::Error`, contains the causes.
                write!(f, "{error:#}")?;
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
        [only] => write!(f, " (and 1 upload is incomplete: {only})"),
        [first, ..] => write!(f, " (and {} uploads are incomplete, the first: {first})", errors.len()),
    }
}

impl<E: fmt::Display + fmt::Debug> std::error::Error for ScopeError<E> {}
