//! A cache for credentials that expire: it loads them once and again shortly before their expiry.
//!
//! Every request needs credentials. Without the cache, a hundred parallel requests would ask the instance or the token
//! service a hundred times, and a long run would fail when its first credentials expire.

#[cfg(feature = "aws")]
mod chain;
#[cfg(feature = "aws")]
mod transport;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use pos3_s3::{AwsCredential, CredentialProvider, RenewableCredentials};
use tokio::sync::Mutex;

use super::settings::{CredentialsFailure, Looked, S3Settings, S3SettingsError};
use crate::profile::{Keys, Profiles};

/// Credentials are renewed this long before they expire, or after three quarters of their remaining time if that is
/// later.
const MARGIN: Duration = Duration::from_secs(300);

/// Temporary credentials of unknown expiry are reloaded after this time, because other programs replace them in their
/// file.
const UNSAID: Duration = Duration::from_secs(900);

/// If a renewal fails while the old credentials are still valid, the next attempt waits this long.
const PAUSE: Duration = Duration::from_secs(30);

/// If a server rejects credentials as expired and the source has no others, it is asked again after this time. It is
/// short: uploads at the end of a job wait for the new credentials.
const REJECTED: Duration = Duration::from_secs(2);

/// If loading fails and no valid credentials are left, the error is cached for this long, or for as long as the attempt
/// took if that is longer. Otherwise a hundred thousand requests would wait for a process that hangs, one after the
/// other.
const FAILURE: Duration = Duration::from_secs(1);

/// A source of credentials.
#[async_trait]
pub(crate) trait Source: Send + Sync + 'static {
    /// Loads credentials.
    async fn load(&self) -> Result<Loaded, Missing>;

    /// Returns a description of where the credentials were found, with the file or variable that selected that source.
    fn place(&self) -> Option<String> {
        None
    }
}

/// Credentials and their expiry.
pub(crate) struct Loaded {
    pub(crate) credential: AwsCredential,
    pub(crate) end: Option<SystemTime>,
}

/// The reason why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    #[error("there are none")]
    Nowhere(Vec<Looked>),
    #[error("from {place}: {why}")]
    Failed { place: String, why: String, failure: CredentialsFailure },
    #[error("there is no AWS profile '{name}'")]
    #[cfg(feature = "aws")]
    NoProfile { name: String, looked: String },
}

impl From<Missing> for S3SettingsError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Nowhere(looked) => Self::NoCredentials { looked },
            Missing::Failed { place, why, failure } => Self::CredentialsFailed { place, why, failure },
            #[cfg(feature = "aws")]
            Missing::NoProfile { name, looked } => Self::UnknownAwsProfile { name, looked },
        }
    }
}

/// The cached credentials of a source.
pub(crate) struct Kept<S> {
    source: S,
    state: Mutex<State>,
    /// The number of loads. It is read before taking the lock, to detect a load that completed while waiting for the
    /// lock.
    loads: AtomicU64,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failure: Option<Failed>,
    /// When the source was last asked because a server rejected the credentials as expired.
    renewed: Option<Instant>,
}

struct Held {
    credential: Arc<AwsCredential>,
    /// When to load again.
    renewal: Option<SystemTime>,
    end: Option<SystemTime>,
    loaded: Instant,
}

struct Failed {
    missing: Missing,
    /// When to load again.
    renewal: SystemTime,
}

impl<S: Source> Kept<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, state: Mutex::default(), loads: AtomicU64::new(0) }
    }

    /// Returns a cache that starts with credentials that the source has just returned.
    pub(crate) fn holding(source: S, loaded: Loaded) -> Self {
        let mut state = State::default();
        let now = SystemTime::now();
        // `take` fails only if `loaded` is an error, and it is `Ok` here.
        let _given = state.take(Ok(loaded), now, now);
        Self { source, state: Mutex::new(state), loads: AtomicU64::new(0) }
    }

    /// Loads again because a server rejected as expired the credentials that a request was signed with at `signed`.
    /// Returns true if the cache now has different credentials. Of many parallel requests only one loads. If that did
    /// not help, no request loads again for a moment ([`REJECTED`]).
    async fn look_again(&self, signed: Instant) -> bool {
        let mut state = self.state.lock().await;
        let Some(held) = &state.held else { return true };
        if held.loaded > signed {
            return true;
        }
        if state.renewed.is_some_and(|renewed| renewed.elapsed() < REJECTED) {
            return false;
        }
        let refused = held.credential.clone();
        let begun = SystemTime::now();
        state.renewed = Some(Instant::now());
        let loaded = self.source.load().await;
        let outcome = match loaded {
            Ok(loaded) => state.take(Ok(loaded), begun, SystemTime::now()),
            // The caller reports the server's refusal instead, because it says more.
            Err(missing) => Err(missing),
        };
        self.loads.fetch_add(1, Ordering::Release);
        outcome.is_ok_and(|credential| *credential != *refused)
    }

    /// Returns valid credentials. The first caller loads them; the others wait and share the result.
    pub(crate) async fn get(&self) -> Result<Arc<AwsCredential>, Missing> {
        let loads = self.loads.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        let now = SystemTime::now();
        if let Some(known) = state.known(now) {
            return known;
        }
        if self.loads.load(Ordering::Acquire) != loads
            && let Some(held) = &state.held
        {
            // The source was loaded while this call waited for the lock, so the result is as new as it can be.
            return Ok(held.credential.clone());
        }
        let loaded = self.source.load().await;
        let outcome = state.take(loaded, now, SystemTime::now());
        self.loads.fetch_add(1, Ordering::Release);
        outcome
    }
}

