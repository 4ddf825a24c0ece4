//! The uploads of a run, in words.

use std::path::Path;

use pos3::{Ended, Key, LeftOut, Report, Shape, SkipReason, Status};

use super::error;
use crate::args::Place;
use crate::output::Text;
use crate::size;

/// The hint about links that lead out of an output.
const FOLLOW: &str = "hint: upload what they lead to with --follow-symlinks, or leave them out with --exclude";

/// The maximum number of keys that are named for one reason.
const SHOWN: usize = 20;

/// One output.
pub(super) struct Output<'a> {
    pub(super) place: &'a Place,
    pub(super) path: &'a Path,
    /// Its last upload, if there was one.
    pub(super) ended: Option<&'a Ended>,
    pub(super) status: Option<&'a Status>,
}

impl<'a> Output<'a> {
    /// Returns true if it exists and its content was uploaded.
    pub(super) fn is_uploaded(&self) -> bool {
        self.ended.is_some_and(Ended::is_uploaded)
    }

    /// Returns true if everything was uploaded, but an object may hide it.
    pub(super) fn is_hidden(&self) -> bool {
        self.ended.is_some_and(|ended| ended.error.is_some() && ended.report.is_some())
    }

    /// Returns true if its last upload ended with an error.
    pub(super) fn has_error(&self) -> bool {
        self.ended.is_some_and(|ended| ended.error.is_some())
    }

    /// Returns the entries that were left out.
    pub(super) fn left_out(&self) -> &'a [LeftOut] {
        self.ended.map(|ended| ended.left_out.as_slice()).unwrap_or_default()
    }

    /// Returns the keys that were not uploaded, or may not have been.
    pub(super) fn missing(&self) -> &'a [Key] {
        self.ended.map(|ended| ended.missing.as_slice()).unwrap_or_default()
    }

    /// Returns the lines about the output.
    pub(super) fn words(&self, why_withheld: &str) -> Text {
        let Some(ended) = self.ended else { return self.words_of_no_upload() };
        let mut text = Text::default();
        if ended.error.is_some() {
            self.add_error(ended, &mut text);
        } else if ended.is_gone {
            text.line(self.words_of_missing_directory(ended));
        } else if let Some(report) = ended.report.as_deref() {
            let is_complete = self.left_out().is_empty() && ended.withheld() == 0;
            let how = match (self.is_uploaded(), is_complete) {
                (true, true) => "complete in",
                (true, false) => "uploaded to",
                (false, _) => "NOT EVERYTHING was uploaded to",
            };
            text.line(format!(
                "{}: {how} {}: {}",
                self.place.name,
                self.place.url(),
                done(ended, report, Some(why_withheld))
            ));
        }
        self.add_left_out(&mut text);
        self.add_left_to_others(&mut text);
        text
    }

    fn words_of_no_upload(&self) -> Text {
        let (name, url, path) = (&self.place.name, self.place.url(), self.path.display());
        let before = match self.status.map_or(0, |status| status.uploaded.files) {
            0 => String::new(),
            uploads => format!("; {} before", size::counted(uploads, "upload")),
        };
        Text::of(format!(
            "{name}: not uploaded to {url} at the end (--sync-on-error was not given){before}; the files are in {path}"
        ))
    }

    fn words_of_missing_directory(&self, ended: &Ended) -> String {
        let (name, url, path) = (&self.place.name, self.place.url(), self.path.display());
        // The program itself creates an output of one file; pos3 creates a directory.
        let is_made_by_program = self.place.shape == Shape::File;
        let why = if is_made_by_program { format!("there is no {path}") } else { format!("{path} is gone") };
        let withheld = match ended.withheld() {
            0 => String::new(),
            files => format!("; {} not deleted because of that", size::counted(files, "file")),
        };
        format!("{name}: nothing was uploaded to {url} at the end: {why}{withheld}")
    }

    fn add_error(&self, ended: &Ended, text: &mut Text) {
        let Some(error) = ended.error.as_ref().map(error::of_session) else { return };
        let (name, url) = (&self.place.name, self.place.url());
        let has_deleted = ended.done().is_some_and(|report| report.deleted > 0);
        let how = match (self.is_uploaded(), self.is_hidden()) {
            (true, _) if has_deleted => format!("everything was uploaded to {url}, but not everything was deleted"),
            (true, _) => format!("everything was uploaded to {url}, but nothing was deleted"),
            (false, true) => format!("everything was uploaded to {url}, but it may be hidden there"),
            (false, false) => format!("NOT EVERYTHING was uploaded to {url}"),
        };
        text.line(format!("{name}: {how}: {}", error.message));
        if let Some(report) = ended.done().filter(|_| ended.uploaded + ended.deleted > 0) {
            text.line(format!("  {}", done(ended, report, None)));
        } else if ended.uploaded > 0 {
            text.line(format!("  {}", uploads(ended)));
        }
        self.add_missing(ended, text);
        if !ended.is_gone && !self.is_uploaded() {
            text.line(format!("  the files are in {}", self.path.display()));
        }
        if let Some(hint) = error.hint {
            text.line(format!("hint: {hint}"));
        }
    }

    /// Names the files that were not uploaded, or may not have been.
    fn add_missing(&self, ended: &Ended, text: &mut Text) {
        let (what, shown) = if ended.is_planned { ("missing", usize::MAX) } else { ("not known to be there", SHOWN) };
        for key in ended.missing.iter().take(shown) {
            text.line(format!("  {what}: {}", self.remote(key)));
        }
        add_more(ended.missing.len().saturating_sub(shown), text);
    }

    fn add_left_out(&self, text: &mut Text) {
        for left in self.left_out() {
            text.line(format!("  left out: {}", words_of_left_out(left)));
        }
        let lacks_content = self.left_out().iter().any(|left| left.lacks_content() && left.link.is_some());
        if lacks_content {
            text.line(format!("  the content of these links is not in {}", self.place.url()));
        }
        if lacks_content || self.left_out().iter().any(|left| left.has_old_object) {
            text.line(FOLLOW);
        }
    }

    /// Names the files that were not uploaded, and the objects that were not deleted, because of another writer.
    fn add_left_to_others(&self, text: &mut Text) {
        let mut left = self.ended.into_iter().flat_map(Ended::left_to_others);
        for (key, why) in left.by_ref().take(SHOWN) {
            let what = match why {
                SkipReason::Removed => "uploaded, because another writer removed it",
                SkipReason::TargetChanged => "deleted, because another writer replaced it",
                SkipReason::RemovedByOthers => "deleted, because another transfer may have removed the file",
                _ => "uploaded, because another writer replaced it",
            };
            text.line(format!("  not {what}: {}", self.remote(&key)));
        }
        add_more(left.count(), text);
    }

    /// Returns the URL of a key. An output of one file has only one.
    fn remote(&self, key: &Key) -> String {
        let url = self.place.url();
        let is_one_file = !self.path.is_dir() && url.ends_with(&format!("/{key}"));
        if is_one_file { url } else { self.place.location.child(key) }
    }
}

