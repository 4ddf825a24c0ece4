//! The shared state of a workspace, and what every pull and push opens first.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pos3_core::{
    CancellationToken, Filter, Key, Manifest, ManifestError, MemoryManifest, Observer, RemoteStoreExt, RowChange,
    SyncOptions, Tree, UnmatchedPatterns, run_blocking,
};
use tokio::sync::watch;

use super::error::WorkspaceError;
use super::lease::Lease;
use super::progress::{Phase, Steps};
use super::record::Record;
use super::report::Way;
use super::scope::{RECORDS, Scope};
use super::settings::Settings;
use super::watch::Watch;
use crate::error::{Error, StateError};
use crate::ignore_files::IgnoreFiles;
use crate::local_path::resolve;
use crate::location::Location;
use crate::registry::{Registry, Role};
use crate::state::{State, StateDirectory, StateHome, Turned};
use crate::sync::refuse_overlap;
use crate::sync_ignore::SyncIgnoreFilter;
use crate::transfer::Transfer;

/// The name of the directory in its own sync state. It is no path, so the state stays valid if the directory is moved,
/// or mounted elsewhere.
const HERE: &str = "/pos3-workspace/this-directory";

/// The shared state of the clones of a workspace.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) location: Location,
    /// Absolute, with links resolved.
    pub(super) directory: PathBuf,
    pub(super) registry: Registry,
    pub(super) settings: Settings,
    /// Whether any pull has ended.
    pub(super) has_pulled: AtomicBool,
    lease: tokio::sync::Mutex<Option<Lease>>,
    /// Held by the pull or push that runs.
    pub(super) running: tokio::sync::Mutex<()>,
    /// The rows of a location that does not outlive this process.
    rows: Arc<MemoryManifest>,
    /// The sides of the pull that runs, so that single files can be fetched meanwhile.
    pulling: watch::Sender<Option<Sides>>,
}

/// Both sides of a workspace, open and locked for this process. Clones share the lock.
#[derive(Clone, Debug)]
pub(super) struct Sides {
    pub(super) remote: Tree,
    pub(super) local: Tree,
    pub(super) record: Record,
    /// The state of a push. `None` for a location that does not outlive this process.
    state: Option<State>,
    rows: Arc<MemoryManifest>,
    cancel: CancellationToken,
    keep: CancellationToken,
}

/// Shares the sides of a pull until it is dropped.
pub(super) struct Shared<'a>(&'a Inner);

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        self.0.pulling.send_replace(None);
    }
}

impl Inner {
    pub(super) fn new(location: Location, directory: &Path, registry: Registry, settings: Settings) -> Self {
        Self {
            location,
            directory: resolve(directory),
            registry,
            settings,
            has_pulled: AtomicBool::new(false),
            lease: tokio::sync::Mutex::new(None),
            running: tokio::sync::Mutex::new(()),
            rows: Arc::default(),
            pulling: watch::Sender::new(None),
        }
    }

    /// Shares the sides of a pull, as long as the result exists.
    pub(super) fn share(&self, sides: &Sides) -> Shared<'_> {
        self.pulling.send_replace(Some(sides.clone()));
        Shared(self)
    }

    /// Waits until a pull runs, and returns its sides.
    pub(super) async fn shared(&self) -> Sides {
        let mut pulling = self.pulling.subscribe();
        loop {
            if let Some(sides) = pulling.borrow_and_update().clone() {
                return sides;
            }
            // The sender is in this value, so there is always one.
            let _always_open = pulling.changed().await;
        }
    }

    /// Takes the lease, if the workspace needs one and does not hold it.
    pub(super) async fn take_lease(&self, sides: &Sides) -> Result<(), WorkspaceError> {
        let Some(time) = self.settings.lease else { return Ok(()) };
        let mut held = self.lease.lock().await;
        if held.as_ref().is_none_or(|lease| lease.lost().is_some()) {
            *held = None;
            *held = Some(Lease::take(&sides.remote, time).await?);
        }
        Ok(())
    }

    /// Gives the lease back.
    pub(super) async fn release(&self) {
        if let Some(lease) = self.lease.lock().await.take() {
            lease.release().await;
        }
    }

    /// Opens both sides. A pull creates the directory, and a push needs it.
    pub(super) async fn sides(&self, way: Way) -> Result<Sides, WorkspaceError> {
        let local_location = Location::Local(self.directory.clone());
        refuse_overlap(&self.registry, &self.location, &local_location)?;
        let remote = self.registry.open(&self.location, Role::Target).await?.directory()?;
        let record = self.record(way).await?;
        let here = Location::Local(PathBuf::from(HERE));
        let pair = (&here, &self.location);
        let opened = self.home().open(&self.registry, pair, self.settings.wait, |_waits| {}).await;
        let state = match opened.into_open() {
            Err(Error::State(StateError::Fleeting { .. })) => None,
            opened => opened?,
        };
        Ok(Sides {
            remote,
            local: self.registry.open(&local_location, Role::Target).await?.directory()?,
            record,
            state,
            rows: self.rows.clone(),
            cancel: self.settings.cancel.clone(),
            keep: self.settings.keep.clone(),
        })
    }

    fn home(&self) -> StateHome {
        StateHome::Directory(StateDirectory::new(self.directory.join(RECORDS)))
    }

    /// Reads the record, and creates its directory. Only that is closed to other users.
    async fn record(&self, way: Way) -> Result<Record, WorkspaceError> {
        let server = self.registry.server(&self.location)?;
        let (directory, location) = (self.directory.clone(), self.location.to_string());
        run_blocking(move || {
            match directory.metadata() {
                Ok(facts) if !facts.is_dir() => {
                    return Err(WorkspaceError::Record { path: directory, why: "it is not a directory".to_owned() });
                }
                Err(_) if way == Way::Up => return Err(WorkspaceError::NoDirectory(directory)),
                _ => {}
            }
            let record = Record::of(&directory, &location, server.as_deref())?;
            let made = fs::create_dir_all(&directory);
            made.map_err(|error| WorkspaceError::Record { path: directory.clone(), why: error.to_string() })?;
            StateDirectory::new(directory.join(RECORDS)).prepare().map_err(Error::from)?;
            Ok(record)
        })
        .await
    }

    /// Returns the options of a transfer, without the rules of its direction.
    pub(super) fn options(&self, way: Way, filter: Filter, watch: Watch) -> SyncOptions {
        let budget = match way {
            Way::Down => self.settings.download_budget(),
            Way::Up => self.settings.upload_budget(),
        };
        SyncOptions::default()
            .with_budget(budget)
            .with_guards(self.settings.guards)
            .with_content_type(self.settings.content_type.clone())
            .with_filter(filter)
            .with_unmatched_patterns(UnmatchedPatterns::Ignored)
            .with_observer(watch)
    }

    /// Returns the steps of the progress, if the program receives it.
    pub(super) fn steps(&self, way: Way) -> Option<Arc<Steps>> {
        let phase = match way {
            Way::Down => Phase::Download,
            Way::Up => Phase::Upload,
        };
        self.settings.progress.clone().map(|receiver| Arc::new(Steps::new(phase, receiver)))
    }

    pub(super) fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.settings.observer.clone()
    }
}

