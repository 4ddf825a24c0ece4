//! The file of `--json-report`, which always contains a report of the current run.
//!
//! A program could mistake the report of an earlier run for that of this run. So before pos3 downloads the inputs, it
//! replaces the file with a report in the state `running`. This also verifies that the file can be written. When the
//! run ends, pos3 replaces it again, unless the program wrote to it. Each replacement is atomic where the directory
//! allows it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use pos3::{Replaced, SeenFile};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::command_error::CommandError;
use crate::envelope::{Envelope, Head, ResultFields};
use crate::invocation::Invocation;
use crate::output::{self, Out};

/// The mode of a new report. The process's mask applies to it.
const MODE: u32 = 0o666;

/// An open report file.
pub(in crate::commands) struct ReportFile {
    path: PathBuf,
    place: Place,
}

/// How the report is written. [`SeenFile`] identifies the file as pos3 left it.
enum Place {
    /// To a new file in the same directory, which then gets the name of the old one.
    Beside(SeenFile),
    /// To the file itself, because no other file can be created in its directory.
    Itself(SeenFile, File),
    /// To a terminal or a pipe. Only the last report is written.
    Stream(File),
}

/// The state of the run.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::commands) enum State {
    /// The run has not ended, or it was killed.
    Running,
    /// The run ended before the program was started.
    NotStarted,
    /// The program and the uploads have ended.
    Ended,
}

/// The fields that every report begins with. Most of them only have to exist.
#[derive(Deserialize)]
struct Earlier {
    command: String,
    #[serde(rename = "version")]
    _version: u32,
    #[serde(rename = "exit_code")]
    _exit_code: IgnoredAny,
    #[serde(rename = "error")]
    _error: IgnoredAny,
    #[serde(rename = "warnings")]
    _warnings: Vec<String>,
    #[serde(rename = "state")]
    _state: State,
    #[serde(rename = "complete")]
    _complete: bool,
}

/// The hint for a report in a directory that does not exist.
const NO_DIRECTORY: &str = "create the directory first, even if it is an output: pos3 opens the report before it creates \
                            the outputs";

