//! The two streams: data on stdout, everything else on stderr.
//!
//! A reader that has seen enough closes its end (`pos3-cli ls … | head`); that is no failure and no panic.

use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use crate::json::ErrorJson;

/// The bar that stands on the terminal, if one does. There is one terminal, whoever writes to it.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether anybody still reads stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    There,
    Gone,
}

/// Writes data to stdout. A reader that is gone is not an error.
pub(crate) fn data(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Reader> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    // What a failed flush left in the buffer must not be tried again on drop.
    let _ = out.into_parts();
    match written {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error),
    }
}

/// Returns the error of data that could not be written.
pub(crate) fn unwritten(error: &io::Error) -> ErrorJson {
    ErrorJson { message: format!("cannot write to stdout: {error}"), hint: None }
}

/// Says which bar stands on the terminal from now on.
pub(crate) fn set_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Writes text to stderr, between two drawings of the bar and not through it; if nobody can read it, nothing can be done.
pub(crate) fn note(text: &str) {
    notes(|out| out.write_all(text.as_bytes()));
}

/// Writes many lines to stderr as they are made, between two drawings of the bar.
pub(crate) fn notes(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let write = || {
        let mut out = BufWriter::new(io::stderr().lock());
        let _ = write(&mut out).and_then(|()| out.flush());
        // What a failed flush left in the buffer must not be tried again on drop.
        let _ = out.into_parts();
    };
    match BAR.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Writes an error and what to do about it to stderr.
pub(crate) fn error(message: &str, hint: Option<&str>) {
    let hint = hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    note(&format!("error: {message}\n{hint}"));
}

/// Writes an error of a command that scripts know by such lines, and what to do about it, to stderr.
pub(crate) fn command_error(command: &str, message: &str, hint: Option<&str>) {
    let hint = hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    note(&format!("pos3-cli {command}: {message}\n{hint}"));
}
