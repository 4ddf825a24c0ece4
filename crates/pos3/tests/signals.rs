//! Sends real signals to this process while a session works. It is the only test in this binary, because a signal
//! affects all tests in a process.
#![cfg(all(unix, feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::time::{Duration, Instant};

use pos3::blocking::{self, Session};
use pos3::{Mirror, MirrorBuilder, Registry, ScopeError, UploadOptions};

fn signal_this_process(signal: &str) {
    assert!(Command::new("kill").args([signal, &std::process::id().to_string()]).status().unwrap().success());
}

fn wait_for_it(interrupted: impl Fn() -> Option<&'static str>) -> &'static str {
    let begin = Instant::now();
    loop {
        if let Some(signal) = interrupted() {
            return signal;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "the signal never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Signals are everybody's, so these run one after the other.
#[test]
fn signals_end_sessions_and_mirrors() {
    a_computation_is_not_interrupted_and_can_ask_whether_a_signal_came();
    two_signals_while_the_work_keeps_its_thread_busy_are_one();
    a_signal_ends_a_mirror_as_an_error();
}

fn a_computation_is_not_interrupted_and_can_ask_whether_a_signal_came() {
    let cache = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let open = || {
        let builder = pos3::Session::builder().registry(registry.clone()).cache_root(cache.path()).on_signals();
        Session::open(builder).unwrap()
    };
    let compute = |session: &Session| {
        let out = session.upload("memory://bucket/run", UploadOptions::default()).unwrap();
        assert_eq!(session.interrupted(), None);
        signal_this_process("-TERM");
        wait_for_it(|| session.interrupted());
        std::fs::write(out.join("result"), "1").unwrap();
        session.interrupted().unwrap()
    };
    // What is done in spite of it is done.
    assert_eq!(open().scope(|session| Ok::<_, String>(compute(session))).unwrap(), "SIGTERM");
    let listed = open().ls("memory://bucket/run", pos3::Depth::Recursive).unwrap();
    assert_eq!(files(&listed), ["memory://bucket/run/result"]);
    let error = open().scope(|session| Err::<(), _>(compute(session).to_owned())).unwrap_err();
    assert!(matches!(&error, ScopeError::Body { error, .. } if error == "SIGTERM"), "{error}");
}

fn two_signals_while_the_work_keeps_its_thread_busy_are_one() {
    let registry = Registry::default();
    let cache = tempfile::tempdir().unwrap();
    let builder = || pos3::Session::builder().registry(registry.clone()).cache_root(cache.path()).on_signals();
    let work = |out: &std::path::Path, name: &str| {
        std::fs::write(out.join(name), vec![7; 3_000_000]).unwrap();
        signal_this_process("-INT");
        signal_this_process("-QUIT");
        signal_this_process("-TERM");
    };
    // On a thread that waits, and on the thread that also serves the runtime, which has not received the signals yet.
    let session = Session::open(builder()).unwrap();
    let waiting = session.scope(|session| {
        let out = session.upload("memory://bucket/waiting", UploadOptions::default()).unwrap();
        work(&out, "result");
        wait_for_it(|| session.interrupted());
        Ok::<_, String>(())
    });
    waiting.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let busy = runtime.block_on(async {
        let session = builder().open().unwrap();
        let body = async |session: &pos3::Session| {
            let out = session.upload("memory://bucket/busy", UploadOptions::default()).await.unwrap();
            work(&out, "result");
            Ok::<_, String>(())
        };
        session.scope(body).await
    });
    busy.unwrap();
    let listed = Session::open(builder()).unwrap().ls("memory://bucket/", pos3::Depth::Recursive).unwrap();
    assert_eq!(files(&listed), ["memory://bucket/busy/result", "memory://bucket/waiting/result"]);
}

fn a_signal_ends_a_mirror_as_an_error() {
    let registry = Registry::default();
    let cache = tempfile::tempdir().unwrap();
    let declared = |name: &str, is_kept: bool| -> MirrorBuilder {
        let session = pos3::Session::builder().registry(registry.clone()).cache_root(cache.path()).on_signals();
        let options = UploadOptions::default().with_sync_on_error(is_kept);
        Mirror::builder(session).upload("out", format!("memory://bucket/{name}"), options)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let mirror = declared("kept", true).enter().await.unwrap();
        let body = async |mirror: &Mirror| {
            std::fs::write(mirror.path("out").unwrap().join("a"), "1").unwrap();
            signal_this_process("-HUP");
            std::future::pending::<Result<(), String>>().await
        };
        mirror.scope(body).await
    });
    assert!(matches!(ended, Err(ScopeError::Interrupted { signal: "SIGHUP", .. })), "{ended:?}");
    let mirror = blocking::Mirror::enter(declared("blocking", true)).unwrap();
    let ended = mirror.scope(|mirror| {
        std::fs::write(mirror.path("out").unwrap().join("a"), "1").unwrap();
        signal_this_process("-TERM");
        Err::<(), _>(wait_for_it(|| mirror.session().interrupted()).to_owned())
    });
    assert!(matches!(ended, Err(ScopeError::Body { .. })), "{ended:?}");
    let listing = Session::open(pos3::Session::builder().registry(registry.clone())).unwrap();
    let listed = listing.ls("memory://bucket/", pos3::Depth::Recursive).unwrap();
    assert_eq!(files(&listed), ["memory://bucket/blocking/a", "memory://bucket/kept/a"]);
}

/// Returns the locations of the files of a listing.
fn files(listed: &[pos3::Listed]) -> Vec<String> {
    let files = listed.iter().filter(|one| one.entry.kind == pos3::Kind::File);
    files.map(|one| one.location.to_string()).collect()
}
