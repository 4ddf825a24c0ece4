//! The file of `run --json-report`, which always contains a report of the current run.
//!
//! A program could mistake the report of an earlier run for that of this run. So pos3 replaces the file before it downloads
//! the inputs, by a report in the state `running`. This also verifies that the file can be written. When the run ends, pos3
//! replaces it again. Each replacement is atomic where the directory allows it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::fields::Fields;
use crate::command_error::CommandError;
use crate::envelope::{Envelope, Head, ResultFields};
use crate::invocation::Invocation;
use crate::output::Out;

/// How much of a file is read to recognise a report.
const LONGEST_BEGINNING: u64 = 64;

/// An open report file.
pub(super) struct ReportFile {
    path: PathBuf,
    place: Place,
}

/// How the report is written.
enum Place {
    /// To a new file in the same directory, which then gets the name of the old one.
    Beside,
    /// To the file itself, because no other file can be created in its directory.
    Itself(File),
    /// To a terminal or a pipe. Only the last report is written.
    Stream(File),
}

/// The state of the run.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The run has not ended, or it was killed.
    Running,
    /// The run ended before the program was started.
    NotStarted,
    /// The program and the uploads have ended.
    Ended,
}

impl ReportFile {
    /// Opens the file and replaces the report in it by that of a run that has not ended. A file with other content stays.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let path = path.to_owned();
        let is_stream = fs::metadata(&path).is_ok_and(|found| !found.is_file());
        let opened = |path: &Path| OpenOptions::new().write(true).open(path).map_err(|error| unwritten(path, &error));
        if is_stream {
            return Ok(Self { place: Place::Stream(opened(&path)?), path });
        }
        if !is_empty_or_report(&path).map_err(|error| unwritten(&path, &error))? {
            let why = io::Error::other("the file exists and is not a report; remove it or name another file");
            return Err(unwritten(&path, &why));
        }
        let mut file = Self { path, place: Place::Beside };
        let running = || Envelope {
            head: Head::new(Some(super::COMMAND)),
            result: ResultFields { exit_code: None, error: None, warnings: Vec::new() },
            data: Fields::of_state(State::Running),
        };
        if let Err(unwritable) = file.write(&running()) {
            file.place = Place::Itself(opened(&file.path).map_err(|_| unwritable)?);
            file.write(&running())?;
        }
        Ok(file)
    }

    /// Writes the report of a run whose program was not started.
    pub(super) fn refuse(&mut self, invocation: &Invocation, error: &CommandError) -> Result<(), CommandError> {
        self.finish(&invocation.envelope(error.exit, Some(error), Fields::of_state(State::NotStarted)))
    }

    /// Writes the last report.
    pub(super) fn finish(&mut self, report: &Envelope<'_, Fields<'_>>) -> Result<(), CommandError> {
        match &mut self.place {
            Place::Stream(file) => text(report).and_then(|text| file.write_all(&text)),
            Place::Beside | Place::Itself(_) => return self.write(report),
        }
        .map_err(|error| unwritten(&self.path, &error))
    }

    fn write(&mut self, report: &Envelope<'_, Fields<'_>>) -> Result<(), CommandError> {
        let written = text(report).and_then(|text| match &mut self.place {
            Place::Beside => replace(&self.path, &text),
            Place::Itself(file) | Place::Stream(file) => {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(&text)
            }
        });
        written.map_err(|error| unwritten(&self.path, &error))
    }
}

/// Returns true if the path has no file, an empty one, or a report of this command.
fn is_empty_or_report(path: &Path) -> io::Result<bool> {
    let mut beginning = String::new();
    match File::open(path).and_then(|file| file.take(LONGEST_BEGINNING).read_to_string(&mut beginning)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(false),
        Err(error) => return Err(error),
    }
    // Every report begins with these fields, whatever follows them, so one that was cut off is recognised, too.
    let compact: String = beginning.split_whitespace().collect();
    let is_report = compact.starts_with(r#"{"version":"#) && compact.contains(r#","command":"run","#);
    Ok(compact.is_empty() || is_report)
}

fn text(report: &Envelope<'_, Fields<'_>>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    report.write(&mut Out::for_data(&mut text))?;
    Ok(text)
}

/// Writes a new file in the directory of `path` and renames it to `path`.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(hidden);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let written = file.write_all(text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error of the write is the one to report.
        let _ignored = fs::remove_file(&temporary);
    }
    written
}

fn unwritten(path: &Path, error: &io::Error) -> CommandError {
    CommandError::failed(format!("cannot write the report to '{}': {error}", path.display()))
}
