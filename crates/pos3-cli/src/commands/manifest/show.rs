//! `pos3-cli manifest show`.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use pos3::{Key, ManifestError, Row, State, Unfinished};
use serde::Serialize;

use super::{Failed, counted, open};
use crate::args::ManifestShowArgs;
use crate::exit::Exit;
use crate::json::{self, ErrorJson};
use crate::output::{self, Out, Reader};

/// Rows written at once.
const CHUNK: usize = 1000;

/// The width of an MD5, the usual digest.
const DIGEST: usize = 32;

/// What `manifest show --json` writes.
#[derive(Serialize)]
struct ShowJson<'a> {
    version: u32,
    command: &'static str,
    source: String,
    target: String,
    exit_code: u8,
    error: Option<ErrorJson>,
    file: Option<&'a Path>,
    created: Option<String>,
    last_used: Option<String>,
    #[serde(serialize_with = "json::optional_message")]
    warning: Option<String>,
    rows: Vec<RowJson<'a>>,
    unfinished: Vec<UnfinishedJson<'a>>,
}

/// One file that was equal in both locations.
#[derive(Serialize)]
struct RowJson<'a> {
    key: &'a str,
    source: String,
    target: String,
    digest: Option<String>,
}

/// One upload that can go on.
#[derive(Serialize)]
struct UnfinishedJson<'a> {
    key: &'a str,
    id: &'a str,
    since: Option<String>,
}

/// Runs the command.
pub(super) async fn run(args: &ManifestShowArgs) -> Exit {
    if args.json {
        return in_json(args).await;
    }
    let shown = match open(&args.pair).await {
        Ok(Some(state)) => in_lines(&state).await,
        Ok(None) => {
            let (from, to) = (&args.pair.from, &args.pair.to);
            output::note(&format!("nothing is remembered of '{from}' and '{to}'"));
            Ok(())
        }
        Err(failed) => Err(failed),
    };
    match shown {
        Ok(()) => Exit::Done,
        Err(failed) => failed.tell(),
    }
}

/// Writes lines as the rows come.
async fn in_lines(state: &State) -> Result<(), Failed> {
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
    if let Some(warning) = state.warning() {
        output::note(&format!("warning: {warning}"));
    }
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

async fn in_json(args: &ManifestShowArgs) -> Exit {
    let (state, failed) = match open(&args.pair).await {
        Ok(state) => (state, None),
        Err(failed) => (None, Some(failed)),
    };
    let (rows, unfinished, failed) = match &state {
        Some(state) => match read(state).await {
            Ok((rows, unfinished)) => (rows, unfinished, failed),
            Err(error) => (Vec::new(), Vec::new(), Some(Failed::from(error))),
        },
        None => (Vec::new(), Vec::new(), failed),
    };
    let exit = failed.as_ref().map_or(Exit::Done, Failed::tell);
    let object = ShowJson {
        version: json::VERSION,
        command: "manifest show",
        source: args.pair.from.to_string(),
        target: args.pair.to.to_string(),
        exit_code: exit.code(),
        error: failed.map(|failed| failed.error),
        file: state.as_ref().map(State::path),
        created: state.as_ref().and_then(|state| time(state.created())),
        last_used: state.as_ref().and_then(State::last_used).and_then(time),
        warning: state.as_ref().and_then(State::warning).map(str::to_owned),
        rows: rows.iter().map(RowJson::from).collect(),
        unfinished: unfinished.iter().map(UnfinishedJson::from).collect(),
    };
    output::data(|out| json::write(out, &object));
    exit
}

async fn read(state: &State) -> Result<(Vec<Row>, Vec<(Key, Unfinished)>), ManifestError> {
    Ok((state.manifest().rows().try_collect().await?, state.journal().all().await))
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
