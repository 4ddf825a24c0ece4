//! Sends a request once.
//!
//! Every request is sent by [`S3Client::attempt`]. So counting, signing, throttling and the parsing of refusals are in
//! one place and are repeated for each attempt.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Method};
use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse};
use tokio::time::timeout;

use super::S3Client;
use super::connect::Patience;
use super::exchange::collect;
use super::limit::Slot;
use super::reason::Reason;
use super::request::{Body, Request};
use super::sign::Signer;
use super::stream::Streamed;
use crate::error::{Failure, Refusal};
use crate::operation::Counters;

/// The time limit for reading the body of a refusal. Without the body, the status is enough.
const LONGEST_REFUSAL: Duration = Duration::from_secs(10);

/// The size limit for the body of a refusal, in bytes.
const LARGEST_REFUSAL: usize = 64 << 10;

impl S3Client {
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
    pub(super) async fn slot(&self) -> Slot {
        loop {
            self.0.brake.wait().await;
            let slot = self.0.limit.slot().await;
            if !self.0.brake.is_held() {
                return slot;
            }
        }
    }

    /// Sends a request once. It has the slot until its response has been received.
    pub(super) async fn attempt_in(
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
