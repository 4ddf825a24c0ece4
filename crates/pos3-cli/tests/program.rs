//! Runs the binary in a temporary working directory, without the environment of the caller.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) struct Program {
    directory: TempDir,
    /// The directory of the sync state, so that tests never use the developer's own.
    state: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns where the program keeps what it remembers.
    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// Writes files below the working directory; a name that ends in `/` becomes an empty directory.
    pub(crate) fn with(self, files: &[(&str, &str)]) -> Self {
        for (name, content) in files {
            let path = self.path(name);
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
        }
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pos3-cli"));
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command.env_clear().env("TZ", "UTC").env("POS3_STATE_DIR", self.state.path());
        command.env("POS3_CACHE_ROOT", self.path("cache"));
        // No test asks the machine for credentials that it was given by its owner.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// Returns every file below a directory with its content, by name; directories that are empty end in `/`.
    pub(crate) fn files(&self, below: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let root = self.path(below);
        collect(&root, &root, &mut found);
        found.sort();
        found
    }
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if !path.is_dir() {
            found.push((name, fs::read_to_string(&path).unwrap()));
        } else if fs::read_dir(&path).unwrap().next().is_none() {
            found.push((format!("{name}/"), String::new()));
        } else {
            collect(root, &path, found);
        }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Returns names and contents as `files` gives them.
pub(crate) fn expected(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}
