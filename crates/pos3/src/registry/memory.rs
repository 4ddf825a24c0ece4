//! `memory://name/prefix`: stores in memory that exist as long as the registry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pos3_core::{MemoryStore, RemoteStore};

use super::{Provider, Role};
use crate::error::Error;
use crate::location::Location;

/// Opens stores in memory by name. Each store is created when it is first named. Clones share the stores.
#[derive(Clone, Debug, Default)]
pub struct MemoryProvider {
    stores: Arc<Mutex<BTreeMap<String, Arc<MemoryStore>>>>,
}

impl MemoryProvider {
    /// Returns the store with the given name; creates it if needed.
    pub fn store(&self, name: &str) -> Arc<MemoryStore> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.entry(name.to_owned()).or_insert_with(|| Arc::new(MemoryStore::named(name))).clone()
    }
}

#[async_trait]
impl Provider for MemoryProvider {
    async fn open(&self, location: &Location, _role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        Ok(self.store(location.without_profile()?.bucket()))
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        let remote = location.without_profile()?;
        Ok(format!("memory://{}/{}", remote.bucket(), remote.prefix()))
    }
}
