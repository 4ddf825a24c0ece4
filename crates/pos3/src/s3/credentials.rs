//! Credentials that end: loaded once, kept until shortly before their end, loaded again.
//!
//! Every request asks for credentials. Without this a hundred parallel requests would ask the instance or the token
//! service a hundred times, and a long run would end when its first credentials do.

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

use super::settings::{Looked, S3Settings, S3SettingsError};
use crate::profile::{Keys, Profiles};

/// Credentials are replaced so long before their end, or after three quarters of their time if that is later.
const MARGIN: Duration = Duration::from_secs(300);

/// Temporary credentials that do not say when they end are looked up again after this long: other programs replace them
/// in their file.
const UNSAID: Duration = Duration::from_secs(900);

/// After a failure to replace credentials that are still good, the next try waits this long.
const PAUSE: Duration = Duration::from_secs(30);

/// A failure without credentials to go on with is the answer for so long, or for as long as it took to come: a hundred
/// thousand requests that need credentials must not wait for a process that hangs one after the other.
const FAILURE: Duration = Duration::from_secs(1);

/// Where credentials come from.
#[async_trait]
pub(super) trait Source: Send + Sync + 'static {
    /// Looks for credentials.
    async fn load(&self) -> Result<Loaded, Missing>;

    /// Returns where it found them, in words, with the file or variable that made it look there.
    fn place(&self) -> Option<String> {
        None
    }
}

/// Credentials and when they end.
pub(super) struct Loaded {
    pub(super) credential: AwsCredential,
    pub(super) end: Option<SystemTime>,
}

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    #[error("there are none")]
    Nowhere(Vec<Looked>),
    #[error("from {place}: {why}")]
    Failed { place: String, why: String },
    #[error("there is no AWS profile '{name}'")]
    #[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "the environment has no profiles"))]
    NoProfile { name: String, looked: String },
}

impl From<Missing> for S3SettingsError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Nowhere(looked) => Self::NoCredentials { looked },
            Missing::Failed { place, why } => Self::CredentialsFailed { place, why },
            Missing::NoProfile { name, looked } => Self::UnknownAwsProfile { name, looked },
        }
    }
}

/// The credentials of a source, kept as long as they are good.
pub(super) struct Kept<S> {
    source: S,
    state: Mutex<State>,
    /// How often the source was asked, read without the lock to tell whether that happened while waiting for it.
    loads: AtomicU64,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failure: Option<Failed>,
    /// When the source was last asked because a server said that what it gave has expired.
    renewed: Option<Instant>,
}

struct Held {
    credential: Arc<AwsCredential>,
    /// When to ask the source again.
    renewal: Option<SystemTime>,
    end: Option<SystemTime>,
    loaded: Instant,
}

struct Failed {
    missing: Missing,
    /// When to ask the source again.
    renewal: SystemTime,
}

impl<S: Source> Kept<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, state: Mutex::default(), loads: AtomicU64::new(0) }
    }

    /// Returns credentials that begin with what a look at the source has just given.
    pub(super) fn holding(source: S, loaded: Loaded) -> Self {
        let mut state = State::default();
        let now = SystemTime::now();
        // What was given is good, so this is not a failure.
        let _given = state.take(Ok(loaded), now, now);
        Self { source, state: Mutex::new(state), loads: AtomicU64::new(0) }
    }

    /// Asks the source again because a server said that what was held at `signed` has expired. Returns true if other
    /// credentials are held now. Of many requests one asks, and after an answer that was of no use nobody for a while.
    async fn look_again(&self, signed: Instant) -> bool {
        let mut state = self.state.lock().await;
        let Some(held) = &state.held else { return true };
        if held.loaded > signed {
            return true;
        }
        if state.renewed.is_some_and(|renewed| renewed.elapsed() < PAUSE) {
            return false;
        }
        let refused = held.credential.clone();
        let begun = SystemTime::now();
        state.renewed = Some(Instant::now());
        let loaded = self.source.load().await;
        let outcome = match loaded {
            Ok(loaded) => state.take(Ok(loaded), begun, SystemTime::now()),
            // The refusal says more than that there is nothing new.
            Err(missing) => Err(missing),
        };
        self.loads.fetch_add(1, Ordering::Release);
        outcome.is_ok_and(|credential| *credential != *refused)
    }

    /// Returns good credentials. Whoever comes first asks the source; the others wait, and share what came of it.
    pub(super) async fn get(&self) -> Result<Arc<AwsCredential>, Missing> {
        let loads = self.loads.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        let now = SystemTime::now();
        if let Some(known) = state.known(now) {
            return known;
        }
        if self.loads.load(Ordering::Acquire) != loads
            && let Some(held) = &state.held
        {
            // The source was asked while this waited: what came of it is as new as can be.
            return Ok(held.credential.clone());
        }
        let loaded = self.source.load().await;
        let outcome = state.take(loaded, now, SystemTime::now());
        self.loads.fetch_add(1, Ordering::Release);
        outcome
    }
}

impl State {
    /// Returns what needs no new look.
    fn known(&self, now: SystemTime) -> Option<Result<Arc<AwsCredential>, Missing>> {
        if let Some(failed) = self.failure.as_ref().filter(|failed| now < failed.renewal) {
            return Some(Err(failed.missing.clone()));
        }
        let held = self.held.as_ref().filter(|held| held.renewal.is_none_or(|renewal| now < renewal));
        held.map(|held| Ok(held.credential.clone()))
    }

    /// Keeps what came of a look that began at `begun`.
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
                    tracing::warn!(%missing, "credentials could not be replaced; the old ones are still good");
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

/// The keys of a profile in a file of their own, which other programs may write anew.
pub(super) struct ProfileKeys {
    pub(super) profiles: Profiles,
    pub(super) name: String,
    pub(super) path: PathBuf,
}

#[async_trait]
impl Source for ProfileKeys {
    async fn load(&self) -> Result<Loaded, Missing> {
        let keys = self.profiles.keys(&self.name, &self.path, |_| {});
        keys.map(Loaded::from).map_err(|error| Missing::Failed {
            place: format!("the profile '{}'", self.name),
            why: pos3_core::one_line(&error),
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

/// The standard places of AWS credentials.
#[cfg(feature = "aws")]
pub(super) type Standard = Kept<chain::Chain>;

/// The standard places of AWS credentials, in a program that was built without the feature `aws`.
#[cfg(not(feature = "aws"))]
pub(super) type Standard = Kept<Environment>;

/// Returns the standard places, asked with the region and the certificates of these settings.
#[cfg(feature = "aws")]
pub(super) fn standard(settings: &S3Settings) -> Result<Standard, S3SettingsError> {
    chain::Chain::new(settings).map(Kept::new)
}

/// Returns the environment alone.
#[cfg(not(feature = "aws"))]
pub(super) fn standard(_: &S3Settings) -> Result<Standard, S3SettingsError> {
    Ok(Kept::new(Environment))
}

/// The environment alone, which had no keys, or it would have been used.
#[cfg(not(feature = "aws"))]
pub(super) struct Environment;

#[cfg(not(feature = "aws"))]
#[async_trait]
impl Source for Environment {
    async fn load(&self) -> Result<Loaded, Missing> {
        let looked = |place: &str, why: &str| Looked { place: place.to_owned(), why: why.to_owned() };
        Err(Missing::Nowhere(vec![
            looked("the environment", "AWS_ACCESS_KEY_ID is not set"),
            looked("the other places of AWS credentials", "this program was built without them"),
        ]))
    }
}

#[cfg(test)]
mod tests;
