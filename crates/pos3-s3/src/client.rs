//! The client that all stores of one server share: endpoint, credentials and connection pool.
//!
//! Every request is sent by [`S3Client::attempt`]. So counting, signing, throttling and the parsing of refusals are in
//! one place and are repeated for each attempt.

mod answer;
mod clock;
pub(crate) mod config;
mod connect;
pub(crate) mod floor;
pub(crate) mod habits;
mod limit;
mod pause;
mod reason;
mod region;
pub(crate) mod request;
pub(crate) mod retry;
pub(crate) mod sign;
pub(crate) mod stream;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Method};
use http_body::Body as _;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody};
use pos3_core::{CancellationToken, Key, Operation, ServerPause, StoreError};
use tokio::time::timeout;

use crate::error::{Failure, Refusal};
use crate::operation::Counters;
use crate::settings::{PayloadSigning, S3ConfigError, SlowestAnswer};
use crate::uri::Endpoint;
use clock::Clock;
use config::S3Config;
use connect::Patience;
use floor::Floor;
use habits::Habits;
use limit::Slot;
use reason::Reason;
use region::Regions;
use request::{Body, Request};
use retry::{Attempts, Brake, Server};
use sign::Signer;
use stream::Streamed;

pub(crate) use answer::Answer;
pub use limit::RequestLimit;

/// The size limit of a response that is read into memory, in bytes. A page of a thousand long keys is far smaller.
const LARGEST_ANSWER: usize = 64 << 20;

/// The time limit for reading the body of a refusal. Without the body, the status is enough.
const LONGEST_REFUSAL: Duration = Duration::from_secs(10);

/// The time limit for a whole response, as a multiple of the request's patience.
const LONGEST_PATIENCE: u32 = 4;

/// The size limit for the body of a refusal, in bytes.
const LARGEST_REFUSAL: usize = 64 << 10;

/// One server, one set of credentials and one pool of connections, shared by the stores of any number of buckets. A
/// clone is cheap.
#[derive(Clone)]
pub struct S3Client(Arc<Inner>);

struct Inner {
    config: S3Config,
    endpoint: Endpoint,
    signer: Arc<Signer>,
    regions: Regions,
    http: HttpClient,
    limit: RequestLimit,
    brake: Brake,
    clock: Clock,
    habits: Habits,
    /// Set when any request has received a response.
    has_answered: AtomicBool,
    /// The last failure since a request succeeded.
    trouble: Mutex<Option<Failure>>,
}

impl S3Client {
    /// Returns a client. No request is sent yet.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid.
    pub fn new(config: S3Config) -> Result<Self, S3ConfigError> {
        let endpoint = config.check()?;
        let http = match &config.http {
            Some(http) => http.clone(),
            None => connect::connect(&config, &endpoint.scheme)?,
        };
        let signer = Arc::new(Signer::new(&config.region));
        let limit = config.request_limit.clone().unwrap_or_default();
        let regions = Regions::default();
        Ok(Self(Arc::new(Inner {
            config,
            endpoint,
            signer,
            regions,
            http,
            limit,
            brake: Brake::new(),
            clock: Clock::default(),
            habits: Habits::default(),
            has_answered: AtomicBool::new(false),
            trouble: Mutex::default(),
        })))
    }

    /// Returns the address of the server.
    pub fn endpoint(&self) -> String {
        self.0.endpoint.to_string()
    }

    /// Returns the limit of the requests in flight.
    pub fn request_limit(&self) -> &RequestLimit {
        &self.0.limit
    }

    pub(crate) fn server(&self) -> &Endpoint {
        &self.0.endpoint
    }

    pub(crate) fn config(&self) -> &S3Config {
        &self.0.config
    }

