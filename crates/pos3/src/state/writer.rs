//! Writes to the database, one transaction at a time, on a separate thread.
//!
//! The database allows one write transaction at a time, so writers may have to wait. The threads of the runtime must
//! not wait. Many uploads note their parts at the same time: all requests that arrive during one transaction share the
//! next one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use pos3_core::{Key, ManifestError};
use redb::ReadableTable;
use tokio::sync::oneshot;

use super::database::{self, Database, ROWS, STARTED};
use super::disks::Disks;
use super::pair::Place;
use super::record;

/// The maximum number of requests per transaction.
const TOGETHER: usize = 256;

/// One change of the database.
#[derive(Debug)]
pub(super) enum Change {
    SetRow {
        key: Key,
        value: Vec<u8>,
    },
    RemoveRow(Key),
    RemoveRows,
    /// Adds one to the last few started writes of a key.
    AddStarted {
        key: Key,
        write: record::Started,
    },
    SetNote {
        place: Place,
        key: Key,
        value: Vec<u8>,
    },
    RemoveNote {
        place: Place,
        key: Key,
    },
    /// Sets a field of the header, or removes it.
    SetField {
        field: &'static [u8],
        value: Option<Vec<u8>>,
    },
    SetDisks(Disks),
}

/// Changes that are committed together, and the channel that reports the result.
#[derive(Debug)]
struct Request {
    changes: Vec<Change>,
    done: oneshot::Sender<Result<(), ManifestError>>,
}

/// The writer thread. When this is dropped, the thread completes its queue and ends.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `file` is the path in error messages.
    pub(super) fn start(database: Arc<Database>, file: PathBuf) -> std::io::Result<Self> {
        let (requests, waiting) = mpsc::channel();
        let work = move || serve(&database, &file, &waiting);
        let thread = thread::Builder::new().name("pos3-state".to_owned()).spawn(work)?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Commits the changes in order, all or none, even if the caller stops waiting.
    pub(super) async fn write(&self, changes: Vec<Change>) -> Result<(), ManifestError> {
        self.send(changes)?.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Commits the changes like [`write`](Self::write), on a thread that may block.
    pub(super) fn write_blocking(&self, changes: Vec<Change>) -> Result<(), ManifestError> {
        self.send(changes)?.blocking_recv().unwrap_or_else(|_| Err(ended()))
    }

    fn send(&self, changes: Vec<Change>) -> Result<oneshot::Receiver<Result<(), ManifestError>>, ManifestError> {
        let (done, answer) = oneshot::channel();
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(Request { changes, done }).is_ok());
        if sent { Ok(answer) } else { Err(ended()) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // The request that caused a panic has already been answered with the error.
            let _panic = thread.join();
        }
    }
}

fn ended() -> ManifestError {
    ManifestError("the thread that writes the sync state has ended".to_owned())
}

fn serve(database: &Database, file: &Path, waiting: &mpsc::Receiver<Request>) {
    while let Ok(first) = waiting.recv() {
        let mut requests = vec![first];
        requests.extend(waiting.try_iter().take(TOGETHER - 1));
        let written = catch_unwind(AssertUnwindSafe(|| commit(database, &requests)));
        let failure = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("cannot write the sync state to '{}': {error}", file.display())),
            Err(_) => Some(format!("cannot write the sync state to '{}': the database is damaged", file.display())),
        };
        for request in requests {
            let answer = failure.clone().map_or(Ok(()), |message| Err(ManifestError(message)));
            let _nobody_waits = request.done.send(answer);
        }
    }
}

fn commit(database: &Database, requests: &[Request]) -> Result<(), redb::Error> {
    let transaction = database.write()?;
    for change in requests.iter().flat_map(|request| &request.changes) {
        match change {
            Change::SetRow { key, value } => {
                transaction.open_table(ROWS)?.insert(bytes(key), value.as_slice())?;
                transaction.open_table(STARTED)?.remove(bytes(key))?;
            }
            Change::RemoveRow(key) => {
                transaction.open_table(ROWS)?.remove(bytes(key))?;
                transaction.open_table(STARTED)?.remove(bytes(key))?;
            }
            Change::RemoveRows => {
                for table in [ROWS, STARTED] {
                    transaction.delete_table(table)?;
                    transaction.open_table(table)?;
                }
            }
            Change::AddStarted { key, write } => {
                let mut table = transaction.open_table(STARTED)?;
                let earlier = table.get(bytes(key))?.and_then(|value| record::read_started(bytes(key), value.value()));
                if let Some(value) = record::started(bytes(key), earlier.unwrap_or_default(), write) {
                    table.insert(bytes(key), value.as_slice())?;
                }
            }
            Change::SetNote { place, key, value } => {
                transaction.open_table(database::notes(*place))?.insert(bytes(key), value.as_slice())?;
            }
            Change::RemoveNote { place, key } => {
                transaction.open_table(database::notes(*place))?.remove(bytes(key))?;
            }
            Change::SetField { field, value } => {
                let mut header = transaction.open_table(database::HEADER)?;
                match value {
                    Some(value) => header.insert(*field, value.as_slice())?,
                    None => header.remove(*field)?,
                };
            }
            Change::SetDisks(disks) => {
                if let Some(value) = record::disks(database::DISKS, disks) {
                    transaction.open_table(database::HEADER)?.insert(database::DISKS, value.as_slice())?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn bytes(key: &Key) -> &[u8] {
    key.as_str().as_bytes()
}
