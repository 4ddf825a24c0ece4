//! A pause before requests, as a user sees it.
//!
//! Without an explanation, a program that waits for a server looks as if it hangs.

use std::fmt;
use std::time::Duration;

/// A pause before requests are sent to a server again. Its text is `waiting 20 s because the server asked for it (503
/// SlowDown)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerPause {
    /// The time until the pause ends.
    pub left: Duration,
    /// The cause, as the second half of a sentence that begins with "because".
    pub cause: String,
}

impl ServerPause {
    /// Returns a pause with this cause, which completes a sentence that ends in "because".
    pub fn new(left: Duration, cause: impl Into<String>) -> Self {
        Self { left, cause: cause.into() }
    }
}

impl fmt::Display for ServerPause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.left.as_millis().div_ceil(1000).max(1);
        write!(f, "waiting {seconds} s because {}", self.cause)
    }
}
