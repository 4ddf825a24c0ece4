//! The JSON object of `run --json-report`.

use std::os::unix::process::ExitStatusExt;

use pos3::{Ended, Key, LeftOut, Signal, SkipReason};
use serde::Serialize;

use super::LocalPlace;
use super::account::Account;
use super::error;
use super::inputs::Input;
use super::outputs::Output;
use super::report_file::State;
use crate::command_error::CommandError;
use crate::envelope::Envelope;
use crate::exit::Exit;

/// The JSON fields of the command.
#[derive(Serialize)]
pub(super) struct Fields<'a> {
    state: State,
    program: Option<ProgramJson>,
    /// The first signal, if one arrived.
    signal: Option<&'static str>,
    complete: bool,
    inputs: Vec<InputJson<'a>>,
    uploads: Vec<UploadJson<'a>>,
    /// The inputs and outputs that are local paths. pos3 downloads and uploads nothing for them.
    local: Vec<LocalJson<'a>>,
}

#[derive(Serialize)]
struct LocalJson<'a> {
    name: &'a str,
    path: String,
    /// Whether the output is a file that the program should have created and did not.
    missing: bool,
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
    /// The uploads of the whole session and their bytes. If a file was uploaded twice, it is counted twice.
    files: u64,
    bytes: u64,
    /// The objects that the session deleted.
    deleted: u64,
    /// The uploads at the end and their bytes.
    files_at_end: u64,
    bytes_at_end: u64,
    /// The deletes that were not made, because a signal came, processes of the program still run, the directory is
    /// empty, the server refused them, or another output was not uploaded completely.
    withheld: u64,
    /// The URL of the first output that was not uploaded completely, if this is the reason.
    withheld_for: Option<&'a str>,
    missing: Vec<&'a str>,
    /// Symbolic links that were not followed, special files, and files that cannot be read.
    left_out: Vec<LeftOutJson<'a>>,
    /// Files that were not uploaded because another writer replaced or removed the object, and objects that were not
    /// deleted because another writer replaced them.
    left_to_others: Vec<LeftJson>,
    /// Objects that uploads replaced although another writer had stored them meanwhile, because the program had changed the
    /// files, too.
    replaced_from_others: Vec<&'a str>,
    error: Option<CommandError>,
}

#[derive(Serialize)]
struct LeftOutJson<'a> {
    key: &'a str,
    reason: String,
    /// The target of a symbolic link.
    leads_to: Option<String>,
    /// Whether the content was not uploaded under any other name either.
    lacks_content: bool,
    /// Whether the object of this name still has earlier content.
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
    /// The files that were downloaded before the program started, and their bytes.
    files: u64,
    bytes: u64,
    unchanged: u64,
    /// Local files that differ from their objects and were kept, because they were changed locally and are not uploaded yet.
    changed_here: u64,
    /// Local files that were deleted.
    deleted: u64,
    /// Local files that do not exist in the remote location. The program sees them.
    extra: u64,
}

/// Returns the object of a run that has ended. The error is that of the report file itself, if there is one.
pub(super) fn envelope<'a>(
    account: &'a Account<'_>,
    exit: Exit,
    unwritten: Option<&'a CommandError>,
) -> Envelope<'a, Fields<'a>> {
    let status = account.status;
    let fields = Fields {
        state: State::Ended,
        program: status.map(|status| ProgramJson { code: status.code(), signal: status.signal() }),
        signal: account.signal.map(Signal::name),
        complete: account.is_complete(),
        inputs: account.inputs.iter().map(InputJson::from).collect(),
        uploads: account.outputs().map(UploadJson::from).collect(),
        local: account.local().map(|local| LocalJson::of(local, account.is_not_made(local))).collect(),
    };
    account.invocation.envelope(exit, unwritten, fields)
}

impl Fields<'_> {
    /// Returns the fields of a run that ended with this code before the program was started.
    pub(super) fn not_started(exit: Exit) -> Self {
        let signal = if let Exit::Signal(signal) = exit { Some(signal.name()) } else { None };
        Self { signal, ..Self::of_state(State::NotStarted) }
    }

    /// Returns the fields of a run whose program was not started or has not ended.
    pub(super) fn of_state(state: State) -> Self {
        Self {
            state,
            program: None,
            signal: None,
            complete: false,
            inputs: Vec::new(),
            uploads: Vec::new(),
            local: Vec::new(),
        }
    }
}

impl<'a> From<Output<'a>> for UploadJson<'a> {
    fn from(output: Output<'a>) -> Self {
        let Output { place, path, ended, status } = output;
        Self {
            name: &place.name,
            url: place.url(),
            path: path.to_string_lossy().into_owned(),
            uploaded: output.is_uploaded(),
            files: status.map_or(0, |status| status.uploaded.files),
            bytes: status.map_or(0, |status| status.uploaded.bytes),
            deleted: status.map_or(0, |status| status.uploaded.deleted),
            files_at_end: ended.map_or(0, |ended| ended.uploaded_at_end),
            bytes_at_end: ended.map_or(0, |ended| ended.uploaded_bytes_at_end),
            withheld: ended.map_or(0, Ended::withheld),
            withheld_for: ended.and_then(|ended| ended.withheld_for.as_deref()),
            missing: output.missing().iter().map(Key::as_str).collect(),
            left_out: output.left_out().iter().map(LeftOutJson::from).collect(),
            left_to_others: ended.into_iter().flat_map(Ended::left_to_others).map(LeftJson::from).collect(),
            replaced_from_others: ended.into_iter().flat_map(|ended| &ended.replaced).map(Key::as_str).collect(),
            error: ended.and_then(|ended| ended.error.as_ref()).map(error::of_session),
        }
    }
}

impl<'a> From<&'a LeftOut> for LeftOutJson<'a> {
    fn from(left: &'a LeftOut) -> Self {
        Self {
            key: left.key.as_str(),
            reason: left.why.to_string(),
            leads_to: left.link.as_ref().map(|link| link.target().to_string_lossy().into_owned()),
            lacks_content: left.lacks_content(),
            has_old_object: left.has_old_object,
        }
    }
}

impl From<(Key, SkipReason)> for LeftJson {
    fn from((key, why): (Key, SkipReason)) -> Self {
        Self { key: key.to_string(), reason: why.to_string() }
    }
}

impl<'a> From<&'a Input<'_>> for InputJson<'a> {
    fn from(input: &'a Input<'_>) -> Self {
        Self {
            name: &input.place.name,
            url: input.place.url(),
            path: input.path.to_string_lossy().into_owned(),
            files: input.report.copied,
            bytes: input.report.copied_bytes,
            unchanged: input.report.tally.unchanged,
            changed_here: input.changed_here(),
            deleted: input.report.deleted,
            extra: input.report.tally.extra,
        }
    }
}

impl<'a> LocalJson<'a> {
    fn of((_, place, path): &'a LocalPlace<'_>, missing: bool) -> Self {
        Self { name: &place.name, path: path.to_string_lossy().into_owned(), missing }
    }
}
