//! Outputs of `run` that contain or become symbolic links: pos3 names what it does not upload, and follows no link out
//! of the output.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::run::{run, sh, stored};
use super::{BUCKET, Cloud};

fn report(cloud: &Cloud) -> Value {
    serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap()
}

const OUT: [&str; 4] = ["--upload", "o=s3://data/o", "--json-report", "report"];

#[test]
fn an_output_that_leads_elsewhere_is_named_and_is_not_complete() {
    let cloud = Cloud::new(&[("scratch/ckpt-1", "weights")]);
    let scratch = cloud.program.path("scratch");
    let script = format!(r#"ln -s {} "$POS3_PATH_O/ckpts""#, scratch.display());
    let ended = run(&cloud, &sh(&OUT, &script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.err.contains("complete in"), "{}", ended.err);
    let named = format!("  left out: ckpts, a symbolic link to {}\n", scratch.display());
    assert!(ended.err.contains(&named), "{}", ended.err);
    assert!(ended.err.contains("hint: upload what they lead to with --follow-symlinks"), "{}", ended.err);
    let report = report(&cloud);
    assert_eq!((&report["complete"], &report["uploads"][0]["uploaded"]), (&json!(false), &json!(false)), "{report}");
    let left = &report["uploads"][0]["left_out"];
    assert_eq!(left.as_array().unwrap().len(), 1, "{report}");
    assert_eq!((&left[0]["key"], &left[0]["reason"]), (&json!("ckpts"), &json!("it is a symbolic link")), "{report}");
    assert_eq!(left[0]["leads_to"], json!(scratch.to_str().unwrap()));
    assert!(report["warnings"][0].as_str().unwrap().contains("is not followed"), "{report}");
    assert_eq!(cloud.server.keys(BUCKET), [""; 0]);
}

#[test]
fn a_link_to_what_is_uploaded_by_its_own_name_is_named_and_lacks_nothing() {
    let cloud = Cloud::new(&[]);
    let script = r#"mkdir "$POS3_PATH_O/ckpt-1"; echo 1 > "$POS3_PATH_O/ckpt-1/w"; ln -s ckpt-1 "$POS3_PATH_O/latest""#;
    let ended = run(&cloud, &sh(&OUT, script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("o: uploaded to s3://data/o: 1 file there"), "{}", ended.err);
    assert!(ended.err.contains("  left out: latest, a symbolic link to ckpt-1\n"), "{}", ended.err);
    let report = report(&cloud);
    assert_eq!((&report["complete"], &report["uploads"][0]["uploaded"]), (&json!(false), &json!(true)), "{report}");
    assert_eq!(report["uploads"][0]["left_out"][0]["lacks_content"], json!(false));
    let left_out = run(&cloud, &sh(&[&OUT[..], &["--exclude", "latest"]].concat(), "exit 0"));
    assert_eq!(left_out.code, Some(0), "{left_out:?}");
    assert_eq!(self::report(&cloud)["complete"], json!(true), "what is excluded is not left out");
}

#[test]
fn a_link_to_what_is_excluded_lacks_its_content() {
    for (make, pattern) in [
        (r#"echo 1 > "$POS3_PATH_O/w.bin"; ln -s w.bin "$POS3_PATH_O/latest""#, "*.bin"),
        (r#"mkdir "$POS3_PATH_O/tmp"; echo 1 > "$POS3_PATH_O/tmp/w"; ln -s tmp/w "$POS3_PATH_O/latest""#, "tmp"),
        (r#"mkdir "$POS3_PATH_O/tmp"; echo 1 > "$POS3_PATH_O/tmp/w"; ln -s tmp "$POS3_PATH_O/latest""#, "tmp"),
    ] {
        let cloud = Cloud::new(&[]);
        let ended = run(&cloud, &sh(&[&OUT[..], &["--exclude", pattern]].concat(), make));
        assert_eq!(ended.code, Some(1), "{pattern} {ended:?}");
        let report = report(&cloud);
        assert_eq!(report["uploads"][0]["left_out"][0]["lacks_content"], json!(true), "{pattern} {report}");
        assert!(report["warnings"][0].as_str().unwrap().contains("its content is not uploaded"), "{pattern} {report}");
    }
}

#[test]
fn a_file_of_an_output_that_becomes_a_link_is_kept_and_does_not_stop_the_next_run() {
    let file = r#"echo 1 > "$POS3_PATH_O/latest"; echo 1 > "$POS3_PATH_O/c1""#;
    let directory = r#"mkdir "$POS3_PATH_O/latest"; echo 1 > "$POS3_PATH_O/latest/w"; mkdir "$POS3_PATH_O/c1""#;
    let line = ["--sync", "o=s3://data/o", "--json-report", "report"];
    for (first, object) in [(file, "o/latest"), (directory, "o/latest/w")] {
        let cloud = Cloud::new(&[]);
        assert_eq!(run(&cloud, &sh(&line, first)).code, Some(0));
        let link = r#"rm -r "$POS3_PATH_O/latest"; ln -s c1 "$POS3_PATH_O/latest""#;
        let linked = run(&cloud, &sh(&line, link));
        assert_eq!(linked.code, Some(0), "{linked:?}");
        if object == "o/latest" {
            let said = "  left out: latest, a symbolic link to c1; its object still has the earlier content\n";
            assert!(linked.err.contains(said) && linked.err.contains("--follow-symlinks"), "{}", linked.err);
            assert_eq!(report(&cloud)["uploads"][0]["left_out"][0]["has_old_object"], json!(true));
        }
        let next = run(&cloud, &sh(&line, r#"readlink "$POS3_PATH_O/latest""#));
        assert_eq!((next.code, next.out.as_str()), (Some(0), "c1\n"), "{next:?}");
        let warnings = report(&cloud)["warnings"].to_string();
        assert!(warnings.contains("was not downloaded: there is a symbolic link in its place"), "{warnings}");
        assert_eq!(stored(&cloud, object).unwrap(), "1\n");

        // An object that another writer changed is not hidden by the link.
        cloud.server.put(BUCKET, object, "theirs");
        let stopped = run(&cloud, &sh(&line, "echo started"));
        assert_eq!((stopped.code, stopped.out.as_str()), (Some(1), ""), "{stopped:?}");
        assert!(stopped.err.contains("hint: delete the local link to download the object"), "{}", stopped.err);
    }
}

#[test]
fn links_are_followed_where_that_is_asked_for() {
    let cloud = Cloud::new(&[("scratch/ckpt-1", "weights")]);
    let script = format!(
        r#"ln -s {} "$POS3_PATH_O/ckpts"; ln -s ckpts/ckpt-1 "$POS3_PATH_O/latest""#,
        cloud.program.path("scratch").display()
    );
    let ended = run(&cloud, &sh(&[&OUT[..], &["--follow-symlinks"]].concat(), &script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(report(&cloud)["complete"], json!(true));
    assert_eq!(cloud.server.keys(BUCKET), ["o/ckpts/ckpt-1", "o/latest"]);
    assert_eq!(stored(&cloud, "o/latest").unwrap(), "weights");

    // The next run meets these objects and the links that they come from.
    let line = ["--sync", "o=s3://data/o", "--follow-symlinks", "--json-report", "report"];
    let again = run(&cloud, &sh(&line, r#"cat "$POS3_PATH_O/latest""#));
    assert_eq!((again.code, again.out.as_str()), (Some(0), "weights"), "{again:?}");
    assert!(fs::symlink_metadata(cloud.program.path("cache/_/data/o/latest")).unwrap().is_symlink());
}

#[test]
fn an_upload_follows_links_where_that_is_asked_for_and_warns_of_those_that_lead_elsewhere() {
    let cloud = Cloud::new(&[("out/a", "1"), ("scratch/b", "2")]);
    symlink(cloud.program.path("scratch"), cloud.program.path("out/more")).unwrap();
    let line = ["upload", "s3://data/o", "--local", "out"];
    let ended = cloud.run(&line);
    assert_eq!(ended.code, Some(1), "as 'run' does: {ended:?}");
    assert!(ended.err.contains("the content of 1 symbolic link is not in s3://data/o"), "{}", ended.err);
    assert!(ended.err.contains("hint: upload what they lead to with --follow-symlinks"), "{}", ended.err);
    assert!(ended.err.contains("'more' in '") && ended.err.contains("is not followed"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["o/a"]);
    let ended = cloud.run(&[&line[..], &["--follow-symlinks"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["o/a", "o/more/b"]);
}

#[test]
fn special_files_and_unreadable_ones_are_named_with_their_reasons() {
    let cloud = Cloud::new(&[]);
    let ended = run(&cloud, &sh(&OUT, r#"mkfifo "$POS3_PATH_O/pipe"; echo 1 > "$POS3_PATH_O/a""#));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("  left out: pipe because it is a "), "{}", ended.err);
    let report = report(&cloud);
    assert_eq!((&report["complete"], &report["uploads"][0]["left_out"][0]["key"]), (&json!(false), &json!("pipe")));
    assert_eq!(cloud.server.keys(BUCKET), ["o/a"]);
}

#[test]
fn an_output_that_becomes_a_link_is_not_uploaded_and_the_link_is_named() {
    for follow in [false, true] {
        let cloud = Cloud::new(&[("etc/passwd", "secret")]);
        let etc = cloud.program.path("etc");
        let script = format!(r#"rm -r "$POS3_PATH_O"; ln -s {} "$POS3_PATH_O""#, etc.display());
        let mut line = OUT.to_vec();
        line.extend(["--interval", "0.1"]);
        line.extend(follow.then_some("--follow-symlinks"));
        let ended = run(&cloud, &sh(&line, &format!("{script}; sleep 1")));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let named = format!("is a symbolic link to '{}', which is not followed", etc.display());
        assert!(ended.err.contains(&named), "{}", ended.err);
        assert_eq!(report(&cloud)["complete"], json!(false));
        assert_eq!(cloud.server.keys(BUCKET), [""; 0]);
    }
}

#[test]
fn a_directory_above_an_output_that_becomes_a_link_is_not_followed_either() {
    let cloud = Cloud::new(&[("etc/o/passwd", "secret")]);
    let script = format!(
        r#"mv "$(dirname "$POS3_PATH_O")" moved; ln -s {} "$(dirname "$POS3_PATH_O")""#,
        cloud.program.path("etc").display()
    );
    let ended = run(&cloud, &sh(&OUT, &script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("is a symbolic link to"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), [""; 0]);
}

#[test]
fn an_output_that_is_removed_and_made_again_is_uploaded() {
    let cloud = Cloud::new(&[]);
    let script = r#"echo 1 > "$POS3_PATH_O/a"; rm -r "$POS3_PATH_O"; mkdir "$POS3_PATH_O"; echo 2 > "$POS3_PATH_O/b""#;
    let ended = run(&cloud, &sh(&OUT, script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["o/b"]);
}

#[test]
fn a_link_that_stands_in_the_place_of_an_output_before_a_run_is_the_directory_and_a_warning() {
    for option in ["--upload", "--sync"] {
        let cloud = Cloud::new(&[("scratch/a", "1")]);
        let left = cloud.program.path("cache/_/data/o");
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        symlink(cloud.program.path("scratch"), &left).unwrap();
        let ended = run(&cloud, &sh(&[option, "o=s3://data/o"], "exit 0"));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains("/o' is a symbolic link, so '"), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), ["o/a"]);
    }
}

#[test]
fn an_output_of_one_file_that_is_a_link_is_named_or_followed() {
    for follow in [false, true] {
        let cloud = Cloud::new(&[]);
        let script = r#"echo 1 > "$POS3_PATH_M-17"; ln -s "$POS3_PATH_M-17" "$POS3_PATH_M""#;
        let mut line = vec!["--upload-file", "m=s3://data/model"];
        line.extend(follow.then_some("--follow-symlinks"));
        let ended = run(&cloud, &sh(&line, script));
        if follow {
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_eq!(stored(&cloud, "model").unwrap(), "1\n");
        } else {
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.err.contains("  left out: model, a symbolic link to "), "{}", ended.err);
            assert_eq!(cloud.server.keys(BUCKET), [""; 0]);
        }
    }
}

#[test]
fn a_download_below_a_followed_link_names_the_link() {
    let cloud = Cloud::new(&[("v1/other", "x")]).with_objects(&[("o/cur/a", "1"), ("o/k", "2")]);
    let local = cloud.program.path("cache/_/data/o");
    fs::create_dir_all(&local).unwrap();
    symlink(cloud.program.path("v1"), local.join("cur")).unwrap();
    for _ in 0..2 {
        let ended = run(&cloud, &sh(&["--sync", "o=s3://data/o", "--follow-symlinks"], "true"));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let message = "cannot copy 'cur/a': 'cur' is a symbolic link, so 'cur/a' cannot be written";
        assert!(ended.err.contains(message), "{}", ended.err);
        assert!(ended.err.contains("hint: delete the local link to download the object"), "{}", ended.err);
        assert!(!cloud.program.path("v1/a").exists());
    }
}
