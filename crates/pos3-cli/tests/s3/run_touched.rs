//! `run`: a file whose metadata changed, but not its content, replaces no object of another writer.

use std::fs;
use std::io::BufRead;
use std::process::{ChildStdout, Command};
use std::time::{Duration, SystemTime};

use pos3_tests::server::{Etags, Operation};
use serde_json::Value;

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;

/// What can happen to a file without a change of its content.
const TOUCHES: [(&str, &str); 6] = [
    ("chmod", r#"chmod 600 "$f""#),
    ("touch", r#"touch "$f""#),
    ("chown", r#"chown "$(id -u)" "$f""#),
    ("hard link", r#"ln "$f" "$PWD/link""#),
    ("mv away and back", r#"mv "$f" "$f.away"; mv "$f.away" "$f""#),
    ("identical rewrite", r#"content=$(cat "$f"); echo "$content" > "$f""#),
];

/// When an upload meets what others stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    AtTheEnd,
    InTheBackground,
}

fn wait_for_line(out: &mut std::io::BufReader<ChildStdout>, line: &str) {
    let mut text = String::new();
    while text.trim_end() != line {
        text.clear();
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "'{line}' never came");
    }
}

/// Stores `old`, and then has others do something before a program does something to its file.
fn meanwhile(places: &[&str], when: When, others: impl Fn(&Cloud), touch: &str) -> (Cloud, Ended) {
    meanwhile_on(Etags::Digests, places, when, others, touch)
}

/// Does the same on a server with such entity tags.
fn meanwhile_on(etags: Etags, places: &[&str], when: When, others: impl Fn(&Cloud), touch: &str) -> (Cloud, Ended) {
    let cloud = Cloud::new(&[]);
    cloud.server.configure(|settings| settings.etags = etags);
    meanwhile_in(cloud, r#"echo old > "$POS3_PATH_C/f""#, places, when, others, touch)
}

/// Does the same with a file that is made like that.
fn meanwhile_after(make: &str, places: &[&str], when: When, others: impl Fn(&Cloud), touch: &str) -> (Cloud, Ended) {
    meanwhile_in(Cloud::new(&[]), make, places, when, others, touch)
}

fn meanwhile_in(
    cloud: Cloud,
    make: &str,
    places: &[&str],
    when: When,
    others: impl Fn(&Cloud),
    touch: &str,
) -> (Cloud, Ended) {
    let first = run(&cloud, &sh(places, make));
    assert_eq!((first.code, cloud.server.keys(BUCKET)), (Some(0), vec!["c/f".to_owned()]), "{first:?}");
    let script = format!(
        r#"f="$POS3_PATH_C/f"; echo ready; while [ ! -f "$PWD/go" ]; do sleep 0.02; done
        {touch}; echo touched; while [ ! -f "$PWD/end" ]; do sleep 0.02; done"#
    );
    let interval = if when == When::InTheBackground { "0.2" } else { "1000" };
    let mut child = start(&cloud, &sh(&[places, &["--interval", interval]].concat(), &script));
    let mut out = wait_for(&mut child, "ready");
    others(&cloud);
    fs::write(cloud.program.path("go"), "").unwrap();
    wait_for_line(&mut out, "touched");
    if when == When::InTheBackground {
        let looks = || cloud.server.requests().of(Operation::ListObjectsV2);
        let before = looks();
        wait_until("nothing is listed", || looks() > before + 2);
    }
    fs::write(cloud.program.path("end"), "").unwrap();
    let ended = child.wait_with_output().unwrap().into();
    (cloud, ended)
}

/// Touches a file while no session runs.
fn touch_here(cloud: &Cloud, file: &str, touch: &str) {
    let (file, here) = (cloud.program.path(file), cloud.program.path(""));
    let mut command = Command::new("sh");
    command.args(["-c", touch]).env("f", file).env("PWD", &here).current_dir(here);
    assert!(command.status().unwrap().success(), "{touch}");
}

#[test]
fn a_file_whose_content_did_not_change_does_not_replace_what_others_stored() {
    for (what, touch) in TOUCHES {
        for kind in ["--sync", "--upload"] {
            for when in [When::AtTheEnd, When::InTheBackground] {
                let theirs = |cloud: &Cloud| cloud.server.put(BUCKET, "c/f", "new\n");
                let (cloud, ended) = meanwhile(&[kind, "c=s3://data/c"], when, theirs, touch);
                assert_eq!(ended.code, Some(0), "{what} {kind} {when:?}: {ended:?}");
                assert_eq!(stored(&cloud, "c/f").unwrap(), "new\n", "{what} {kind} {when:?}");
                let said = "  not uploaded, because another writer replaced it: s3://data/c/f\n";
                assert!(ended.err.contains(said), "{what} {kind} {when:?}: {}", ended.err);
            }
        }
    }
}

#[test]
fn a_file_whose_content_changed_is_output_also_where_its_size_did_not() {
    for kind in ["--sync", "--upload"] {
        let theirs = |cloud: &Cloud| cloud.server.put(BUCKET, "c/f", "new\n");
        let (cloud, ended) = meanwhile(&[kind, "c=s3://data/c"], When::AtTheEnd, theirs, r#"echo out > "$f""#);
        assert_eq!((ended.code, stored(&cloud, "c/f").as_deref()), (Some(0), Some("out\n")), "{kind}: {ended:?}");
    }
}

#[test]
fn what_a_file_was_is_known_also_where_entity_tags_are_no_digests() {
    for etags in [Etags::Opaque, Etags::Kms] {
        for kind in ["--sync", "--upload"] {
            for (touch, left) in [(TOUCHES[0].1, "new\n"), (r#"echo out > "$f""#, "out\n")] {
                let theirs = |cloud: &Cloud| cloud.server.put(BUCKET, "c/f", "new\n");
                let (cloud, ended) = meanwhile_on(etags, &[kind, "c=s3://data/c"], When::AtTheEnd, theirs, touch);
                let found = (ended.code, stored(&cloud, "c/f"));
                assert_eq!(found, (Some(0), Some(left.to_owned())), "{etags:?} {kind} {touch}: {ended:?}");
            }
        }
    }
}

#[test]
fn a_file_that_was_moved_in_parts_is_known_by_its_content_too() {
    let make = r#"head -c 17000000 /dev/zero > "$POS3_PATH_C/f""#;
    for kind in ["--sync", "--upload"] {
        for (touch, is_output) in [(TOUCHES[0].1, false), (r#"head -c 17000000 /dev/zero | tr '\0' x > "$f""#, true)] {
            let theirs = |cloud: &Cloud| cloud.server.put(BUCKET, "c/f", "new\n");
            let (cloud, ended) = meanwhile_after(make, &[kind, "c=s3://data/c"], When::AtTheEnd, theirs, touch);
            assert_eq!(ended.code, Some(0), "{kind} {touch}: {ended:?}");
            let length = cloud.server.object(BUCKET, "c/f").unwrap().bytes.len();
            assert_eq!(length, if is_output { 17_000_000 } else { 4 }, "{kind} {touch}");
        }
    }
}

#[test]
fn a_key_that_others_removed_does_not_return_for_a_file_whose_content_did_not_change() {
    for (what, touch) in TOUCHES {
        for when in [When::AtTheEnd, When::InTheBackground] {
            let remove = |cloud: &Cloud| cloud.server.remove(BUCKET, "c/f");
            let (cloud, ended) = meanwhile(&["--sync", "c=s3://data/c"], when, remove, touch);
            assert_eq!((ended.code, stored(&cloud, "c/f")), (Some(0), None), "{what} {when:?}: {ended:?}");
            let said = "  not uploaded, because another writer removed it: s3://data/c/f\n";
            assert!(ended.err.contains(said), "{what} {when:?}: {}", ended.err);
        }
    }
}

#[test]
fn a_file_whose_content_did_not_change_is_no_conflict_when_the_next_session_begins() {
    for (what, touch) in TOUCHES {
        let cloud = Cloud::new(&[]);
        let places = ["--sync", "c=s3://data/c"];
        assert_eq!(run(&cloud, &sh(&places, r#"echo old > "$POS3_PATH_C/f""#)).code, Some(0));
        cloud.server.put(BUCKET, "c/f", "new\n");
        touch_here(&cloud, "cache/_/data/c/f", touch);
        let ended = run(&cloud, &sh(&places, r#"cat "$POS3_PATH_C/f""#));
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), "new\n"), "{what}: {ended:?}");
    }
}

#[test]
fn a_touched_file_that_a_failed_run_left_replaces_nothing_that_others_stored() {
    for more in [&[][..], &["--no-manifest"]] {
        for (what, touch) in TOUCHES {
            for (before, is_stored) in [("", false), (r#"echo old > "$POS3_PATH_C/f""#, true)] {
                let cloud = Cloud::new(&[]);
                let places = [&["--upload", "c=s3://data/c"][..], more].concat();
                if is_stored {
                    assert_eq!(run(&cloud, &sh(&places, before)).code, Some(0));
                }
                assert_eq!(run(&cloud, &sh(&places, r#"echo ours > "$POS3_PATH_C/f"; exit 7"#)).code, Some(7));
                cloud.server.put(BUCKET, "c/f", "theirs\n");
                let ended = run(&cloud, &sh(&places, &format!(r#"f="$POS3_PATH_C/f"; sleep 1.1; {touch}"#)));
                let found = (ended.code, stored(&cloud, "c/f"));
                assert_eq!(found, (Some(1), Some("theirs\n".to_owned())), "{what} {more:?} {is_stored}: {ended:?}");
            }
        }
        let cloud = Cloud::new(&[]);
        let places = [&["--upload", "c=s3://data/c"][..], more].concat();
        assert_eq!(run(&cloud, &sh(&places, r#"echo ours > "$POS3_PATH_C/f"; exit 7"#)).code, Some(7));
        cloud.server.put(BUCKET, "c/f", "theirs\n");
        let ended = run(&cloud, &sh(&places, r#"echo made > "$POS3_PATH_C/f""#));
        assert_eq!((ended.code, stored(&cloud, "c/f").as_deref()), (Some(0), Some("made\n")), "{ended:?}");
    }
}

#[test]
fn a_file_that_a_failed_run_left_replaces_nothing_that_others_stored_however_late_it_was_touched() {
    let dirs = [("mv its directory away and back", r#"d=$(dirname "$f"); mv "$d" "$d.away"; mv "$d.away" "$d""#)];
    for more in [&[][..], &["--no-manifest"]] {
        for (what, touch) in TOUCHES.into_iter().chain(dirs) {
            let cloud = Cloud::new(&[]);
            let places = [&["--upload", "d=s3://data/d"][..], more].concat();
            let file = "cache/_/data/d/a";
            let failed = run(&cloud, &sh(&places, r#"echo ours > "$POS3_PATH_D/a"; exit 7"#));
            assert_eq!(failed.code, Some(7), "{failed:?}");
            cloud.server.put(BUCKET, "d/a", "theirs\n");
            cloud.server.set_modified(BUCKET, "d/a", SystemTime::now() - Duration::from_secs(60));
            touch_here(&cloud, file, touch);
            let ended = run(&cloud, &sh(&[&places[..], &["--json-report", "report"]].concat(), "true"));
            let found = (ended.code, stored(&cloud, "d/a"));
            assert_eq!(found, (Some(1), Some("theirs\n".to_owned())), "{what} {more:?}: {ended:?}");
            let pair = format!("'{}' and 's3://data/d/a' conflict: ", cloud.program.path(file).display());
            assert!(ended.err.contains(&pair), "{what}: {}", ended.err);
            let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
            assert_eq!(report["complete"], false, "{what}: {report}");
            assert_eq!(fs::read_to_string(cloud.program.path(file)).unwrap(), "ours\n", "{what}");
            // Without another object, the file is uploaded.
            cloud.server.remove(BUCKET, "d/a");
            assert_eq!(run(&cloud, &sh(&places, "true")).code, Some(0), "{what}");
            assert_eq!(stored(&cloud, "d/a").unwrap(), "ours\n", "{what}");
        }
    }
}

#[test]
fn a_sync_replaces_no_object_that_appeared_while_it_ran_and_names_the_pair() {
    // The program's file is later than the object of the other writer in both cases.
    for script in [r#"echo ours > "$f""#, r#"chmod 600 "$f""#] {
        let cloud = Cloud::new(&[]);
        let places = ["--sync", "c=s3://data/c", "--interval", "1000"];
        let waiting = format!(
            r#"f="$POS3_PATH_C/f"; echo ours > "$f"; echo ready; while [ ! -f "$PWD/go" ]; do sleep 0.02; done; {script}"#
        );
        let mut child = start(&cloud, &sh(&places, &waiting));
        let _out = wait_for(&mut child, "ready");
        cloud.server.put(BUCKET, "c/f", "theirs\n");
        cloud.server.set_modified(BUCKET, "c/f", SystemTime::now() - Duration::from_secs(60));
        fs::write(cloud.program.path("go"), "").unwrap();
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!((ended.code, stored(&cloud, "c/f").as_deref()), (Some(1), Some("theirs\n")), "{script}: {ended:?}");
        let file = cloud.program.path("cache/_/data/c/f");
        assert!(ended.err.contains(&format!("'{}' and 's3://data/c/f' conflict: ", file.display())), "{}", ended.err);
        assert_eq!(fs::read_to_string(file).unwrap(), "ours\n");
    }
}
