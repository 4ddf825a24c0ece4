//! `pos3-cli ls`: what is at a location.

mod row;

use futures::StreamExt;
use pos3::{Doubts, Entry, Error, Found, Location, StoreError, Symlinks, Usage};
use serde::Serialize;
use std::collections::BTreeMap;

use super::{contract, registry};
use crate::args::{Detail, LsArgs};
use crate::exit::Exit;
use crate::json::{self, ErrorJson, Growing};
use crate::output::{self, Reader};
use crate::warnings::Warnings;
use crate::{hints, size};
use row::Row;

const COMMAND: &str = "ls";

/// Entries written at once.
const CHUNK: usize = 1000;

/// What has been listed so far.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    /// Everything that came, the directory's own marker too: the location exists.
    entries: u64,
    objects: u64,
    bytes: u64,
}

/// What `ls --json` writes before the entries, which are written as they come.
#[derive(Serialize)]
struct Begin {
    version: u32,
    command: &'static str,
    location: String,
}

/// What it writes after them.
#[derive(Serialize)]
struct End {
    objects: u64,
    bytes: u64,
    exit_code: u8,
    error: Option<ErrorJson>,
    #[serde(serialize_with = "json::messages")]
    warnings: Vec<String>,
    requests: BTreeMap<&'static str, u64>,
}

/// Runs the command.
pub(crate) async fn run(args: &LsArgs) -> Exit {
    let warnings = Warnings::new(Detail::Usual);
    let found = match open(args, &warnings).await {
        Ok(found) => found,
        Err(error) if args.json => {
            return Object::begin(args).end(&warnings, &Usage::default(), Err(not_begun(&error)));
        }
        Err(error) => return not_begun(&error).tell(),
    };
    if args.json { in_json(args, &warnings, found).await } else { in_lines(args, &warnings, found).await }
}

async fn open(args: &LsArgs, warnings: &Warnings) -> Result<Found, Error> {
    pos3::ls(&registry(&args.s3, warnings, Symlinks::Skip, &[&args.location])?, &args.location, args.depth()).await
}

/// Writes lines as the entries come.
async fn in_lines(args: &LsArgs, warnings: &Warnings, found: Found) -> Exit {
    let mut chunks = found.entries.ready_chunks(CHUNK);
    let mut total = Total::default();
    let row = Row::new(args, found.directory, found.tree);
    while let Some(chunk) = chunks.next().await {
        let mut failure = None;
        let reader = output::data(|out| {
            for entry in chunk {
                match entry {
                    Ok(entry) => {
                        total.add(&entry);
                        row.write(out, &entry)?;
                    }
                    Err(error) => failure = Some(listing_failed(args, &error)),
                }
            }
            Ok(())
        });
        match (failure, reader) {
            (Some(failure), _) => return failure.tell(),
            (None, Reader::Gone) => return Exit::Done,
            (None, Reader::There) => {}
        }
    }
    warn(args, warnings, &found.doubts);
    end(args, total)
}

fn warn(args: &LsArgs, warnings: &Warnings, doubts: &Doubts) {
    doubts.warnings(format_args!("'{}'", args.location)).iter().for_each(|warning| warnings.tell(warning));
}

fn end(args: &LsArgs, total: Total) -> Exit {
    if is_nothing(args, total) {
        return nothing(args).tell();
    }
    let bytes = if args.human_readable { size::bytes(total.bytes) } else { total.bytes.to_string() };
    output::data(|out| {
        if args.summarize {
            writeln!(out)?;
            writeln!(out, "Total Objects: {}", total.objects)?;
            writeln!(out, "   Total Size: {bytes}")
        } else {
            Ok(())
        }
    });
    Exit::Done
}

/// Writes one object, with the entries as they come.
async fn in_json(args: &LsArgs, warnings: &Warnings, found: Found) -> Exit {
    let Found { tree, directory, entries, doubts } = found;
    let row = Row::new(args, directory, tree.clone());
    let mut chunks = entries.ready_chunks(CHUNK);
    let (mut object, mut listed) = (Object::begin(args), Ok(()));
    while object.reader == Reader::There
        && let Some(chunk) = chunks.next().await
    {
        let entries = chunk.into_iter().filter_map(|entry| match entry {
            Ok(entry) => Some(entry),
            Err(error) => {
                listed = Err(listing_failed(args, &error));
                None
            }
        });
        object.add(entries, &row);
    }
    warn(args, warnings, &doubts);
    if listed.is_ok() && object.reader == Reader::There && is_nothing(args, object.total) {
        listed = Err(nothing(args));
    }
    object.end(warnings, &tree.store().usage(), listed)
}

/// The object, as far as it is written.
struct Object {
    growing: Growing,
    total: Total,
    reader: Reader,
}

impl Object {
    fn begin(args: &LsArgs) -> Self {
        let begin = Begin { version: json::VERSION, command: COMMAND, location: args.location.to_string() };
        let growing = Growing::new();
        let reader = output::data(|out| growing.begin(out, &begin, "entries"));
        Self { growing, total: Total::default(), reader }
    }

    fn add(&mut self, mut entries: impl Iterator<Item = Entry>, row: &Row) {
        self.reader = output::data(|out| {
            entries.try_for_each(|entry| {
                self.total.add(&entry);
                self.growing.push(out, &row.json(&entry))
            })
        });
    }

    fn end(self, warnings: &Warnings, usage: &Usage, listed: Result<(), Failed>) -> Exit {
        let (exit, error) = match listed {
            Ok(()) => (Exit::Done, None),
            Err(failed) => (failed.tell(), Some(failed.error)),
        };
        let Total { objects, bytes, .. } = self.total;
        let (warnings, requests) = (warnings.told(), json::requests(usage));
        let end = End { objects, bytes, exit_code: exit.code(), error, warnings, requests };
        if self.reader == Reader::There {
            output::data(|out| self.growing.end(out, &end));
        }
        exit
    }
}

impl Total {
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.objects += u64::from(entry.has_content());
        self.bytes += entry.size;
    }
}

/// An empty directory of this machine is there, and so is an empty bucket; an empty prefix is nothing.
fn is_nothing(args: &LsArgs, total: Total) -> bool {
    total.entries == 0 && matches!(&args.location, Location::Remote(remote) if !remote.key().is_empty())
}

/// What went wrong, and the exit code of it.
struct Failed {
    exit: Exit,
    error: ErrorJson,
}

impl Failed {
    fn tell(&self) -> Exit {
        output::command_error(COMMAND, &self.error.message, self.error.hint.as_deref());
        self.exit
    }
}

/// Nothing is touched by a listing, so nothing is refused for safety.
fn not_begun(error: &Error) -> Failed {
    let exit = if Exit::of_contract(error) == Exit::Usage { Exit::Usage } else { Exit::Failed };
    Failed { exit, error: ErrorJson { message: contract::not_begun(error), hint: hints::for_error(error) } }
}

fn nothing(args: &LsArgs) -> Failed {
    let message = format!("there is nothing at '{}'", args.location);
    let hint = args.location.wildcards().map(|_| hints::for_nothing(&args.location.to_string()));
    Failed { exit: Exit::Failed, error: ErrorJson { message, hint } }
}

fn listing_failed(args: &LsArgs, error: &StoreError) -> Failed {
    let message = format!("cannot list '{}': {}", args.location, error.cause());
    Failed { exit: Exit::Failed, error: ErrorJson { message, hint: hints::for_store(error) } }
}
