//! The manifest of one direction: the rows of the database, with the sides swapped if the sync runs from right to left.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use pos3_core::{Key, Manifest, ManifestError, Row, RowChange, Side, StartedWrite};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::Store;
use super::database::{ROWS, STARTED};
use super::disks::Disks;
use super::pair::Pair;
use super::record;
use super::writer::Change;

/// The number of rows per read. It makes the cost of switching threads negligible and keeps memory small.
const CHUNK: usize = 1024;

type Range = redb::Range<'static, &'static [u8], &'static [u8]>;

/// The rows as a sync with one direction reads them.
#[derive(Debug)]
pub(super) struct Rows {
    store: Arc<Store>,
    pair: Pair,
}

impl Rows {
    pub(super) fn new(store: Arc<Store>, pair: Pair) -> Self {
        Self { store, pair }
    }

    /// Returns the number of rows, including damaged ones.
    pub(super) async fn len(&self) -> Result<u64, ManifestError> {
        let store = self.store.clone();
        blocking(move || Ok(store.database.read()?.open_table(ROWS)?.len()?)).await
    }
}

#[async_trait]
impl Manifest for Rows {
    fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>> {
        let transaction = match self.store.database.read() {
            Ok(transaction) => transaction,
            Err(error) => return stream::iter([Err(failed(&error))]).boxed(),
        };
        let (store, pair) = (self.store.clone(), self.pair.clone());
        let cursor = Cursor { range: None, last: None, transaction, pair, _store: store };
        stream::try_unfold(Some(cursor), async |cursor| {
            let Some(cursor) = cursor else { return Ok(None) };
            blocking(move || cursor.next()).await.map(Some)
        })
        .map_ok(|rows| stream::iter(rows.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
    }

    async fn started(&self) -> Result<Vec<StartedWrite>, ManifestError> {
        let (store, pair) = (self.store.clone(), self.pair.clone());
        blocking(move || {
            let table = store.database.read()?.open_table(STARTED)?;
            let mut started = Vec::new();
            for stored in table.iter()? {
                let (key, value) = stored?;
                let Some(name) = record::read_key(key.value()) else { continue };
                let writes = record::read_started(key.value(), value.value()).unwrap_or_default();
                started.extend(
                    writes.into_iter().map(|write| current_write(&pair, write.at(name.clone(), pair.direction()))),
                );
            }
            Ok(started)
        })
        .await
    }

    async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError> {
        let changes = changes.into_iter().filter_map(|change| match change {
            RowChange::Equal(row) => {
                record::row(&row, self.pair.direction()).map(|value| Change::SetRow { key: row.key, value })
            }
            RowChange::Forget(key) => {
                self.store.in_use.removes_rows();
                Some(Change::RemoveRow(key))
            }
            RowChange::Started(write) => {
                let (key, write) = record::Started::of(write, self.pair.direction());
                Some(Change::AddStarted { key, write })
            }
        });
        let mut changes: Vec<_> = changes.collect();
        // Before the first row, the local place may not exist.
        if changes.iter().any(|change| matches!(change, Change::SetRow { .. })) {
            changes.push(Change::SetDisks(Disks::of(&self.pair)));
        }
        self.store.writer.write(changes).await
    }
}

/// The position of a reader. The fields are dropped in this order, so the file is closed last.
struct Cursor {
    range: Option<Range>,
    last: Option<Key>,
    transaction: ReadTransaction,
    pair: Pair,
    _store: Arc<Store>,
}

impl Cursor {
    /// Returns the next rows, and the cursor unless these were the last ones.
    fn next(mut self) -> Result<(Vec<Row>, Option<Self>), redb::Error> {
        let mut range = match self.range.take() {
            Some(range) => range,
            None => self.transaction.open_table(ROWS)?.range::<&[u8]>(..)?,
        };
        let mut rows = Vec::with_capacity(CHUNK);
        while rows.len() < CHUNK {
            let Some(stored) = range.next() else { return Ok((rows, None)) };
            let (key, value) = stored?;
            let Some(row) = record::read_row(key.value(), value.value(), self.pair.direction()) else { continue };
            // Only damage can make keys go backwards. Without this check, the reader could loop forever.
            if self.last.as_ref().is_some_and(|last| *last >= row.key) {
                return Err(redb::Error::Corrupted("its rows are out of order".to_owned()));
            }
            self.last = Some(row.key.clone());
            rows.push(current_row(&self.pair, row));
        }
        self.range = Some(range);
        Ok((rows, Some(self)))
    }
}

pub(super) fn current_row(pair: &Pair, row: Row) -> Row {
    let Row { key, source, target, digest } = row;
    Row { key, source: pair.current(Side::Source, source), target: pair.current(Side::Target, target), digest }
}

pub(super) fn current_write(pair: &Pair, write: StartedWrite) -> StartedWrite {
    let read = match write.written {
        Side::Source => Side::Target,
        Side::Target => Side::Source,
    };
    StartedWrite { read: pair.current(read, write.read), ..write }
}

/// Runs a read on a thread that may wait for the disk. A panic of the database means that the file is damaged and
/// becomes an error.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, redb::Error> + Send + 'static,
) -> Result<T, ManifestError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(|error| failed(&error)),
        Err(_) => Err(ManifestError("cannot read the sync state: the database is damaged".to_owned())),
    }
}

fn failed(error: &redb::Error) -> ManifestError {
    ManifestError(format!("cannot read the sync state: {error}"))
}
