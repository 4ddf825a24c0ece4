//! An agent whose disk is gone after each run. Its memory and its notes are in S3: it pulls them into an empty directory,
//! works with plain files, and pushes what it has changed.
//!
//! ```text
//! cargo run -p pos3 --example agent -- s3://bucket/agents/7 /tmp/agent-7 "write a report" 1000
//! ```
//!
//! The last argument is the duration of a step in milliseconds. The environment selects the server (`AWS_…`). The agent
//! starts as soon as its memory has arrived, while the rest is still being pulled. It pushes after each step, so a kill loses
//! at most the step that has not been pushed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to whoever started it")]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use pos3::{Workspace, WorkspaceReport};

type Failure = Box<dyn Error + Send + Sync>;

const MEMORY: &str = "memory.md";

const STEPS: u32 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(agent) = Agent::from_arguments() else {
        eprintln!("usage: agent LOCATION DIRECTORY TASK MILLISECONDS");
        return ExitCode::from(2);
    };
    match agent.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Agent {
    location: String,
    directory: PathBuf,
    task: String,
    /// The duration of a step.
    pace: Duration,
}

impl Agent {
    fn from_arguments() -> Option<Self> {
        let mut arguments = std::env::args().skip(1);
        let (location, directory, task) = (arguments.next()?, arguments.next()?.into(), arguments.next()?);
        let pace = Duration::from_millis(arguments.next()?.parse().ok()?);
        arguments.next().is_none().then_some(Self { location, directory, task, pace })
    }

    async fn run(&self) -> Result<(), Failure> {
        let workspace = Workspace::builder(&self.location, &self.directory).from_env()?.priority([MEMORY]).open()?;
        workspace.start_background_pull();
        let _is_whole = workspace.wait_for_priority().await?;
        println!("remembers {} lines", self.remember()?);
        if let Some(report) = workspace.wait_for_pull().await? {
            complete(&report)?;
        }
        for step in 1..=STEPS {
            self.work(step)?;
            tokio::time::sleep(self.pace).await;
            complete(&workspace.push().await?)?;
            println!("step {step} is stored");
        }
        writeln!(self.memory()?, "{} is done.", self.task)?;
        complete(&workspace.push().await?)?;
        println!("stored {STEPS} steps");
        Ok(())
    }

    /// Returns the number of lines of the memory, which is empty at first.
    fn remember(&self) -> io::Result<usize> {
        match fs::read_to_string(self.directory.join(MEMORY)) {
            Ok(text) => Ok(text.lines().count()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn memory(&self) -> io::Result<fs::File> {
        OpenOptions::new().create(true).append(true).open(self.directory.join(MEMORY))
    }

    fn work(&self, step: u32) -> io::Result<()> {
        let notes = self.directory.join("notes");
        fs::create_dir_all(&notes)?;
        fs::write(notes.join(format!("{}-{step}.md", self.task)), format!("step {step} of {}\n", self.task))
    }
}

/// Prints conflicts, and fails if something was not pulled or pushed.
fn complete(report: &WorkspaceReport) -> Result<(), Failure> {
    for conflict in &report.conflicts {
        println!("'{}' was changed by others; the version of this agent is '{}'", conflict.path, conflict.copy);
    }
    if report.success {
        return Ok(());
    }
    Err(format!("not complete: {}", report.errors.join("; ")).into())
}
