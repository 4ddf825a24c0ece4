//! The number of loads from a source, and the handling of its failures.

use std::collections::VecDeque;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicUsize;

use futures::future::join_all;

use super::*;

/// Returns the given results in order, and counts the loads.
#[derive(Default)]
struct Script {
    answers: StdMutex<VecDeque<Result<Loaded, Missing>>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Source for Arc<Script> {
    async fn load(&self) -> Result<Loaded, Missing> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // Other callers arrive while this one waits.
        tokio::task::yield_now().await;
        self.answers.lock().unwrap().pop_front().unwrap()
    }
}

fn script(answers: impl IntoIterator<Item = Result<Loaded, Missing>>) -> (Arc<Script>, Kept<Arc<Script>>) {
    let script = Arc::new(Script { answers: StdMutex::new(answers.into_iter().collect()), ..Script::default() });
    (script.clone(), Kept::new(script))
}

fn keys(name: &str, token: Option<&str>, end: Option<SystemTime>) -> Result<Loaded, Missing> {
    let credential =
        AwsCredential { key_id: name.to_owned(), secret_key: "hush".to_owned(), token: token.map(str::to_owned) };
    Ok(Loaded { credential, end })
}

fn failed() -> Result<Loaded, Missing> {
    Err(down())
}

fn down() -> Missing {
    Missing::Failed { place: "a place".to_owned(), why: "down".to_owned(), failure: CredentialsFailure::Other }
}

async fn many(kept: &Kept<Arc<Script>>) -> Vec<Result<String, Missing>> {
    let all = join_all((0..50).map(|_| kept.get())).await;
    all.into_iter().map(|got| got.map(|credential| credential.key_id.clone())).collect()
}

#[tokio::test]
async fn ending_credentials_are_replaced_once_for_many_requests() {
    let now = SystemTime::now();
    let hour = now + Duration::from_secs(3600);
    let (script, kept) = script([keys("old", Some("t"), Some(now)), keys("new", Some("t"), Some(hour))]);
    assert_eq!(kept.get().await.unwrap().key_id, "old");
    assert!(many(&kept).await.iter().all(|got| got.as_deref() == Ok("new")));
    assert!(many(&kept).await.iter().all(|got| got.as_deref() == Ok("new")));
    assert_eq!(script.asked.load(Ordering::SeqCst), 2);
    assert!(!format!("{kept:?}").contains("hush"));
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_waited_and_those_who_come_at_once() {
    let (script, kept) = script([failed()]);
    for _ in 0..2 {
        assert!(many(&kept).await.iter().all(|got| *got == Err(down())));
    }
    assert_eq!(script.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_failure_is_the_answer_for_as_long_as_it_took_to_come() {
    let begun = SystemTime::now();
    let after = |seconds| begun + Duration::from_secs(seconds);
    for (took, last, again) in [(0, 0, 1), (60, 119, 120)] {
        let mut state = State::default();
        assert!(state.take(failed(), begun, after(took)).is_err());
        assert!(state.known(after(last)).is_some_and(|known| known.is_err()));
        assert!(state.known(after(again)).is_none());
        assert!(state.take(keys("good", None, None), after(again), after(again)).is_ok());
        assert!(state.known(after(again)).is_some_and(|known| known.is_ok()));
    }
}

#[test]
fn good_credentials_outlive_a_failure_to_replace_them() {
    let now = SystemTime::now();
    let end = now + Duration::from_secs(100);
    let mut state = State::default();
    assert!(state.take(keys("old", Some("t"), Some(end)), now, now).is_ok());
    let later = now + Duration::from_secs(90);
    assert_eq!(state.take(failed(), later, later).unwrap().key_id, "old");
    assert_eq!(state.held.as_ref().unwrap().renewal, Some(later + PAUSE));
    assert!(state.take(failed(), end, end).is_err());
    assert!(state.held.is_none(), "what has ended is of no use");
}

#[test]
fn credentials_are_replaced_before_their_end() {
    let now = SystemTime::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    for (token, end, expected) in [
        (None, None, None),
        (Some("t"), None, Some(900)),
        (Some("t"), Some(3600), Some(3300)),
        (Some("t"), Some(400), Some(300)),
        (Some("t"), Some(0), Some(0)),
    ] {
        let credential = keys("k", token, None).unwrap().credential;
        assert_eq!(renewal(&credential, end.map(after), now), expected.map(after), "{end:?}");
    }
}

/// Returns true if the cache got different credentials after a server had rejected the current ones.
async fn renewed(kept: &Kept<Arc<Script>>) -> bool {
    let signed = std::time::Instant::now();
    kept.get().await.unwrap();
    kept.look_again(signed).await
}

#[tokio::test]
async fn expired_credentials_are_looked_for_once_for_many_refusals() {
    let hour = SystemTime::now() + Duration::from_secs(3600);
    let (script, kept) = script([keys("old", Some("t"), Some(hour)), keys("new", Some("t"), Some(hour))]);
    kept.get().await.unwrap();
    let signed = std::time::Instant::now();
    let all = join_all((0..50).map(|_| kept.look_again(signed))).await;
    assert!(all.iter().all(|renewed| *renewed));
    assert_eq!(kept.get().await.unwrap().key_id, "new");
    assert_eq!(script.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_source_that_has_no_others_is_not_asked_for_every_refusal() {
    let hour = SystemTime::now() + Duration::from_secs(3600);
    for answer in [keys("old", Some("t"), Some(hour)), failed()] {
        let (script, kept) = script([keys("old", Some("t"), Some(hour)), answer]);
        kept.get().await.unwrap();
        assert!(!renewed(&kept).await);
        assert!(!renewed(&kept).await);
        assert_eq!(kept.get().await.unwrap().key_id, "old");
        assert_eq!(script.asked.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_source_that_had_no_others_is_asked_again_soon() {
    let hour = SystemTime::now() + Duration::from_secs(3600);
    let answers = [keys("old", Some("t"), Some(hour)), failed(), keys("new", Some("t"), Some(hour))];
    let (script, kept) = script(answers);
    kept.get().await.unwrap();
    assert!(!renewed(&kept).await);
    tokio::time::sleep(REJECTED).await;
    assert!(renewed(&kept).await);
    assert_eq!(kept.get().await.unwrap().key_id, "new");
    assert_eq!(script.asked.load(Ordering::SeqCst), 3);
}
