//! Warnings: each is printed once, when its cause is found.
//!
//! A server without checksums makes a long run slow. At the end of the run, the warning would come too late.

use std::sync::{Arc, Mutex, PoisonError};

use pos3::Report;

use crate::args::Detail;
use crate::output;

/// The warnings of one command.
#[derive(Clone, Debug)]
pub(crate) struct Warnings {
    detail: Detail,
    printed: Arc<Mutex<Vec<String>>>,
}

impl Warnings {
    /// Returns a collection without warnings. With `Detail::Quiet`, warnings are not printed, but `--json` has them.
    pub(crate) fn new(detail: Detail) -> Self {
        Self { detail, printed: Arc::default() }
    }

    /// Prints a warning, unless the same one was printed before.
    pub(crate) fn warn(&self, warning: &str) {
        {
            let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
            if printed.iter().any(|before| before == warning) {
                return;
            }
            printed.push(warning.to_owned());
        }
        if self.detail != Detail::Quiet {
            output::note(&format!("warning: {warning}"));
        }
    }

    /// Prints the warnings of a report.
    pub(crate) fn warn_of(&self, report: &Report) {
        report.warnings.iter().for_each(|warning| self.warn(warning));
    }

    /// Returns all warnings so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