/// Writes the last report. If the report could not be written to its file, the argument is that error, which the report
/// then contains.
type WriteReport<'a> = &'a dyn Fn(Option<&CommandError>, &mut Out<'_>) -> io::Result<()>;

impl ReportFile {
    /// Opens the file and replaces its report with that of a run that has not ended, which has these `fields`. Fails if the
    /// file has other content than a report of this `command`.
    ///
    /// If no process reads a pipe yet, this waits for one. It calls `waits` before it waits.
    pub(in crate::commands) fn open(
        path: &Path,
        (command, fields): (&'static str, impl Serialize),
        waits: impl FnOnce(),
    ) -> Result<Self, CommandError> {
        let path = path.to_owned();
        let failed = |error: &io::Error| unwritten(&path, error);
        match fs::metadata(&path).map(|found| found.file_type()) {
            Ok(kind) if !kind.is_file() => {
                let opened = if kind.is_fifo() { open_pipe(&path, waits) } else { open_to_write(&path) };
                let stream = opened.map_err(|error| failed(&error))?;
                return Ok(Self { place: Place::Stream(stream), path });
            }
            _ => {}
        }
        let (seen, is_replaceable) =
            SeenFile::look(&path, |content| is_empty_or_report(content, command)).map_err(|error| failed(&error))?;
        if is_replaceable == Some(false) {
            let why = "the file exists and is not a complete report; remove it or name another file";
            return Err(failed(&io::Error::other(why)));
        }
        let text = text(|out| running(command, fields).write(out)).map_err(|error| failed(&error))?;
        let place = match replace(&seen, &text) {
            Ok(Some(left)) => Place::Beside(left),
            Ok(None) => return Err(failed(&io::Error::other("another process writes to the file"))),
            Err(changed) if !seen.is_unchanged() => return Err(failed(&changed)),
            Err(unwritable) => {
                let opened = OpenOptions::new().read(true).write(true).open(seen.path());
                let mut file = opened.map_err(|_| failed(&unwritable))?;
                let left = overwrite(&seen, &mut file, &text).map_err(|error| failed(&error))?;
                Place::Itself(left, file)
            }
        };
        Ok(Self { path, place })
    }

    /// Writes the report of a run whose program was not started.
    pub(in crate::commands) fn refuse(
        self,
        invocation: &Invocation,
        error: &CommandError,
        fields: &impl Serialize,
    ) -> Result<(), CommandError> {
        self.finish(&|_, out| invocation.envelope(error.exit, Some(error), fields).write(out))
    }

    /// Writes the last report. If that is not possible, or if the program wrote to the file, the report goes to another
    /// file or to stderr, and the error states that.
    pub(in crate::commands) fn finish(self, write: WriteReport<'_>) -> Result<(), CommandError> {
        let written = text(|out| write(None, out)).and_then(|text| match self.place {
            Place::Stream(mut file) => file.write_all(&text).map(|()| None),
            Place::Beside(seen) => replace(&seen, &text).map(|left| left.is_none().then_some(seen)),
            Place::Itself(seen, mut file) if seen.is_unchanged() => overwrite(&seen, &mut file, &text).map(|_| None),
            Place::Itself(seen, _) => Ok(Some(seen)),
        });
        match written {
            Ok(None) => Ok(()),
            Ok(Some(changed)) => Err(write_beside(&self.path, &changed, write)),
            Err(error) => Err(write_to_stderr(&unwritten(&self.path, &error), write)),
        }
    }
}

fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

/// Opens a pipe. The system would wait silently until a process reads a named pipe, so this first tries not to wait. A
/// pipe without a name, such as that of `>(jq)`, is opened at once.
fn open_pipe(path: &Path, waits: impl FnOnce()) -> io::Result<File> {
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    match OpenOptions::new().write(true).custom_flags(at_once).open(path) {
        Ok(pipe) => {
            fcntl_setfl(&pipe, fcntl_getfl(&pipe)? - OFlags::NONBLOCK)?;
            Ok(pipe)
        }
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {
            waits();
            open_to_write(path)
        }
        Err(error) => Err(error),
    }
}

/// Writes the report to a new file next to the one that the program changed. Returns an error that names the new file.
fn write_beside(path: &Path, changed: &SeenFile, write: WriteReport<'_>) -> CommandError {
    let why = format!("the file '{}' was changed during the run and was not replaced", path.display());
    for name in changed.other_names() {
        let error = CommandError::failed(format!("{why}; the report is in '{}'", name.display()));
        let staged = text(|out| write(Some(&error), out)).and_then(|text| stage(changed, &text));
        match staged.and_then(|file| Ok(file.persist_noclobber(&name)?)) {
            Ok(_) => return error,
            Err(failed) if failed.kind() == io::ErrorKind::AlreadyExists => {}
            Err(failed) => return write_to_stderr(&unwritten(&name, &failed), write),
        }
    }
    write_to_stderr(&CommandError::failed(why), write)
}

/// Writes the report to stderr, because it could not be written to a file. Returns an error that states this and the
/// reason.
fn write_to_stderr(why: &CommandError, write: WriteReport<'_>) -> CommandError {
    let error = CommandError::failed(format!("{}; the report is on stderr", why.message));
    output::notes(|out| write(Some(&error), out));
    error
}

/// Returns the report of a run that has not ended.
fn running<T: Serialize>(command: &'static str, data: T) -> Envelope<'static, T> {
    let result = ResultFields { exit_code: None, error: None, warnings: Vec::new() };
    Envelope { head: Head::new(Some(command)), result, data }
}

/// Returns true for an empty file and for one that contains a report of this command and nothing else.
fn is_empty_or_report(content: &mut dyn Read, command: &str) -> bool {
    let mut content = BufReader::new(content);
    let is_empty = content.fill_buf().is_ok_and(<[u8]>::is_empty);
    let mut json = serde_json::Deserializer::from_reader(content);
    is_empty || Earlier::deserialize(&mut json).is_ok_and(|report| report.command == command) && json.end().is_ok()
}

fn text(write: impl FnOnce(&mut Out<'_>) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    write(&mut Out::for_data(&mut text))?;
    Ok(text)
}

/// Replaces the file and returns its new identity, or `None` if another process has changed it.
fn replace(seen: &SeenFile, text: &[u8]) -> io::Result<Option<SeenFile>> {
    match seen.replace(stage(seen, text)?)? {
        Replaced::Done(file) => seen.after(&file).map(Some),
        Replaced::Changed(_) => Ok(None),
    }
}

fn stage(seen: &SeenFile, text: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = seen.stage(MODE)?;
    file.write_all(text)?;
    Ok(file)
}

/// Replaces the content of the file.
fn overwrite(seen: &SeenFile, file: &mut File, text: &[u8]) -> io::Result<SeenFile> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text)?;
    seen.after(file)
}

fn unwritten(path: &Path, error: &io::Error) -> CommandError {
    let report = path.display();
    match path.parent() {
        Some(parent) if error.kind() == io::ErrorKind::NotFound && !is_directory(parent) => {
            let why = format!("the directory '{}' does not exist", parent.display());
            let error = CommandError::failed(format!("cannot write the report to '{report}': {why}"));
            error.with_hint(Some(NO_DIRECTORY.to_owned()))
        }
        _ => CommandError::failed(format!("cannot write the report to '{report}': {error}")),
    }
}

/// Returns true if the parent of a path is a directory. A path without a directory has an empty parent, which is the
/// working directory.
fn is_directory(parent: &Path) -> bool {
    parent.as_os_str().is_empty() || parent.is_dir()
}
