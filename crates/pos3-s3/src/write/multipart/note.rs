//! The note about an upload in the journal, with which it can be resumed after the process was killed.
//!
//! The server and the source are asked again about everything in a note, so a wrong note costs time but cannot damage
//! content.

use std::fmt::{Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pos3_core::{Checksum, Content, Journal, Key, PutOptions, Unfinished};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::parts::Part;
use crate::client::habits::Protection;
use crate::write::ObjectHeaders;

/// The interval at which the note is saved while parts are sent. Parts that are not in the note are read again when the
/// upload is resumed.
const INTERVAL: Duration = Duration::from_secs(1);

/// The properties of an upload. It can be resumed only if all of them are the same.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) key: Key,
    pub(super) size: u64,
    pub(super) part_size: u64,
    source: Vec<u8>,
    headers: Vec<u8>,
}

/// A note as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Noted {
    /// The first version of the format.
    V1(State),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    size: u64,
    part_size: u64,
    /// The fingerprint of the source.
    source: Vec<u8>,
    /// The headers with which the upload was created.
    headers: Vec<u8>,
    /// The upload was created with a CRC-64/NVME of the whole object.
    summed: bool,
    pub(super) parts: Vec<NotedPart>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NotedPart {
    pub(super) index: u32,
    pub(super) etag: String,
    crc64_nvme: Option<u64>,
    proven: bool,
}

/// The note about an upload in progress.
pub(super) struct Note {
    origin: Origin,
    id: String,
    since: SystemTime,
    now: Mutex<Now>,
}

struct Now {
    state: State,
    saved: Instant,
}

impl Origin {
    /// Returns the properties of an upload of this content. Returns `None` without a journal, or if the content has no
    /// fingerprint to recognise it by.
    pub(super) fn new(
        key: &Key,
        content: &Content,
        options: &PutOptions,
        part_size: u64,
        headers: &ObjectHeaders,
    ) -> Option<Self> {
        let (_, entry) = content.origin()?;
        let mut said = Vec::new();
        for (name, value) in headers {
            for text in [name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"] {
                said.extend_from_slice(text);
            }
        }
        Some(Self {
            journal: options.journal.clone()?,
            key: key.clone(),
            size: content.size(),
            part_size,
            source: entry.fingerprint.as_ref()?.as_bytes().to_vec(),
            headers: said,
        })
    }

    fn state(&self, protection: Protection, parts: Vec<NotedPart>) -> State {
        State {
            size: self.size,
            part_size: self.part_size,
            source: self.source.clone(),
            headers: self.headers.clone(),
            summed: protection == Protection::Crc64Nvme,
            parts,
        }
    }

    /// Returns the state in a note, if the note is about an upload with the same properties.
    pub(super) fn recognise(&self, noted: &Unfinished) -> Option<State> {
        let Noted::V1(mut state) = postcard::from_bytes(&noted.state).ok()?;
        if is_without_tag(&state.source, &self.source) {
            state.source.clone_from(&self.source);
        }
        (self.state(state.protection(Protection::None), state.parts.clone()) == state).then_some(state)
    }
}

/// Returns true if this is the fingerprint of the source as earlier versions noted it: without the tag of a local file.
fn is_without_tag(noted: &[u8], source: &[u8]) -> bool {
    matches!(source.split_first(), Some((0xf5..=0xff, token)) if token == noted)
}

impl State {
    /// Returns how the parts of the upload must be protected, given how they would `usually` be protected.
    pub(super) fn protection(&self, usually: Protection) -> Protection {
        match usually {
            _ if self.summed => Protection::Crc64Nvme,
            Protection::Crc64Nvme => Protection::Md5,
            other => other,
        }
    }
}

impl NotedPart {
    fn new(index: usize, part: &Part) -> Option<Self> {
        let crc64_nvme = match part.sum {
            Some(Checksum::Crc64Nvme(value)) => Some(value),
            _ => None,
        };
        Some(Self { index: u32::try_from(index).ok()?, etag: part.etag.clone(), crc64_nvme, proven: part.proven })
    }

    pub(super) fn part(&self, size: u64) -> Part {
        let sum = self.crc64_nvme.map(Checksum::Crc64Nvme);
        Part { etag: self.etag.clone(), size, sum, proven: self.proven, contradicted: false }
    }
}

impl Note {
    /// Returns the note about a new upload.
    pub(super) fn new(origin: Origin, id: &str, protection: Protection) -> Self {
        let now = Now { state: origin.state(protection, Vec::new()), saved: Instant::now() };
        Self { origin, id: id.to_owned(), since: SystemTime::now(), now: Mutex::new(now) }
    }

    /// Returns the note about an upload that is resumed.
    pub(super) fn of(origin: Origin, noted: &Unfinished, protection: Protection, there: &[(usize, Part)]) -> Self {
        let mut note = Self::new(origin, &noted.id, protection);
        note.since = noted.since.unwrap_or(note.since);
        let parts = there.iter().filter_map(|(index, part)| NotedPart::new(*index, part)).collect();
        note.now.get_mut().unwrap_or_else(PoisonError::into_inner).state.parts = parts;
        note
    }

    /// Adds a part, and saves the note if the last save was longer ago than [`INTERVAL`].
    pub(super) async fn add(&self, index: usize, part: &Part) {
        let due = {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            now.state.parts.extend(NotedPart::new(index, part));
            let due = now.saved.elapsed() >= INTERVAL;
            if due {
                now.saved = Instant::now();
            }
            due
        };
        if due {
            self.save().await;
        }
    }

    /// Saves the note in its current state.
    pub(super) async fn save(&self) {
        let state = self.now.lock().unwrap_or_else(PoisonError::into_inner).state.clone();
        let Ok(state) = postcard::to_stdvec(&Noted::V1(state)) else { return };
        let unfinished = Unfinished { id: self.id.clone(), since: Some(self.since), state };
        self.origin.journal.save(&self.origin.key, &unfinished).await;
    }

    /// Removes the note, because the upload no longer exists.
    pub(super) async fn remove(&self) {
        self.origin.journal.remove(&self.origin.key).await;
    }
}

impl Debug for Note {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Note").field("key", &self.origin.key).field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use pos3_core::{Fingerprint, MemoryJournal};

    use super::*;

    #[test]
    fn an_upload_of_a_version_without_tags_is_resumed() {
        let of = |source: &Fingerprint| Origin {
            journal: Arc::new(MemoryJournal::default()),
            key: Key::from("k"),
            size: 20 << 20,
            part_size: 8 << 20,
            source: source.as_bytes().to_vec(),
            headers: Vec::new(),
        };
        let noted = |source: &Fingerprint| {
            let state = of(source).state(Protection::Crc64Nvme, Vec::new());
            Unfinished { id: "id".into(), since: None, state: postcard::to_stdvec(&Noted::V1(state)).unwrap() }
        };
        let (local, etag) = (Fingerprint::tagged(0xff, &[7; 32]), Fingerprint::from("abc"));
        for (now, earlier, is_same) in [
            (&local, &local, true),
            (&local, &Fingerprint::new([7; 32]), true),
            (&local, &Fingerprint::new([8; 32]), false),
            (&etag, &etag, true),
            (&etag, &Fingerprint::from("bc"), false),
        ] {
            let found = of(now).recognise(&noted(earlier));
            assert_eq!(found.map(|state| state.source), is_same.then(|| now.as_bytes().to_vec()), "{now} {earlier}");
        }
    }
}
