//! The state that all parts of a session share.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pos3_core::{Budget, CancellationToken, Event, Observer, Pace, run_blocking};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::deletes::Occasion;
use super::ending::EndingUnderWay;
use super::error::{SessionError, unusable};
use super::layout;
use super::memory::Remembers;
use super::observer::{OfRegistration, SessionObserver};
use super::options::excluding;
use super::other_pairs::OtherPairs;
use super::registration::{Kind, Registration};
use super::urgency::Course;
use crate::local_path::resolve;
use crate::location::Location;
use crate::registry::Registry;

/// How long an end with a deadline lets earlier uploads finish their files in flight: at most this, and at most this
/// fraction of the deadline.
const LONGEST_PASS: Duration = Duration::from_secs(3);
const SHARE_OF_PASSES: u32 = 10;

/// How long abandoned transfers may take to return a report.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) struct Inner {
    /// A random ID, by which the processes that write for this session are known.
    pub(super) id: String,
    pub(super) registry: Registry,
    pub(super) cache_root: PathBuf,
    pub(super) remembers: Remembers,
    pub(super) observer: Option<Arc<dyn SessionObserver>>,
    pub(super) budget: Budget,
    pub(super) default_profile: Option<String>,
    pub(super) upload_pace: Option<Pace>,
    pub(super) download_pace: Option<Pace>,
    pub(super) deadline: Duration,
    pub(super) registrations: Mutex<Vec<Arc<Registration>>>,
    /// The warnings that were already reported.
    pub(super) warned: Mutex<HashSet<String>>,
    pub(super) course: Course,
    /// The end, once it has begun.
    pub(super) ending: Mutex<Option<EndingUnderWay>>,
    /// Wakes the background task when there is a new registration.
    pub(super) wake: Notify,
    pub(super) background: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    pub(super) fn registrations(&self) -> MutexGuard<'_, Vec<Arc<Registration>>> {
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the registrations that are uploaded.
    pub(super) fn uploads(&self) -> Vec<Arc<Registration>> {
        self.registrations().iter().filter(|one| one.kind.upload().is_some()).cloned().collect()
    }

    /// Runs a step that blocks.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        registration: &Arc<Registration>,
        step: impl FnOnce(&Self, &Registration) -> T + Send + 'static,
    ) -> T {
        let (inner, registration) = (self.clone(), registration.clone());
        run_blocking(move || step(&inner, &registration)).await
    }

    /// Parses a location and adds the profile that it is opened with.
    pub(super) fn locate(&self, remote: &str, profile: Option<&str>) -> Result<Location, SessionError> {
        let location: Location = remote.parse().map_err(crate::error::Error::from)?;
        Ok(match profile.or(self.default_profile.as_deref()) {
            Some(profile) => location.with_default_profile(profile),
            None => location,
        })
    }

    /// Returns a new registration of a remote location without entering it.
    pub(super) fn registration(
        &self,
        location: Location,
        local: Option<&Path>,
        kind: Kind,
    ) -> Result<Registration, SessionError> {
        excluding(kind.exclude())?;
        let given = self.given_path(&location, local)?;
        let local = self.local_path(&location, local)?;
        let place = self.registry.place(&location)?;
        let others = match kind.upload() {
            Some(_) => OtherPairs::of(&self.registry, self.remembers.for_marks(), (&location, &place), local.clone())?,
            None => OtherPairs::default(),
        };
        Ok(Registration {
            given: given.filter(|given| *given != local),
            others,
            ..Registration::new(location, place, local, kind)
        })
    }

    /// Returns the local path of a location without resolving its links, unless it contains `..`.
    fn given_path(&self, location: &Location, local: Option<&Path>) -> Result<Option<PathBuf>, SessionError> {
        let given = match local {
            Some(local) => expanded(local)?,
            None => self.cache_path(location)?,
        };
        Ok((!given.components().any(|part| part == Component::ParentDir)).then_some(given))
    }

    /// Returns the local path of a location.
    pub(super) fn local_path(&self, location: &Location, local: Option<&Path>) -> Result<PathBuf, SessionError> {
        match (local, location) {
            (Some(local), _) => absolute(local),
            (None, Location::Remote(_)) => Ok(resolve(&self.cache_path(location)?)),
            (None, Location::Local(path)) => absolute(path),
        }
    }

    /// Warns if the path of an output below the cache root is a link, which an earlier program may have created.
    pub(super) fn warn_of_link(&self, registration: &Registration) -> Result<(), SessionError> {
        let Registration { location, local, kind, .. } = registration;
        if kind.upload().is_none() || kind.local().is_some() || !self.cache_path(location)?.is_symlink() {
            return Ok(());
        }
        let (path, local) = (self.cache_path(location)?, local.display());
        let warning = format!("'{location}': '{}' is a symbolic link, so '{local}' is uploaded", path.display());
        if self.is_news(&warning) {
            tracing::warn!("{warning}");
            self.tell(Some(registration), &Event::Warning(&warning));
        }
        Ok(())
    }

    fn cache_path(&self, location: &Location) -> Result<PathBuf, SessionError> {
        let Location::Remote(remote) = location else { return self.local_path(location, None) };
        let name = self.registry.local_name(location)?;
        Ok(layout::path(&absolute(&self.cache_root)?, &name, remote))
    }

    /// Enters a registration, or returns the existing one if it is identical.
    pub(super) fn enter(&self, new: Registration) -> Result<Arc<Registration>, SessionError> {
        let mut registrations = self.registrations();
        if let Some(same) = registrations.iter().find(|old| old.is_same(&new)) {
            return Ok(same.clone());
        }
        if let Some(conflict) = registrations.iter().find_map(|old| new.conflict(old)) {
            return Err(conflict);
        }
        let new = Arc::new(new);
        registrations.push(new.clone());
        Ok(new)
    }

    /// Returns how long an upload other than the last one may finish its files in flight once an end has a deadline.
    pub(super) fn share_of_passes(&self) -> Duration {
        LONGEST_PASS.min(self.deadline / SHARE_OF_PASSES)
    }

    /// Waits until abandoned transfers have had their time to return a report.
    pub(super) async fn abandoned(&self) {
        self.course.abandoned().await;
        tokio::time::sleep(LAST_WORDS).await;
    }

    /// Returns the token that stops an upload gracefully.
    pub(super) fn cancel_of(&self, occasion: Occasion) -> &CancellationToken {
        if occasion.is_last() { self.course.last_uploads() } else { self.course.other_uploads() }
    }

    /// Passes an event to the observer, with the registration that it belongs to.
    pub(super) fn tell(&self, registration: Option<&Registration>, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.session_event(registration.map(Registration::registered).as_ref(), event);
        }
    }

    /// Returns the observer of the transfers of a registration.
    pub(super) fn observer_of(&self, registration: &Registration) -> Option<Arc<dyn Observer>> {
        let observer = self.observer.clone()?;
        Some(Arc::new(OfRegistration { registration: registration.registered(), observer }))
    }

    /// Returns true the first time it is called with a warning.
    pub(super) fn is_news(&self, warning: &str) -> bool {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(warning.to_owned())
    }

    /// Returns true if this warning was reported.
    pub(super) fn was_told(&self, warning: &str) -> bool {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).contains(warning)
    }

    /// Reports warnings about a listing, each of them once.
    pub(super) fn warn(&self, warnings: &[String]) {
        for warning in warnings.iter().filter(|warning| self.is_news(warning)) {
            tracing::warn!("{warning}");
            self.tell(None, &Event::Warning(warning));
        }
    }

    /// Removes a registration, unless its local path may already contain output of the program.
    ///
    /// Once the end has begun, it uploads the registration and reports the result.
    pub(super) fn forget(&self, registration: &Arc<Registration>) {
        if registration.begun.load(Ordering::Acquire) || self.course.is_closed() {
            return;
        }
        self.registrations().retain(|one| !Arc::ptr_eq(one, registration));
    }
}

/// Returns an absolute path. A leading `~` becomes the home directory, and the part that exists has no `..` and no
/// symbolic links. So two names of one directory are not treated as two directories.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, SessionError> {
    expanded(path).map(|path| resolve(&path))
}

/// Returns an absolute path with its links. A leading `~` becomes the home directory.
pub(super) fn expanded(path: &Path) -> Result<PathBuf, SessionError> {
    let path = match path.strip_prefix("~") {
        Ok(rest) => {
            let home = std::env::home_dir().ok_or_else(|| unusable(path, "the home directory is not known"))?;
            home.join(rest)
        }
        Err(_) => path.to_owned(),
    };
    std::path::absolute(&path).map_err(|error| unusable(&path, &error.to_string()))
}
