//! What is noted of a large put while it runs, so that a later one goes on where it ended.
//!
//! A note says what the content is made from and which ranges were written, each with its checksum. It is no proof: a
//! machine that loses its power loses what was written but not yet on the disk, and another program may have been at the
//! file. So whoever goes on reads every range that is noted, and fetches again what is not what the note says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pos3_core::{Content, Fingerprint, Journal, Key, PutOptions, Unfinished};
use serde::{Deserialize, Serialize};

use super::ranges::{Arrived, Ranges};
use crate::leftover::resumable_name;
use crate::path;

/// Content up to this size is fetched again as a whole.
const SMALL: u64 = 16 << 20;

/// A note is written at most this often.
const PAUSE: Duration = Duration::from_secs(1);

/// The format of the notes; those of another one are not understood.
const FORMAT: u8 = 2;

/// What a content is made from: with all of this equal, the bytes are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    store: String,
    key: Key,
    fingerprint: Fingerprint,
    /// When it was stored, in whole seconds: a gateway may keep the fingerprint of content that was replaced.
    modified: Option<u64>,
    size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    format: u8,
    origin: Origin,
    ranges: Ranges,
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// A put that is noted in a journal.
pub(super) struct Resumable {
    journal: Arc<dyn Journal>,
    key: Key,
    name: String,
    origin: Origin,
    arrived: Arrived,
    state: Mutex<State>,
    /// One note at a time, or an older one could replace a newer.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    since: Option<SystemTime>,
    saved: Option<Instant>,
    is_due: bool,
}

impl Resumable {
    /// Returns what notes this put of a content of which `arrived` tells; none if it is not worth it, or there is no
    /// journal.
    pub(super) fn of(key: &Key, content: &Content, options: &PutOptions, arrived: &Arrived) -> Option<Self> {
        let journal = options.journal.clone()?;
        let (store, entry) = content.origin()?;
        if content.size() <= SMALL || store.capabilities().local_reads {
            return None;
        }
        let origin = Origin {
            store: store.to_string(),
            key: entry.key.clone(),
            fingerprint: entry.fingerprint.clone()?,
            modified: entry.modified.and_then(seconds),
            size: content.size(),
        };
        Some(Self {
            journal,
            key: key.clone(),
            name: resumable_name(path::split(key.as_str()).1),
            origin,
            arrived: arrived.clone(),
            state: Mutex::default(),
            saving: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the name of the unfinished file.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the ranges that an earlier put of the same content noted; none if there was no such put.
    pub(super) async fn noted(&self) -> Option<Ranges> {
        let unfinished = self.journal.load(&self.key).await?;
        let note: Note = postcard::from_bytes(&unfinished.state).ok()?;
        if note.format != FORMAT || note.origin != self.origin || unfinished.id != self.name {
            return None;
        }
        self.state().since = unfinished.since;
        Some(note.ranges).filter(|ranges| ranges.are_sound(self.origin.size))
    }

    /// Writes a note of what has arrived, unless there was one a moment ago.
    pub(super) async fn save_if_due(&self) {
        {
            let mut state = self.state();
            state.is_due = true;
            if state.saved.is_some_and(|saved| saved.elapsed() < PAUSE) {
                return;
            }
            state.saved = Some(Instant::now());
        }
        self.save().await;
    }

    /// Writes a note if anything has arrived since the last one.
    pub(super) async fn save(&self) {
        let _turn = self.saving.lock().await;
        if let Some(unfinished) = self.due() {
            self.journal.save(&self.key, &unfinished).await;
        }
    }

    /// Removes the note: the put is done, or will not be gone on with.
    pub(super) async fn forget(&self) {
        let _turn = self.saving.lock().await;
        self.state().is_due = false;
        self.journal.remove(&self.key).await;
    }

    /// Returns the note that is due, if one is, and takes it for written.
    fn due(&self) -> Option<Unfinished> {
        let mut state = self.state();
        if !std::mem::take(&mut state.is_due) {
            return None;
        }
        let note = Note { format: FORMAT, origin: self.origin.clone(), ranges: self.arrived.now() };
        let since = *state.since.get_or_insert_with(SystemTime::now);
        let encoded = postcard::to_allocvec(&note).ok()?;
        Some(Unfinished { id: self.name.clone(), since: Some(since), state: encoded })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Resumable {
    /// A put that is cancelled has no other moment to write its note.
    fn drop(&mut self) {
        if let (Some(unfinished), Ok(runtime)) = (self.due(), tokio::runtime::Handle::try_current()) {
            let (journal, key) = (self.journal.clone(), self.key.clone());
            runtime.spawn(async move { journal.save(&key, &unfinished).await });
        }
    }
}