fn add_more(count: usize, text: &mut Text) {
    if count > 0 {
        text.line(format!("  and {} more (--json-report names all)", size::count(count as u64)));
    }
}

/// Returns the number of uploads, and how many of them were made at the end.
fn uploads(ended: &Ended) -> String {
    let (uploads, bytes) = (size::counted(ended.uploaded, "upload"), size::bytes(ended.uploaded_bytes));
    format!("{uploads} ({bytes}), {} at the end", size::count(ended.uploaded_at_end))
}

/// Returns the counts of an upload.
fn done(ended: &Ended, report: &Report, why_withheld: Option<&str>) -> String {
    let mut facts: Vec<_> = there(report, ended.uploaded + ended.deleted).into_iter().collect();
    if ended.uploaded > 0 {
        facts.push(uploads(ended));
    }
    if ended.deleted > 0 {
        facts.push(format!("{} deleted", size::counted(ended.deleted, "file")));
    }
    if ended.withheld() > 0 {
        let other = ended.withheld_for.as_ref().map(|other| format!("not everything was uploaded to {other}"));
        let why = other.or(why_withheld.map(str::to_owned));
        let why = why.map(|why| format!(" because {why}")).unwrap_or_default();
        facts.push(format!("{} not deleted{why}", size::counted(ended.withheld(), "file")));
    }
    facts.join("; ")
}

/// Returns the number of files that are there. It is not known for an upload that was cut off, or for the last of several
/// uploads, which made `changes` in total.
fn there(report: &Report, changes: u64) -> Option<String> {
    match report.tally.unchanged + report.copied {
        0 if changes > 0 || report.stopped.is_some() => None,
        0 => Some("nothing to upload".to_owned()),
        files => Some(format!("{} there", size::counted(files, "file"))),
    }
}

fn words_of_left_out(left: &LeftOut) -> String {
    match &left.link {
        Some(link) => {
            let old = if left.has_old_object { "; its object still has the earlier content" } else { "" };
            format!("{}, a symbolic link to {}{old}", left.key, link.target().display())
        }
        None => format!("{} because {}", left.key, left.why),
    }
}

#[cfg(test)]
mod tests {
    use pos3::Stop;

    use super::*;

    #[test]
    fn no_output_with_uploads_had_nothing_to_upload() {
        for (there_now, changes, is_cut_off, expected) in [
            (0, 0, false, Some("nothing to upload")),
            (2, 0, false, Some("2 files there")),
            (2, 3, false, Some("2 files there")),
            // The last upload was cut off before both sides were compared.
            (0, 0, true, None),
            (0, 1, true, None),
            // The program removed what was uploaded before, or the report is that of a second attempt.
            (0, 1, false, None),
            (1, 1, true, Some("1 file there")),
        ] {
            let mut report = Report::default();
            report.tally.unchanged = there_now;
            report.stopped = is_cut_off.then_some(Stop::Cancelled);
            assert_eq!(there(&report, changes).as_deref(), expected, "{there_now} {changes} {is_cut_off}");
        }
    }
}