    /// Returns true if content can be sent while it is read. That is impossible if the signature must cover the
    /// content, and with an embedder's transport, which only sends bodies that are in memory.
    pub(crate) fn streams(&self) -> bool {
        self.config().http.is_none() && self.config().payload_signing == PayloadSigning::Unsigned
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns a counter of attempts that starts at zero.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.config().attempts, self.config().longest_pause)
    }

    /// Waits until a failed request may be sent again. Returns the failure if it must not be repeated.
    pub(crate) async fn again(&self, attempts: &mut Attempts, failure: Failure) -> Result<(), Failure> {
        *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.repeat());
        let server = if self.has_answered() { Server::HasAnswered } else { Server::IsUnknown };
        attempts.again(failure, server, &self.0.brake).await
    }

    /// Like [`again`](Self::again), but also returns the failure once `halt` is cancelled. If an earlier attempt may have
    /// been executed, the failure is one that shows it.
    pub(crate) async fn again_until(
        &self,
        halt: Option<&CancellationToken>,
        attempts: &mut Attempts,
        failure: Failure,
    ) -> Result<(), Failure> {
        let Some(halt) = halt else { return self.again(attempts, failure).await };
        if matches!(failure, Failure::Stopped) && attempts.may_be_done() {
            return Err(Failure::Garbled("there was no response".to_owned()));
        }
        if halt.is_cancelled() {
            return Err(failure);
        }
        let halted = failure.repeat();
        tokio::select! {
            biased;
            again = self.again(attempts, failure) => again,
            () = halt.cancelled() => Err(halted),
        }
    }

    /// Returns the last failure that a request may be repeated for, if no request has succeeded since.
    pub(crate) fn trouble(&self) -> Option<Failure> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Failure::repeat)
    }

    /// Returns the pause that requests to the server make now, before they are sent again. It returns `None` for pauses
    /// of less than a second.
    pub fn pause(&self) -> Option<ServerPause> {
        self.0.brake.pause()
    }

    fn has_answered(&self) -> bool {
        self.0.has_answered.load(Ordering::Relaxed)
    }

    /// Returns the store's error for a failure during `operation` after all permitted attempts. So the caller must not
    /// repeat them.
    pub(crate) fn error(&self, operation: Operation, key: Option<&Key>, bucket: &str, failure: Failure) -> StoreError {
        // The content's own store knows whether it has repeated a read.
        let is_of_source = matches!(failure, Failure::Source(_));
        let error = self.error_of_one_attempt(operation, key, bucket, failure);
        if is_of_source { error } else { error.retried() }
    }

    /// Returns the store's error for a failure that nothing was repeated for.
    ///
    /// Until the server has answered, its address and the credentials are probably wrong. From then on, connections and
    /// credentials that fail may be good again later.
    pub(crate) fn error_of_one_attempt(
        &self,
        operation: Operation,
        key: Option<&Key>,
        bucket: &str,
        failure: Failure,
    ) -> StoreError {
        let (is_cut_off, needs_credentials) = (failure.is_cut_off(), failure.needs_new_credentials());
        let error = failure.during(operation, key, bucket, self.server());
        match self.has_answered() {
            true if needs_credentials => error.temporary(),
            false if is_cut_off => error.permanent(),
            _ => error,
        }
    }

    /// Signs a request for the current time, sends it once and returns the head of the response if it is a success.
    ///
    /// Some refusals are repeated immediately, each at most once: if the signing time was wrong, with the server's
    /// time; if the bucket is in another region, in that region; if the credentials have expired, with renewed ones if
    /// there are any; if the reason is unknown and may have passed, unchanged. The server has not executed a request that
    /// it refused for such a reason, so nothing happens twice.
    pub(crate) async fn attempt(&self, counters: &Counters, request: &Request) -> Result<HttpResponse, Failure> {
        let (mut clock_was_set, mut moved_to, mut renewed, mut repeated) = (false, None::<String>, false, false);
        loop {
            let signer = self.signer_of(request);
            let slot = tokio::select! {
                biased;
                () = request.halted() => return Err(Failure::Stopped),
                slot = self.slot() => slot,
            };
            let (begun, now) = (Instant::now(), self.0.clock.now());
            let refusal = match self.attempt_in(slot, now, &signer, counters, request).await {
                Err(Failure::Refused(refusal)) => refusal,
                attempted => return attempted,
            };
            if !clock_was_set && self.was_set(&refusal, now) {
                clock_was_set = true;
                continue;
            }
            let refusal = match self.reason(refusal, &signer, counters, request).await? {
                Reason::Known(refusal) => refusal,
                Reason::Unknown(_) if !repeated => {
                    repeated = true;
                    continue;
                }
                Reason::Unknown(refusal) => refusal,
            };
            if !renewed && refusal.is_expired() && self.config().credentials.renew(begun).await {
                renewed = true;
            } else if !clock_was_set && self.was_set(&refusal, now) {
                clock_was_set = true;
            } else if let Some(region) = &moved_to {
                return Err(Failure::Refused(Box::new(refusal.in_named_region(region))));
            } else if self.is_elsewhere(&refusal, &signer, request) {
                moved_to = Some(self.signer_of(request).region().to_owned());
            } else {
                return Err(Failure::Refused(Box::new(
                    refusal.with_credentials_of(|| self.config().credentials.place()),
                )));
            }
        }
    }

    /// Returns true if this machine's clock explains the refusal of a request that was signed at `signed`. The client
    /// then uses the server's time from now on.
    fn was_set(&self, refusal: &Refusal, signed: SystemTime) -> bool {
        let Some(server) = refusal.time_of_server() else { return false };
        let set = self.0.clock.set(server, signed);
        if set {
            self.warn(&format!("the clock of this machine is wrong, so requests use the time of {}", self.0.endpoint));
        }
        set
    }

    /// Waits until a request may be sent. It has no slot while all requests are delayed.
    async fn slot(&self) -> Slot {
        loop {
            self.0.brake.wait().await;
            let slot = self.0.limit.slot().await;
            if !self.0.brake.is_held() {
                return slot;
            }
        }
    }

    /// Sends a request once. It has the slot until its response has been received.
    async fn attempt_in(
        &self,
        slot: Slot,
        now: SystemTime,
        signer: &Signer,
        counters: &Counters,
        request: &Request,
    ) -> Result<HttpResponse, Failure> {
        // The credentials and the content come from elsewhere. The content may be an object of the same server.
        slot.activity().waits_for_program();
        let mut signed = self.0.limit.opening(self.signed(request, signer, now)).await?;
        slot.activity().waits_for_server();
        signed.extensions_mut().insert(slot.activity().clone());
        let streamed = signed.extensions().get::<Streamed>().cloned();
        counters.count(request.operation);
        let response = match self.0.http.execute(signed).await {
            Ok(response) => response,
            Err(error) => {
                let unread = streamed.and_then(|streamed| streamed.failure());
                let failure = unread.map_or_else(|| error.into(), Failure::from);
                slot.failed(&failure);
                return Err(failure);
            }
        };
        self.0.has_answered.store(true, Ordering::Relaxed);
        if response.status().is_success() {
            *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Ok(response.map(|body| slot.until_received(body, request.body.size())));
        }
        let (head, body) = response.into_parts();
        let limit = self.config().idle_timeout.min(LONGEST_REFUSAL);
        let body = timeout(limit, collect(body, self.floor(limit), LARGEST_REFUSAL)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let failure = Refusal::new(head.status, &head.headers, &body).of(request.operation);
        slot.failed(&failure);
        Err(failure)
    }

    /// Sends a request until `read` accepts a complete response. So a truncated body, or an error in a response with a
    /// success status, is retried like any other failure.
    pub(crate) async fn exchange<T>(
        &self,
        counters: &Counters,
        request: &Request,
        attempts: &mut Attempts,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            let failure = match self.exchange_once(counters, request, &read).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            self.again(attempts, failure).await?;
        }
    }

    /// Sends a request once and returns the result of `read` for the complete response.
    pub(crate) async fn exchange_once<T>(
        &self,
        counters: &Counters,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.answer(counters, request).await.and_then(|answer| read(&answer))
    }

    async fn answer(&self, counters: &Counters, request: &Request) -> Result<Answer, Failure> {
        let (head, body) = self.attempt(counters, request).await?.into_parts();
        let body = match request.patience {
            None => collect(body, self.floor(self.config().idle_timeout), LARGEST_ANSWER).await?,
            // A server may send white space while it works.
            Some(patience) => {
                let limit = patience * LONGEST_PATIENCE;
                let floor = Floor::new(SlowestAnswer { bytes: 0, within: limit }, patience);
                let body = timeout(limit, collect(body, floor, LARGEST_ANSWER)).await;
                body.map_err(|_| Failure::Stalled(limit))??
            }
        };
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Returns a watch on the transfer rate of a response body.
    pub(crate) fn floor(&self, idle: Duration) -> Floor {
        Floor::new(self.config().slowest_answer, idle)
    }

    async fn signed(&self, request: &Request, signer: &Signer, now: SystemTime) -> Result<HttpRequest, Failure> {
        let (held, streamed) = match &request.body {
            Body::Held(bytes) => (bytes.clone(), None),
            Body::Streamed(content) => (Bytes::new(), Some(content.open().await?)),
        };
        let mut headers = request.headers.clone();
        let method = request.operation.method();
        let uri = self.uri_of(request, signer)?;
        if uri != request.uri {
            headers.insert(HOST, HeaderValue::from_str(uri.authority().map_or("", |authority| authority.as_str()))?);
        }
        if let Some(credential) = self.config().credentials.current().await.map_err(Failure::Credentials)? {
            signer.sign(&credential, &method, &uri, &mut headers, &request.payload, now)?;
        }
        if method == Method::PUT || method == Method::POST {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.size()));
        }
        // The body is a single `Bytes`, because the other kind of body has an inverted check for emptiness.
        let mut signed = HttpRequest::new(HttpRequestBody::from(held));
        *signed.method_mut() = method;
        *signed.uri_mut() = uri;
        *signed.headers_mut() = headers;
        if let Some(streamed) = streamed {
            signed.extensions_mut().insert(streamed);
        }
        if let Some(patience) = request.patience {
            signed.extensions_mut().insert(Patience(patience));
        }
        Ok(signed)
    }
}

/// Reads a body into memory. It is a failure if the body is truncated, stalls or is too large.
async fn collect(body: HttpResponseBody, mut floor: Floor, limit: usize) -> Result<Bytes, Failure> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
    let mut chunks = body.bytes_stream();
    let mut whole = BytesMut::new();
    let mut first = Bytes::new();
    let size =
        |chunk: &Option<Result<Bytes, _>>| chunk.as_ref().and_then(|chunk| chunk.as_ref().ok()).map_or(0, Bytes::len);
    while let Some(chunk) = floor.next(chunks.next(), size).await? {
        let chunk = chunk?;
        if first.is_empty() && whole.is_empty() {
            first = chunk;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(expected.max(first.len() + chunk.len()));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&chunk);
        if whole.len() > limit {
            return Err(Failure::Garbled(format!("the response is larger than {limit} bytes")));
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

impl fmt::Debug for S3Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Client")
            .field("endpoint", &self.endpoint())
            .field("region", &self.config().region)
            .field("credentials", &self.config().credentials)
            .finish_non_exhaustive()
    }
}
