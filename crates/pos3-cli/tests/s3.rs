//! Runs the binary against an S3 server that checks signatures, with real files and signals. The output must agree with
//! the requests that the server received.

mod archived;
mod backup;
mod check;
mod cleanup;
mod credentials;
mod deletes;
mod download;
mod early_end;
mod endpoints;
mod excluded;
mod explain;
mod faults;
mod foreign_answers;
mod hangups;
mod hostile;
mod ignore_files;
mod keys;
mod kills;
mod limits;
mod links;
mod listings;
mod ls;
mod mounts;
mod moved_outputs;
mod other_server;
mod overlays;
mod overtaken;
mod overtaken_writes;
mod own_files;
mod permissions;
mod places;
mod plans;
mod profiles;
mod progress;
mod recorded_servers;
mod refused_conditions;
mod requests;
mod rewritten;
mod run;
mod run_ends;
mod run_last_uploads;
mod run_lost_answers;
mod run_moved;
mod run_other_transfers;
mod run_outputs;
mod run_processes;
mod run_removed;
mod run_report;
mod run_restored;
mod run_sides;
mod run_signals;
mod run_terminal;
mod run_terminated;
mod run_times;
mod run_together;
mod run_touched;
mod shapes;
mod signals;
mod similar_servers;
mod sources;
mod stale_heads;
mod stale_reads;
mod times;
mod tls;
mod trees;
mod truth;
mod unanswered;
mod unsaved;
mod unsaved_mounts;
mod unsaved_places;
mod unsaved_writers;
mod upload;
mod warnings;
mod workspace;
mod workspace_kills;

use std::process::Command;

use pos3_tests::server::S3Server;
use serde_json::Value;

use crate::program::{Ended, Program};

/// A server with one bucket, and the binary with the keys to it.
pub(crate) struct Cloud {
    pub(crate) server: S3Server,
    pub(crate) program: Program,
}

pub(crate) const BUCKET: &str = "data";

impl Cloud {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self { server: S3Server::builder().bucket(BUCKET).start().unwrap(), program: Program::new().with(files) }
    }

    pub(crate) fn with_objects(self, objects: &[(&str, &'static str)]) -> Self {
        objects.iter().for_each(|(key, content)| self.server.put(BUCKET, key, *content));
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program.command(arguments);
        command
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", self.server.access_key())
            .env("AWS_SECRET_ACCESS_KEY", self.server.secret_key());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs with `--json` and returns the exit code and the object.
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let ended = self.run(&[arguments, &["--json"]].concat());
        let object = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        (ended.code.unwrap(), object)
    }

    /// Returns what the server counted since the last time, as the summary would say it, and checks that it does.
    pub(crate) fn requests_as_told(&self, told: &Value) -> Vec<(String, u64)> {
        let counted = self.server.requests();
        self.server.reset_requests();
        let mut counted: Vec<(String, u64)> =
            counted.iter().map(|(operation, count)| (format!("{operation:?}"), count as u64)).collect();
        counted.sort();
        let told = told["requests"].as_object().unwrap();
        let told: Vec<(String, u64)> =
            told.iter().map(|(kind, count)| (kind.clone(), count.as_u64().unwrap())).collect();
        assert_eq!(told, counted, "the summary and the server disagree");
        counted
    }
}

/// Returns the requests in a form that is easy to write down.
pub(crate) fn requests(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}
