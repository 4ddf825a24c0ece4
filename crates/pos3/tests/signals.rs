//! A real signal to this very process while a blocking session computes. It is the only test of this binary: a signal is
//! everybody's who listens in a process.
#![cfg(all(unix, feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::time::{Duration, Instant};

use pos3::blocking::Session;
use pos3::{Registry, ScopeError, UploadOptions};

fn terminate_this_process() {
    assert!(Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().unwrap().success());
}

#[test]
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
        terminate_this_process();
        let begin = Instant::now();
        while session.interrupted().is_none() {
            assert!(begin.elapsed() < Duration::from_secs(60), "the signal never came");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::write(out.join("result"), "1").unwrap();
        session.interrupted().unwrap()
    };
    // What is done in spite of it is done.
    assert_eq!(open().scope(|session| Ok::<_, String>(compute(session))).unwrap(), "SIGTERM");
    let listed = open().ls("memory://bucket/run", pos3::Depth::Recursive).unwrap();
    assert_eq!(listed, ["memory://bucket/run/result"]);
    let error = open().scope(|session| Err::<(), _>(compute(session).to_owned())).unwrap_err();
    assert!(matches!(&error, ScopeError::Body { error, .. } if error == "SIGTERM"), "{error}");
}
