//! Opens `s3://[profile@]bucket/key`.
//!
//! Each profile in use has one client with its own credentials and connection pool. Nothing of one profile is used for
//! another. If a server refuses the credentials, no others are tried.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pos3_core::{Budget, RemoteStore, ServerPause, Url};
use pos3_s3::{Credentials, RequestLimit, S3Client, S3ConfigError};

use crate::error::Error;
use crate::location::{Location, RemoteLocation};
use crate::profile::{Identity, NO_LOCAL_NAME, Profile, ProfileError, Profiles, RESERVED};
use crate::registry::{Provider, Registry, Role};
use crate::s3::credentials::{self, Kept, ProfileKeys, Standard};
use crate::s3::server::{self, CertainServer, PossibleServer};
use crate::s3::settings::{Asker, S3Settings, S3SettingsError};
use crate::s3::warnings::Warnings;

/// Opens buckets, with the settings of a profile or with the default settings.
///
/// The profile is the one in the location (`s3://lab@bucket`), else the default profile if one is set.
/// `s3://aws@bucket` always uses the default settings, even if a default profile is set. A profile without credentials
/// of its own uses those of the default settings. A profile with credentials uses only these, even if they are missing
/// or refused.
///
/// The first request makes the first connection. A settings file is read when a location that needs it is first opened.
///
/// Warnings about problems that are not failures, such as a server that ignores checksums, are passed to
/// [`with_warnings`](Self::with_warnings).
#[derive(Debug)]
pub struct S3Provider {
    settings: S3Settings,
    profiles: Profiles,
    default_profile: Option<String>,
    warnings: Warnings,
    requests: usize,
    open: Mutex<Open>,
}

/// The clients and credentials that have been created so far.
#[derive(Debug, Default)]
struct Open {
    /// By profile; `None` means the default settings.
    clients: BTreeMap<Option<String>, Ready>,
    /// By server: the limit of its requests in flight, shared by all clients of the server.
    limits: BTreeMap<String, RequestLimit>,
    /// The standard credentials, shared by all clients that use them.
    standard: Option<Arc<Standard>>,
    /// By local name: the profile that was first opened with it, its endpoint and its server.
    local_names: BTreeMap<String, (String, String, CertainServer)>,
}

/// A client, and the standard credentials if it uses them. They are looked up later and may turn out to be missing.
#[derive(Clone, Debug)]
struct Ready {
    client: S3Client,
    standard: Option<Arc<Standard>>,
}

impl S3Provider {
    /// Returns a provider with these default settings and no profiles.
    pub fn new(settings: S3Settings) -> Self {
        Self {
            settings,
            profiles: Profiles::default(),
            default_profile: None,
            warnings: Warnings::default(),
            requests: Budget::default().concurrency(),
            open: Mutex::default(),
        }
    }

    /// Sets the profiles.
    #[must_use]
    pub fn with_profiles(mut self, profiles: Profiles) -> Self {
        self.profiles = profiles;
        self
    }

    /// Sets the default profile, for locations that name none. `aws` means no profile.
    #[must_use]
    pub fn with_default_profile(mut self, name: impl Into<String>) -> Self {
        self.default_profile = Some(name.into());
        self
    }

