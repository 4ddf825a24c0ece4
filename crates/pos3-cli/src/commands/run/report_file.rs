//! The file of `run --json-report`, which always has a report of the present run.
//!
//! A report of an earlier run that stays would be taken for one of this run. So the file is replaced before the inputs are
//! downloaded, by a report that says that the run has not ended, which also shows that the file can be written. It is
//! replaced again when the run ends, in whatever way, in one step each time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Refused;
use crate::json::{self, ErrorJson};
use crate::output::Out;

/// An open report file.
pub(super) struct ReportFile {
    path: PathBuf,
    place: Place,
}

/// Where the report is written.
enum Place {
    /// To a new file beside the old one, which then takes its name.
    Beside,
    /// To a file in a directory where no other can be made.
    Itself(File),
    /// To a terminal or a pipe, where only the last report is written.
    Stream(File),
}

/// How far the run is.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It has not ended, or it was killed.
    Running,
    /// It ended before the program was started.
    NotStarted,
    /// The program has ended, and so have the uploads.
    Ended,
}

/// The report of a run without an account: its program was not started, or has not ended.
#[derive(Serialize)]
struct Interim<'a> {
    version: u32,
    command: &'static str,
    state: State,
    exit_code: Option<u8>,
    error: Option<&'a ErrorJson>,
    complete: bool,
    warnings: [&'a str; 0],
    inputs: [&'a str; 0],
    uploads: [&'a str; 0],
    local: [&'a str; 0],
}

impl ReportFile {
    /// Opens the file and replaces what it has by the report of a run that has not ended.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let path = path.to_owned();
        let is_stream = fs::metadata(&path).is_ok_and(|found| !found.is_file());
        let opened = |path: &Path| OpenOptions::new().write(true).open(path).map_err(|error| message(path, &error));
        if is_stream {
            return Ok(Self { place: Place::Stream(opened(&path)?), path });
        }
        let mut file = Self { path, place: Place::Beside };
        if let Err(unwritable) = file.write(&Interim::new(State::Running)) {
            file.place = Place::Itself(opened(&file.path).map_err(|_| unwritable)?);
            file.write(&Interim::new(State::Running))?;
        }
        Ok(file)
    }

    /// Writes the report of a run whose program was not started.
    pub(super) fn refuse(&mut self, refused: &Refused) -> Result<(), String> {
        let error = ErrorJson { message: refused.message.clone(), hint: refused.hint.clone() };
        let exit_code = Some(refused.exit.code());
        self.finish(&Interim { exit_code, error: Some(&error), ..Interim::new(State::NotStarted) })
    }

    /// Writes the last report.
    pub(super) fn finish(&mut self, report: &impl Serialize) -> Result<(), String> {
        match &mut self.place {
            Place::Stream(file) => text(report).and_then(|text| file.write_all(&text)),
            Place::Beside | Place::Itself(_) => return self.write(report),
        }
        .map_err(|error| message(&self.path, &error))
    }

    fn write(&mut self, report: &impl Serialize) -> Result<(), String> {
        let written = text(report).and_then(|text| match &mut self.place {
            Place::Beside => replace(&self.path, &text),
            Place::Itself(file) | Place::Stream(file) => {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(&text)
            }
        });
        written.map_err(|error| message(&self.path, &error))
    }
}

impl Interim<'_> {
    fn new(state: State) -> Self {
        Self {
            version: json::VERSION,
            command: super::COMMAND,
            state,
            exit_code: None,
            error: None,
            complete: false,
            warnings: [],
            inputs: [],
            uploads: [],
            local: [],
        }
    }
}

fn text(report: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    json::write(&mut Out::for_data(&mut text), report)?;
    Ok(text)
}

/// Writes a new file beside `path`, which takes its name.
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

fn message(path: &Path, error: &io::Error) -> String {
    format!("cannot write the report to '{}': {error}", path.display())
}
