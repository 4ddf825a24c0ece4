//! Writes and reads the sync state of two places, in a process that can be killed and whose memory can be measured:
//! `state-rows write DIRECTORY ROWS`, `state-rows read DIRECTORY`.
//!
//! It prints one line for each batch after the batch has been written.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use futures::TryStreamExt;
use pos3::{Digest, Fingerprint, Key, Location, Registry, Row, RowChange, State, StateDirectory, Unfinished, Wait};
use pos3_tests::process::peak_memory;

type Failure = Box<dyn std::error::Error>;

/// The number of rows per batch, as in a sync.
const BATCH: u64 = 4096;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", directory, rows] => write(&open(directory).await?, rows.parse()?).await,
        ["read", directory] => read(&open(directory).await?).await,
        _ => Err("usage: state-rows write DIRECTORY ROWS | read DIRECTORY".into()),
    }
}

async fn open(directory: &str) -> Result<State, Failure> {
    let place = |name| Location::Local(Path::new("/").join(name));
    let directory = StateDirectory::new(directory);
    Ok(State::open(&directory, &Registry::default(), &place("left"), &place("right"), Wait::Fail).await?)
}

/// Returns the row with this number. All its parts depend on the number, so a mixed-up row is detected.
fn row(number: u64) -> Row {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    Row {
        key: format!("directory-{:07}/some-usual-file-name-{:04}.parquet", number / 1000, number % 1000).into(),
        source: Fingerprint::new(format!("{number:064x}").into_bytes()),
        target: Fingerprint::tagged(0xff, format!("{:032x}", number.wrapping_mul(31)).as_bytes()),
        digest: Some(Digest::Md5([a, b, c, d, e, f, g, h, a, b, c, d, e, f, g, h])),
    }
}

async fn write(state: &State, rows: u64) -> Result<(), Failure> {
    let (manifest, journal) = (state.manifest(), state.journal());
    let begin = Instant::now();
    let mut slowest = 0.0_f64;
    for first in (0..rows).step_by(usize::try_from(BATCH)?) {
        let batch = first..(first + BATCH).min(rows);
        let end = batch.end;
        let commit = Instant::now();
        manifest.apply(batch.map(|number| RowChange::Equal(row(number))).collect()).await?;
        slowest = slowest.max(commit.elapsed().as_secs_f64());
        let note = Unfinished { id: end.to_string(), since: None, state: vec![7; 1000] };
        journal.save(&Key::from("upload"), &note).await;
        tell(&format!("written {end}"))?;
    }
    let (seconds, peak) = (begin.elapsed().as_secs_f64(), peak_memory()? / 1024);
    tell(&format!("end seconds {seconds:.3} slowest {slowest:.4} peak_kib {peak}"))
}

async fn read(state: &State) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut rows = state.manifest().rows();
    let mut count = 0;
    while let Some(found) = rows.try_next().await? {
        if found != row(count) {
            return Err(format!("row {count} is {found:?}").into());
        }
        count += 1;
    }
    let note = state.journal().load(&Key::from("upload")).await.map_or(0, |note| note.id.parse().unwrap_or(0));
    let warning = if state.warning().is_some() { "replaced" } else { "good" };
    let (seconds, peak) = (begin.elapsed().as_secs_f64(), peak_memory()? / 1024);
    tell(&format!("rows {count} note {note} file {warning} seconds {seconds:.3} peak_kib {peak}"))
}

fn tell(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
