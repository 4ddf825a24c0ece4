//! A URL scheme of your own. A program that registers a provider for `notes://` can sync from `notes://anything/prefix`
//! with the same functions as from S3.
//!
//! ```text
//! cargo run -p pos3 --example own_scheme
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use pos3::{Error, Key, Location, Provider, Registry, RemoteStore, Role, SyncOptions};
use pos3_core::{MemoryStore, RemoteStoreExt};

/// Opens `notes://NAME/PREFIX`. Any `RemoteStore` will do; this one is in memory.
#[derive(Debug)]
struct Notes {
    store: Arc<MemoryStore>,
}

#[async_trait]
impl Provider for Notes {
    async fn open(&self, location: &Location, _role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        location.without_profile()?;
        Ok(self.store.clone())
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        Ok(format!("notes:/{}", location.without_profile()?.prefix()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Arc::new(MemoryStore::named("notes"));
    store.write(&Key::from("2024/plan.txt"), "sync everything".into()).await?;
    let registry = Registry::default().with("notes", Notes { store });

    let directory = tempfile::tempdir()?;
    let from: Location = "notes://mine/2024".parse()?;
    let to = Location::Local(directory.path().to_owned());
    let report = pos3::sync(&registry, &from, &to, SyncOptions::default()).await?.into_result()?;

    assert_eq!(report.copied, 1);
    assert_eq!(std::fs::read_to_string(directory.path().join("plan.txt"))?, "sync everything");
    Ok(())
}
