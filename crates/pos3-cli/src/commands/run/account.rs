//! What became of every input and output, to people on stderr and to programs in a file.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use pos3::{
    Ended, Ending, Key, LeftOut, Location, Refusal, Report, SessionError, Shape, Signal, SkipReason, Status, Stop,
};
use serde::Serialize;

use super::super::session;
use super::program;
use super::report_file::{ReportFile, State};
use crate::args::{Place, RunArgs, Use};
use crate::exit::Exit;
use crate::json::{self, ErrorJson};
use crate::output::Text;
use crate::{hints, output, size};

/// What to do about links that lead out of an output.
const FOLLOW: &str = "hint: upload what they lead to with --follow-symlinks, or leave them out with --exclude";

/// How many keys are named of one kind.
const SHOWN: usize = 20;

/// A run that has ended.
pub(super) struct Account<'a> {
    pub(super) args: &'a RunArgs,
    /// Every place and where it is kept.
    pub(super) paths: Vec<(Use, &'a Place, PathBuf)>,
    /// What was downloaded before the program started.
    pub(super) inputs: Vec<Input<'a>>,
    pub(super) status: Option<ExitStatus>,
    pub(super) signal: Option<Signal>,
    /// What was done for each place while the program ran and at the end.
    pub(super) statuses: Vec<Status>,
    /// What became of the uploads.
    pub(super) ending: Ending,
    /// What was said on the way.
    pub(super) warnings: Vec<String>,
}

/// What `run --json-report` writes.
#[derive(Serialize)]
struct RunJson<'a> {
    version: u32,
    command: &'static str,
    state: State,
    exit_code: u8,
    program: Option<ProgramJson>,
    /// The signal that came, if one did.
    signal: Option<&'static str>,
    complete: bool,
    #[serde(serialize_with = "json::messages")]
    warnings: &'a [String],
    inputs: Vec<InputJson<'a>>,
    uploads: Vec<UploadJson<'a>>,
    /// Places that are local paths, so that nothing is downloaded or uploaded for them.
    local: Vec<LocalJson<'a>>,
}

#[derive(Serialize)]
struct LocalJson<'a> {
    name: &'a str,
    path: String,
}

#[derive(Serialize)]
struct ProgramJson {
    code: Option<i32>,
    signal: Option<i32>,
}

#[derive(Serialize)]
struct UploadJson<'a> {
    name: &'a str,
    url: String,
    path: String,
    uploaded: bool,
    /// Files uploaded in the whole session, each as often as it was, and their bytes.
    files: u64,
    bytes: u64,
    /// Objects deleted in the whole session.
    deleted: u64,
    /// The files of those that were uploaded at the end, and their bytes.
    files_at_end: u64,
    bytes_at_end: u64,
    /// Deletes that were not done, because a signal came or the directory is empty.
    withheld: u64,
    missing: Vec<&'a str>,
    /// Symbolic links that were not followed, special files, and what cannot be read.
    left_out: Vec<LeftOutJson<'a>>,
    /// Files that were not uploaded because another writer replaced or removed the object.
    left_to_others: Vec<LeftJson>,
    error: Option<ErrorJson>,
}

#[derive(Serialize)]
struct LeftOutJson<'a> {
    key: &'a str,
    reason: String,
    /// Where a symbolic link leads.
    leads_to: Option<String>,
    /// Whether the content is not uploaded under any other name either.
    lacks_content: bool,
    /// Whether the object of this name still has the earlier content.
    has_old_object: bool,
}

#[derive(Serialize)]
struct LeftJson {
    key: String,
    reason: String,
}

#[derive(Serialize)]
struct InputJson<'a> {
    name: &'a str,
    url: String,
    path: String,
    /// Files that were downloaded before the program started, and their bytes.
    files: u64,
    bytes: u64,
    unchanged: u64,
    /// Local files that differ and were kept because they were changed here and not uploaded yet.
    changed_here: u64,
    /// Local files that were deleted.
    deleted: u64,
    /// Local files that are not in the remote location, and that the program finds all the same.
    extra: u64,
}

/// What was downloaded from one place before the program started.
pub(super) struct Input<'a> {
    place: &'a Place,
    /// Whether local files that the place does not have are deleted.
    deletes: bool,
    path: PathBuf,
    report: Arc<Report>,
}

