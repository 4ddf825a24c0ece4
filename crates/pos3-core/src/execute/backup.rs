//! Backs up the entries that a run is about to overwrite or delete.
//!
//! A backup is complete before the original changes. So if the process dies in between, both exist. A backup never replaces
//! anything, not even an older backup. If the backup location were the source or the target under another name, backups
//! would not protect anything. So the run checks that its first backup does not appear on either side.

mod names;

use std::time::SystemTime;

use futures::StreamExt;
use futures::future::join_all;
use tokio::sync::OnceCell;

use super::Run;
use super::same_place::aliases;
use crate::entry::{Entry, Kind};
use crate::error::{ErrorKind, Operation, Reach, StoreError};
use crate::key::Key;
use crate::store::{Expect, ListOptions, PutOptions, RemoteStore, Result};
use crate::tree::Tree;
use names::Names;

/// The largest number of names to try for one backup.
const NAMES: u32 = 100;

/// The facts that a run knows about its backup location.
#[derive(Debug)]
pub(super) struct Keeping {
    begun: SystemTime,
    /// Whether the first backup appeared on another side. No other backup is made before this is known.
    verdict: OnceCell<Result<()>>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { begun: SystemTime::now(), verdict: OnceCell::new() }
    }
}

/// Whether to check that a backup does not appear in the source or the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    ForFirst,
    No,
}

/// Where a backup would appear if its location were also a side of the sync.
struct Alias<'r> {
    tree: &'r Tree,
    key: Key,
}

/// Copies an entry of the target to the backup tree, if there is one. Content that an earlier run staged is not copied: the
/// source has it.
pub(super) async fn keep(run: &Run, seen: &Entry) -> Result<()> {
    let Some(backup) = run.options.backup.as_ref().filter(|_| seen.is_file() && !seen.key.is_staged()) else {
        return Ok(());
    };
    keep_apart(run, backup, seen).await.map_err(|error| {
        let message = format!("it could not be backed up to '{backup}', so it was not changed");
        let failed = StoreError::new(kind_of(&error), Operation::BackUp).with_reach(error.reach());
        failed.with_key(&seen.key).with_message(message).with_source(error)
    })
}

/// Fails with `NotFound` or `Precondition` only if the original no longer exists or has changed. A missing bucket for
/// backups, or a backup that was replaced, is another kind of failure.
fn kind_of(error: &StoreError) -> ErrorKind {
    let is_original = error.reach() == Reach::Key && matches!(error.operation(), Operation::Read | Operation::Copy);
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Precondition if !is_original => ErrorKind::Other,
        kind => kind,
    }
}

/// Copies an entry. If the first backup appears in the source or the target, this and every later backup fails.
async fn keep_apart(run: &Run, backup: &Tree, seen: &Entry) -> Result<()> {
    let mut look = Look::No;
    let verdict = run.keeping.verdict.get_or_try_init(async || {
        look = Look::ForFirst;
        match store(run, backup, seen, look).await {
            Err(error) if error.kind() == ErrorKind::Overlap => Ok(Err(error)),
            stored => stored.map(Ok),
        }
    });
    verdict.await?.clone()?;
    if look == Look::ForFirst { Ok(()) } else { store(run, backup, seen, Look::No).await }
}

/// Copies an entry to the first free name.
async fn store(run: &Run, backup: &Tree, seen: &Entry, look: Look) -> Result<()> {
    let mut names = Names::new(&seen.key, backup, run.keeping.begun);
    let mut refused = None;
    for number in 0..NAMES {
        let name = names.candidate(number);
        let key = backup.key(&name);
        if is_taken(&**backup.store(), &key).await? {
            continue;
        }
        let absent = if look == Look::ForFirst { absent_aliases(run, backup, &name).await } else { Vec::new() };
        let options = PutOptions::default()
            .with_expect(Expect::Absent)
            .with_modified(seen.modified)
            .with_content_type_resolver(run.options.content_type.clone())
            .with_budget(run.options.budget.clone());
        match backup.store().put(&key, run.target.content(seen), options).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                names.avoid_files(backup).await?;
                refused = Some(error);
            }
            Err(error) => return Err(error),
            Ok(kept) => {
                if !kept.verified {
                    require_evidence(&**backup.store(), &key, &kept.entry).await?;
                }
                return refuse_appeared(backup, &Entry { key: name, ..kept.entry }, &absent).await;
            }
        }
    }
    Err(refused.unwrap_or_else(|| {
        let message = format!("'{backup}' has {NAMES} backups of it from this second");
        StoreError::new(ErrorKind::AlreadyExists, Operation::Write).with_key(&seen.key).with_message(message)
    }))
}

/// Returns true if an entry exists at a key. Credentials that may write backups may not be allowed to look them up. Then
/// only the condition of the write protects an older backup.
async fn is_taken(store: &dyn RemoteStore, key: &Key) -> Result<bool> {
    match store.head(key).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound && error.reach() == Reach::Key => Ok(false),
        Err(error) if error.kind() == ErrorKind::Denied && store.capabilities().conditional_put => Ok(false),
        Err(error) => Err(error),
    }
}

/// Fails if neither a lookup nor a listing shows a backup whose content was not verified. The response to its write alone
/// is not enough: a gateway may send it without storing anything.
async fn require_evidence(store: &dyn RemoteStore, key: &Key, kept: &Entry) -> Result<()> {
    let is_kept = |found: &Entry| {
        found.key == *key && found.size == kept.size && found.fingerprint == kept.fingerprint && found.is_file()
    };
    let found = store.head(key).await;
    if found.as_ref().is_ok_and(is_kept) {
        return Ok(());
    }
    // The key itself is the first one in byte order that begins with it.
    let listed = store.list(key.as_str(), ListOptions::default()).next().await;
    if listed.is_some_and(|listed| listed.as_ref().is_ok_and(is_kept)) {
        return Ok(());
    }
    let error = StoreError::new(ErrorKind::Integrity, Operation::Write).with_key(key);
    let error = error.with_message("neither a lookup nor a listing shows the backup");
    Err(match found {
        Ok(_) => error,
        Err(cause) => error.with_source(cause),
    })
}

/// Returns the keys at which a backup of this name would appear in the source and the target, and that do not exist yet.
async fn absent_aliases<'r>(run: &'r Run, backup: &Tree, name: &Key) -> Vec<Alias<'r>> {
    let of = |tree: &'r Tree| aliases(run, backup, name, tree).into_iter().map(move |key| Alias { tree, key });
    let looks = of(&run.source).chain(of(&run.target)).map(async |alias| {
        let found = alias.tree.store().head(&alias.key).await;
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound).then_some(alias)
    });
    join_all(looks).await.into_iter().flatten().collect()
}

/// Fails if a backup appeared on another side.
async fn refuse_appeared(backup: &Tree, kept: &Entry, absent: &[Alias<'_>]) -> Result<()> {
    for Alias { tree, key } in absent {
        let is_alike = tree.is_local() == backup.is_local();
        let is_kept = |found: &Entry| {
            found.kind == Kind::File && found.size == kept.size && (!is_alike || found.fingerprint == kept.fingerprint)
        };
        if tree.store().head(key).await.is_ok_and(|found| is_kept(&found)) {
            let message = format!(
                "the backup location and '{tree}' are the same place under two names: the backup '{}' also appears \
                 as '{key}', and is left there",
                backup.locate(&kept.key)
            );
            let overlap = StoreError::new(ErrorKind::Overlap, Operation::Write).with_reach(Reach::Everything);
            return Err(overlap.with_key(&kept.key).with_message(message));
        }
    }
    Ok(())
}
