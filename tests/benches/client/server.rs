//! The servers for the benchmarks, each in a separate process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::measure::{self, Run};

/// A running server; it ends when it is dropped.
pub(crate) struct Server {
    process: Child,
    endpoint: String,
    counts: bool,
    /// Where the client remembers what it did with this server.
    state: PathBuf,
}

impl Server {
    /// Starts the server that remembers sizes only, checks nothing and sends zeros.
    pub(crate) fn null(directory: &Path) -> Self {
        Self::null_with(&[], directory)
    }

    /// Starts it with options of its own.
    pub(crate) fn null_with(options: &[&str], directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_null-s3-server"));
        Self::start(command.args(["--port", "0"]).args(options), true, directory)
    }

    /// Starts the server that is one: signatures, digests, content.
    pub(crate) fn real(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_s3-dev-server"));
        command.args(["--port", "0", "--bucket", "bench", "--access-key", KEYS.0, "--secret-key", KEYS.1]);
        Self::start(&mut command, false, directory)
    }

    fn start(command: &mut Command, counts: bool, directory: &Path) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let endpoint = lines.find_map(|line| line.find("http://").map(|at| line[at..].trim().to_owned())).unwrap();
        // Whatever else it prints is read and dropped, or it would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, endpoint, counts, state: directory.join("state") }
    }

    /// Runs the command line against this server.
    pub(crate) fn run(&self, cli: &Path, arguments: &[&str]) -> Run {
        let before = self.requests();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = [
            variable("AWS_ENDPOINT_URL", &self.endpoint),
            variable("AWS_REGION", "us-east-1"),
            variable("AWS_ACCESS_KEY_ID", KEYS.0),
            variable("AWS_SECRET_ACCESS_KEY", KEYS.1),
            variable("POS3_STATE_DIR", self.state.to_str().unwrap()),
        ];
        let run = measure::run(cli, arguments, &environment);
        let spent = self.requests().into_iter().map(|(operation, count)| {
            let earlier = before.iter().find(|(name, _)| *name == operation).map_or(0, |(_, count)| *count);
            (operation, count - earlier)
        });
        let spent: Vec<String> =
            spent.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
        Run { requests: spent.join(", "), ..run }
    }

    /// Returns the requests so far by operation. Only the null server counts them.
    fn requests(&self) -> Vec<(String, u64)> {
        if !self.counts {
            return Vec::new();
        }
        let address = self.endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /-/requests HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let counts: std::collections::BTreeMap<String, u64> = serde_json::from_str(body).unwrap();
        counts.into_iter().collect()
    }
}

/// Any keys will do for a server on this machine.
const KEYS: (&str, &str) = ("bench-access-key", "bench-secret-key");

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