/// What became of one output.
struct Output<'a> {
    place: &'a Place,
    path: &'a Path,
    ended: Option<&'a Ended>,
    status: Option<&'a Status>,
}

impl Account<'_> {
    /// Returns the exit code: the program's own, unless that would hide that outputs are missing.
    pub(super) fn exit(&self) -> Exit {
        let code = self.status.map_or(u8::MAX, program::code);
        match self.signal {
            _ if code != 0 => Exit::Program(code),
            None if self.is_uploaded() => Exit::Done,
            Some(_) if self.is_uploaded() && self.withheld() == 0 => Exit::Done,
            Some(signal) => Exit::Signal(signal),
            None => Exit::Failed,
        }
    }

    /// True if every output was there and its content was uploaded.
    fn is_uploaded(&self) -> bool {
        self.outputs().all(|output| output.is_uploaded())
    }

    /// True if every output was uploaded, and nothing was left out.
    fn is_complete(&self) -> bool {
        self.is_uploaded() && self.outputs().all(|output| output.left_out().is_empty())
    }

    fn withheld(&self) -> u64 {
        self.ending.uploads.iter().map(Ended::withheld).sum()
    }

    /// Says what happened.
    pub(super) fn tell(self, report_file: Option<ReportFile>) -> Exit {
        let exit = self.exit();
        if !self.args.quiet || exit != Exit::Done {
            self.say();
        }
        match report_file.map(|mut file| file.finish(&self.json(exit))) {
            Some(Err(unwritten)) => {
                output::command_error(super::COMMAND, &unwritten, None);
                if exit == Exit::Done { Exit::Failed } else { exit }
            }
            _ => exit,
        }
    }

    fn say(&self) {
        let how = self.status.map_or_else(|| "the program's end is not known".to_owned(), program::words);
        let signal = self.signal.map(|signal| format!(", after {}", signal.name())).unwrap_or_default();
        super::say(&format!("{how}{signal}"));
        for output in self.outputs() {
            output::text(&output.words(self.signal));
        }
        if !self.status.is_some_and(|status| status.success()) {
            let hints = self.paths.iter().filter_map(|(kind, place, path)| shape_hint(*kind, place, path));
            hints.for_each(|hint| output::note(&hint));
        }
        if !self.is_uploaded() && self.status.is_some_and(|status| status.success()) && self.signal.is_none() {
            output::command_error(super::COMMAND, "the program succeeded, but not everything was uploaded", None);
        }
    }

    fn json(&self, exit: Exit) -> RunJson<'_> {
        use std::os::unix::process::ExitStatusExt;
        RunJson {
            version: json::VERSION,
            command: super::COMMAND,
            state: State::Ended,
            exit_code: exit.code(),
            program: self.status.map(|status| ProgramJson { code: status.code(), signal: status.signal() }),
            signal: self.signal.map(Signal::name),
            complete: self.is_complete(),
            warnings: &self.warnings,
            inputs: self.inputs.iter().map(Input::json).collect(),
            uploads: self.outputs().map(|output| output.json()).collect(),
            local: self.paths.iter().filter(|(_, place, _)| !place.is_remote()).map(LocalJson::of).collect(),
        }
    }

    fn outputs(&self) -> impl Iterator<Item = Output<'_>> {
        let uploads = self.paths.iter().filter(|(kind, place, _)| *kind != Use::Download && place.is_remote());
        uploads.map(|(_, place, path)| Output {
            place,
            path,
            ended: self.ending.uploads.iter().find(|ended| ended.local == *path),
            status: self.statuses.iter().find(|status| status.local == *path && status.kind != "download"),
        })
    }
}

