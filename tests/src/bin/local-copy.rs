//! Downloads a location in a session, in a separate process that can be killed: `local-copy CACHE_ROOT URL`. It prints
//! the local path, and the events of the session on stderr. The environment selects the server and the directory of the
//! sync state, as for any session without other settings.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

use pos3::{DownloadOptions, Event, Observer, Registry, S3Provider, S3Settings, Session};

struct Tell;

impl Observer for Tell {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Waiting(place, process) => eprintln!("waiting for {process:?}, which has {place}"),
            Event::Warning(warning) => eprintln!("warning: {warning}"),
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cache, url] = arguments.as_slice() else {
        return Err("usage: local-copy CACHE_ROOT URL".into());
    };
    let registry = Registry::default().with("s3", S3Provider::new(S3Settings::from_env()?));
    let session = Session::builder().registry(registry).cache_root(cache).observer(Tell).open()?;
    println!("{}", session.download(url, DownloadOptions::default()).await?.display());
    session.close().await.into_result()?;
    Ok(())
}