    /// Sets the function that receives warnings, each as one line: a server refuses or ignores checksums or conditional
    /// writes, a clock is wrong, or other users can read a credentials file. By default, warnings are logged with
    /// `tracing`.
    ///
    /// Each warning is passed once per profile, when the problem is detected. That may be during a transfer, on any
    /// thread.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// use pos3::{Registry, S3Provider, S3Settings, Session};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let told: Arc<Mutex<Vec<String>>> = Arc::default();
    /// let listener = told.clone();
    /// let provider = S3Provider::new(S3Settings::from_env()?)
    ///     .with_warnings(move |line| listener.lock().unwrap().push(line.to_owned()));
    /// let session = Session::builder().registry(Registry::default().with("s3", provider));
    /// # let _ = session;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_warnings(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings::new(tell);
        self
    }

    /// Sets the largest number of requests in flight to one server: transfers, listings, lookups, deletes and aborts
    /// together. A server that reports an overload gets fewer. Default: as many as a default [`Budget`] has, which is
    /// [`Budget::CONCURRENCY`] unless this process may only have few open files or little address space.
    #[must_use]
    pub fn with_concurrency(mut self, requests: usize) -> Self {
        self.requests = requests;
        self
    }

    /// Returns the bucket and key, and the name of the selected profile.
    fn selected<'a>(&'a self, location: &'a Location) -> Result<(&'a RemoteLocation, Option<&'a str>), Error> {
        let Location::Remote(remote) = location else {
            return Err(Error::WrongKind { location: location.to_string() });
        };
        match remote.profile().or(self.default_profile.as_deref()) {
            Some(RESERVED) => {
                self.profiles.check_reserved().map_err(|source| refused(location, source))?;
                Ok((remote, None))
            }
            selected => Ok((remote, selected)),
        }
    }

    /// Returns the endpoint and the region of a profile, or of the default settings.
    fn target(&self, location: &Location, selected: Option<&str>) -> Result<(Option<Url>, Option<String>), Error> {
        let Some(name) = selected else {
            return Ok((self.settings.endpoint.clone(), self.settings.region.clone()));
        };
        let profile = self.profile(location, name)?;
        Ok((Some(profile.endpoint), profile.region))
    }

    fn certain_server(&self, location: &Location, selected: Option<&str>) -> Result<CertainServer, Error> {
        let (endpoint, region) = self.target(location, selected)?;
        Ok(CertainServer::of(endpoint.as_ref().map(Url::as_str), region.as_deref()))
    }

    fn profile(&self, location: &Location, name: &str) -> Result<Profile, Error> {
        self.profiles.get(name).map_err(|source| refused(location, source))
    }

    /// Returns the client of a profile, or of the default settings. Its connections are shared by all buckets.
    fn client(&self, location: &Location, selected: Option<&str>) -> Result<Ready, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = selected.map(str::to_owned);
        if let Some(ready) = open.clients.get(&key) {
            return Ok(ready.clone());
        }
        let ready = match selected {
            None => self.connect(&mut open, &self.settings, &self.settings.asker)?,
            Some(name) => {
                let profile = self.profile(location, name)?;
                open.claim(name, &profile).map_err(|source| refused(location, source))?;
                let (settings, asker) = self.settings_of(location, name, profile)?;
                let connected = self.connect(&mut open, &settings, &asker);
                connected.map_err(|source| of_profile(location, name, source))?
            }
        };
        open.clients.insert(key, ready.clone());
        Ok(ready)
    }

    /// Returns the settings of a profile, and the credentials for it.
    fn settings_of(&self, location: &Location, name: &str, profile: Profile) -> Result<(S3Settings, Asker), Error> {
        let asker = match profile.identity {
            Identity::Standard => self.settings.asker.clone(),
            Identity::Anonymous => Asker::Known(Credentials::Anonymous),
            Identity::Keys(keys) => Asker::Known(keys.into()),
            Identity::File(path) => {
                let keys = self.profiles.keys(name, &path, |warning| self.warnings.tell(warning));
                let keys = keys.map_err(|source| refused(location, source))?;
                let source = ProfileKeys { profiles: self.profiles.clone(), name: name.to_owned(), path };
                Asker::Known(Credentials::Renewable(Arc::new(Kept::holding(source, keys.into()))))
            }
        };
        let settings = S3Settings {
            endpoint: Some(profile.endpoint),
            region: profile.region,
            addressing: profile.addressing,
            has_opaque_etags: profile.has_opaque_etags,
            ca_bundle: profile.ca_bundle.or_else(|| self.settings.ca_bundle.clone()),
            ..S3Settings::default()
        };
        Ok((settings, asker))
    }

    fn connect(&self, open: &mut Open, settings: &S3Settings, asker: &Asker) -> Result<Ready, S3SettingsError> {
        let (credentials, standard) = match asker {
            Asker::Unknown => return Err(S3SettingsError::NoCredentials { looked: Vec::new() }),
            Asker::Known(credentials) => (credentials.clone(), None),
            Asker::Standard => {
                let standard = open.standard(&self.settings)?;
                (Credentials::Renewable(standard.clone()), Some(standard))
            }
        };
        let warnings = self.warnings.clone();
        let limit = open.limit(settings, self.requests);
        let config = settings.config(credentials)?.with_request_limit(limit);
        let config = config.with_warnings(move |warning| warnings.tell(warning));
        Ok(Ready { client: S3Client::new(config)?, standard })
    }
}

