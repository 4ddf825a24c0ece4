//! The default transport: a pool of HTTP/1.1 connections over TCP, with TLS if the endpoint requires it.
//!
//! It sends request targets unchanged, and small requests without delay (`TCP_NODELAY`). It cancels a request when it
//! makes no progress. A fixed time limit would fail every large upload on a slow connection.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, pin_mut};
use http::uri::Scheme;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::config::S3Config;
use super::limit::Activity;
use super::stream::Streamed;
use crate::settings::S3ConfigError;

/// The maximum size of one read from or write to a socket, in bytes. It is large enough that a bulk transfer needs few
/// system calls. It is small enough that the budget has room for a connection per slot.
const BUFFER: usize = 256 << 10;

/// The maximum size of the pieces in which a request body is passed to the connection. Progress is measured per piece.
const PIECE: usize = BUFFER;

/// The time after which an unused connection is closed. Servers close idle connections too, and a request on a
/// connection that is being closed costs an attempt.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// A request extension that replaces the default limit for how long a request may make no progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(pub(crate) Duration);

impl S3Config {
    /// Returns the transport for servers with this scheme, with the certificates and time limits of this configuration.
    /// It is also used for services that provide credentials.
    ///
    /// # Errors
    ///
    /// Returns an error for HTTPS if the trusted certificates cannot be read.
    pub fn transport(&self, scheme: &Scheme) -> Result<HttpClient, S3ConfigError> {
        connect(self, scheme)
    }
}

/// Returns the transport for an endpoint with this scheme.
///
/// # Errors
///
/// Returns an error for HTTPS if the trusted certificates cannot be read.
pub(crate) fn connect(config: &S3Config, scheme: &Scheme) -> Result<HttpClient, S3ConfigError> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.set_connect_timeout(Some(config.connect_timeout));
    http.set_keepalive(Some(Duration::from_secs(60)));
    if *scheme == Scheme::HTTP {
        return Ok(pool(http, config.idle_timeout));
    }
    http.enforce_http(false);
    let https = match &config.root_certificates {
        Some(pem) => HttpsConnectorBuilder::new().with_tls_config(trusting(pem)?),
        None => HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())
            .map_err(S3ConfigError::Certificates)?,
    };
    Ok(pool(https.https_only().enable_http1().wrap_connector(http), config.idle_timeout))
}

/// Returns a TLS configuration that trusts only these certificates.
fn trusting(pem: &[u8]) -> Result<ClientConfig, S3ConfigError> {
    let refuse = |why: &dyn std::fmt::Display| S3ConfigError::RootCertificates(why.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|error| refuse(&error))?).map_err(|error| refuse(&error))?;
    }
    if roots.is_empty() {
        return Err(refuse(&"there is no certificate in PEM form"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(&error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn pool<C>(connector: C, patience: Duration) -> HttpClient
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(BUFFER)
        .build(connector);
    HttpClient::new(Pool { client, patience })
}

struct Pool<C> {
    client: Client<C, Upload>,
    patience: Duration,
}

impl<C> std::fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("patience", &self.patience).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C> HttpService for Pool<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let patience = request.extensions().get::<Patience>().map_or(self.patience, |patience| patience.0);
        let sent = Arc::new(Sent::default());
        let streamed = request.extensions().get::<Streamed>().cloned();
        let activity = request.extensions().get::<Activity>().cloned();
        let answer = self.client.request(request.map(|body| Upload::new(body, streamed, sent.clone(), activity)));
        pin_mut!(answer);
        let mut seen = 0;
        loop {
            match timeout(patience, &mut answer).await {
                Ok(answer) => return answer.map(|answer| answer.map(download)).map_err(request_error),
                Err(elapsed) => {
                    let now = sent.bytes.load(Ordering::Relaxed);
                    if now == seen && !sent.is_starved.load(Ordering::Relaxed) {
                        return Err(HttpError::new(HttpErrorKind::Timeout, elapsed));
                    }
                    seen = now;
                }
            }
        }
    }
}

fn download(body: hyper::body::Incoming) -> HttpResponseBody {
    HttpResponseBody::new(body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)))
}

fn request_error(error: Error) -> HttpError {
    let kind = if error.is_connect() && is_tls(&error) {
        // A retry would fail for the same reason, because the certificate is still not trusted.
        HttpErrorKind::Unknown
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Request
    };
    HttpError::new(kind, error)
}

/// Returns true if TLS itself failed. Such an error is wrapped in an I/O error.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || wrapped.is_some_and(|wrapped| is_tls(wrapped)) || error.source().is_some_and(is_tls)
}

/// A request body that is passed on in pieces and counted.
struct Upload {
    body: Source,
    piece: Bytes,
    /// The number of bytes that have not been passed on yet.
    left: u64,
    sent: Arc<Sent>,
    /// The place of the request among those in flight.
    activity: Option<Activity>,
}

/// The progress of a request body.
#[derive(Default)]
struct Sent {
    bytes: AtomicU64,
    /// The connection waits for content. Reading it may be slow or deliberately throttled, so this is not a stall.
    is_starved: AtomicBool,
}

/// The source of a request body.
enum Source {
    Held(HttpRequestBody),
    Streamed(BoxStream<'static, Result<Bytes, HttpError>>),
}

impl Upload {
    fn new(body: HttpRequestBody, streamed: Option<Streamed>, sent: Arc<Sent>, activity: Option<Activity>) -> Self {
        let (left, body) = match streamed {
            Some(streamed) => (streamed.size(), Source::Streamed(streamed.pieces())),
            None => (body.content_length() as u64, Source::Held(body)),
        };
        Self { body, piece: Bytes::new(), left, sent, activity }
    }

    fn set_starved(&self, is_starved: bool) {
        self.sent.is_starved.store(is_starved, Ordering::Relaxed);
        match &self.activity {
            Some(activity) if is_starved => activity.waits_for_program(),
            Some(activity) => activity.waits_for_server(),
            None => {}
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        match &mut self.body {
            Source::Streamed(pieces) => pieces.poll_next_unpin(context),
            Source::Held(body) => {
                Pin::new(body).poll_frame(context).map_ok(|frame| frame.into_data().unwrap_or_default())
            }
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if self.piece.is_empty() {
            let piece = self.poll_piece(context);
            self.set_starved(piece.is_pending());
            match ready!(piece) {
                Some(Ok(piece)) => self.piece = piece,
                other => return Poll::Ready(other.map(|piece| piece.map(Frame::data))),
            }
        }
        let length = self.piece.len().min(PIECE);
        self.left = self.left.saturating_sub(length as u64);
        self.sent.bytes.fetch_add(length as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(self.piece.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
