//! Demonstrates a sync on a real S3 server inside this process. It needs no account and no installation.
//!
//! `cargo run -p pos3-tests --bin demo` syncs this project's `docs` to a bucket and back with the real command line,
//! and prints each command and its output.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::path::Path;
use std::process::Command;

use pos3_tests::server::S3Server;

fn main() -> Result<(), Box<dyn Error>> {
    let server = S3Server::builder().bucket("demo").start()?;
    let directory = std::env::temp_dir().join(format!("pos3-demo-{}", std::process::id()));
    let copy = directory.to_str().ok_or("the temporary directory has no UTF-8 name")?;
    println!("An S3 server answers at {} until this program ends.", server.endpoint());

    let shown = show(&server, copy);
    // The copy is removed even if the demonstration failed.
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    shown
}

fn show(server: &S3Server, copy: &str) -> Result<(), Box<dyn Error>> {
    run(server, "upload", &["sync", "docs", "s3://demo/docs"])?;
    run(server, "again: nothing changed, so one listing is all it costs", &["sync", "docs", "s3://demo/docs"])?;
    run(server, "download", &["sync", "s3://demo/docs", copy])?;
    std::fs::remove_file(Path::new(copy).join("SEMANTICS.md"))?;
    run(
        server,
        "what would --delete do, now that a file is gone?",
        &["sync", copy, "s3://demo/docs", "--delete", "-n"],
    )?;
    run(server, "look", &["ls", "s3://demo/docs/", "--recursive", "--summarize"])
}

/// Runs the command line in the project's root directory and prints the command.
fn run(server: &S3Server, purpose: &str, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    println!("\n# {purpose}\n$ pos3-cli {}", arguments.join(" "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--package", "pos3-cli", "--"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", server.access_key())
        .env("AWS_SECRET_ACCESS_KEY", server.secret_key())
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("pos3-cli ended with {status}").into()) }
}