impl Registry {
    /// Returns the default registry with `s3` configured from the environment. Endpoint, region and credentials are
    /// found as the AWS tools find them ([`S3Settings::from_env`](crate::S3Settings::from_env)); the profiles come from
    /// the user's profiles file ([`Profiles::from_env`](crate::Profiles::from_env)). No request is sent and no
    /// credentials are looked up until the first S3 location is opened.
    ///
    /// # Errors
    ///
    /// Returns an error if an environment variable is invalid.
    pub fn from_env() -> Result<Self, Error> {
        let provider = S3Provider::new(S3Settings::from_env()?);
        Ok(Self::default().with("s3", provider.with_profiles(Profiles::from_env())))
    }
}

impl Open {
    fn standard(&mut self, settings: &S3Settings) -> Result<Arc<Standard>, S3SettingsError> {
        match &self.standard {
            Some(standard) => Ok(standard.clone()),
            None => Ok(self.standard.insert(Arc::new(credentials::standard(settings)?)).clone()),
        }
    }

    /// Returns the limit of the requests to the server of these settings.
    fn limit(&mut self, settings: &S3Settings, requests: usize) -> RequestLimit {
        let server = server::of_requests(settings.endpoint.as_ref().map(Url::as_str), settings.region.as_deref());
        self.limits.entry(server).or_insert_with(|| RequestLimit::new(requests)).clone()
    }

    /// Reserves the local name of a profile. Two servers must not share one, or their objects would be stored in the
    /// same files.
    fn claim(&mut self, name: &str, profile: &Profile) -> Result<(), ProfileError> {
        let local_name = profile.local_name(name).to_owned();
        let server = CertainServer::of_endpoint(profile.endpoint.as_str());
        let claim = (name.to_owned(), profile.endpoint.to_string(), server);
        let (other, other_endpoint, other_server) =
            self.local_names.entry(local_name.clone()).or_insert_with(|| claim.clone());
        let (name, endpoint, server) = claim;
        if server == *other_server {
            return Ok(());
        }
        let (other, other_endpoint) = (other.clone(), other_endpoint.clone());
        Err(ProfileError::SameLocalName { name, endpoint, other, other_endpoint, local_name })
    }
}

#[async_trait]
impl Provider for S3Provider {
    async fn open(&self, location: &Location, _role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        let (remote, selected) = self.selected(location)?;
        let Ready { client, standard } = self.client(location, selected)?;
        let store = client.bucket(remote.bucket()).map_err(S3SettingsError::from)?;
        if let Some(standard) = standard {
            // The first request needs the credentials, and an error here can report where they were looked up.
            standard.get().await.map_err(S3SettingsError::from)?;
        }
        Ok(Arc::new(store))
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        let (remote, selected) = self.selected(location)?;
        let (endpoint, region) = self.target(location, selected)?;
        let endpoint = endpoint.as_ref().map(Url::as_str);
        let server = PossibleServer::of_bucket(endpoint, region.as_deref(), remote.bucket());
        Ok(format!("{}/{}/{}", server.name(), remote.bucket(), remote.prefix()))
    }

    fn identity(&self, location: &Location) -> Result<String, Error> {
        let (remote, selected) = self.selected(location)?;
        let server = self.certain_server(location, selected)?;
        Ok(format!("{}/{}/{}", server.root(), remote.bucket(), remote.prefix()))
    }

    fn server(&self, location: &Location) -> Result<Option<String>, Error> {
        let (_, selected) = self.selected(location)?;
        Ok(Some(self.certain_server(location, selected)?.name().to_owned()))
    }

    fn local_name(&self, location: &Location) -> Result<String, Error> {
        let (_, selected) = self.selected(location)?;
        let Some(name) = selected else { return Ok(NO_LOCAL_NAME.to_owned()) };
        let profile = self.profile(location, name)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.claim(name, &profile).map_err(|source| refused(location, source))?;
        Ok(profile.local_name(name).to_owned())
    }

    fn pause(&self) -> Option<ServerPause> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clients.values().filter_map(|ready| ready.client.pause()).max_by_key(|pause| pause.left)
    }
}

/// Adds the profile to the error about an invalid endpoint.
fn of_profile(location: &Location, name: &str, source: S3SettingsError) -> Error {
    match source {
        S3SettingsError::Config(wrong @ S3ConfigError::Endpoint { .. }) => {
            refused(location, ProfileError::Invalid { name: name.to_owned(), file: None, why: wrong.to_string() })
        }
        source => source.into(),
    }
}

fn refused(location: &Location, source: ProfileError) -> Error {
    Error::Profile { location: location.to_string(), source: Box::new(source) }
}
