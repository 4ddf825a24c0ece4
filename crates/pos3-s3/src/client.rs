//! The client that all stores of one server share: endpoint, credentials and connection pool.

mod answer;
mod attempt;
mod clock;
pub(crate) mod config;
mod connect;
mod exchange;
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

use object_store::client::HttpClient;
use pos3_core::{CancellationToken, Key, Operation, ServerPause, StoreError};

use crate::error::Failure;
use crate::settings::{PayloadSigning, S3ConfigError};
use crate::uri::Endpoint;
use clock::Clock;
use config::S3Config;
use habits::Habits;
use region::Regions;
use retry::{Attempts, Brake, Server};
use sign::Signer;

pub(crate) use answer::Answer;
pub use limit::RequestLimit;

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
        // A refusal such as "not found" is an answer and no trouble.
        if failure.is_temporary() || failure.needs_new_credentials() {
            *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.repeat());
        }
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
