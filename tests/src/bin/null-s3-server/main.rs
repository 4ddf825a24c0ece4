//! A minimal server for measuring clients.
//!
//! It stores only keys and sizes, discards uploads and returns zeros, so that a benchmark measures the client. It does
//! not check signatures, and all ETags are equal. Do not use it to test correctness.

use std::{
    io::{self, Write as _},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clap::Parser;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use pos3_tests::server::{Operation, Target};
use tokio::net::{TcpListener, TcpStream};

mod answer;
mod store;

use self::{
    answer::{Answer, decoded, empty, error, text, xml},
    store::Store,
};

/// A server that remembers names and sizes only, for measuring S3 clients.
///
/// Buckets need not be created. `GET /-/requests` answers with the number of requests of each operation.
#[derive(Debug, Parser)]
#[command(name = "null-s3-server")]
struct Arguments {
    /// Port on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Wait before each answer, in milliseconds
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,

    /// Worker threads
    #[arg(long, default_value_t = 1)]
    threads: usize,

    /// Begin with COUNT objects of 1 KiB below BUCKET/PREFIX, such as bench/d/=1000000
    #[arg(long, value_name = "BUCKET/PREFIX=COUNT", value_parser = fill)]
    fill: Vec<(String, u64)>,
}

fn fill(text: &str) -> Result<(String, u64), String> {
    let (path, count) = text.rsplit_once('=').ok_or("write it as BUCKET/PREFIX=COUNT")?;
    Ok((path.to_owned(), count.parse().map_err(|error| format!("'{count}': {error}"))?))
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.threads.max(1)).enable_all().build()?;
    runtime.block_on(accept(&arguments))
}

async fn accept(arguments: &Arguments) -> io::Result<()> {
    let mut store = Store::default();
    arguments.fill.iter().for_each(|(path, count)| store.fill(path, *count));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await?;
    writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    let server = Arc::new(Server { delay: Duration::from_millis(arguments.delay_ms), store: Mutex::new(store) });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, Arc::clone(&server)));
    }
}

async fn serve(stream: TcpStream, server: Arc<Server>) -> hyper::Result<()> {
    // Without this, responses wait for acknowledgements. The benchmark would show that, so the error is ignored.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let server = Arc::clone(&server);
        async move { server.answer(request).await }
    });
    http1::Builder::new().max_buf_size(512 * 1024).serve_connection(TokioIo::new(stream), service).await
}

struct Server {
    delay: Duration,
    store: Mutex<Store>,
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> hyper::Result<Answer> {
        if request.uri().path() == "/-/requests" {
            return Ok(text("application/json", self.request_counts()));
        }
        let target = Target::of(request.method(), request.uri(), request.headers());
        let (head, body) = request.into_parts();
        let path = decoded(head.uri.path().trim_start_matches('/'));
        let query = head.uri.query().unwrap_or_default();
        let body = Received::from(body, &head.headers, target.operation == Operation::DeleteObjects).await?;
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }

        let mut store = self.lock();
        *store.requests.entry(target.operation).or_default() += 1;
        Ok(match target.operation {
            Operation::PutObject => store.put(path, body.length, &head.headers),
            Operation::UploadPart => store.upload_part(query, body.length),
            Operation::CreateMultipartUpload => store.create_upload(&head.headers),
            Operation::CompleteMultipartUpload => store.complete_upload(path, query, &head.headers),
            Operation::CopyObject => store.copy(path, &head.headers),
            Operation::GetObject => store.get(&path, &head.headers),
            Operation::HeadObject => store.get(&path, &HeaderMap::new()),
            Operation::DeleteObject => store.delete(&path),
            Operation::DeleteObjects => store.delete_many(path.trim_end_matches('/'), &body.text),
            Operation::ListObjectsV2 => store.list(path.trim_end_matches('/'), query),
            Operation::AbortMultipartUpload => empty(StatusCode::NO_CONTENT),
            Operation::CreateBucket | Operation::HeadBucket => empty(StatusCode::OK),
            Operation::GetBucketLocation => xml("<LocationConstraint/>"),
            Operation::ListBuckets => xml("<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"),
            _ => error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        })
    }

    fn request_counts(&self) -> String {
        let store = self.lock();
        let counts: Vec<_> = store.requests.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
        format!("{{{}}}\n", counts.join(","))
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The relevant part of a request body: its length, and its text if a document is expected.
struct Received {
    length: u64,
    text: String,
}

impl Received {
    async fn from(mut body: Incoming, headers: &HeaderMap, keep: bool) -> hyper::Result<Self> {
        let (mut length, mut kept) = (0, Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame?;
            let Some(data) = frame.data_ref() else { continue };
            length += data.len() as u64;
            if keep {
                kept.extend_from_slice(data);
            }
        }
        let decoded = headers.get("x-amz-decoded-content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(Self { length: decoded.unwrap_or(length), text: String::from_utf8_lossy(&kept).into_owned() })
    }
}
