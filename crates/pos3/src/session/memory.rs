//! Where a session keeps the sync state, and the part of it that is in memory.
//!
//! If there is no database, or if it cannot be used, the session keeps the sync state in memory.

use std::sync::Arc;

use pos3_core::{MemoryJournal, MemoryManifest};

use super::known::Known;
use crate::state::{StateDirectory, StateHome};

/// Where a session keeps its sync state.
#[derive(Clone, Debug, Default)]
pub(super) enum Remembers {
    /// In the directory of the environment, which is determined when it is first needed.
    #[default]
    Usually,
    /// In this directory.
    In(StateDirectory),
    /// In memory, until the session ends. The directory, if there is one, only has the marks of unsaved output.
    Alone(Option<StateDirectory>),
}

/// The sync state of one registration in memory. If there is a database, only the known pairs are used.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) known: Known,
    pub(super) manifest: Arc<MemoryManifest>,
    pub(super) journal: Arc<MemoryJournal>,
}

impl From<Option<StateDirectory>> for Remembers {
    fn from(directory: Option<StateDirectory>) -> Self {
        directory.map_or(Self::Alone(None), Self::In)
    }
}

impl Remembers {
    /// Returns the directory for marks of unsaved output outside the cache.
    pub(super) fn for_marks(&self) -> Option<StateDirectory> {
        match self {
            Self::Usually => StateDirectory::from_env(),
            Self::In(directory) => Some(directory.clone()),
            Self::Alone(directory) => directory.clone(),
        }
    }

    /// Returns where the databases are.
    pub(super) fn home(&self) -> StateHome {
        match self {
            Self::Usually => StateHome::Environment,
            Self::In(directory) => StateHome::Directory(directory.clone()),
            Self::Alone(_) => StateHome::Nowhere,
        }
    }
}
