//! The evidence for deletes of a registration: the entries on both sides while the session runs.

use std::sync::{Arc, OnceLock};

use pos3_core::{Action, Entries, Entry, Event, Kind, ListOptions, Observer, StoreError, Tree};

use super::replaced::Replaced;
use super::seen::{Beginning, Noted};
use crate::hidden::Hidden;

/// The evidence for deletes of a registration, collected while the session runs.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The keys that any listing of the local directory contained.
    pub(super) here: Noted,
    /// The files, with their fingerprints, that the local directory contained when the session began.
    at_begin: Beginning,
    /// The keys that the remote location contained at the registration.
    pub(super) there: OnceLock<Noted>,
    /// The objects whose local files have become symbolic links.
    pub(super) behind_links: Noted,
    /// The objects of other writers that uploads replaced.
    pub(super) replaced: Replaced,
    /// The files that mounts and unmounts may hide.
    pub(super) hidden: Hidden,
}

impl Evidence {
    /// Records the files of the local directory at the beginning of the session. Reads those that are not known to be
    /// stored.
    pub(super) async fn take_local(&self, local: &Tree, is_stored: impl Fn(&Entry) -> bool) -> Result<(), StoreError> {
        let mut entries = Entries::open(local, ListOptions::default());
        while let Some((relative, entry)) = entries.next().await? {
            self.here.note(relative.as_str());
            self.take_file(local, Entry { key: relative, ..entry }, &is_stored).await;
        }
        self.hidden.note(local);
        Ok(())
    }

    /// Records the files of the local directory like [`take_local`](Self::take_local), but not for deletes.
    pub(super) async fn take_files(&self, local: &Tree, is_stored: impl Fn(&Entry) -> bool) -> Result<(), StoreError> {
        let mut entries = Entries::open(local, ListOptions::default());
        while let Some((relative, entry)) = entries.next().await? {
            self.take_file(local, Entry { key: relative, ..entry }, &is_stored).await;
        }
        Ok(())
    }

    async fn take_file(&self, local: &Tree, file: Entry, is_stored: &impl Fn(&Entry) -> bool) {
        let is_leftover = file.kind == Kind::File && !is_stored(&file);
        // A file that cannot be read has no digest, and its change is a conflict.
        let digest = if is_leftover { local.md5(&file).await } else { None };
        self.at_begin.take(&file, digest, is_leftover);
    }

    /// Returns the files that existed when the session began.
    pub(super) fn at_begin(&self) -> Beginning {
        self.at_begin.clone()
    }

    /// Records the keys of the remote location, unless that was done before.
    pub(super) async fn take_remote(&self, remote: &Tree) -> Result<(), StoreError> {
        if self.there.get().is_none() {
            let there = Noted::default();
            there.note_tree(remote).await?;
            self.replaced.begin(&there);
            let _taken_before = self.there.set(there);
        }
        Ok(())
    }

    /// Returns an observer that records the keys which an upload finds locally, and passes events on.
    pub(super) fn watching(&self, next: Option<Arc<dyn Observer>>) -> Arc<dyn Observer> {
        Arc::new(Watching { here: self.here.clone(), replaced: self.replaced.clone(), next })
    }
}

struct Watching {
    here: Noted,
    replaced: Replaced,
    next: Option<Arc<dyn Observer>>,
}

impl Observer for Watching {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Decided(action @ (Action::Copy { .. } | Action::Replace { .. })) => {
                self.here.note(action.key().as_str());
                if let Action::Copy { target: None, .. } = action {
                    self.replaced.note_absent(action.key());
                }
            }
            Event::Unchanged(key, _) => self.here.note(key.as_str()),
            Event::Done(action @ (Action::Copy { .. } | Action::Replace { .. })) => {
                self.replaced.uploaded(action.key());
            }
            _ => {}
        }
        if let Some(next) = &self.next {
            next.event(event);
        }
    }
}
