//! Buckets that turn out to be in another region than the one that was configured.
//!
//! A signature names the region, and Amazon's hosts do: a bucket elsewhere refuses everything. The refusal says where it
//! is, so the request is signed for that region and sent again, and later ones go there at once. A refused HEAD has no
//! body to say anything: the bucket is asked with a request that has one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use http::header::HOST;
use http::{Method, Uri};

use super::S3Client;
use super::request::Request;
use super::sign::Signer;
use super::uri::Endpoint;
use crate::error::{Failure, Refusal};
use crate::operation::{Counters, Operation};

/// The buckets that are elsewhere.
#[derive(Default)]
pub(super) struct Regions {
    /// There are some; usually there are none, and nothing is looked up.
    any: AtomicBool,
    signers: RwLock<BTreeMap<String, Arc<Signer>>>,
}

impl S3Client {
    /// Returns what signs a request: for the region its bucket is known to be in, else for the configured one.
    pub(super) fn signer_of(&self, request: &Request) -> Arc<Signer> {
        let Regions { any, signers } = &self.0.regions;
        if !any.load(Ordering::Relaxed) {
            return self.0.signer.clone();
        }
        let signers = signers.read().unwrap_or_else(PoisonError::into_inner);
        signers.get(&self.0.endpoint.place(&request.uri)).unwrap_or(&self.0.signer).clone()
    }

    /// Returns the refusal of a HEAD that may be for the region in the words of one that can tell; others as they are.
    pub(super) async fn explained(
        &self,
        refusal: Box<Refusal>,
        signer: &Signer,
        counters: &Counters,
        request: &Request,
    ) -> Box<Refusal> {
        if request.operation.method() != Method::HEAD || !refusal.is_mute_about_region() {
            return refusal;
        }
        let question = match (self.0.endpoint.listing_of_nothing(&request.uri), request.headers.get(HOST)) {
            (Ok(uri), Some(host)) => Request::new(Operation::ListObjectsV2, host, uri),
            _ => return refusal,
        };
        match self.attempt_at(self.0.clock.now(), signer, counters, &question).await {
            Err(Failure::Refused(told)) if told.status == refusal.status => told,
            _ => refusal,
        }
    }

    /// Returns true if the refusal of what was signed for one region says that the bucket is in another, which is then
    /// remembered.
    pub(super) fn is_elsewhere(&self, refusal: &Refusal, signer: &Signer, request: &Request) -> bool {
        let Some(region) = refusal.region().filter(|region| *region != signer.region()) else { return false };
        let place = self.0.endpoint.place(&request.uri);
        tracing::info!(place, region, "the bucket is in another region");
        let mut signers = self.0.regions.signers.write().unwrap_or_else(PoisonError::into_inner);
        signers.insert(place, Arc::new(Signer::new(region)));
        self.0.regions.any.store(true, Ordering::Relaxed);
        true
    }

    /// Returns where a request goes: Amazon has a host for each region, other servers have one.
    pub(super) fn uri_of(&self, request: &Request, signer: &Signer) -> Result<Uri, Failure> {
        let config = self.config();
        if config.endpoint.is_some() || signer.region() == config.region {
            return Ok(request.uri.clone());
        }
        let refuse = |error: &dyn std::fmt::Display| Failure::Request(format!("the request cannot be made: {error}"));
        let there = Endpoint::aws(signer.region()).map_err(|error| refuse(&error))?;
        self.0.endpoint.moved(&request.uri, &there).map_err(|error| refuse(&error))
    }
}
