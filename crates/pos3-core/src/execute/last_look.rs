//! What the caller of a run checks before the deletes: [`LastLook`].

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

/// A check that a run makes once, after all copies have succeeded and right before the first delete. It makes none if
/// nothing is deleted. To withhold the deletes, the check cancels the token of
/// [`SyncJob::with_keep`](crate::SyncJob::with_keep).
#[derive(Clone, Default)]
pub struct LastLook(Option<Arc<Look>>);

type Look = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

impl LastLook {
    /// Returns a check.
    pub fn new<F>(look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Some(Arc::new(move || Box::pin(look()))))
    }

    /// Makes the check.
    pub(super) async fn make(&self) {
        if let Some(look) = &self.0 {
            look().await;
        }
    }
}

impl fmt::Debug for LastLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LastLook").field(&self.0.is_some()).finish()
    }
}
