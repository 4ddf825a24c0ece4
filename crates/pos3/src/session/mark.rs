//! The mark of a local path that may have output which is stored nowhere else. [`unsaved`](super::unsaved) makes, reads and
//! removes the marks.

use std::fs::File;
use std::path::PathBuf;

use super::site::Site;

/// The directory of the marks in a cache root. It moves with the cache root, so its marks have relative paths.
pub(super) const MARKS: &str = ".pos3-unsaved";

/// The mark of a running session. Its files are locked until it is dropped, so other processes see that the session
/// still runs. Processes that inherit the locks keep them until they end or close them.
#[derive(Debug, Default)]
pub(super) struct Mark {
    pub(super) files: Vec<PathBuf>,
    /// Where the output lies, if this is known.
    pub(super) site: Option<Site>,
    /// The marks that ended sessions left at this path and below it. They are removed with this one.
    pub(super) left: Vec<PathBuf>,
    pub(super) locks: Vec<File>,
    /// Whether the session has succeeded.
    pub(super) is_settled: bool,
    /// Whether another session had marked this path, or one above or below it, when this session began.
    pub(super) had_others: bool,
    /// Why the marks stay that ended sessions had left there when this session began.
    pub(super) warnings: Vec<String>,
}
