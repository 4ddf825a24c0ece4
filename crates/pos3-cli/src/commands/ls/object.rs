//! The JSON object of `ls --json`, which is written while the entries are listed.

use std::collections::BTreeMap;

use pos3::{Entry, Usage};
use serde::Serialize;

use super::{Row, Total};
use crate::args::LsArgs;
use crate::command_error::CommandError;
use crate::envelope::{Head, ResultFields};
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::json::{self, Growing};
use crate::output::{self, Reader};

const ENTRIES: &str = "entries";

/// The object, part of which is written.
pub(super) struct Object {
    growing: Growing,
    total: Total,
    reader: Reader,
}

/// The JSON fields of the command for a listing that could not start.
#[derive(Serialize)]
pub(super) struct Fields {
    location: String,
    entries: [(); 0],
    #[serde(flatten)]
    end: EndFields,
}

/// The fields before the entries.
#[derive(Serialize)]
struct Begin<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    location: String,
}

/// The fields after the entries.
#[derive(Serialize)]
struct End<'a> {
    #[serde(flatten)]
    result: ResultFields<'a>,
    #[serde(flatten)]
    end: EndFields,
}

#[derive(Default, Serialize)]
struct EndFields {
    objects: u64,
    bytes: u64,
    requests: BTreeMap<&'static str, u64>,
}

impl Object {
    /// Writes the fields before the entries.
    pub(super) fn begin(args: &LsArgs, invocation: &Invocation) -> Self {
        let begin = Begin { head: invocation.head(), location: args.location.to_string() };
        let growing = Growing::new();
        let reader = output::data(|out| growing.begin(out, &begin, ENTRIES));
        Self { growing, total: Total::default(), reader }
    }

    /// Writes entries.
    pub(super) fn add(&mut self, mut entries: impl Iterator<Item = Entry>, row: &Row) {
        self.reader = output::data(|out| {
            entries.try_for_each(|entry| {
                self.total.add(&entry);
                self.growing.push(out, &row.json(&entry))
            })
        });
    }

    /// Returns false if the reader has closed stdout.
    pub(super) fn has_reader(&self) -> bool {
        self.reader == Reader::There
    }

    pub(super) fn total(&self) -> Total {
        self.total
    }

    /// Reports an error, writes the fields after the entries, and returns the exit code.
    pub(super) fn end(self, invocation: &Invocation, usage: &Usage, listed: Result<(), CommandError>) -> Exit {
        let error = listed.err();
        if let Some(error) = &error {
            invocation.report(error);
        }
        let exit = error.as_ref().map_or(Exit::Done, |error| error.exit);
        let Total { objects, bytes, .. } = self.total;
        let end = EndFields { objects, bytes, requests: json::requests(usage) };
        if self.reader == Reader::There {
            output::data(|out| self.growing.end(out, &End { result: invocation.result(exit, error.as_ref()), end }));
        }
        exit
    }
}

impl Fields {
    pub(super) fn of_nothing(args: &LsArgs) -> Self {
        Self { location: args.location.to_string(), entries: [], end: EndFields::default() }
    }
}
