//! The right to change a workspace, held by one machine at a time: [`Lease`].
//!
//! It is an object beside the files. The store creates it only if there is none, and replaces it only if it is as it
//! was read. So of two machines, only one gets it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pos3_core::{
    Content, DeleteKey, Entry, ErrorKind, Expect, Fingerprint, GetOptions, Key, PutOptions, StoreError, Tree,
    collect_exactly,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::conflict::host;
use super::error::WorkspaceError;
use super::scope::RECORDS;

/// The name of the object in the records of the location.
const NAME: &str = "lease.json";

/// The number of attempts to take it, if other machines do so at the same time.
const ATTEMPTS: usize = 5;

/// The largest object that is read as a note.
const LONGEST: u64 = 1 << 16;

/// The shortest time that a lease can have. Clocks of machines differ by less.
const SHORTEST: Duration = Duration::from_secs(5);

/// The right to change a workspace. It is renewed until it is [released](Self::release) or dropped; after a drop, it
/// expires.
#[derive(Debug)]
pub(super) struct Lease {
    held: Held,
    lost: watch::Receiver<Option<String>>,
    renewal: JoinHandle<()>,
}

/// A lease as it is stored.
#[derive(Clone, Debug)]
struct Held {
    remote: Tree,
    id: Arc<str>,
    time: Duration,
    fingerprint: Arc<Mutex<Option<Fingerprint>>>,
}

/// The content of the object.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    id: String,
    host: String,
    process: u32,
    /// Seconds since 1970 by the clock of the holder.
    expires: u64,
}

impl Lease {
    /// Takes the lease, or fails if another machine holds it.
    pub(super) async fn take(remote: &Tree, time: Duration) -> Result<Self, WorkspaceError> {
        let time = time.max(SHORTEST);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let id = format!("{}-{}-{now}", host(), std::process::id()).into();
        let held = Held { remote: remote.clone(), id, time, fingerprint: Arc::default() };
        held.take().await?;
        let (tell, lost) = watch::channel(None);
        let renewal = tokio::spawn({
            let held = held.clone();
            async move {
                loop {
                    tokio::time::sleep(held.time / 3).await;
                    if let Err(why) = held.renew().await {
                        tell.send_replace(Some(why));
                        return;
                    }
                }
            }
        });
        Ok(Self { held, lost, renewal })
    }