impl<'a> Output<'a> {
    fn report(&self) -> Option<&'a Report> {
        self.ended.and_then(|ended| ended.report.as_deref())
    }

    fn is_uploaded(&self) -> bool {
        self.ended.is_some_and(Ended::is_uploaded)
    }

    fn left_out(&self) -> &'a [LeftOut] {
        self.ended.map(|ended| ended.left_out.as_slice()).unwrap_or_default()
    }

    /// Returns the URL of a key, of which an output of one file has only one.
    fn remote(&self, key: &Key) -> String {
        let url = self.place.url();
        let is_one_file = !self.path.is_dir() && url.ends_with(&format!("/{key}"));
        if is_one_file { url } else { self.place.location.child(key) }
    }

    /// Names the files that were not uploaded because another writer replaced or removed the object, one line for each.
    fn left_to_others(&self, text: &mut Text) {
        let mut left = self.ended.into_iter().flat_map(Ended::left_to_others);
        for (key, why) in left.by_ref().take(SHOWN) {
            let what = if why == SkipReason::Removed { "removed" } else { "replaced" };
            text.line(format!("  not uploaded, because another writer {what} it: {}", self.remote(&key)));
        }
        let more = left.count();
        if more > 0 {
            text.line(format!("  and {} more (--json-report names all)", size::count(more as u64)));
        }
    }

    fn missing(&self) -> &'a [Key] {
        self.ended.map(|ended| ended.missing.as_slice()).unwrap_or_default()
    }

    /// Names the files that were not uploaded, or of which that is not known, one line for each.
    fn name_missing(&self, ended: &Ended, text: &mut Text) {
        let (what, shown) = if ended.is_planned { ("missing", usize::MAX) } else { ("not known to be there", SHOWN) };
        for key in ended.missing.iter().take(shown) {
            text.line(format!("  {what}: {}", self.remote(key)));
        }
        let more = ended.missing.len().saturating_sub(shown);
        if more > 0 {
            text.line(format!("  and {} more (--json-report names all)", size::count(more as u64)));
        }
    }

    fn words(&self, signal: Option<Signal>) -> Text {
        let Self { place, path, ended, .. } = self;
        let (name, url, path) = (&place.name, place.url(), path.display());
        let Some(ended) = ended else {
            let before = match self.status.map_or(0, |status| status.uploaded) {
                0 => String::new(),
                uploads => format!("; {} before", size::counted(uploads, "upload")),
            };
            return Text::of(format!(
                "{name}: not uploaded to {url} at the end (--sync-on-error was not given){before}; the files are in {path}"
            ));
        };
        let mut text = Text::default();
        if let Some(error) = &ended.error {
            text.line(format!("{name}: NOT EVERYTHING was uploaded to {url}: {}", session::message(error)));
            if let Some(report) = ended.done().filter(|_| ended.uploaded + ended.deleted > 0) {
                text.line(format!("  {}", done(ended, report, signal)));
            } else if ended.uploaded > 0 {
                text.line(format!("  {}", uploads(ended, ended.uploaded_at_end)));
            }
            self.name_missing(ended, &mut text);
            if !ended.is_gone {
                text.line(format!("  the files are in {path}"));
            }
            if let Some(hint) = hint(error) {
                text.line(format!("hint: {hint}"));
            }
        }
        if ended.error.is_none() && ended.is_gone {
            let is_made_by_program = place.shape == Shape::File;
            let why = if is_made_by_program { format!("there is no {path}") } else { format!("{path} is gone") };
            let withheld = match ended.withheld() {
                0 => String::new(),
                files => format!("; {} not deleted because of that", size::counted(files, "file")),
            };
            text.line(format!("{name}: nothing was uploaded to {url} at the end: {why}{withheld}"));
        } else if let Some(report) = self.report() {
            let how = match (self.is_uploaded(), self.left_out().is_empty()) {
                (true, true) => "complete in",
                (true, false) => "uploaded to",
                (false, _) => "NOT EVERYTHING was uploaded to",
            };
            text.line(format!("{name}: {how} {url}: {}", done(ended, report, signal)));
        }
        for left in self.left_out() {
            text.line(format!("  left out: {}", left_out(left)));
        }
        let lacks_content = self.left_out().iter().any(|left| left.lacks_content() && left.link.is_some());
        if lacks_content {
            text.line(format!("  the content of these links is not in {url}"));
        }
        if lacks_content || self.left_out().iter().any(|left| left.has_old_object) {
            text.line(FOLLOW);
        }
        self.left_to_others(&mut text);
        text
    }

    fn json(&self) -> UploadJson<'a> {
        let error = self.ended.and_then(|ended| ended.error.as_ref());
        UploadJson {
            name: &self.place.name,
            url: self.place.url(),
            path: self.path.to_string_lossy().into_owned(),
            uploaded: self.is_uploaded(),
            files: self.status.map_or(0, |status| status.uploaded),
            bytes: self.status.map_or(0, |status| status.uploaded_bytes),
            deleted: self.status.map_or(0, |status| status.deleted),
            files_at_end: self.ended.map_or(0, |ended| ended.uploaded_at_end),
            bytes_at_end: self.ended.map_or(0, |ended| ended.uploaded_bytes_at_end),
            withheld: self.ended.map_or(0, Ended::withheld),
            missing: self.missing().iter().map(Key::as_str).collect(),
            left_out: self.left_out().iter().map(LeftOutJson::of).collect(),
            left_to_others: self.ended.into_iter().flat_map(Ended::left_to_others).map(LeftJson::of).collect(),
            error: error.map(|error| ErrorJson { message: session::message(error), hint: hint(error) }),
        }
    }
}

