//! The HTTP transport for the AWS SDK. Services for credentials are reached and trusted like the store, and no second
//! TLS implementation is needed.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use futures::TryStreamExt;
use http::Uri;
use http::uri::Scheme;
use pos3_s3::{HttpError, HttpErrorKind, HttpRequestBody, S3Config};

/// The maximum size of a response, in bytes. Credentials are small.
const LARGEST_ANSWER: usize = 1 << 20;

/// Creates connections that trust the certificates in the settings.
#[derive(Clone)]
pub(super) struct Transport(Arc<Inner>);

struct Inner {
    certificates: Option<Vec<u8>>,
    pools: Mutex<BTreeMap<Limits, pos3_s3::HttpClient>>,
}

/// The key of a connection pool: the scheme, the connect timeout and the read timeout.
type Limits = (String, Option<Duration>, Option<Duration>);

/// The transport with the time limits of one service.
struct Limited {
    transport: Transport,
    connect: Option<Duration>,
    read: Option<Duration>,
}

impl Transport {
    pub(super) fn new(certificates: Option<Vec<u8>>) -> Self {
        Self(Arc::new(Inner { certificates, pools: Mutex::default() }))
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Limited {
            transport: self.clone(),
            connect: settings.connect_timeout(),
            read: settings.read_timeout(),
        })
    }
}

impl HttpConnector for Limited {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let pool = self.pool(&request);
        HttpConnectorFuture::new(async move { exchange(&pool?, request).await })
    }
}

impl Limited {
    fn pool(&self, request: &HttpRequest) -> Result<pos3_s3::HttpClient, ConnectorError> {
        let scheme = if request.uri().starts_with("https:") { Scheme::HTTPS } else { Scheme::HTTP };
        let mut pools = self.transport.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = (scheme.to_string(), self.connect, self.read);
        if let Some(pool) = pools.get(&limits) {
            return Ok(pool.clone());
        }
        let mut config = S3Config::new();
        if let Some(timeout) = self.connect {
            config = config.with_connect_timeout(timeout);
        }
        if let Some(timeout) = self.read {
            config = config.with_idle_timeout(timeout);
        }
        if let Some(pem) = &self.transport.0.certificates {
            config = config.with_root_certificates(pem.clone());
        }
        let pool = config.transport(&scheme).map_err(|error| ConnectorError::user(error.into()))?;
        Ok(pools.entry(limits).or_insert(pool).clone())
    }
}

async fn exchange(pool: &pos3_s3::HttpClient, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let user = |error: Box<dyn StdError + Send + Sync>| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|error| user(error.into()))?;
    let (head, body) = request.into_parts();
    let server = server(&head.uri);
    let body = body.bytes().ok_or_else(|| user("a request whose body is not in memory".into()))?;
    let body = HttpRequestBody::from(bytes::Bytes::copy_from_slice(body));
    let response = pool.execute(http::Request::from_parts(head, body)).await.map_err(|error| failed(&server, error))?;
    let (head, body) = response.into_parts();
    let mut chunks = body.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.try_next().await.map_err(|error| failed(&server, error))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(ConnectorError::other(
                format!("the response is larger than {LARGEST_ANSWER} bytes").into(),
                None,
            ));
        }
        body.extend_from_slice(&chunk);
    }
    let response = http::Response::from_parts(head, SdkBody::from(body));
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// The reason why there is no response, and the server.
#[derive(Debug, thiserror::Error)]
#[error("{what} {server}")]
struct NoAnswer {
    what: &'static str,
    is_secure: bool,
    server: String,
    source: HttpError,
}

/// Returns the server of an address. The rest of the address may contain a secret.
fn server(uri: &Uri) -> String {
    let host = uri.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    format!("{}://{host}", uri.scheme_str().unwrap_or_default())
}

/// Returns the kind of failure that the SDK uses to decide whether to retry.
fn failed(server: &str, error: HttpError) -> ConnectorError {
    let kind = error.kind();
    let timed_out = kind == HttpErrorKind::Timeout || (kind == HttpErrorKind::Connect && timed_out(&error));
    let what = match kind {
        HttpErrorKind::Connect => "cannot connect to",
        HttpErrorKind::Unknown => "there is no secure connection to",
        _ => "no complete response from",
    };
    let is_secure = kind != HttpErrorKind::Unknown;
    let error = Box::new(NoAnswer { what, is_secure, server: server.to_owned(), source: error });
    match kind {
        _ if timed_out => ConnectorError::timeout(error),
        HttpErrorKind::Connect | HttpErrorKind::Request | HttpErrorKind::Interrupted => ConnectorError::io(error),
        _ => ConnectorError::other(error, None),
    }
}

/// Returns true if an error was caused by a connection that is not secure.
pub(super) fn is_not_secure(error: &(dyn StdError + 'static)) -> bool {
    let here = error.downcast_ref::<NoAnswer>().is_some_and(|error| !error.is_secure);
    here || error.source().is_some_and(is_not_secure)
}

fn timed_out(error: &(dyn StdError + 'static)) -> bool {
    let here = error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
    here || error.source().is_some_and(timed_out)
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl fmt::Debug for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limited").field("connect", &self.connect).field("read", &self.read).finish_non_exhaustive()
    }
}