impl Sides {
    /// Returns a transfer of everything in one direction, with the sync state.
    pub(super) fn transfer(&self, way: Way, options: SyncOptions) -> Transfer {
        self.transfer_between(way, (&self.remote, &self.local), options)
    }

    /// Returns a transfer between parts of the remote and the local side.
    pub(super) fn transfer_between(&self, way: Way, (remote, local): (&Tree, &Tree), options: SyncOptions) -> Transfer {
        let (source, target) = match way {
            Way::Down => (remote, local),
            Way::Up => (local, remote),
        };
        let state = self.state.clone().map(|state| if way == Way::Down { state.reversed() } else { state });
        let rows: Arc<dyn Manifest> = match way {
            Way::Down => Arc::new(Turned(self.rows.clone())),
            Way::Up => self.rows.clone(),
        };
        let transfer = match state {
            Some(state) => Transfer::new(source.clone(), target.clone(), options).with_state(&state.into()),
            None => Transfer::new(source.clone(), target.clone(), options.with_manifest(rows)),
        };
        transfer.with_cancel(self.cancel.clone()).with_keep(self.keep.clone()).repeated_if_changed()
    }

    /// Lists the remote side and returns the filter with the rules of the ignore files of both sides. From then on, the
    /// remote side answers listings from that one, so that it and the transfer cost one listing.
    ///
    /// # Errors
    ///
    /// Returns an error if the remote side cannot be listed, or if an ignore file cannot be read.
    pub(super) async fn rule(&mut self, inner: &Inner, way: Way) -> Result<Filter, WorkspaceError> {
        let files = IgnoreFiles::new([SyncIgnoreFilter::FILE]).with_base(inner.settings.ignored.clone());
        let filter = Scope::default().filter()?;
        let (ruled, remote) = match way {
            Way::Down => {
                let ruled = files.rule(&self.remote, &self.local, &filter).await?;
                (ruled.filter, ruled.source)
            }
            Way::Up => {
                let ruled = files.rule(&self.local, &self.remote, &filter).await?;
                (ruled.filter, ruled.target)
            }
        };
        self.remote = remote;
        Ok(ruled)
    }

    /// Forgets that both sides were equal at a key. Otherwise, a missing file could count as one that the user deleted.
    pub(super) async fn forget(&self, key: &Key) -> Result<(), ManifestError> {
        let change = vec![RowChange::Forget(key.clone())];
        match &self.state {
            Some(state) => state.manifest().apply(change).await,
            None => self.rows.apply(change).await,
        }
    }

    /// Removes the local directories that are empty now, the deepest first.
    pub(super) async fn remove_empty(&self, directories: impl IntoIterator<Item = String>) {
        let mut keys: Vec<_> = directories.into_iter().map(|directory| Key::from(format!("{directory}/"))).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.as_str().matches('/').count()));
        for key in keys {
            // A directory that is not empty stays, and this is no error.
            let _stays = self.local.store().remove(&self.local.key(&key)).await;
        }
    }
}
