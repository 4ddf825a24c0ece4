//! A provider with one store, which the program has made: [`OneStore`].

use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::RemoteStore;

use crate::error::Error;
use crate::location::Location;
use crate::registry::{Provider, Role};

/// Opens every location of a scheme in one store.
#[derive(Debug)]
pub(super) struct OneStore(Arc<dyn RemoteStore>);

impl OneStore {
    pub(super) fn new(store: Arc<dyn RemoteStore>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl Provider for OneStore {
    async fn open(&self, _location: &Location, _role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        Ok(self.0.clone())
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        let mut place = location.to_string();
        if !place.ends_with('/') {
            place.push('/');
        }
        Ok(place)
    }
}
