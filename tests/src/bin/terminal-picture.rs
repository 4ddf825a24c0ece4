//! Draws what pos3 prints in a real run, against an S3 server in this process.
//!
//! `cargo run -p pos3-tests --bin terminal-picture -- docs/terminal.svg` builds the command line in release mode, runs the
//! session below in a temporary directory and writes the picture in the README. Every line in it was printed by that run.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use pos3_tests::server::S3Server;
use tempfile::TempDir;

/// The commands of the session, exactly as the shell runs them.
const SESSION: [&str; 5] = [
    "pos3-cli sync ./data s3://bucket/data",
    "pos3-cli sync ./data s3://bucket/data",
    "mv data backup; mkdir data; pos3-cli sync ./data s3://bucket/data --delete",
    "pos3-cli run --download data=s3://bucket/data --upload out=s3://bucket/out -- \\\n    \
     sh -c 'sha256sum \"$POS3_PATH_DATA\"/* > \"$POS3_PATH_OUT\"/sums.txt'",
    "pos3-cli ls s3://bucket/out/ --long",
];

/// The widest line that is not wrapped, in characters.
const COLUMNS: usize = 104;
const CHARACTER_WIDTH: f64 = 7.83;
const LINE_HEIGHT: usize = 19;
const MARGIN: usize = 20;
const TITLE_BAR: usize = 36;

fn main() -> Result<(), Box<dyn Error>> {
    let picture = std::env::args_os().nth(1).ok_or("usage: terminal-picture FILE.svg")?;
    let directory = directory_with_data()?;
    let server = S3Server::builder().bucket("bucket").start()?;
    let binaries = release_binaries()?;
    let mut lines = Vec::new();
    for command in SESSION {
        let prompt = format!("$ {command}");
        let output = shell(&server, &binaries, directory.path(), command)?;
        println!("{prompt}\n{output}");
        lines.extend(prompt.lines().map(|line| (Style::Prompt, line.to_owned())));
        for line in output.lines() {
            lines.extend(wrapped(line).into_iter().map(|part| (Style::of(line), part)));
        }
        lines.push((Style::Plain, String::new()));
    }
    lines.pop();
    fs::write(picture, svg(&lines))?;
    Ok(())
}

/// Returns a temporary directory with 300 small files and a large one in `data`.
fn directory_with_data() -> io::Result<TempDir> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    fs::create_dir(&data)?;
    for number in 0..300_u32 {
        let content: Vec<u8> = (0..20_000_u32).map(|at| (at.wrapping_mul(number + 7) >> 3) as u8).collect();
        fs::write(data.join(format!("shard-{number:03}.bin")), content)?;
    }
    fs::write(data.join("model.ckpt"), vec![7; 64 << 20])?;
    Ok(directory)
}

/// Builds the command line in release mode and returns the directory that holds it.
fn release_binaries() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = Command::new(cargo).args(["build", "--release", "-p", "pos3-cli"]).current_dir(root).status()?;
    if !status.success() {
        return Err("cannot build pos3-cli".into());
    }
    let own = std::env::current_exe()?;
    Ok(own.ancestors().nth(2).ok_or("this program is in no target directory")?.join("release"))
}

/// Runs one command of the session and returns what it printed, on both streams.
fn shell(server: &S3Server, binaries: &Path, directory: &Path, command: &str) -> Result<String, Box<dyn Error>> {
    let path = std::env::var("PATH")?;
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .current_dir(directory)
        .env_clear()
        .env("PATH", format!("{}:{path}", binaries.display()))
        .env("HOME", directory)
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", server.access_key())
        .env("AWS_SECRET_ACCESS_KEY", server.secret_key())
        .output()?;
    Ok(String::from_utf8(output.stdout)?)
}

/// How a line is coloured.
#[derive(Clone, Copy)]
enum Style {
    Prompt,
    Error,
    Hint,
    Plain,
}

impl Style {
    fn of(line: &str) -> Self {
        match line {
            line if line.starts_with("error:") => Self::Error,
            line if line.starts_with("hint:") => Self::Hint,
            _ => Self::Plain,
        }
    }

    fn color(self) -> &'static str {
        match self {
            Self::Prompt => "#7ee787",
            Self::Error => "#ff7b72",
            Self::Hint => "#d2a8ff",
            Self::Plain => "#c9d1d9",
        }
    }
}

/// Breaks a line between words where it is wider than the picture.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = lines.last_mut().filter(|last| last.len() + word.trim_end().len() <= COLUMNS);
        match last {
            Some(last) => last.push_str(word),
            None => lines.push(format!("    {word}")),
        }
    }
    lines
}

fn svg(lines: &[(Style, String)]) -> String {
    let width = (COLUMNS as f64 * CHARACTER_WIDTH) as usize + 2 * MARGIN;
    let height = TITLE_BAR + lines.len() * LINE_HEIGHT + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (position, color) in [(20, "#ff5f57"), (40, "#febc2e"), (60, "#28c840")] {
        let _ = writeln!(svg, "<circle cx=\"{position}\" cy=\"18\" r=\"6\" fill=\"{color}\"/>");
    }
    for (number, (style, line)) in lines.iter().enumerate() {
        let baseline = TITLE_BAR + (number + 1) * LINE_HEIGHT - 4;
        let (color, text) = (style.color(), escaped(line));
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{baseline}\" fill=\"{color}\" xml:space=\"preserve\">{text}</text>"
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
