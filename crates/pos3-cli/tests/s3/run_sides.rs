//! `run`: which side wins. An unchanged file replaces nothing, output that was not uploaded is not overwritten, and the
//! object of a file that is removed and written again is not deleted.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::{Value, json};

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::signals::kill;

const SYNC: [&str; 2] = ["--sync", "c=s3://data/c"];

fn local(cloud: &Cloud, name: &str) -> PathBuf {
    cloud.program.path("cache/_/data/c").join(name)
}

fn report(cloud: &Cloud) -> Value {
    serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap()
}

/// Makes a second step of a checkpoint, of which the command line is killed before it is uploaded.
fn killed_before_the_upload(cloud: &Cloud, places: &[&str]) {
    let ended = run(cloud, &sh(places, r#"echo step-001 > "$POS3_PATH_C/model""#));
    assert_eq!((ended.code, stored(cloud, "c/model").as_deref()), (Some(0), Some("step-001\n")), "{ended:?}");
    let script = r#"echo step-002 > "$POS3_PATH_C/model"; echo written; exec sleep 3"#;
    let mut child = start(cloud, &sh(places, script));
    wait_for(&mut child, "written");
    kill("-KILL", &child);
    child.wait().unwrap();
    assert_eq!(stored(cloud, "c/model").unwrap(), "step-001\n");
}

#[test]
fn what_was_not_uploaded_is_not_overwritten_when_the_state_is_lost() {
    type Lose = fn(&Cloud);
    let deleted: Lose = |cloud| fs::remove_dir_all(cloud.program.state()).unwrap();
    let damaged: Lose = |cloud| {
        for file in fs::read_dir(cloud.program.state()).unwrap().map(|file| file.unwrap().path()) {
            let length = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
            fs::write(file, vec![0x5a; length]).unwrap();
        }
    };
    let never: Lose = |_| {};
    for (places, lose) in
        [(&SYNC[..], deleted), (&SYNC[..], damaged), (&["--sync", "c=s3://data/c", "--no-manifest"][..], never)]
    {
        let cloud = Cloud::new(&[]);
        killed_before_the_upload(&cloud, places);
        lose(&cloud);
        let ended = run(&cloud, &sh(places, "echo started"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        let pair = format!("'{}' and 's3://data/c/model' conflict: ", local(&cloud, "model").display());
        assert!(ended.err.contains(&pair) && ended.err.contains("\nhint: compare the two; "), "{}", ended.err);
        assert!(ended.err.contains("pos3 does not know which one is newer"), "{}", ended.err);
        let upload = format!("pos3-cli upload 's3://data/c/model' --local '{}'\n", local(&cloud, "model").display());
        assert!(ended.err.contains(&upload), "{}", ended.err);
        assert_eq!(fs::read_to_string(local(&cloud, "model")).unwrap(), "step-002\n");
        assert_eq!(stored(&cloud, "c/model").unwrap(), "step-001\n");

        // Both ways out that the hint names.
        let path = local(&cloud, "model").display().to_string();
        let uploaded = cloud.run(&["upload", "s3://data/c/model", "--local", &path, "-q"]);
        assert_eq!((uploaded.code, stored(&cloud, "c/model").as_deref()), (Some(0), Some("step-002\n")));
        assert_eq!(run(&cloud, &sh(places, "true")).code, Some(0));
    }
}

#[test]
fn what_was_not_uploaded_goes_on_as_before_where_the_state_is_there() {
    let cloud = Cloud::new(&[]);
    killed_before_the_upload(&cloud, &SYNC);
    let ended = run(&cloud, &sh(&SYNC, r#"cat "$POS3_PATH_C/model""#));
    assert_eq!((ended.code, ended.out.trim_end()), (Some(0), "step-002"), "{ended:?}");
    assert_eq!(stored(&cloud, "c/model").unwrap(), "step-002\n");
}

#[test]
fn output_that_was_not_uploaded_survives_the_loss_of_the_state_and_a_later_object() {
    let cloud = Cloud::new(&[]);
    killed_before_the_upload(&cloud, &SYNC);
    fs::remove_dir_all(cloud.program.state()).unwrap();
    cloud.server.put(BUCKET, "c/model", "step-003\n");
    cloud.server.set_modified(BUCKET, "c/model", SystemTime::now() + Duration::from_secs(60));
    let ended = run(&cloud, &sh(&SYNC, "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    let pair = format!("'{}' and 's3://data/c/model' conflict: ", local(&cloud, "model").display());
    assert!(ended.err.contains(&pair) && ended.err.contains("\nhint: compare the two; "), "{}", ended.err);
    assert_eq!(fs::read_to_string(local(&cloud, "model")).unwrap(), "step-002\n");
    assert_eq!(stored(&cloud, "c/model").unwrap(), "step-003\n");

    // What is equal is no conflict, whatever is known of it.
    cloud.server.put(BUCKET, "c/model", "step-002\n");
    let ended = run(&cloud, &sh(&SYNC, "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "started\n"), "{ended:?}");
}

#[test]
fn an_object_that_another_writer_replaced_stays_and_is_named_when_the_program_removes_its_file() {
    for kind in ["--sync", "--upload"] {
        let cloud = Cloud::new(&[]);
        let places = [kind, "c=s3://data/c", "--delete-remote", "--json-report", "report"];
        let first = r#"for f in model theirs kept; do echo 1 > "$POS3_PATH_C/$f"; done"#;
        assert_eq!(run(&cloud, &sh(&places, first)).code, Some(0));
        let script = r#"echo ready; while [ ! -f "$PWD/go" ]; do sleep 0.02; done; rm "$POS3_PATH_C"/model "$POS3_PATH_C"/theirs"#;
        let mut child = start(&cloud, &sh(&places, script));
        let _out = wait_for(&mut child, "ready");
        cloud.server.put(BUCKET, "c/theirs", "2\n");
        // An object that this machine never had is not named.
        cloud.server.put(BUCKET, "c/other", "x");
        fs::write(cloud.program.path("go"), "").unwrap();
        let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{kind}: {ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), ["c/kept", "c/other", "c/theirs"], "{kind}");
        let said = "  not deleted, because another writer replaced it: s3://data/c/theirs\n";
        assert!(ended.err.contains(said) && !ended.err.contains("c/other"), "{}", ended.err);
        let left = report(&cloud)["uploads"][0]["left_to_others"].clone();
        assert_eq!((left[0]["key"].clone(), left[1].clone()), (json!("theirs"), json!(null)), "{left}");
        assert_eq!((stored(&cloud, "c/theirs").as_deref(), local(&cloud, "theirs").exists()), (Some("2\n"), false));
    }
}

#[test]
fn every_pair_in_conflict_is_named() {
    let cloud = Cloud::new(&[("cache/_/data/c/a", "ours"), ("cache/_/data/c/b", "ours")]);
    let cloud = cloud.with_objects(&[("c/a", "theirs"), ("c/b", "theirs")]);
    let ended = run(&cloud, &sh(&SYNC, "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    for name in ["a", "b"] {
        let line = format!("conflict: '{}' and 's3://data/c/{name}'\n", local(&cloud, name).display());
        assert!(ended.err.contains(&line), "{}", ended.err);
    }
}

#[test]
fn an_object_that_another_writer_replaced_is_left_at_every_upload_and_by_the_next_run() {
    for more in [None, Some("--delete-remote")] {
        let cloud = Cloud::new(&[]);
        let mut places = vec!["--upload", "e=s3://data/e", "--interval", "0.2", "--json-report", "report"];
        places.extend(more);
        let script = r#"[ -f "$POS3_PATH_E/model" ] || echo ours > "$POS3_PATH_E/model"
            echo ready; while [ ! -f "$POS3_PATH_E/end" ]; do sleep 0.05; done; rm "$POS3_PATH_E/end""#;
        let end = cloud.program.path("cache/_/data/e/end");
        for round in 0..2 {
            let mut child = start(&cloud, &sh(&places, script));
            let _out = wait_for(&mut child, "ready");
            if round == 0 {
                wait_until("nothing is uploaded", || stored(&cloud, "e/model").is_some());
                cloud.server.put(BUCKET, "e/model", "theirs");
            }
            cloud.server.reset_requests();
            wait_until("nothing is listed", || cloud.server.requests().of(Operation::ListObjectsV2) > 3);
            assert_eq!(stored(&cloud, "e/model").unwrap(), "theirs", "round {round}");
            fs::write(&end, "").unwrap();
            let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_eq!(stored(&cloud, "e/model").unwrap(), "theirs", "round {round}");
            let said = "  not uploaded, because another writer replaced it: s3://data/e/model\n";
            assert!(ended.err.contains(said), "{}", ended.err);
            let left = &report(&cloud)["uploads"][0]["left_to_others"];
            assert_eq!(left[0]["key"], json!("model"), "{left}");
        }
        let once = cloud.run(&["upload", "s3://data/e", "-q"]);
        assert_eq!(once.code, Some(0), "{once:?}");
        assert_eq!(stored(&cloud, "e/model").unwrap(), "ours\n", "the command makes the target like the source");
    }
}

#[test]
fn an_output_that_the_program_removes_for_a_moment_never_loses_its_object() {
    let cloud = Cloud::new(&[]);
    let places = ["--sync", "c=s3://data/c", "--interval", "1", "--delete-remote"];
    let script = r#"echo 1 > "$POS3_PATH_C/model"; echo 1 > "$POS3_PATH_C/other"; echo ready; exec sleep 60"#;
    let mut child = start(&cloud, &sh(&places, script));
    let _out = wait_for(&mut child, "ready");
    wait_until("nothing is uploaded", || stored(&cloud, "c/model").is_some() && stored(&cloud, "c/other").is_some());
    let looks = || cloud.server.requests().of(Operation::ListObjectsV2);
    let deletes = || cloud.server.requests().of(Operation::DeleteObjects);
    for round in 2..5 {
        // One look finds it absent, the next one finds it again.
        let before = looks();
        fs::remove_file(local(&cloud, "model")).unwrap();
        wait_until("nobody looks", || looks() > before);
        fs::write(local(&cloud, "model"), format!("{round}")).unwrap();
        wait_until("it is not uploaded", || stored(&cloud, "c/model").as_deref() == Some(&format!("{round}")));
        assert_eq!(deletes(), 0, "round {round}");
    }
    let before = looks();
    fs::remove_file(local(&cloud, "model")).unwrap();
    wait_until("nothing is listed", || looks() > before + 3);
    kill("-KILL", &child);
    child.wait().unwrap();
    assert_eq!((deletes(), stored(&cloud, "c/model").is_some()), (0, true), "only a clean end deletes");
}

#[test]
fn what_was_removed_remotely_is_not_uploaded_again_and_stays_here() {
    let cloud = Cloud::new(&[]).with_objects(&[("c/gone", "1"), ("c/kept", "1")]);
    assert_eq!(run(&cloud, &sh(&SYNC, "true")).code, Some(0));
    cloud.server.remove(BUCKET, "c/gone");
    for _ in 0..2 {
        let ended = run(&cloud, &sh(&[&SYNC[..], &["--json-report", "report"]].concat(), r#"ls "$POS3_PATH_C""#));
        assert_eq!((ended.code, ended.out.trim_end()), (Some(0), "gone\nkept"), "{ended:?}");
        let said = "  not uploaded, because another writer removed it: s3://data/c/gone\n";
        assert!(ended.err.contains(said), "{}", ended.err);
        assert_eq!(report(&cloud)["uploads"][0]["left_to_others"][0]["key"], json!("gone"));
        assert_eq!(cloud.server.keys(BUCKET), ["c/kept"]);
    }
    let ended = run(&cloud, &sh(&[&SYNC[..], &["--delete-local"]].concat(), r#"ls "$POS3_PATH_C""#));
    assert_eq!((ended.code, ended.out.trim_end()), (Some(0), "kept"), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["c/kept"]);
}

#[test]
fn local_files_that_an_input_does_not_have_are_counted() {
    let cloud = Cloud::new(&[("cache/_/data/in/old", "x"), ("cache/_/data/in/older", "x")]);
    let cloud = cloud.with_objects(&[("in/a", "1")]);
    let places = ["--download", "in=s3://data/in", "--json-report", "report"];
    let ended = run(&cloud, &sh(&places, "true"));
    let here = cloud.program.path("cache/_/data/in");
    let said = format!(
        "in: 1 file (1 B) fetched from s3://data/in, 0 here already; 2 files only in {}, kept (--delete-local removes them)\n",
        here.display()
    );
    assert!(ended.err.starts_with(&said), "{}", ended.err);
    let input = &report(&cloud)["inputs"][0];
    assert_eq!((&input["name"], &input["files"], &input["extra"]), (&json!("in"), &json!(1), &json!(2)), "{input}");
    let ended = run(&cloud, &sh(&[&places[..], &["--delete-local"]].concat(), "true"));
    assert!(
        ended.err.starts_with("in: 0 files (0 B) fetched from s3://data/in, 1 here already; 2 files deleted here\n"),
        "{}",
        ended.err
    );
    let input = &report(&cloud)["inputs"][0];
    assert_eq!((&input["deleted"], &input["extra"]), (&json!(2), &json!(0)), "{input}");
}

#[test]
fn local_files_that_were_not_uploaded_yet_are_kept_and_counted_as_such() {
    let cloud = Cloud::new(&[]);
    let both = r#"echo 1 > "$POS3_PATH_C/changed"; echo 1 > "$POS3_PATH_C/same""#;
    assert_eq!(run(&cloud, &sh(&SYNC, both)).code, Some(0));
    let script = r#"echo 2 > "$POS3_PATH_C/changed"; echo 2 > "$POS3_PATH_C/new"; exit 7"#;
    assert_eq!(run(&cloud, &sh(&SYNC, script)).code, Some(7));
    let line = [&SYNC[..], &["--delete-local", "--json-report", "report"]].concat();
    let ended = run(&cloud, &sh(&line, "true"));
    let said = format!(
        "c: 0 files (0 B) fetched from s3://data/c, 1 here already; 1 file changed here and kept, because not uploaded yet; \
         1 file only in {}, kept, because not known to be stored there\n",
        cloud.program.path("cache/_/data/c").display()
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.starts_with(&said), "{}", ended.err);
    let input = &report(&cloud)["inputs"][0];
    assert_eq!((&input["changed_here"], &input["extra"], &input["deleted"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(stored(&cloud, "c/new").unwrap(), "2\n");
}

#[test]
fn without_its_state_an_upload_replaces_no_object_by_a_file_from_before_the_session() {
    for (place, key, shape) in [("m=s3://data/m", "m/a", "--upload"), ("m=s3://data/m", "m", "--upload-file")] {
        let make = |text: &str| {
            let file = if shape == "--upload" { "$POS3_PATH_M/a" } else { "$POS3_PATH_M" };
            format!(r#"echo {text} > "{file}""#)
        };
        for (when, text) in [(60, None), (-60, None), (60, Some("v3"))] {
            let cloud = Cloud::new(&[]);
            let line = [shape, place];
            assert_eq!(run(&cloud, &sh(&line, &make("v1"))).code, Some(0));
            cloud.server.put(BUCKET, key, "v2");
            let now = SystemTime::now();
            let age = Duration::from_secs(60);
            cloud.server.set_modified(BUCKET, key, if when > 0 { now + age } else { now - age });
            fs::remove_dir_all(cloud.program.state()).unwrap();
            let ended = run(&cloud, &sh(&line, &text.map_or("true".to_owned(), &make)));
            let (code, left) = match text {
                Some(_) => (0, "v3\n"),
                None => (1, "v2"),
            };
            let found = (ended.code, stored(&cloud, key));
            assert_eq!(found, (Some(code), Some(left.to_owned())), "{shape} {when} {text:?} {ended:?}");
            assert_eq!(ended.err.contains("conflict"), code == 1, "{}", ended.err);
        }
    }
}

#[test]
fn what_a_failed_run_left_replaces_nothing_that_others_stored_since_then() {
    for end in [&["--upload", "c=s3://data/c"][..], &["--upload", "c=s3://data/c", "--interval", "1"]] {
        let cloud = Cloud::new(&[]).with_objects(&[("c/a", "base"), ("c/b", "base")]);
        let failed = run(&cloud, &sh(&SYNC, r#"echo mine > "$POS3_PATH_C/a"; echo mine > "$POS3_PATH_C/b"; exit 7"#));
        assert_eq!((failed.code, stored(&cloud, "c/a").as_deref()), (Some(7), Some("base")), "{failed:?}");
        cloud.server.put(BUCKET, "c/a", "theirs");
        cloud.server.put(BUCKET, "c/b", "theirs");
        // What the program of this run writes is its output.
        let later = run(&cloud, &sh(end, r#"echo again > "$POS3_PATH_C/b""#));
        assert_eq!(later.code, Some(1), "{later:?}");
        let pair = format!("'{}' and 's3://data/c/a' conflict: both sides have changed", local(&cloud, "a").display());
        assert!(later.err.contains(&pair), "{}", later.err);
        let found = (stored(&cloud, "c/a").unwrap(), stored(&cloud, "c/b").unwrap());
        assert_eq!((found.0.as_str(), found.1.as_str()), ("theirs", "again\n"));
        assert_eq!(fs::read_to_string(local(&cloud, "a")).unwrap(), "mine\n");
        assert_eq!(cloud.run(&["upload", "s3://data/c", "-q"]).code, Some(0));
        assert_eq!(stored(&cloud, "c/a").unwrap(), "mine\n", "it was asked for");
    }
}

/// A home directory on the network, and a cache at the same path on a disk of each machine.
#[test]
fn a_state_that_machines_share_makes_no_file_of_one_of_them_newer() {
    let write = |text: &str| format!(r#"echo {text} > "$POS3_PATH_C/model""#);
    type Touch = fn(&Cloud);
    let chmod: Touch = |cloud| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(local(cloud, "model"), mode).unwrap();
    };
    let failed_run: Touch = |cloud| {
        let script = r#"echo v1-and-more > "$POS3_PATH_C/model"; exit 3"#;
        assert_eq!(run(cloud, &sh(&["--upload", "c=s3://data/c"], script)).code, Some(3));
    };
    for (touch, here) in [(chmod, "v1\n"), (failed_run, "v1-and-more\n")] {
        let cloud = Cloud::new(&[]).with_objects(&[("c/model", "base")]);
        let exchange = |from: &str, to: &str| {
            fs::rename(cloud.program.path("cache"), cloud.program.path(from)).unwrap();
            fs::create_dir_all(cloud.program.path(to)).unwrap();
            fs::rename(cloud.program.path(to), cloud.program.path("cache")).unwrap();
        };
        assert_eq!(run(&cloud, &sh(&SYNC, &write("v1"))).code, Some(0));
        exchange("one", "two");
        assert_eq!(run(&cloud, &sh(&SYNC, &write("v2"))).code, Some(0));
        exchange("two", "one");
        touch(&cloud);
        let ended = run(&cloud, &sh(&SYNC, "true"));
        assert_eq!((ended.code, stored(&cloud, "c/model").as_deref()), (Some(1), Some("v2\n")), "{ended:?}");
        assert_eq!(fs::read_to_string(local(&cloud, "model")).unwrap(), here);
    }
}

#[test]
fn a_place_that_is_a_local_path_is_named() {
    let cloud = Cloud::new(&[("in/a", "1")]);
    let places = ["--upload", "o=data/run-7", "--download", "i=in", "--sync", "s=both", "--upload-file", "f=data/file"];
    let ended = run(&cloud, &sh(&[&places[..], &["--json-report", "report"]].concat(), r#"echo 1 > "$POS3_PATH_F""#));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in [
        "o: data/run-7 is a local directory, nothing is uploaded\n",
        "i: in is a local directory, nothing is downloaded\n",
        "s: both is a local directory, nothing is downloaded or uploaded\n",
        "f: data/file is a local file, nothing is uploaded\n",
    ] {
        assert!(ended.err.contains(line), "{}", ended.err);
    }
    let report = report(&cloud);
    let names: Vec<_> =
        report["local"].as_array().unwrap().iter().map(|place| place["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["i", "o", "f", "s"], "{report}");
}

#[test]
fn an_empty_variable_of_an_option_is_one_that_is_not_set() {
    let cloud = Cloud::new(&[]);
    let line = ["upload", "s3://data/x", "--local", "x", "-n"];
    let [set, unset] = [true, false].map(|set| {
        let mut command = cloud.command(&line);
        if set {
            command.env("POS3_CACHE_ROOT", "")
        } else {
            command.env_remove("POS3_CACHE_ROOT")
        };
        crate::program::Ended::from(command.output().unwrap())
    });
    assert_eq!((set.code, &set.err), (unset.code, &unset.err));
    assert!(!set.err.contains("--cache-root"), "{}", set.err);
}

/// A background upload finds no object, and its write is refused because another writer is faster. The next upload replaces
/// the object.
#[test]
fn an_object_that_appears_after_a_listing_is_replaced_with_a_warning() {
    let cloud = Cloud::new(&[]);
    let overtaken = Answer::Overtaken { key: "c/model", content: "theirs" };
    cloud.server.fault(Fault::on(Operation::PutObject).key("c/model").answer(overtaken));
    let places = ["--upload", "c=s3://data/c", "--interval", "1", "--json-report", "report"];
    let script =
        r#"echo ours > "$POS3_PATH_C/model"; echo ours > "$POS3_PATH_C/other"; while [ ! -f go ]; do sleep 0.02; done"#;
    let child = start(&cloud, &sh(&places, script));
    wait_until("the other writer is faster", || cloud.server.faults_waiting() == 0);
    fs::write(cloud.program.path("go"), "").unwrap();
    let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(stored(&cloud, "c/model").as_deref(), Some("ours\n"));
    let warning = "warning: 's3://data/c': the upload of 'model' replaced an object that another writer had stored";
    assert!(ended.err.contains(warning) && !ended.err.contains("'other' replaced"), "{}", ended.err);
    assert_eq!(report(&cloud)["uploads"][0]["replaced_from_others"], json!(["model"]));
}

#[test]
fn an_upload_that_replaces_an_object_of_another_writer_warns_and_lists_it() {
    for is_replaced in [true, false] {
        let cloud = Cloud::new(&[]).with_objects(&[("c/model", "0"), ("c/other", "0")]);
        let places = [&SYNC[..], &["--interval", "none", "--json-report", "report"]].concat();
        let script = r#"echo 10 > "$POS3_PATH_C/model"; echo 10 > "$POS3_PATH_C/other"; echo ready; while [ ! -f "$PWD/go" ]; do sleep 0.02; done"#;
        let mut child = start(&cloud, &sh(&places, script));
        let _out = wait_for(&mut child, "ready");
        if is_replaced {
            cloud.server.put(BUCKET, "c/model", "20\n");
        }
        fs::write(cloud.program.path("go"), "").unwrap();
        let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(stored(&cloud, "c/model").as_deref(), Some("10\n"));
        let warning = "warning: 's3://data/c': the upload of 'model' replaced an object that another writer had stored";
        assert_eq!(ended.err.contains(warning), is_replaced, "{}", ended.err);
        assert!(!ended.err.contains("'other' replaced"), "{}", ended.err);
        let expected = if is_replaced { json!(["model"]) } else { json!([]) };
        assert_eq!(report(&cloud)["uploads"][0]["replaced_from_others"], expected);
    }
}
