//! Writes a plan completely or not at all.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use pos3_core::Plan;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::header::HeaderRecord;
use super::record::ActionRecord;
use super::seal::Seal;
use super::{PlanFileError, PlanHeader, PlanReader};
use crate::json::write_json;
use crate::seen_file::{Replaced, SeenFile};

/// The mode of a plan file.
const OWNER_ONLY: u32 = 0o600;

/// Writes a plan, line by line.
///
/// # Errors
///
/// Returns an error if the plan cannot be expressed or written.
pub fn write_plan(out: &mut dyn Write, header: &PlanHeader, plan: &Plan) -> Result<(), PlanFileError> {
    let header = HeaderRecord::try_from(header)?;
    // The header comes first and contains the checksum, so each line is made twice. A plan may be larger than memory.
    let mut seal = Seal::default();
    seal.add(&line(&header)?);
    lines(plan, |line| {
        seal.add(line);
        Ok(())
    })?;
    out.write_all(&line(&header.with_checksum(seal.finish()))?)?;
    lines(plan, |line| out.write_all(line))?;
    Ok(out.flush()?)
}

/// Calls a function with the line of each action.
fn lines(plan: &Plan, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), PlanFileError> {
    for action in plan.actions() {
        each(&line(&ActionRecord::try_from(&action?)?)?)?;
    }
    Ok(())
}

/// Writes a plan to a file, completely or not at all. Only the owner can read the file, because keys can be
/// confidential. If the path is not a regular file, such as a pipe, the plan is written to it directly. A symbolic link is
/// followed.
///
/// # Errors
///
/// Returns an error if the plan cannot be written, or if the path has a file that is neither empty nor a plan. An existing
/// file is then unchanged. The same applies if the file changes while the plan is written. The error then names the other
/// file that contains the plan.
pub fn save_plan(path: &Path, header: &PlanHeader, plan: &Plan) -> Result<(), PlanFileError> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return write_plan(&mut BufWriter::new(File::options().write(true).open(path)?), header, plan);
    }
    let (seen, is_replaceable) = SeenFile::look(path, is_empty_or_plan)?;
    if is_replaceable == Some(false) {
        return Err(PlanFileError::Occupied);
    }
    let mut file = seen.stage(OWNER_ONLY)?;
    write_plan(&mut BufWriter::new(&mut file), header, plan)?;
    file.as_file().sync_all()?;
    match seen.replace(file)? {
        Replaced::Done(_) => Ok(()),
        Replaced::Changed(file) => save_beside(&seen, file),
    }
}

/// Gives the new file another name, and returns the error that states it.
pub(super) fn save_beside(seen: &SeenFile, mut file: NamedTempFile) -> Result<(), PlanFileError> {
    for name in seen.other_names() {
        file = match file.persist_noclobber(&name) {
            Ok(_) => return Err(PlanFileError::Changed { plan: name }),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => failed.file,
            Err(failed) => return Err(failed.error.into()),
        };
    }
    Err(PlanFileError::Occupied)
}

/// Returns true for an empty file and for one that is a plan from its first line to its last.
fn is_empty_or_plan(content: &mut dyn Read) -> bool {
    let mut content = BufReader::new(content);
    let is_empty = content.fill_buf().is_ok_and(<[u8]>::is_empty);
    is_empty
        || match PlanReader::open(content) {
            Ok(reader) => reader.check_whole().is_ok(),
            // The lines of another version are not known.
            Err(error) => matches!(error, PlanFileError::Version(_)),
        }
}

fn line(record: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    write_json(&mut line, record)?;
    line.push(b'\n');
    Ok(line)
}
