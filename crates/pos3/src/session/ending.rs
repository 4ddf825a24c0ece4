//! The result of the end of a session.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::{BoxFuture, Shared};
use pos3_core::{Key, Report, SkipReason};

use super::error::SessionError;
use super::left_out::LeftOut;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The work succeeded.
    Clean,
    /// The work failed or was interrupted.
    Error,
}

/// An end that several callers may wait for.
pub(super) type EndingUnderWay = Shared<BoxFuture<'static, Ending>>;

/// The result of every upload at the end of a session.
#[must_use = "it contains the files that were not uploaded"]
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// One entry for each registration that had to be uploaded, in the order of the uploads.
    pub uploads: Vec<Ended>,
}

/// The result of one upload at the end of a session.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The remote location, as it was registered.
    pub location: String,
    /// The local path.
    pub local: PathBuf,
    /// The report of the last upload, if everything was uploaded.
    pub report: Option<Arc<Report>>,
    /// The number of files uploaded during the session, including the end. Each upload of the same file counts.
    pub uploaded: u64,
    /// The size of these uploads in bytes.
    pub uploaded_bytes: u64,
    /// The number of objects deleted during the session, including the end.
    pub deleted: u64,
    /// Why not everything was uploaded.
    pub error: Option<SessionError>,
    /// The number of files uploaded at the end.
    pub uploaded_at_end: u64,
    /// The size of these uploads in bytes.
    pub uploaded_bytes_at_end: u64,
    /// The keys that were not uploaded. If [`is_planned`](Self::is_planned) is false, the keys of all local files whose
    /// current content is not known to be stored.
    pub missing: Vec<Key>,
    /// Whether both sides could be compared at the end, so that the missing keys are known.
    pub is_planned: bool,
    /// Whether the output did not exist at the end, so that nothing was uploaded.
    pub is_gone: bool,
    /// The entries that were skipped because of their kind: symbolic links that are not followed, special files, and
    /// unreadable files.
    pub left_out: Vec<LeftOut>,
    /// The objects that uploads of the session replaced although another writer had stored them since the last transfer of
    /// the file, because the program had changed the file, too. If the file had not been transferred before, those that an
    /// earlier listing of the session did not contain.
    pub replaced: Vec<Key>,
    /// The location of the first output that was not uploaded completely, if the deletes of this output were
    /// [withheld](Self::withheld) for that reason. The program may have moved a file from one to the other.
    pub withheld_for: Option<String>,
    /// The deletes that were made after those of the report had been counted as withheld.
    pub(super) deleted_later: u64,
    /// Which other session may still write to the output, if deletes were withheld because of that.
    pub withheld_by_others: Option<String>,
    /// Whether the upload was cut off, so that it is not known what it skipped.
    pub(super) is_cut_off: bool,
}

impl Ending {
    /// Converts all errors to one. [`uploads`](Self::uploads) contains what was uploaded despite them.
    ///
    /// # Errors
    ///
    /// Returns the errors of all uploads that are not complete.
    pub fn into_result(self) -> Result<(), SessionError> {
        let errors: Vec<_> = self.uploads.into_iter().filter_map(|ended| ended.error).collect();
        if errors.is_empty() { Ok(()) } else { Err(SessionError::Several(errors)) }
    }

    /// Returns true if everything was uploaded, nothing was skipped, and no delete was withheld.
    pub fn is_complete(&self) -> bool {
        self.uploads.iter().all(Ended::is_complete)
    }
}

impl Ended {
    /// Returns true if everything was uploaded, nothing was skipped, and no delete was withheld.
    pub fn is_complete(&self) -> bool {
        self.is_uploaded() && self.left_out.is_empty() && self.withheld() == 0
    }

    /// Returns true if all content was uploaded. A link to an entry of the same output has no content of its own. If
    /// the output is gone, this returns false, because its content is unknown. If only deletes were refused or have
    /// failed, this returns true, although there is an error.
    pub fn is_uploaded(&self) -> bool {
        self.error.as_ref().is_none_or(SessionError::lacks_only_deletes)
            && !self.is_gone
            && self.missing.is_empty()
            && !self.left_out.iter().any(LeftOut::lacks_content)
    }

    /// Returns true if all content was uploaded, and the report shows it.
    pub(super) fn is_certainly_uploaded(&self) -> bool {
        self.is_uploaded() && !self.is_cut_off
    }

    /// Returns true if all content was uploaded and no delete was withheld.
    pub(super) fn is_done(&self) -> bool {
        self.is_uploaded() && self.withheld() == 0
    }

    /// Returns the number of objects that were not deleted because the end was hurried, the local directory was empty,
    /// the guards or the server refused the deletes, [another output](Self::withheld_for) was not uploaded completely, or
    /// other processes may still write to the output.
    pub fn withheld(&self) -> u64 {
        self.done().map_or(0, Report::not_deleted).saturating_sub(self.deleted_later)
    }

    /// Adds the result of a second upload, which made the deletes that the first one had withheld.
    pub(super) fn add_second(&mut self, second: Self) {
        let uploaded = self.uploaded_at_end + second.uploaded_at_end;
        let uploaded_bytes = self.uploaded_bytes_at_end + second.uploaded_bytes_at_end;
        let is_late = second.missing.is_empty()
            && second.error.as_ref().is_some_and(|error| error.is_cancelled() || error.is_late());
        if is_late {
            // The first one had uploaded everything, so only deletes are missing.
            self.deleted_later = second.deleted.saturating_sub(self.deleted);
            (self.uploaded, self.uploaded_bytes, self.deleted) =
                (second.uploaded, second.uploaded_bytes, second.deleted);
        } else {
            *self = second;
        }
        (self.uploaded_at_end, self.uploaded_bytes_at_end) = (uploaded, uploaded_bytes);
    }

    /// Returns the report of the last upload, even if not everything was uploaded.
    pub fn done(&self) -> Option<&Report> {
        self.report.as_deref().or_else(|| self.error.as_ref()?.report())
    }

    /// Returns the keys that were not uploaded because another writer replaced or removed the object, and the local
    /// file has not changed since its last transfer. It also returns those that were not deleted because another writer
    /// replaced the object ([`SkipReason::TargetChanged`]), or because another transfer may have removed the file
    /// ([`SkipReason::RemovedByOthers`]).
    pub fn left_to_others(&self) -> impl Iterator<Item = (Key, SkipReason)> {
        let is_theirs = |why: &SkipReason| {
            use SkipReason::{Newer, Removed, RemovedByOthers, TargetChanged};
            matches!(why, Newer | Removed | RemovedByOthers | TargetChanged)
        };
        // If the temporary file of a long report cannot be read, only the keys in memory are returned.
        let skipped =
            self.done().filter(|report| report.skipped.any(is_theirs)).map(|report| report.skipped.iter().flatten());
        skipped.into_iter().flatten().filter(move |(_, why)| is_theirs(why))
    }
}