impl<'a> LeftOutJson<'a> {
    fn of(left: &'a LeftOut) -> Self {
        Self {
            key: left.key.as_str(),
            reason: left.why.to_string(),
            leads_to: left.link.as_ref().map(|link| link.target().to_string_lossy().into_owned()),
            lacks_content: left.lacks_content(),
            has_old_object: left.has_old_object,
        }
    }
}

/// Says how many uploads there were, and how many of them at the end.
fn uploads(ended: &Ended, at_end: u64) -> String {
    let (uploads, bytes) = (size::counted(ended.uploaded, "upload"), size::bytes(ended.uploaded_bytes));
    format!("{uploads} ({bytes}), {} at the end", size::count(at_end))
}

/// Says what was done for an output.
fn done(ended: &Ended, report: &Report, signal: Option<Signal>) -> String {
    let mut text = match report.tally.unchanged + report.copied {
        0 => "nothing to upload".to_owned(),
        there => format!("{} there", size::counted(there, "file")),
    };
    if ended.uploaded > 0 {
        text.push_str(&format!("; {}", uploads(ended, report.copied)));
    }
    if ended.deleted > 0 {
        text.push_str(&format!("; {} deleted", size::counted(ended.deleted, "file")));
    }
    if ended.withheld() > 0 {
        let empty = "the directory is empty (only the run that empties it deletes them, with --allow-empty)";
        let why = if signal.is_some() { "a signal came" } else { empty };
        text.push_str(&format!("; {} not deleted because {why}", size::counted(ended.withheld(), "file")));
    }
    text
}

/// Returns a line for each place that is a local path: the `s3://` may have been forgotten.
pub(super) fn local_places(paths: &[(Use, &Place, PathBuf)]) -> Vec<String> {
    let local = paths.iter().filter(|(_, place, _)| !place.is_remote());
    let line = |(kind, place, _): &(Use, &Place, PathBuf)| {
        let what = if place.shape == Shape::File { "file" } else { "directory" };
        let not_done = match kind {
            Use::Download => "downloaded",
            Use::Upload => "uploaded",
            Use::Sync => "downloaded or uploaded",
        };
        format!("{}: {} is a local {what}, nothing is {not_done}", place.name, place.url())
    };
    local.map(line).collect()
}

/// Returns what was downloaded before the program started.
pub(super) fn inputs<'a>(
    args: &RunArgs,
    paths: &[(Use, &'a Place, PathBuf)],
    registrations: &[Status],
) -> Vec<Input<'a>> {
    let inputs = paths.iter().filter(|(kind, ..)| *kind != Use::Upload).filter_map(|(_, place, path)| {
        let status = registrations.iter().find(|status| status.local == *path && status.kind != "upload")?;
        Some(Input { place, deletes: args.delete_local, path: path.clone(), report: status.last_report.clone()? })
    });
    inputs.collect()
}

impl<'a> Input<'a> {
    /// Returns the line about it.
    pub(super) fn words(&self) -> String {
        let (name, url, report) = (&self.place.name, self.place.url(), &self.report);
        let mut text = if report.tally.source == 0 {
            format!("{name}: nothing in {url} yet")
        } else {
            let (files, bytes) = (size::counted(report.copied, "file"), size::bytes(report.copied_bytes));
            let here = size::count(report.tally.unchanged);
            format!("{name}: {files} ({bytes}) fetched from {url}, {here} here already")
        };
        if self.changed_here() > 0 {
            let changed = size::counted(self.changed_here(), "file");
            text.push_str(&format!("; {changed} changed here and kept, because not uploaded yet"));
        }
        if report.deleted > 0 {
            text.push_str(&format!("; {} deleted here", size::counted(report.deleted, "file")));
        }
        if report.tally.extra > 0 {
            let extra = size::counted(report.tally.extra, "file");
            let why = if self.deletes { ", because not uploaded yet" } else { " (--delete-local removes them)" };
            text.push_str(&format!("; {extra} only in {}, kept{why}", self.path.display()));
        }
        text
    }

