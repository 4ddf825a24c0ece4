//! One action as a line: the step, and the state in which it is valid.
//!
//! The format has its own types, so that renaming a field in the engine does not change the meaning of old files.

use jiff::Timestamp;
use pos3_core::{Action, Change, Digest, Entry, Fingerprint, Key, Kind, SkipReason};
use serde::{Deserialize, Serialize};

use super::PlanFileError;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ActionRecord {
    Copy { key: Key, why: Change, source: EntryRecord, target: Option<EntryRecord> },
    Delete { key: Key, target: EntryRecord },
    Replace { key: Key, obstacle: Key, source: EntryRecord },
    Skip { key: Key, why: SkipReason },
}

/// The facts about one side.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryRecord {
    kind: KindRecord,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// The kinds of entries that can be copied or deleted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindRecord {
    File,
    Marker,
    Directory,
}

impl TryFrom<&Action> for ActionRecord {
    type Error = PlanFileError;

    fn try_from(action: &Action) -> Result<Self, PlanFileError> {
        Ok(match action {
            Action::Copy { source, target, why } => Self::Copy {
                key: source.key.clone(),
                why: *why,
                source: source.try_into()?,
                target: target.as_ref().map(EntryRecord::try_from).transpose()?,
            },
            Action::Delete { target } => Self::Delete { key: target.key.clone(), target: target.try_into()? },
            Action::Replace { source, obstacle } => {
                Self::Replace { key: source.key.clone(), obstacle: obstacle.clone(), source: source.try_into()? }
            }
            Action::Skip { key, why } => Self::Skip { key: key.clone(), why: why.clone() },
        })
    }
}

impl ActionRecord {
    /// Returns the action, or the problem with it.
    pub(super) fn into_action(self) -> Result<Action, String> {
        Ok(match self {
            Self::Copy { key, why, source, target } => Action::Copy {
                target: target.map(|target| target.into_entry(&key)).transpose()?,
                source: source.into_content(&key)?,
                why,
            },
            Self::Delete { key, target } => Action::Delete { target: target.into_entry(&key)? },
            Self::Replace { key, obstacle, source } => {
                if !key.is_inside(obstacle.as_str()) && !obstacle.is_inside(key.as_str()) {
                    return Err(format!("'{obstacle}' cannot be in the way of '{key}'"));
                }
                Action::Replace { source: source.into_content(&key)?, obstacle }
            }
            Self::Skip { key, why } => Action::Skip { key, why },
        })
    }
}

impl TryFrom<&Entry> for EntryRecord {
    type Error = PlanFileError;

    fn try_from(entry: &Entry) -> Result<Self, PlanFileError> {
        let kind = match entry.kind {
            Kind::File => KindRecord::File,
            Kind::Marker => KindRecord::Marker,
            Kind::Directory => KindRecord::Directory,
            Kind::Protected(_) => return Err(PlanFileError::Unwritable(entry.key.clone())),
        };
        Ok(Self {
            kind,
            size: entry.size,
            // A time after the year 9999 cannot be written. It is only passed on to the copy and decides nothing.
            modified: entry.modified.and_then(|time| Timestamp::try_from(time).ok()),
            fingerprint: entry.fingerprint.clone(),
            digest: entry.digest.map(|digest| digest.to_string()),
        })
    }
}

impl EntryRecord {
    fn into_entry(self, key: &Key) -> Result<Entry, String> {
        let entry = match (self.kind, key.is_marker()) {
            (KindRecord::File, false) => Entry::file(key.clone(), self.size),
            (KindRecord::Marker, true) => Entry::marker(key.clone(), self.size),
            (KindRecord::Directory, true) if self.size == 0 => Entry::directory(key.clone()),
            (kind, _) => return Err(format!("'{key}' cannot be a {}", format!("{kind:?}").to_lowercase())),
        };
        let digest = self.digest.map(|digest| digest.parse::<Digest>()).transpose();
        Ok(Entry {
            modified: self.modified.map(Into::into),
            fingerprint: self.fingerprint,
            digest: digest.map_err(|error| format!("the digest of '{key}': {error}"))?,
            ..entry
        })
    }

    fn into_content(self, key: &Key) -> Result<Entry, String> {
        let entry = self.into_entry(key)?;
        if entry.has_content() { Ok(entry) } else { Err(format!("'{key}' is a directory, which cannot be copied")) }
    }
}
