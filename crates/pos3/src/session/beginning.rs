//! The files of an output when the session began: [`Beginning`].
//!
//! They are not output of this session's program, whatever happens to them, until their content changes. A failed run
//! may have left them, and another writer may have stored a newer object since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pos3_core::{Digest, Entry, Key};

use super::noted::Noted;

/// The files of an output when the session began. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginning {
    /// Every file with its fingerprint, and every key.
    files: Noted,
    /// The files whose content was not known to be stored.
    leftovers: Arc<Mutex<HashMap<Key, Leftover>>>,
}

/// A file whose content was not known to be stored when the session began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leftover {
    size: u64,
    digest: Option<Digest>,
}

/// Where the current content of a file is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The program of this session wrote it, or it was stored when the session began and has another fingerprint now.
    Program,
    /// It is unchanged since before the session.
    Before,
    /// It is from before the session if it has this digest, and otherwise from the program. Without a digest, this is
    /// unknown.
    Either { digest: Option<Digest> },
}

impl Beginning {
    /// Records a file. `digest` is that of its content, if it is not known to be stored.
    pub(super) fn take(&self, file: &Entry, digest: Option<Digest>, is_leftover: bool) {
        self.files.note_file(file);
        if is_leftover {
            let leftover = Leftover { size: file.size, digest };
            self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).insert(file.key.clone(), leftover);
        }
    }

    /// Returns where the content of a file is from.
    pub(super) fn origin(&self, file: &Entry) -> Origin {
        if self.files.has_file(file) {
            return Origin::Before;
        }
        let leftover = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).get(&file.key).copied();
        match leftover {
            Some(then) if then.size == file.size => Origin::Either { digest: then.digest },
            Some(_) | None => Origin::Program,
        }
    }
}
