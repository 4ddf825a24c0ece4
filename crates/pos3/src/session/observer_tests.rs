//! Observers that receive the registration of each event.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use pos3_core::Event;

use super::tests::{World, upload, write};
use super::*;

/// The kind, location and directory of a registration, and an event of it.
type Seen = BTreeSet<(String, String)>;

fn note(seen: &Mutex<Seen>, registration: Option<&Registered>, event: &Event<'_>) {
    let event = match event {
        Event::Decided(action) => format!("decided {}", action.key()),
        Event::Done(action) => format!("done {}", action.key()),
        Event::Warning(_) => "warning".to_owned(),
        _ => return,
    };
    let registration = registration.map_or_else(String::new, |Registered { location, local, kind }| {
        format!("{kind} {location} in {}", local.file_name().unwrap().display())
    });
    seen.lock().unwrap().insert((registration, event));
}

#[tokio::test]
async fn an_observer_receives_the_registration_of_each_event() {
    let world = World::with(&[("in/1", "a"), ("both/2", "b")]).await;
    let seen = Arc::new(Mutex::new(Seen::new()));
    let observer = seen.clone();
    let builder = world.builder().session_observer(move |registration: Option<&Registered>, event: &Event<'_>| {
        note(&observer, registration, event);
    });
    let session = builder.open().unwrap();
    session.download("memory://b/in", DownloadOptions::default()).await.unwrap();
    let both = session.sync("memory://b/both", SyncBothOptions::default()).await.unwrap();
    let out = session.upload("memory://b/run/out", upload().with_local(world.path("results"))).await.unwrap();
    write(&both, "3", "c");
    write(&out, "4", "d");
    session.plan_upload("memory://b/run/out", upload().with_local(world.path("results"))).await.unwrap();
    session.flush().await.unwrap();
    // A session that is dropped without an end warns of each upload.
    drop(session);
    let (input, both) = ("download memory://b/in in in", "sync memory://b/both in both");
    let out = "upload memory://b/run/out in results";
    let expected = [
        (input, "decided 1"),
        (input, "done 1"),
        (both, "decided 2"),
        (both, "decided 3"),
        (both, "done 2"),
        (both, "done 3"),
        (both, "warning"),
        (out, "decided 4"),
        (out, "done 4"),
        (out, "warning"),
    ];
    let expected = expected.map(|(registration, event)| (registration.to_owned(), event.to_owned()));
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from(expected));
}
