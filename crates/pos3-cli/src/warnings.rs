//! What a person may want to know although nothing failed: said when it turns out, and once.
//!
//! A server without checksums makes a long run slow; who hears of it at the end has waited for nothing.

use std::sync::{Arc, Mutex, PoisonError};

use crate::args::Detail;
use crate::output;

/// The warnings of one command.
#[derive(Clone, Debug)]
pub(crate) struct Warnings {
    detail: Detail,
    told: Arc<Mutex<Vec<String>>>,
}

impl Warnings {
    /// Returns warnings that a person sees unless only errors are wanted; programs find them in `--json`.
    pub(crate) fn new(detail: Detail) -> Self {
        Self { detail, told: Arc::default() }
    }

    /// Says it, unless it was said before.
    pub(crate) fn tell(&self, warning: &str) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.iter().any(|before| before == warning) {
                return;
            }
            told.push(warning.to_owned());
        }
        if self.detail != Detail::Quiet {
            output::note(&format!("warning: {warning}"));
        }
    }

    /// Returns what has been said so far.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
