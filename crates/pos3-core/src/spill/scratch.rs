//! The anonymous temporary file that sequences spill to.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A failure to store a record or to read one back: of a temporary file, or of the encoding.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct SpillError(Cause);

#[derive(Clone, Debug, thiserror::Error)]
enum Cause {
    #[error("cannot {verb} a temporary file in '{}'", .directory.display())]
    File {
        verb: &'static str,
        directory: PathBuf,
        #[source]
        cause: Arc<io::Error>,
    },
    #[error("cannot {verb} a record of a plan or a report, which is a fault of pos3")]
    Record {
        verb: &'static str,
        #[source]
        cause: postcard::Error,
    },
}

/// A temporary file that is created at the first write. It has no name, so the system removes it when the process ends.
/// Bytes are only ever appended, so sequences that share the file never overwrite each other.
#[derive(Clone, Default)]
pub(crate) struct Scratch(Arc<Mutex<Option<Open>>>);

struct Open {
    file: File,
    end: u64,
}

/// The position of written bytes.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: u64,
    length: usize,
}

impl SpillError {
    /// Returns true if a temporary file cannot be used. Otherwise, pos3 cannot encode or decode one of its own records.
    pub fn is_of_file(&self) -> bool {
        matches!(self.0, Cause::File { .. })
    }

    fn new(verb: &'static str, cause: io::Error) -> Self {
        Self(Cause::File { verb, directory: tempfile::env::temp_dir(), cause: Arc::new(cause) })
    }

    pub(super) fn encoding(cause: postcard::Error) -> Self {
        Self(Cause::Record { verb: "encode", cause })
    }

    pub(super) fn decoding(cause: postcard::Error) -> Self {
        Self(Cause::Record { verb: "decode", cause })
    }
}

impl Scratch {
    /// Writes bytes and returns their position.
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<Span, SpillError> {
        let mut open = self.lock();
        let open = match &mut *open {
            Some(open) => open,
            none => {
                let file = tempfile::tempfile().map_err(|error| SpillError::new("create", error))?;
                none.insert(Open { file, end: 0 })
            }
        };
        let span = Span { start: open.end, length: bytes.len() };
        let written = open.file.seek(SeekFrom::Start(open.end)).and_then(|_| open.file.write_all(bytes));
        written.map_err(|error| SpillError::new("write", error))?;
        open.end += bytes.len() as u64;
        Ok(span)
    }

    /// Returns the bytes at a position.
    pub(crate) fn read(&self, span: Span) -> Result<Vec<u8>, SpillError> {
        let mut bytes = vec![0; span.length];
        let mut open = self.lock();
        let read = match &mut *open {
            Some(Open { file, .. }) => file.seek(SeekFrom::Start(span.start)).and_then(|_| file.read_exact(&mut bytes)),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        read.map_err(|error| SpillError::new("read", error))?;
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
