//! `s3://[profile@]bucket/key`.

mod environment;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pos3_core::Tree;
use pos3_s3::S3Client;

use crate::error::Error;
use crate::location::Location;
use crate::registry::{Provider, Role};

pub use settings::{S3Settings, S3SettingsError};

/// Opens buckets with one set of settings. The connection is made by the first request.
#[derive(Debug)]
pub struct S3Provider {
    settings: S3Settings,
    client: Mutex<Option<S3Client>>,
}

impl S3Provider {
    /// Returns a provider that uses these settings for every location without a profile.
    pub fn new(settings: S3Settings) -> Self {
        Self { settings, client: Mutex::new(None) }
    }

    /// Returns the one client of this provider: its connections serve both sides of a sync.
    fn client(&self) -> Result<S3Client, S3SettingsError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*client {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(S3Client::new(self.settings.config()?)?).clone()),
        }
    }
}

#[async_trait]
impl Provider for S3Provider {
    async fn open(&self, location: &Location, _role: Role) -> Result<Tree, Error> {
        let remote = location.without_profile()?;
        let store = self.client()?.bucket(remote.bucket()).map_err(S3SettingsError::from)?;
        Ok(Tree::new(Arc::new(store)).at(remote.prefix()))
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        let remote = location.without_profile()?;
        Ok(format!("{}/{}/{}", self.settings.server(), remote.bucket(), remote.prefix()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use crate::sync::Sync;

    fn registry() -> Registry {
        let settings = S3Settings::default().with_endpoint("http://127.0.0.1:1").with_credentials("id", "secret", None);
        Registry::default().with("s3", S3Provider::new(settings))
    }

    #[tokio::test]
    async fn nested_prefixes_of_one_server_are_refused() {
        for (from, to, overlap) in [
            ("s3://bucket/a", "s3://bucket/a/", true),
            ("s3://bucket", "s3://bucket/a", true),
            ("s3://bucket/a/b", "s3://bucket/a", true),
            ("s3://bucket/a", "s3://bucket/ab", false),
            ("s3://bucket/a", "s3://bucket2/a", false),
        ] {
            let opened =
                Sync::open(&registry(), &from.parse().unwrap(), &to.parse().unwrap(), Default::default()).await;
            assert_eq!(matches!(opened, Err(Error::Overlap { .. })), overlap, "{from} {to}: {opened:?}");
        }
    }

    #[tokio::test]
    async fn a_profile_is_named_as_unknown() {
        let error = registry().open(&"s3://work@bucket/a".parse().unwrap(), Role::Source).await.unwrap_err();
        assert_eq!(error.to_string(), "'s3://work@bucket/a': there is no profile 'work'");
    }

    #[tokio::test]
    async fn no_credentials_is_an_error_before_any_request() {
        let registry = Registry::default().with("s3", S3Provider::new(S3Settings::default()));
        let error = registry.open(&"s3://bucket".parse().unwrap(), Role::Source).await.unwrap_err();
        assert!(matches!(error, Error::S3Settings(S3SettingsError::NoCredentials)), "{error}");
    }
}