impl State {
    /// Returns the cached credentials or the cached error, unless it is time to load again.
    fn known(&self, now: SystemTime) -> Option<Result<Arc<AwsCredential>, Missing>> {
        if let Some(failed) = self.failure.as_ref().filter(|failed| now < failed.renewal) {
            return Some(Err(failed.missing.clone()));
        }
        let held = self.held.as_ref().filter(|held| held.renewal.is_none_or(|renewal| now < renewal));
        held.map(|held| Ok(held.credential.clone()))
    }

    /// Stores the result of a load that began at `begun`.
    fn take(
        &mut self,
        loaded: Result<Loaded, Missing>,
        begun: SystemTime,
        now: SystemTime,
    ) -> Result<Arc<AwsCredential>, Missing> {
        self.failure = None;
        match loaded {
            Ok(Loaded { credential, end }) => {
                let credential = Arc::new(credential);
                let renewal = renewal(&credential, end, now);
                self.held = Some(Held { credential: credential.clone(), renewal, end, loaded: Instant::now() });
                Ok(credential)
            }
            Err(missing) => match self.held.as_mut().filter(|held| held.end.is_none_or(|end| now < end)) {
                Some(held) => {
                    tracing::warn!(%missing, "cannot renew the credentials; the old ones are still valid");
                    held.renewal = Some(now + PAUSE);
                    Ok(held.credential.clone())
                }
                None => {
                    self.held = None;
                    let took = now.duration_since(begun).unwrap_or_default();
                    self.failure = Some(Failed { missing: missing.clone(), renewal: now + took.max(FAILURE) });
                    Err(missing)
                }
            },
        }
    }
}

fn renewal(credential: &AwsCredential, end: Option<SystemTime>, now: SystemTime) -> Option<SystemTime> {
    match end {
        Some(end) => {
            let left = end.duration_since(now).unwrap_or_default();
            Some(now + left.saturating_sub(MARGIN.min(left / 4)))
        }
        None if credential.token.is_some() => Some(now + UNSAID),
        None => None,
    }
}

impl<S> fmt::Debug for Kept<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(..)")
    }
}

#[async_trait]
impl<S: Source> CredentialProvider for Kept<S> {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.get().await.map_err(|missing| {
            let source = Box::new(S3SettingsError::from(missing));
            object_store::Error::Generic { store: "S3", source }
        })
    }
}

#[async_trait]
impl<S: Source> RenewableCredentials for Kept<S> {
    async fn renew(&self, signed: Instant) -> bool {
        self.look_again(signed).await
    }

    fn place(&self) -> Option<String> {
        self.source.place()
    }
}

/// The keys in the credentials file of a profile. Other programs may rewrite the file.
pub(crate) struct ProfileKeys {
    pub(crate) profiles: Profiles,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

#[async_trait]
impl Source for ProfileKeys {
    async fn load(&self) -> Result<Loaded, Missing> {
        let keys = self.profiles.keys(&self.name, &self.path, |_| {});
        keys.map(Loaded::from).map_err(|error| Missing::Failed {
            place: format!("the profile '{}'", self.name),
            why: pos3_core::one_line(&error),
            failure: CredentialsFailure::Other,
        })
    }

    fn place(&self) -> Option<String> {
        Some(format!("the file '{}' of the profile '{}'", self.path.display(), self.name))
    }
}

impl From<Keys> for Loaded {
    fn from(Keys { key_id, secret_key, token }: Keys) -> Self {
        Self { credential: AwsCredential { key_id, secret_key, token }, end: None }
    }
}

/// The standard sources of AWS credentials.
#[cfg(feature = "aws")]
pub(crate) type Standard = Kept<chain::Chain>;

/// The standard sources of AWS credentials in a build without the feature `aws`.
#[cfg(not(feature = "aws"))]
pub(crate) type Standard = Kept<Environment>;

/// Returns the standard sources, with the region and the certificates of these settings.
#[cfg(feature = "aws")]
pub(crate) fn standard(settings: &S3Settings) -> Result<Standard, S3SettingsError> {
    chain::Chain::new(settings).map(Kept::new)
}

/// Returns the environment as the only source.
#[cfg(not(feature = "aws"))]
pub(crate) fn standard(_: &S3Settings) -> Result<Standard, S3SettingsError> {
    Ok(Kept::new(Environment))
}

/// The environment as the only source. It always fails: keys in the environment would have been used already.
#[cfg(not(feature = "aws"))]
pub(crate) struct Environment;

#[cfg(not(feature = "aws"))]
#[async_trait]
impl Source for Environment {
    async fn load(&self) -> Result<Loaded, Missing> {
        let looked = |place: &str, why: &str| Looked { place: place.to_owned(), why: why.to_owned() };
        Err(Missing::Nowhere(vec![
            looked("the environment", "AWS_ACCESS_KEY_ID is not set"),
            looked("the other sources of AWS credentials", "this program was built without them"),
        ]))
    }
}

#[cfg(test)]
mod tests;