    /// Returns why the lease was lost, if it was: another machine may change the workspace.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.borrow().clone()
    }

    /// Gives the lease back, so that another machine need not wait until it expires.
    pub(super) async fn release(self) {
        self.renewal.abort();
        self.held.release().await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Held {
    /// Stores the note if there is none, or if that of another machine has expired.
    async fn take(&self) -> Result<(), WorkspaceError> {
        let failed =
            |error: StoreError| WorkspaceError::Lease { location: self.remote.to_string(), why: error.cause() };
        for _ in 0..ATTEMPTS {
            match self.put(Expect::Absent).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                stored => return stored.map_err(failed),
            }
            let Some((entry, note)) = self.read().await.map_err(failed)? else { continue };
            if let Some(note) = note.filter(|note| !note.has_expired()) {
                return Err(WorkspaceError::Leased {
                    location: self.remote.to_string(),
                    holder: note.holder(),
                    seconds: note.left().as_secs(),
                });
            }
            match self.put(entry.fingerprint.map_or(Expect::Anything, Expect::Unchanged)).await {
                Err(error) if matches!(error.kind(), ErrorKind::Precondition | ErrorKind::NotFound) => {}
                stored => return stored.map_err(failed),
            }
        }
        let why = "other machines take it again and again".to_owned();
        Err(WorkspaceError::Lease { location: self.remote.to_string(), why })
    }

    /// Renews the note, unless it is another one now. A server that does not answer is asked again while the lease
    /// lasts.
    async fn renew(&self) -> Result<(), String> {
        let end = tokio::time::Instant::now() + self.time / 2;
        loop {
            let Some(known) = self.known() else { return Err("it was given back".to_owned()) };
            match self.put(Expect::Unchanged(known)).await {
                Ok(()) => return Ok(()),
                Err(error) if matches!(error.kind(), ErrorKind::Precondition | ErrorKind::NotFound) => {
                    return Err("another machine has taken it".to_owned());
                }
                Err(error) if tokio::time::Instant::now() >= end => return Err(error.cause()),
                Err(_) => tokio::time::sleep(self.time / 20).await,
            }
        }
    }

    async fn release(&self) {
        let Some(known) = self.known() else { return };
        if let Ok(entry) = self.remote.store().head(&self.key()).await
            && entry.fingerprint.as_ref() == Some(&known)
        {
            // If it cannot be deleted, it expires.
            let _expires = self.remote.store().delete(&[DeleteKey::new(self.key()).unless_changed(&entry)]).await;
        }
    }

    async fn put(&self, expect: Expect) -> Result<(), StoreError> {
        let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.time;
        let note =
            Note { id: self.id.to_string(), host: host(), process: std::process::id(), expires: expires.as_secs() };
        let text = serde_json::to_vec(&note).unwrap_or_default();
        let options = PutOptions::default().with_expect(expect);
        let stored = self.remote.store().put(&self.key(), Content::from(text), options).await?;
        *self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner) = stored.entry.fingerprint;
        Ok(())
    }

    /// Returns the object and its note, if it is one.
    async fn read(&self) -> Result<Option<(Entry, Option<Note>)>, StoreError> {
        let download = match self.remote.store().get(&self.key(), GetOptions::default()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            got => got?,
        };
        let size = download.entry.size;
        // What is longer is no note.
        let text = if size > LONGEST { Bytes::new() } else { collect_exactly(download.body, size).await? };
        Ok(Some((download.entry, serde_json::from_slice(&text).ok())))
    }

    fn known(&self) -> Option<Fingerprint> {
        self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn key(&self) -> Key {
        self.remote.key(&Key::from(format!("{RECORDS}/{NAME}")))
    }
}

impl Note {
    fn has_expired(&self) -> bool {
        self.left().is_zero()
    }

    /// Returns how long it lasts, with an allowance for clocks that differ.
    fn left(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Duration::from_secs(self.expires) + SHORTEST).saturating_sub(now)
    }

    fn holder(&self) -> String {
        format!("process {} on '{}'", self.process, self.host)
    }
}

#[cfg(test)]
mod tests {
    use pos3_core::MemoryStore;

    use super::*;

    fn remote() -> Tree {
        Tree::new(Arc::new(MemoryStore::new())).at("ws/")
    }

    #[tokio::test(start_paused = true)]
    async fn one_machine_holds_a_lease_until_it_gives_it_back() {
        let remote = remote();
        let lease = Lease::take(&remote, Duration::from_secs(30)).await.unwrap();
        let error = Lease::take(&remote, Duration::from_secs(30)).await.unwrap_err().to_string();
        let holder = format!("process {} on '{}'", std::process::id(), host());
        assert!(error.contains(&holder) && error.contains("ws/"), "{error}");
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(lease.lost(), None, "it is renewed");
        lease.release().await;
        let next = Lease::take(&remote, Duration::from_secs(30)).await.unwrap();
        drop(next);
        assert!(
            Lease::take(&remote, Duration::from_secs(30)).await.is_err(),
            "a holder that died keeps it for its time"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_expired_or_is_no_note_can_be_taken_and_the_loser_learns_it() {
        let remote = remote();
        let first = Lease::take(&remote, Duration::from_secs(30)).await.unwrap();
        let key = first.held.key();
        for text in [r#"{"id":"x","host":"h","process":1,"expires":1}"#, "no note", ""] {
            remote.store().put(&key, text.into(), PutOptions::default()).await.unwrap();
            let lease = Lease::take(&remote, Duration::from_secs(30)).await.unwrap();
            drop(lease);
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(first.lost().as_deref(), Some("another machine has taken it"));
        first.release().await;
        assert!(remote.store().head(&key).await.is_ok(), "the note of the other one stays");
    }
}
