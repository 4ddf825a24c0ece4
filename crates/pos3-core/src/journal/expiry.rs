//! Giving up unfinished puts that nobody came back to.
//!
//! Parts that were sent are paid for until somebody gives them up. A put is taken up again when its file is still to be
//! copied; one whose file was deleted or replaced never is, and its note is the only thing that knows of it.

use std::time::{Duration, SystemTime};

use super::{Journal, Unfinished};
use crate::key::Key;
use crate::store::RemoteStore;

/// How long an unfinished put may rest.
const LIMIT: Duration = Duration::from_hours(7 * 24);

/// Gives up the unfinished puts at `store` that were begun longer ago than the limit, and forgets their notes. One that
/// cannot be given up keeps its note, for the next time.
pub(crate) async fn give_up_expired(journal: &dyn Journal, store: &dyn RemoteStore, now: SystemTime) {
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

/// A time that is not known, or lies in the future, expires never.
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