    /// Returns how many local files differ from their objects and were changed here.
    fn changed_here(&self) -> u64 {
        self.report.skipped.count(|why| *why == SkipReason::Newer)
    }

    fn json(&self) -> InputJson<'_> {
        InputJson {
            name: &self.place.name,
            url: self.place.url(),
            path: self.path.to_string_lossy().into_owned(),
            files: self.report.copied,
            bytes: self.report.copied_bytes,
            unchanged: self.report.tally.unchanged,
            changed_here: self.changed_here(),
            deleted: self.report.deleted,
            extra: self.report.tally.extra,
        }
    }
}

impl<'a> LocalJson<'a> {
    fn of((_, place, path): &'a (Use, &'a Place, PathBuf)) -> Self {
        Self { name: &place.name, path: path.to_string_lossy().into_owned() }
    }
}

impl LeftJson {
    fn of((key, why): (Key, SkipReason)) -> Self {
        Self { key: key.to_string(), reason: why.to_string() }
    }
}

/// Returns what to do about an error, with options that this command has.
pub(super) fn hint(error: &SessionError) -> Option<String> {
    match error {
        SessionError::Transfer { report, .. } => match &report.0.stopped {
            Some(Stop::Refused(Refusal::TooManyDeletes { deletes, .. })) => {
                Some(format!("nothing was deleted; if so many are meant, say --max-delete {deletes}"))
            }
            None if report.0.failed.is_empty() => for_kinds(&report.0).or_else(|| session::hint(error)),
            _ => session::hint(error),
        },
        SessionError::Several(errors) => errors.iter().find_map(hint),
        _ => session::hint(error),
    }
}

/// Returns advice on keys that something of another kind keeps from being copied.
fn for_kinds(report: &Report) -> Option<String> {
    let is_hidden = report.skipped.any(|why| matches!(why, SkipReason::OtherShape(_)));
    let hint = match report.skipped.any(|why| matches!(why, SkipReason::Clash(_))) {
        _ if report.skipped.any(SkipReason::is_conflict) => return None,
        _ if is_hidden => {
            "the new files are uploaded; delete the old objects in the bucket (--delete-remote deletes what a program \
             removes, in the run that removes it)"
        }
        _ if report.skipped.any(hints::is_behind_link) => {
            "delete the local link to download the object, or upload what links lead to with --follow-symlinks"
        }
        true => {
            "a disk cannot hold a file and a directory of one name; delete one of the two in the bucket, or leave one out \
             with --exclude; if the other one is only a local file that is no longer needed, delete it"
        }
        false => return None,
    };
    Some(hint.to_owned())
}

/// Returns advice where a program may have failed because the path of its one file was made a directory.
fn shape_hint(kind: Use, place: &Place, path: &Path) -> Option<String> {
    let option = match kind {
        Use::Download => return None,
        Use::Upload => "--upload-file",
        Use::Sync => "--sync-file",
    };
    let is_empty = std::fs::read_dir(path).is_ok_and(|mut names| names.next().is_none());
    let has_name = match &place.location {
        Location::Remote(remote) => !remote.key().is_empty() && !remote.key().ends_with('/'),
        Location::Local(_) => false,
    };
    let (name, url) = (&place.name, place.url());
    let hint = || format!("hint: {name} is an empty directory; if it is to be one file, say {option} {name}={url}");
    (is_empty && has_name).then(hint)
}

/// Says what was left out, and why.
fn left_out(left: &LeftOut) -> String {
    match &left.link {
        Some(link) => {
            let old = if left.has_old_object { "; its object still has the earlier content" } else { "" };
            format!("{}, a symbolic link to {}{old}", left.key, link.target().display())
        }
        None => format!("{} because {}", left.key, left.why),
    }
}
