//! An S3 server in memory, for experiments on the local machine.

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use clap::Parser;
use pos3_tests::server::{BucketNameError, S3Server, check_bucket_name};

/// An S3 server for trying things out.
///
/// Everything is kept in memory and gone when the server stops. Requests must be signed with the keys
/// below; the server prints the environment variables that make clients do so.
#[derive(Debug, Parser)]
#[command(name = "s3-dev-server", after_help = EXAMPLES)]
struct Arguments {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 9000)]
    port: u16,

    /// Address to listen on; anything but the loopback interface lets other machines in
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,

    /// Bucket to start with; may be given several times
    #[arg(long = "bucket", value_name = "NAME", default_value = "demo", value_parser = bucket_name)]
    buckets: Vec<String>,

    /// Access key id that requests are signed with
    #[arg(long, default_value = "dev-access-key")]
    access_key: String,

    /// Secret access key that requests are signed with
    #[arg(long, default_value = "dev-secret-key")]
    secret_key: String,
}

const EXAMPLES: &str = "Examples:
  # one bucket \"demo\" on port 9000
  cargo run -p pos3-tests --bin s3-dev-server

  # two buckets on a free port
  cargo run -p pos3-tests --bin s3-dev-server -- --port 0 --bucket left --bucket right";

fn bucket_name(name: &str) -> Result<String, BucketNameError> {
    check_bucket_name(name).map(|()| name.to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If even this write fails, there is no other way to report the error.
            let _ = writeln!(io::stderr(), "s3-dev-server: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C.
async fn run(arguments: Arguments) -> io::Result<()> {
    let mut server = S3Server::builder()
        .address(SocketAddr::new(arguments.host, arguments.port))
        .credentials(&arguments.access_key, &arguments.secret_key);
    for bucket in &arguments.buckets {
        server = server.bucket(bucket);
    }
    let server = server.start()?;
    introduce(&server, &arguments.buckets)?;
    tokio::signal::ctrl_c().await
}

/// Prints the address of the server and how to use it.
fn introduce(server: &S3Server, buckets: &[String]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "listening on {}", server.endpoint())?;
    writeln!(output, "buckets: {} (in memory; gone when this program ends)\n", buckets.join(", "))?;
    writeln!(output, "Paste this into another terminal:\n")?;
    writeln!(output, "export AWS_ACCESS_KEY_ID={}", server.access_key())?;
    writeln!(output, "export AWS_SECRET_ACCESS_KEY={}", server.secret_key())?;
    writeln!(output, "export AWS_ENDPOINT_URL={}", server.endpoint())?;
    writeln!(output, "export AWS_REGION=us-east-1\n")?;
    if let Some(bucket) = buckets.first() {
        writeln!(output, "Then, for example:\n\npos3-cli sync ./some-directory s3://{bucket}/some-directory\n")?;
    }
    writeln!(output, "Ctrl-C stops the server.")?;
    output.flush()
}
