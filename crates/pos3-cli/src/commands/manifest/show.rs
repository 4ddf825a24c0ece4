//! `pos3-cli manifest show`.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use pos3::{Key, Row, State, Unfinished};
use serde::Serialize;

use super::{counted, open};
use crate::args::{ManifestShowArgs, PairArgs};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::output::{self, Out, Reader};

/// The number of rows that are written at once.
const CHUNK: usize = 1000;

/// The width of an MD5, the usual digest.
const DIGEST: usize = 32;

/// The JSON fields of the command.
#[derive(Serialize)]
pub(super) struct Fields<'a> {
    source: String,
    target: String,
    file: Option<&'a Path>,
    created: Option<String>,
    last_used: Option<String>,
    rows: Vec<RowJson<'a>>,
    unfinished: Vec<UnfinishedJson<'a>>,
}

/// A file that was equal in both locations.
#[derive(Serialize)]
struct RowJson<'a> {
    key: &'a str,
    source: String,
    target: String,
    digest: Option<String>,
}

/// An upload that a later run can resume.
#[derive(Serialize)]
struct UnfinishedJson<'a> {
    key: &'a str,
    id: &'a str,
    since: Option<String>,
}

/// Shows the sync state.
pub(super) async fn show(args: &ManifestShowArgs, invocation: &Invocation) -> Result<(), CommandError> {
    let state = open(&args.pair, invocation).await?;
    match state.as_ref() {
        Some(state) if !args.json => write_lines(state, invocation).await,
        None if !args.json => {
            let (from, to) = (&args.pair.from, &args.pair.to);
            output::note(&format!("there is no sync state of '{from}' and '{to}'"));
            Ok(())
        }
        state => write_json(&args.pair, state, invocation).await,
    }
}

/// Writes lines while the rows are read.
async fn write_lines(state: &State, invocation: &Invocation) -> Result<(), CommandError> {
    let mut chunks = state.manifest().rows().try_ready_chunks(CHUNK);
    let mut rows = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| error.1)?;
        rows += chunk.len() as u64;
        match output::data(|out| chunk.iter().try_for_each(|row| line(out, row))) {
            Reader::There => {}
            Reader::Gone => return Ok(()),
        }
    }
    let unfinished = state.journal().all().await.len() as u64;
    warn(state, invocation);
    output::note(&format!(
        "{}, {} in {}",
        counted(rows, "file", "files"),
        counted(unfinished, "unfinished copy", "unfinished copies"),
        state.path().display()
    ));
    Ok(())
}

fn line(out: &mut Out<'_>, row: &Row) -> io::Result<()> {
    writeln!(out, "{:DIGEST$}  {}", row.digest.map_or_else(|| "-".to_owned(), |digest| digest.to_string()), row.key)
}

async fn write_json(args: &PairArgs, state: Option<&State>, invocation: &Invocation) -> Result<(), CommandError> {
    let (mut rows, mut unfinished) = (Vec::new(), Vec::new());
    if let Some(state) = state {
        rows = state.manifest().rows().try_collect().await?;
        unfinished = state.journal().all().await;
        warn(state, invocation);
    }
    let fields = Fields {
        file: state.map(State::path),
        created: state.and_then(|state| time(state.created())),
        last_used: state.and_then(State::last_used).and_then(time),
        rows: rows.iter().map(RowJson::from).collect(),
        unfinished: unfinished.iter().map(UnfinishedJson::from).collect(),
        ..Fields::of_no_state(args)
    };
    output::data(|out| invocation.envelope(Exit::Done, None, fields).write(out));
    Ok(())
}

fn warn(state: &State, invocation: &Invocation) {
    if let Some(warning) = state.warning() {
        invocation.warnings.warn(warning);
    }
}

impl Fields<'_> {
    /// Returns the fields if there is no sync state, or if it cannot be read.
    pub(super) fn of_no_state(args: &PairArgs) -> Self {
        Self {
            source: args.from.to_string(),
            target: args.to.to_string(),
            file: None,
            created: None,
            last_used: None,
            rows: Vec::new(),
            unfinished: Vec::new(),
        }
    }
}

impl<'a> From<&'a Row> for RowJson<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            key: row.key.as_str(),
            source: row.source.to_string(),
            target: row.target.to_string(),
            digest: row.digest.map(|digest| digest.to_string()),
        }
    }
}

impl<'a> From<&'a (Key, Unfinished)> for UnfinishedJson<'a> {
    fn from((key, unfinished): &'a (Key, Unfinished)) -> Self {
        Self { key: key.as_str(), id: &unfinished.id, since: unfinished.since.and_then(time) }
    }
}

fn time(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).ok().map(|stamp| stamp.to_string())
}
