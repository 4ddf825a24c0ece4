//! Aborts unfinished puts that no run has resumed.
//!
//! The parts of an unfinished upload are billed until the upload is aborted. A run resumes a put only if its file still
//! needs to be copied. If the file was deleted or replaced, no run ever resumes the put, so this module finds it by its
//! note.

use std::time::{Duration, SystemTime};

use crate::journal::{Journal, Unfinished};
use crate::key::Key;
use crate::store::RemoteStore;

/// The age at which an unfinished put expires.
const LIMIT: Duration = Duration::from_hours(7 * 24);

/// Aborts the unfinished puts at `store` that are older than the limit, and removes their notes. If a put cannot be
/// aborted, its note stays, so the next run tries again.
pub(super) async fn give_up_expired(journal: &dyn Journal, store: &dyn RemoteStore, now: SystemTime) {
    let expired: Vec<(Key, Unfinished)> =
        journal.all().await.into_iter().filter(|(_, put)| is_expired(put, now)).collect();
    if expired.is_empty() {
        return;
    }
    let answers = store.abandon(&expired).await;
    for ((key, _), answer) in expired.iter().zip(answers) {
        if answer.is_ok() {
            journal.remove(key).await;
        }
    }
}

/// Returns true if the put is older than the limit. A put of unknown age, or with a time in the future, never expires.
fn is_expired(put: &Unfinished, now: SystemTime) -> bool {
    put.since.and_then(|since| now.duration_since(since).ok()).is_some_and(|age| age > LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::MemoryJournal;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn only_old_puts_are_given_up() {
        let (journal, now) = (MemoryJournal::default(), SystemTime::now());
        let day = Duration::from_hours(24);
        let put = |since| Unfinished { id: "id".into(), since, state: Vec::new() };
        journal.save(&"old".into(), &put(Some(now - 8 * day))).await;
        journal.save(&"young".into(), &put(Some(now - 6 * day))).await;
        journal.save(&"future".into(), &put(Some(now + 30 * day))).await;
        journal.save(&"unknown".into(), &put(None)).await;
        give_up_expired(&journal, &MemoryStore::new(), now).await;
        let left: Vec<Key> = journal.all().await.into_iter().map(|(key, _)| key).collect();
        assert_eq!(left, ["future", "unknown", "young"].map(Key::from));
    }
}
