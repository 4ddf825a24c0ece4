//! Whose data wins: objects of other writers, unchanged files, and the loss of the sync state.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pos3::{Conflict, Key, Mirror, Policy, Session, SessionError, SkipReason, SyncBothOptions};

use super::{BUCKET, World, upload, write};

const URL: &str = "s3://bucket/run";

/// How the state is lost while a session runs.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Deleted,
    Damaged,
    Kept,
}

impl Loss {
    fn strike(self, world: &World) {
        let state = world.path("state");
        match self {
            Self::Deleted => fs::remove_dir_all(state).unwrap(),
            Self::Damaged => {
                for file in fs::read_dir(state).unwrap().map(|file| file.unwrap().path()) {
                    let length = fs::metadata(&file).unwrap().len();
                    fs::write(file, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
                }
            }
            Self::Kept => {}
        }
    }
}

fn both() -> SyncBothOptions {
    upload().into()
}

fn read(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).unwrap()
}

/// Ends a session and returns what it left as other writers have it.
async fn left(session: &Session) -> Vec<(Key, SkipReason)> {
    let ending = session.close().await;
    assert!(ending.is_complete(), "{ending:?}");
    let left = ending.uploads[0].left_to_others().collect();
    ending.into_result().unwrap();
    left
}

fn pair(error: &SessionError) -> (&str, &str, &SkipReason) {
    let SessionError::Transfer { conflicts, .. } = error else { panic!("{error}") };
    let [pair] = conflicts.as_slice() else { panic!("{conflicts:?}") };
    (&pair.local, &pair.remote, &pair.why)
}

