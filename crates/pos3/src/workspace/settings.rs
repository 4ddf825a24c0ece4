//! The settings that every pull and push of a workspace uses: [`Settings`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pos3_core::{Budget, CancellationToken, ContentTypeResolver, Guards, IgnoreSet, Observer};

use super::progress::Receiver;
use crate::state::Wait;

/// The default largest numbers of files in progress.
const DOWNLOADS: usize = 50;
const UPLOADS: usize = 10;

/// How long a pull or a push waits for another process that uses the workspace.
const PATIENCE: Duration = Duration::from_secs(60);

/// The settings that every pull and push uses.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) downloads: usize,
    pub(super) uploads: usize,
    pub(super) guards: Guards,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) progress: Option<Receiver>,
    pub(super) limit: Option<u64>,
    pub(super) largest: Option<u64>,
    pub(super) priority: Vec<String>,
    pub(super) wait: Wait,
    /// The patterns that apply before those of the ignore files.
    pub(super) ignored: IgnoreSet,
    pub(super) push_deletes: bool,
    pub(super) lease: Option<Duration>,
    pub(super) cancel: CancellationToken,
    pub(super) keep: CancellationToken,
    pub(super) content_type: ContentTypeResolver,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            downloads: DOWNLOADS,
            uploads: UPLOADS,
            guards: Guards::default(),
            observer: None,
            progress: None,
            limit: None,
            largest: None,
            priority: Vec::new(),
            wait: Wait::For(PATIENCE),
            ignored: IgnoreSet::new(),
            push_deletes: true,
            lease: None,
            cancel: CancellationToken::new(),
            keep: CancellationToken::new(),
            content_type: ContentTypeResolver::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("downloads", &self.downloads)
            .field("uploads", &self.uploads)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Returns the budget of pulls.
    pub(super) fn download_budget(&self) -> Budget {
        Budget::new(self.downloads, Budget::BYTES)
    }

    /// Returns the budget of pushes.
    pub(super) fn upload_budget(&self) -> Budget {
        Budget::new(self.uploads, Budget::BYTES)
    }
}
