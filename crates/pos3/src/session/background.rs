//! Uploads outputs in the background while the program runs.
//!
//! One task serves all registrations. Each upload is due one interval after the last one *ended*, so missed ticks do
//! not accumulate and two uploads of one registration never overlap. A random jitter spreads the uploads of many
//! machines.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use pos3_core::{Event, one_line};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::deletes::Occasion;
use super::error::SessionError;
use super::inner::Inner;
use super::moved;
use super::registration::Registration;

/// The delay before a failed upload is retried. It doubles with each failure, up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// The jitter: a tick is early or late by at most this fraction of the interval.
const JITTER: u32 = 20;

/// Runs until the session stops it. Waits for uploads that are running.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = inner.course.closed() => break,
            Some(_ended) = running.join_next() => {}
            () = inner.wake.notified() => {}
            () = next_due(&inner) => {
                for registration in due(&inner) {
                    running.spawn(upload(inner.clone(), registration));
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

/// Schedules the next upload of a registration.
pub(super) fn schedule(registration: &Registration) {
    let Some(interval) = registration.kind.upload().and_then(|upload| upload.interval) else { return };
    let mut history = registration.history();
    let wait = match history.failures {
        0 => jittered(interval),
        failures => FIRST_RETRY.saturating_mul(2u32.saturating_pow(failures - 1)).min(interval),
    };
    history.due = Instant::now().checked_add(wait);
}

async fn next_due(inner: &Inner) {
    let next = inner.uploads().iter().filter_map(|registration| registration.history().due).min();
    match next {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Takes the registrations that are due. They have no due time until their upload has ended.
fn due(inner: &Inner) -> Vec<Arc<Registration>> {
    let now = Instant::now();
    let is_due = |registration: &Arc<Registration>| {
        let mut history = registration.history();
        let due = history.due.is_some_and(|due| due <= now);
        if due {
            history.due = None;
        }
        due
    };
    inner.uploads().into_iter().filter(is_due).collect()
}

async fn upload(inner: Arc<Inner>, registration: Arc<Registration>) {
    let outcome = moved::upload(&inner, &registration, Occasion::Work).await;
    if outcome.as_ref().is_err_and(SessionError::is_cancelled) {
        // The session is ending, and its last upload finds the remaining files.
        return;
    }
    registration.record(&outcome);
    tell_of_failures(&inner, &registration);
    schedule(&registration);
    inner.wake.notify_one();
}

/// Warns once when the uploads of a registration begin to fail, and once when they succeed again.
pub(super) fn tell_of_failures(inner: &Inner, registration: &Registration) {
    let location = &registration.location;
    let failing = format!("the background uploads of '{location}' fail");
    let failure = registration.history().last_error.clone();
    let warning = match failure {
        Some(error) if inner.is_news(&failing) => format!("{failing} and are retried: {}", one_line(&error)),
        None if inner.was_told(&failing) && inner.is_news(&format!("'{location}' is uploaded again")) => {
            format!("the background uploads of '{location}' succeed again")
        }
        _ => return,
    };
    inner.tell(Some(registration), &Event::Warning(&warning));
}

fn jittered(interval: Duration) -> Duration {
    let most = interval / JITTER;
    let share = u32::try_from(RandomState::new().hash_one(0) % 2001).unwrap_or(1000);
    interval.saturating_sub(most).saturating_add(most / 1000 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_early_or_late_by_a_twentieth_at_most() {
        for _ in 0..1000 {
            let wait = jittered(Duration::from_secs(100)).as_secs_f64();
            assert!((95.0..=105.0).contains(&wait), "{wait}");
        }
        assert!(jittered(Duration::MAX) > Duration::MAX / 2, "as good as never, and no overflow");
    }
}
