//! Downloads a place in a session of its own process, which can be killed: `local-copy CACHE_ROOT STATE_DIRECTORY URL`.
//! Prints the local path. The environment names the server.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use pos3::{DownloadOptions, Registry, S3Provider, S3Settings, Session, StateDirectory};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cache, state, url] = arguments.as_slice() else {
        return Err("usage: local-copy CACHE_ROOT STATE_DIRECTORY URL".into());
    };
    let registry = Registry::default().with("s3", S3Provider::new(S3Settings::from_env()?));
    let session = Session::builder().registry(registry).cache_root(cache).state(StateDirectory::new(state)).open()?;
    println!("{}", session.download(url, DownloadOptions::default()).await?.display());
    session.close().await.into_result()?;
    Ok(())
}
