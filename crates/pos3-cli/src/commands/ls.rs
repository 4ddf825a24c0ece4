//! `pos3-cli ls`: lists a location.

mod object;
mod row;

use futures::StreamExt;
use pos3::{Doubts, Entry, Error, Found, Location, Symlinks};
use serde::Serialize;

use super::registry;
use crate::args::{LsArgs, Show};
use crate::command_error::{CommandError, ErrorPrefix};
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::output::{self, Reader};
use crate::warnings::Warnings;
use crate::{hints, size};
use object::{Fields, Object};
use row::Row;

/// The number of entries that are written at once.
const CHUNK: usize = 1000;

/// The entries that have been listed so far.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    /// All entries. The marker of the directory itself is one of them: it shows that the location exists.
    entries: u64,
    objects: u64,
    bytes: u64,
}

impl Execute for LsArgs {
    const ERROR_PREFIX: ErrorPrefix = ErrorPrefix::Command("ls");

    fn name(&self) -> &'static str {
        "ls"
    }

    fn show(&self) -> Show {
        Show::without_progress(self.json, false)
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let found = open(self, &invocation.warnings).await;
        let found = found.map_err(|error| CommandError::of_python_command(&error).of_read_only())?;
        if self.json {
            return Ok(write_json(self, invocation, found).await);
        }
        write_lines(self, invocation, found).await?;
        Ok(Exit::Done)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        Fields::of_nothing(self)
    }
}

async fn open(args: &LsArgs, warnings: &Warnings) -> Result<Found, Error> {
    pos3::ls(&registry(&args.s3, warnings, Symlinks::Skip, &[&args.location])?, &args.location, args.depth()).await
}

/// Writes lines while the entries are listed.
async fn write_lines(args: &LsArgs, invocation: &Invocation, found: Found) -> Result<(), CommandError> {
    let mut chunks = found.entries.ready_chunks(CHUNK);
    let mut total = Total::default();
    let row = Row::new(args, found.directory, found.tree);
    while let Some(chunk) = chunks.next().await {
        let mut listed = Ok(());
        let reader = output::data(|out| {
            for entry in chunk {
                match entry {
                    Ok(entry) => {
                        total.add(&entry);
                        row.write(out, &entry)?;
                    }
                    Err(error) => listed = Err(CommandError::of_listing(&args.location, &error)),
                }
            }
            Ok(())
        });
        listed?;
        if reader == Reader::Gone {
            return Ok(());
        }
    }
    warn(args, invocation, &found.doubts);
    total.check(args)?;
    if args.summarize {
        write_total(args, total);
    }
    Ok(())
}

/// Writes one JSON object while the entries are listed.
async fn write_json(args: &LsArgs, invocation: &Invocation, found: Found) -> Exit {
    let Found { tree, directory, entries, doubts } = found;
    let row = Row::new(args, directory, tree.clone());
    let mut chunks = entries.ready_chunks(CHUNK);
    let (mut object, mut listed) = (Object::begin(args, invocation), Ok(()));
    while object.has_reader()
        && let Some(chunk) = chunks.next().await
    {
        let entries = chunk.into_iter().filter_map(|entry| match entry {
            Ok(entry) => Some(entry),
            Err(error) => {
                listed = Err(CommandError::of_listing(&args.location, &error));
                None
            }
        });
        object.add(entries, &row);
    }
    warn(args, invocation, &doubts);
    if listed.is_ok() && object.has_reader() {
        listed = object.total().check(args);
    }
    object.end(invocation, &tree.store().usage(), listed)
}

fn warn(args: &LsArgs, invocation: &Invocation, doubts: &Doubts) {
    let warnings = doubts.warnings(format_args!("'{}'", args.location));
    warnings.iter().for_each(|warning| invocation.warnings.warn(warning));
}

fn write_total(args: &LsArgs, total: Total) {
    let bytes = if args.human_readable { size::bytes(total.bytes) } else { total.bytes.to_string() };
    output::data(|out| {
        writeln!(out)?;
        writeln!(out, "Total Objects: {}", total.objects)?;
        writeln!(out, "   Total Size: {bytes}")
    });
}

impl Total {
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.objects += u64::from(entry.has_content());
        self.bytes += entry.size;
    }

    /// Returns an error if nothing exists at the location. An empty local directory and an empty bucket exist; a prefix
    /// without keys does not.
    fn check(self, args: &LsArgs) -> Result<(), CommandError> {
        let is_prefix = matches!(&args.location, Location::Remote(remote) if !remote.key().is_empty());
        if self.entries > 0 || !is_prefix {
            return Ok(());
        }
        let hint = args.location.wildcards().map(|_| hints::for_nothing(&args.location.to_string()));
        Err(CommandError::failed(format!("there is nothing at '{}'", args.location)).with_hint(hint))
    }
}