#[tokio::test]
async fn what_others_store_stays_although_the_state_is_lost_while_a_session_runs() {
    for loss in [Loss::Kept, Loss::Deleted, Loss::Damaged] {
        let world = World::with(&[("run/model", "v1")]);
        let session = world.session();
        let run = session.sync(URL, both()).await.unwrap();
        loss.strike(&world);
        world.put("run/model", "v2");
        session.flush().await.unwrap();
        loss.strike(&world);
        assert_eq!(left(&session).await, [(Key::from("model"), SkipReason::Newer)], "{loss:?}");
        assert_eq!(
            (world.object("run/model").unwrap().as_str(), read(&run, "model").as_str()),
            ("v2", "v1"),
            "{loss:?}"
        );
        // The next sync downloads it, unless nothing is left that shows that the file did not change.
        let later = SystemTime::now() + Duration::from_secs(60);
        world.server.set_modified(BUCKET, "run/model", later);
        let next = world.session().sync(URL, both()).await;
        match loss {
            Loss::Kept => assert_eq!((next.is_ok(), read(&run, "model").as_str()), (true, "v2")),
            Loss::Deleted | Loss::Damaged => {
                assert_eq!(pair(&next.unwrap_err()).2, &SkipReason::Later, "{loss:?}");
                assert_eq!(read(&run, "model"), "v1", "{loss:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_upload_leaves_what_another_writer_stored_in_the_place_of_an_untouched_file() {
    for loss in [Loss::Kept, Loss::Deleted, Loss::Damaged] {
        let world = World::with(&[]);
        let mirror = Mirror::builder(world.builder()).upload("out", URL, upload()).enter().await.unwrap();
        let (session, run) = (mirror.session(), mirror.path("out").unwrap());
        write(run, "model", "ours");
        write(run, "log", "1");
        session.flush().await.unwrap();
        loss.strike(&world);
        world.put("run/model", "theirs");
        session.flush().await.unwrap();
        write(run, "log", "1, 2");
        assert_eq!(left(session).await, [(Key::from("model"), SkipReason::Newer)], "{loss:?}");
        assert_eq!(world.object("run/model").unwrap(), "theirs", "{loss:?}");
        assert_eq!(world.object("run/log").unwrap(), "1, 2", "what the program changed is its output");
    }
}

#[tokio::test]
async fn the_next_run_leaves_it_too_until_the_file_changes_or_overwriting_is_asked_for() {
    let world = World::with(&[]);
    let session = world.session();
    let run = session.upload(URL, upload()).await.unwrap();
    write(&run, "model", "ours");
    session.close().await.into_result().unwrap();
    world.put("run/model", "theirs");
    let again = async |options| {
        let session = world.session();
        session.upload(URL, options).await.unwrap();
        (left(&session).await.len(), world.object("run/model").unwrap())
    };
    assert_eq!(again(upload()).await, (1, "theirs".to_owned()));
    assert_eq!(again(upload()).await, (1, "theirs".to_owned()));
    assert_eq!(again(upload().with_policy(Policy::SourceWins)).await, (0, "ours".to_owned()));
    world.put("run/model", "theirs again");
    // Nobody knows whether this file or the object is the one to keep, for no session saw it change.
    write(&run, "model", "ours again");
    let session = world.session();
    session.upload(URL, upload()).await.unwrap();
    let error = session.close().await.into_result().unwrap_err();
    assert!(error.to_string().contains("model"), "{error}");
    assert_eq!((world.object("run/model").unwrap(), read(&run, "model")), ("theirs again".into(), "ours again".into()));
    let file_wins = upload().with_policy(Policy::UnlessTheirs(Conflict::SourceWins));
    assert_eq!(again(file_wins.clone()).await, (0, "ours again".to_owned()));
    world.put("run/model", "theirs, unlike ours");
    assert_eq!(again(file_wins).await, (1, "theirs, unlike ours".to_owned()), "the file did not change");
    // What the program writes while the session runs is its output.
    let session = world.session();
    session.upload(URL, upload()).await.unwrap();
    write(&run, "model", "ours, once more");
    assert_eq!((left(&session).await.len(), world.object("run/model").unwrap()), (0, "ours, once more".to_owned()));
}

/// Two machines with one home directory, and so one state directory, and disks of their own.
#[tokio::test]
async fn the_state_of_another_machine_makes_no_untouched_file_newer() {
    for two_way in [true, false] {
        let world = World::with(&[]);
        let register = async |session: &Session| match two_way {
            true => session.sync(URL, both()).await.unwrap(),
            false => session.upload(URL, upload()).await.unwrap(),
        };
        let here = world.session();
        let run = register(&here).await;
        write(&run, "model", "v1");
        here.flush().await.unwrap();

        let aside = world.path("this disk");
        fs::rename(&run, &aside).unwrap();
        let there = world.session();
        register(&there).await;
        write(&run, "model", "v2, of the other machine");
        there.close().await.into_result().unwrap();
        fs::remove_dir_all(&run).unwrap();
        fs::rename(&aside, &run).unwrap();

        assert_eq!(left(&here).await, [(Key::from("model"), SkipReason::Newer)], "{two_way}");
        assert_eq!(world.object("run/model").unwrap(), "v2, of the other machine", "{two_way}");
        if !two_way {
            // The next run knows only what the other machine noted, and that its own file is older than that.
            let next = world.session();
            register(&next).await;
            let error = next.close().await.into_result().unwrap_err();
            assert!(error.to_string().contains("conflict: both sides have changed"), "{error}");
            assert_eq!(world.object("run/model").unwrap(), "v2, of the other machine");
        }
    }
}

#[tokio::test]
async fn a_key_that_another_writer_removed_is_not_uploaded_again() {
    let world = World::with(&[("run/gone", "1"), ("run/kept", "1")]);
    let session = world.session();
    let run = session.sync(URL, both()).await.unwrap();
    world.server.remove(BUCKET, "run/gone");
    session.flush().await.unwrap();
    Loss::Deleted.strike(&world);
    session.flush().await.unwrap();
    assert_eq!(left(&session).await, [(Key::from("gone"), SkipReason::Removed)]);
    assert_eq!((world.keys(), read(&run, "gone").as_str()), (vec!["run/kept".to_owned()], "1"));

    let world = World::with(&[("run/gone", "1"), ("run/kept", "1")]);
    let first = world.session();
    let run = first.sync(URL, both()).await.unwrap();
    first.close().await.into_result().unwrap();
    world.server.remove(BUCKET, "run/gone");
    for _ in 0..2 {
        let session = world.session();
        session.sync(URL, both()).await.unwrap();
        let extra = session.status()[0].last_report.as_ref().unwrap().tally.extra;
        assert_eq!(extra, 1, "the download counts it");
        assert_eq!(left(&session).await, [(Key::from("gone"), SkipReason::Removed)]);
        assert_eq!((world.keys(), read(&run, "gone").as_str()), (vec!["run/kept".to_owned()], "1"));
    }
    // A file that is written again is output. With local deletes, an unchanged file is deleted.
    let session = world.session();
    session.sync(URL, both()).await.unwrap();
    write(&run, "gone", "2");
    assert!(left(&session).await.is_empty());
    assert_eq!(world.object("run/gone").unwrap(), "2");
    world.server.remove(BUCKET, "run/gone");
    let session = world.session();
    session.sync(URL, both().with_delete_local(true)).await.unwrap();
    assert!(!run.join("gone").exists());
    session.close().await.into_result().unwrap();
    assert_eq!(world.keys(), ["run/kept"]);
}

#[tokio::test]
async fn without_its_state_a_file_that_differs_from_its_object_is_in_conflict() {
    for ahead in [0, 600, -600] {
        let world = World::with(&[("run/model", "step-001")]);
        world.server.configure(|settings| settings.clock_ahead = ahead);
        let by_the_server = |seconds: i64| {
            let time = SystemTime::now() + Duration::from_secs(3600);
            time - Duration::from_secs(u64::try_from(3600 - ahead - seconds).unwrap())
        };
        // Stored a moment ago by the server's clock, whatever that shows.
        world.server.set_modified(BUCKET, "run/model", by_the_server(-5));
        let session = world.session();
        let run = session.sync(URL, both()).await.unwrap();
        write(&run, "model", "step-002");
        drop(session);
        Loss::Deleted.strike(&world);
        let error = world.session().sync(URL, both()).await.unwrap_err();
        let local = run.join("model").display().to_string();
        assert_eq!(pair(&error), (local.as_str(), "s3://bucket/run/model", &SkipReason::Later), "{ahead}");
        assert!(error.to_string().contains(&format!("'{local}' and 's3://bucket/run/model' conflict: ")), "{error}");
        assert_eq!(
            (read(&run, "model").as_str(), world.object("run/model").unwrap().as_str()),
            ("step-002", "step-001")
        );

        // The file may be output that is nowhere else, so an object that is later for sure is in conflict, too.
        world.put("run/model", "step-003, of another machine");
        world.server.set_modified(BUCKET, "run/model", by_the_server(30));
        Loss::Deleted.strike(&world);
        let error = world.session().sync(URL, both()).await.unwrap_err();
        assert_eq!(pair(&error).2, &SkipReason::Later, "{ahead}");
        assert_eq!(read(&run, "model"), "step-002", "{ahead}");
    }
}

/// A key that both sides got while nothing was remembered of it: neither is output of the other.
#[tokio::test]
async fn a_new_file_does_not_replace_an_object_that_appeared_after_it() {
    let world = World::with(&[("run/other", "x")]);
    let session = world.session();
    let run = session.sync(URL, both()).await.unwrap();
    write(&run, "report", "ours");
    world.put("run/report", "theirs");
    world.server.set_modified(BUCKET, "run/report", SystemTime::now() + Duration::from_secs(30));
    let ending = session.close().await;
    let error = ending.uploads[0].error.as_ref().unwrap();
    assert_eq!(pair(error).1, "s3://bucket/run/report");
    assert_eq!(ending.uploads[0].missing, [Key::from("report")]);
    assert_eq!((world.object("run/report").unwrap().as_str(), read(&run, "report").as_str()), ("theirs", "ours"));
}

/// Steps of a program, of another writer, and of bad luck, in an order that depends on a seed.
#[tokio::test]
async fn whatever_is_lost_no_output_is_overwritten_that_was_not_uploaded_and_nothing_untouched_is_uploaded() {
    for seed in 1..=6u64 {
        let mut luck = Luck(seed);
        let world = World::with(&[]);
        let mut session = world.session();
        let run = session.sync(URL, both()).await.unwrap();
        // What the program wrote and no upload has brought to the bucket.
        let mut unsaved = [None, None];
        for step in 0..30u64 {
            let which = luck.below(2);
            let (name, content) = (["a", "b"][which], format!("content {step}"));
            let key = format!("run/{name}");
            let before = ["run/a", "run/b"].map(|key| world.object(key));
            let did = luck.below(7);
            match did {
                0 | 1 => {
                    write(&run, name, &content);
                    unsaved[which] = Some(content);
                }
                2 => world.server.put(BUCKET, &key, content),
                3 => world.server.remove(BUCKET, &key),
                4 => drop(fs::remove_dir_all(world.path("state"))),
                5 => drop(session.flush().await),
                _ => {
                    if luck.below(2) == 0 {
                        let _conflicts_are_told = session.close().await;
                    }
                    drop(session);
                    session = world.session();
                    while let Err(error) = session.sync(URL, both()).await {
                        let (local, ..) = pair_of(&error);
                        let which = usize::from(local.ends_with("/b"));
                        if let Some(output) = unsaved[which].take() {
                            assert_eq!(fs::read_to_string(&local).unwrap(), output, "{seed} {step}");
                        }
                        fs::remove_file(local).unwrap();
                    }
                }
            }
            for (which, key) in ["run/a", "run/b"].into_iter().enumerate() {
                let (was, is, local) =
                    (&before[which], world.object(key), fs::read_to_string(run.join(["a", "b"][which])).ok());
                let is_uploaded = did > 4 && is != *was;
                // An entry without a row that is missing on one side is treated as new on the other.
                assert!(
                    !is_uploaded || was.is_none() || is == unsaved[which],
                    "{seed} {step}: {was:?} became {is:?} for {unsaved:?}"
                );
                if is_uploaded {
                    unsaved[which] = None;
                }
                assert!(
                    unsaved[which].is_none() || unsaved[which] == local,
                    "{seed} {step}: {local:?} for {unsaved:?}"
                );
            }
        }
        drop(session.close().await);
    }
}

/// Returns the first of the pairs in conflict.
fn pair_of(error: &SessionError) -> (String, String) {
    let SessionError::Transfer { conflicts, .. } = error else { panic!("{error}") };
    (conflicts[0].local.clone(), conflicts[0].remote.clone())
}

/// Numbers that look random and are the same each time (xorshift).
struct Luck(u64);

impl Luck {
    fn below(&mut self, limit: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 20) % limit).unwrap()
    }
}
