//! Data on stdout, and the exit code of a command whose data could not be written.
//!
//! A command writes in many places. So the first failure is stored here, and the end of the process reports it once.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, TryLockError};

use super::{Out, error};
use crate::exit::Exit;

/// The first failure to write data to stdout.
static MISSING: Mutex<Option<Missing>> = Mutex::new(None);

/// How often data was written.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Whether stdout still has a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    There,
    /// The reader has closed its end, or writing failed. Further data is dropped.
    Gone,
}

struct Missing {
    message: String,
    exit: Exit,
}

/// Writes data to stdout. A failure is stored for [`end`].
pub(crate) fn data(write: impl FnOnce(&mut Out<'_>) -> io::Result<()>) -> Reader {
    let mut missing = MISSING.lock().unwrap_or_else(PoisonError::into_inner);
    WRITES.fetch_add(1, Relaxed);
    if missing.is_some() {
        return Reader::Gone;
    }
    let mut out = Stream { out: BufWriter::new(io::stdout().lock()), failed: None };
    let made = write(&mut Out::for_data(&mut out)).and_then(|()| out.flush());
    // After a failed flush, dropping the buffer would try to write it again.
    let _ = out.out.into_parts();
    *missing = match (out.failed, made) {
        (Some(io::ErrorKind::BrokenPipe), _) => return Reader::Gone,
        (_, Ok(())) => return Reader::There,
        (Some(_), Err(error)) => {
            Some(Missing { message: format!("cannot write to stdout: {error}"), exit: Exit::Unwritten })
        }
        (None, Err(error)) => {
            Some(Missing { message: format!("not everything can be shown: {error}"), exit: Exit::Failed })
        }
    };
    Reader::Gone
}

/// Returns how often data was written to stdout.
pub(crate) fn writes() -> u64 {
    WRITES.load(Relaxed)
}

/// Returns true while data is written. That takes long if the reader is slow.
pub(crate) fn is_writing() -> bool {
    matches!(MISSING.try_lock(), Err(TryLockError::WouldBlock))
}

/// Returns the exit code of the process. Reports data that could not be written, and returns an error's code if the
/// command itself succeeded.
pub(crate) fn end(exit: Exit) -> Exit {
    let Some(missing) = MISSING.lock().unwrap_or_else(PoisonError::into_inner).take() else { return exit };
    error(&missing.message, None);
    if matches!(exit, Exit::Done | Exit::Differs) { missing.exit } else { exit }
}

/// Stdout, with a record of its own failures. The code that produces the data can fail too.
struct Stream<W: Write> {
    out: BufWriter<W>,
    failed: Option<io::ErrorKind>,
}

impl<W: Write> Stream<W> {
    fn noted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| self.failed = Some(error.kind()))
    }
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        self.noted(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.noted(result)
    }
}
