//! The journal of one direction of a sync: the notes on unfinished writes to its target.

use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::{Journal, Key, Unfinished};
use redb::ReadableTable;

use super::Store;
use super::database;
use super::pair::Place;
use super::record;
use super::rows::blocking;
use super::writer::Change;

/// The notes on unfinished writes to one of the two locations.
#[derive(Debug)]
pub(super) struct Notes {
    store: Arc<Store>,
    place: Place,
}

impl Notes {
    pub(super) fn new(store: Arc<Store>, place: Place) -> Self {
        Self { store, place }
    }
}

#[async_trait]
impl Journal for Notes {
    async fn load(&self, key: &Key) -> Option<Unfinished> {
        let (store, place, key) = (self.store.clone(), self.place, key.clone());
        let read = blocking(move || {
            let table = store.database.read()?.open_table(database::notes(place))?;
            let key = key.as_str().as_bytes();
            Ok(table.get(key)?.and_then(|value| record::read_note(key, value.value())))
        });
        read.await.ok().flatten().map(|(_, unfinished)| unfinished)
    }

    async fn save(&self, key: &Key, unfinished: &Unfinished) {
        if let Some(value) = record::note(key, unfinished) {
            let change = Change::SetNote { place: self.place, key: key.clone(), value };
            let _lost_if_not_written = self.store.writer.write(vec![change]).await;
        }
    }

    async fn remove(&self, key: &Key) {
        let change = Change::RemoveNote { place: self.place, key: key.clone() };
        let _stays_if_not_written = self.store.writer.write(vec![change]).await;
    }

    async fn all(&self) -> Vec<(Key, Unfinished)> {
        let (store, place) = (self.store.clone(), self.place);
        let read = blocking(move || {
            let table = store.database.read()?.open_table(database::notes(place))?;
            let mut notes = Vec::new();
            for stored in table.iter()? {
                let (key, value) = stored?;
                notes.extend(record::read_note(key.value(), value.value()));
            }
            Ok(notes)
        });
        read.await.unwrap_or_default()
    }
}
