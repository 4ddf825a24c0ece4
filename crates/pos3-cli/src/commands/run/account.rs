//! The account of a run that has ended: its exit code, the lines on stderr, and the report file.

use std::path::Path;
use std::process::ExitStatus;

use pos3::{Ended, Ending, Location, RegistrationKind, Shape, Signal, Status};

use super::inputs::Input;
use super::outputs::Output;
use super::processes::Left;
use super::report_file::ReportFile;
use super::{COMMAND, LocalPlace, fields, program, say};
use crate::args::{Place, RunArgs, Use};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::output::{self, Text};

/// A run that has ended.
pub(super) struct Account<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) invocation: &'a Invocation,
    pub(super) paths: Vec<LocalPlace<'a>>,
    /// The downloads before the program started.
    pub(super) inputs: Vec<Input<'a>>,
    /// How the program ended, if that is known.
    pub(super) status: Option<ExitStatus>,
    /// The first signal, if there was one.
    pub(super) signal: Option<Signal>,
    /// The processes of the program that still ran when it had ended.
    pub(super) left: Left,
    /// The totals of each place, from the start of the program to the end of the session.
    pub(super) statuses: Vec<Status>,
    /// The last uploads.
    pub(super) ending: Ending,
}

impl Account<'_> {
    /// Reports the run. Returns the exit code, or the error of a report that could not be written after a success.
    pub(super) fn give(self, report_file: Option<ReportFile>) -> Result<Exit, CommandError> {
        let exit = self.exit();
        if !self.args.quiet || exit != Exit::Done {
            self.write_lines();
        }
        let written = report_file.map_or(Ok(()), |file| {
            file.finish(&|unwritten, out| {
                let exit = if unwritten.is_some() && exit == Exit::Done { Exit::Failed } else { exit };
                fields::envelope(&self, exit, unwritten).write(out)
            })
        });
        match written {
            Err(unwritten) if exit != Exit::Done => self.invocation.report(&unwritten),
            written => written?,
        }
        Ok(exit)
    }

    /// Returns the exit code: that of the program, unless it would hide that outputs are missing.
    fn exit(&self) -> Exit {
        let code = self.status.map_or(u8::MAX, program::code);
        match self.signal {
            _ if code != 0 => Exit::Program(code),
            None if self.is_done() && !self.lacks_deletes() => Exit::Done,
            Some(_) if self.is_done() && self.withheld() == 0 => Exit::Done,
            Some(signal) => Exit::Signal(signal),
            None => Exit::Failed,
        }
    }

    /// Returns true if every output exists, the content of those that are remote was uploaded, and no delete was refused.
    fn is_done(&self) -> bool {
        self.what_is_not_done().is_none()
    }

    /// Returns the local paths of outputs of one file that the program should have created and did not.
    fn not_made(&self) -> impl Iterator<Item = &LocalPlace<'_>> {
        self.local().filter(|local| self.is_not_made(local))
    }

    /// Returns true if a local path should be a file that the program created, and is not.
    pub(super) fn is_not_made(&self, (kind, place, path): &LocalPlace<'_>) -> bool {
        let is_success = self.status.is_some_and(|status| status.success());
        is_success && *kind != Use::Download && place.shape == Shape::File && !path.is_file()
    }

    /// Returns the places that are local paths, so pos3 downloads and uploads nothing for them.
    pub(super) fn local(&self) -> impl Iterator<Item = &LocalPlace<'_>> {
        self.paths.iter().filter(|(_, place, _)| !place.is_remote())
    }

    /// Returns true if every output was uploaded, nothing was left out, and no delete was withheld.
    pub(super) fn is_complete(&self) -> bool {
        self.is_done() && self.withheld() == 0 && self.outputs().all(|output| output.left_out().is_empty())
    }

    /// Returns the outputs that are remote.
    pub(super) fn outputs(&self) -> impl Iterator<Item = Output<'_>> {
        let uploads = self.paths.iter().filter(|(kind, place, _)| *kind != Use::Download && place.is_remote());
        uploads.map(|(_, place, path)| Output {
            place,
            path,
            ended: self.ending.uploads.iter().find(|ended| ended.local == *path),
            status: self
                .statuses
                .iter()
                .find(|status| status.local == *path && status.kind != RegistrationKind::Download),
        })
    }

    /// Returns true if deletes were withheld because a process may still write to an output.
    fn lacks_deletes(&self) -> bool {
        let is_shared = self.ending.uploads.iter().any(|ended| ended.withheld_by_others.is_some());
        self.withheld() > 0 && (self.left != Left::None || is_shared)
    }

    fn why_withheld<'o>(&self, output: &Output<'o>) -> &'o str {
        let other = output.ended.and_then(|ended| ended.withheld_by_others.as_deref());
        match (self.signal, &self.left) {
            (Some(_), _) => "a signal came",
            (None, Left::Some(_)) => "processes of the program still run",
            (None, Left::Hidden | Left::Unknown) => "processes of the program may still run",
            (None, Left::None) if let Some(other) = other => other,
            (None, Left::None) => {
                "the directory has no file (only the run that empties it deletes them, with --allow-empty)"
            }
        }
    }

    fn withheld(&self) -> u64 {
        self.ending.uploads.iter().map(Ended::withheld).sum()
    }

    fn write_lines(&self) {
        let how = self.status.map_or_else(|| "the exit status of the program is unknown".to_owned(), program::words);
        let signal = self.signal.map(|signal| format!(", after {}", signal.name())).unwrap_or_default();
        say(&format!("{how}{signal}"));
        for output in self.outputs() {
            output::text(&output.words(self.why_withheld(&output)));
        }
        for (_, place, path) in self.not_made() {
            output::text(&Text::of(format!("{}: there is no file {}", place.name, path.display())));
        }
        let succeeded = self.status.is_some_and(|status| status.success());
        if !succeeded {
            let hints = self.paths.iter().filter_map(|(kind, place, path)| shape_hint(*kind, place, path));
            hints.for_each(|hint| output::note(&hint));
        } else if self.signal.is_none()
            && let Some(what) = self.what_is_not_done()
        {
            output::command_error(COMMAND, &format!("the program succeeded, but {what}"), None);
        }
    }

    /// Returns what the program or pos3 did not do, if that makes a success a failure.
    fn what_is_not_done(&self) -> Option<&'static str> {
        if self.outputs().any(|output| !output.is_uploaded() && !output.is_hidden()) {
            Some("not everything was uploaded")
        } else if self.outputs().any(|output| output.is_hidden()) {
            Some("an object may hide its output")
        } else if self.outputs().any(|output| output.has_error()) {
            Some("not everything was deleted")
        } else if self.not_made().next().is_some() {
            Some("it did not create every output")
        } else {
            None
        }
    }
}

/// Returns the hint for a program that may have failed because the path of its only file is a directory.
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
    let hint =
        || format!("hint: {name} is an empty directory; if it should be a single file, use {option} {name}={url}");
    (is_empty && has_name).then(hint)
}
