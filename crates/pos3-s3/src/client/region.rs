//! Finds the region of buckets that are not in the configured region.
//!
//! The region is part of each signature, and of Amazon's host names. If it is wrong, the server refuses every request.
//! The refusal names the correct region, so the client signs the request for that region, sends it again, and uses the
//! region for later requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use http::Uri;

use super::S3Client;
use super::request::Request;
use super::sign::Signer;
use crate::error::{Failure, Refusal};
use crate::uri::Endpoint;

/// The buckets in other regions.
#[derive(Default)]
pub(super) struct Regions {
    /// True if there are any. Usually there are none, and the lookup is skipped.
    any: AtomicBool,
    signers: RwLock<BTreeMap<String, Arc<Signer>>>,
}

impl S3Client {
    /// Returns the signer for a request. It uses the region where its bucket was found, else the configured one.
    pub(super) fn signer_of(&self, request: &Request) -> Arc<Signer> {
        let Regions { any, signers } = &self.0.regions;
        if !any.load(Ordering::Relaxed) {
            return self.0.signer.clone();
        }
        let signers = signers.read().unwrap_or_else(PoisonError::into_inner);
        signers.get(&self.0.endpoint.place(&request.uri)).unwrap_or(&self.0.signer).clone()
    }

    /// Returns true if the refusal names another region than the one the request was signed for. That region is then
    /// used for all later requests to the bucket.
    pub(super) fn is_elsewhere(&self, refusal: &Refusal, signer: &Signer, request: &Request) -> bool {
        let Some(region) = refusal.region().filter(|region| *region != signer.region()) else { return false };
        let place = self.0.endpoint.place(&request.uri);
        tracing::info!(place, region, "the bucket is in another region");
        let mut signers = self.0.regions.signers.write().unwrap_or_else(PoisonError::into_inner);
        signers.insert(place, Arc::new(Signer::new(region)));
        self.0.regions.any.store(true, Ordering::Relaxed);
        true
    }

    /// Returns the address for a request. Amazon has a separate host for each region; other servers have one address.
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
