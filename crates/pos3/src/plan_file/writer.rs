//! Writes a plan completely or not at all.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use pos3_core::Plan;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::header::HeaderRecord;
use super::record::ActionRecord;
use super::{PlanFileError, PlanHeader, PlanReader};
use crate::json::write_json;

/// Writes a plan, line by line.
///
/// # Errors
///
/// Returns an error if the plan cannot be expressed or written.
pub fn write_plan(out: &mut dyn Write, header: &PlanHeader, plan: &Plan) -> Result<(), PlanFileError> {
    line(out, &HeaderRecord::try_from(header)?)?;
    for action in plan.actions() {
        line(out, &ActionRecord::try_from(&action?)?)?;
    }
    Ok(out.flush()?)
}

/// Writes a plan to a file, completely or not at all. Only the owner can read the file, because keys can be
/// confidential. If the path is not a regular file, such as a pipe, the plan is written to it directly.
///
/// # Errors
///
/// Returns an error if the plan cannot be written, or if the path has a file that is neither empty nor a plan. An existing
/// file is then unchanged.
pub fn save_plan(path: &Path, header: &PlanHeader, plan: &Plan) -> Result<(), PlanFileError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            return write_plan(&mut BufWriter::new(File::options().write(true).open(path)?), header, plan);
        }
        Ok(found) if found.len() > 0 && !is_plan(path)? => return Err(PlanFileError::Occupied),
        _ => {}
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory)?;
    write_plan(&mut BufWriter::new(&mut file), header, plan)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

fn is_plan(path: &Path) -> io::Result<bool> {
    match PlanReader::open(BufReader::new(File::open(path)?)) {
        Ok(_) | Err(PlanFileError::Version(_)) => Ok(true),
        Err(PlanFileError::Io(error)) if error.kind() != io::ErrorKind::InvalidData => Err(error),
        Err(_) => Ok(false),
    }
}

fn line(out: &mut dyn Write, record: &impl Serialize) -> io::Result<()> {
    write_json(out, record)?;
    out.write_all(b"\n")
}
