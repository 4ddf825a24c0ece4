//! The function that receives warnings, which are problems that are not failures.

use std::fmt;
use std::sync::Arc;

/// Receives warnings, one line each.
#[derive(Clone)]
pub(crate) struct Warnings(Arc<dyn Fn(&str) + Send + Sync>);

impl Warnings {
    pub(crate) fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, warning: &str) {
        (self.0)(warning);
    }
}

impl Default for Warnings {
    fn default() -> Self {
        Self::new(|warning| tracing::warn!("{warning}"))
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Warnings")
    }
}
