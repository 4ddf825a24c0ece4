//! Notes about a running large put, by which a later put can resume it.
//!
//! A note contains the source of the content and the written ranges, each with its checksum. It is not evidence: after
//! a power failure, written data may not be on the disk, and another program may have changed the file. So a later put
//! reads every noted range and fetches those again whose checksums differ.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pos3_core::{Content, Fingerprint, Journal, Key, PutOptions, Reads, Unfinished};
use serde::{Deserialize, Serialize};

use super::ranges::{Arrived, Ranges};
use crate::leftover::resumable_name;
use crate::path;

/// Content up to this size is fetched again as a whole.
const SMALL: u64 = 16 << 20;

/// The minimum time between two notes.
const PAUSE: Duration = Duration::from_secs(1);

/// The format of the notes. Notes of another format are ignored.
const FORMAT: u8 = 2;

/// The source of a content. If all fields are equal, the bytes are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    store: String,
    key: Key,
    fingerprint: Fingerprint,
    /// The time when it was stored, in whole seconds. A gateway may keep the fingerprint of content that was replaced.
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
    /// Allows one note at a time. Otherwise, an older note could replace a newer one.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    since: Option<SystemTime>,
    saved: Option<Instant>,
    is_due: bool,
}

impl Resumable {
    /// Returns the notes of this put, whose progress is in `arrived`. Returns `None` if the content is too small, or if
    /// there is no journal.
    pub(super) fn of(key: &Key, content: &Content, options: &PutOptions, arrived: &Arrived) -> Option<Self> {
        let journal = options.journal.clone()?;
        let (store, entry) = content.origin()?;
        if content.size() <= SMALL || content.reads() == Reads::Local {
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

    /// Returns the ranges that an earlier put of the same content noted, or `None` if there are none.
    pub(super) async fn noted(&self) -> Option<Ranges> {
        let unfinished = self.journal.load(&self.key).await?;
        let note: Note = postcard::from_bytes(&unfinished.state).ok()?;
        if note.format != FORMAT || note.origin != self.origin || unfinished.id != self.name {
            return None;
        }
        self.state().since = unfinished.since;
        Some(note.ranges).filter(|ranges| ranges.are_sound(self.origin.size))
    }

    /// Writes a note, unless the previous one is too recent.
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

    /// Writes a note if any range has arrived since the previous one.
    pub(super) async fn save(&self) {
        let _turn = self.saving.lock().await;
        if let Some(unfinished) = self.due() {
            self.journal.save(&self.key, &unfinished).await;
        }
    }

    /// Removes the note, because the put is complete or will not be resumed.
    pub(super) async fn forget(&self) {
        let _turn = self.saving.lock().await;
        self.state().is_due = false;
        self.journal.remove(&self.key).await;
    }

    /// Returns the note to write, if there is one, and treats it as written.
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
    /// This is the only moment at which a cancelled put can write its note.
    fn drop(&mut self) {
        if let (Some(unfinished), Ok(runtime)) = (self.due(), tokio::runtime::Handle::try_current()) {
            let (journal, key) = (self.journal.clone(), self.key.clone());
            runtime.spawn(async move { journal.save(&key, &unfinished).await });
        }
    }
}
