//! The file of `run --json-report`: known to be writable before the program starts, and replaced in one step when it has
//! ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A report that is not written yet.
pub(super) struct ReportFile {
    path: PathBuf,
    place: Place,
}

/// Where the report is written.
enum Place {
    /// To a new file beside the old one, which takes its name in the end.
    Beside { temporary: PathBuf, file: File },
    /// To a terminal or a pipe, or to a file in a directory where no other can be made.
    Itself(File),
}

impl ReportFile {
    /// Opens what the report will be written to, and leaves an earlier report as it is.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let place = match fs::metadata(path) {
            Ok(found) if !found.is_file() => Place::itself(path),
            Ok(_) => Place::beside(path).or_else(|_| Place::itself(path)),
            Err(_) => Place::beside(path),
        };
        let place = place.map_err(|error| message(path, &error))?;
        Ok(Self { path: path.to_owned(), place })
    }

    /// Writes the report.
    pub(super) fn write(mut self, text: &[u8]) -> Result<(), String> {
        let written = match &mut self.place {
            Place::Beside { temporary, file } => file.write_all(text).and_then(|()| fs::rename(temporary, &self.path)),
            Place::Itself(file) => {
                let is_file = file.metadata().is_ok_and(|found| found.is_file());
                let emptied = if is_file { file.set_len(0) } else { Ok(()) };
                emptied.and_then(|()| file.write_all(text))
            }
        };
        written.map_err(|error| message(&self.path, &error))
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        if let Place::Beside { temporary, .. } = &self.place {
            // After a report was written there is none.
            let _gone = fs::remove_file(temporary);
        }
    }
}

impl Place {
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.new", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        Ok(Self::Beside { temporary, file })
    }

    fn itself(path: &Path) -> io::Result<Self> {
        OpenOptions::new().write(true).open(path).map(Self::Itself)
    }
}

fn message(path: &Path, error: &io::Error) -> String {
    format!("cannot write the report to '{}': {error}", path.display())
}
