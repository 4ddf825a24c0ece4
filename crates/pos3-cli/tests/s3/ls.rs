//! Every command accepts the lines that `ls` prints.

use std::fs;

use pos3_tests::server::Operation;

use super::{BUCKET, Cloud, requests};
use crate::program::{Ended, expected};

fn cloud() -> Cloud {
    Cloud::new(&[]).with_objects(&[
        ("p/1", "12345"),
        ("p/imp/deep/3", "1"),
        ("p/sub/", ""),
        ("p/sub/2", "22"),
        ("p/odd #?%20 é", "x"),
        ("both", "object"),
        ("both/x", "below"),
        ("q", "1"),
    ])
}

fn lines(ended: &Ended) -> Vec<&str> {
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    ended.out.lines().map(|line| line.strip_prefix("s3://data/").unwrap()).collect()
}

#[test]
fn a_line_is_a_url_and_a_directory_ends_in_a_slash() {
    let cloud = cloud();
    for url in ["s3://data/p", "s3://data/p/"] {
        assert_eq!(lines(&cloud.run(&["ls", url])), ["p/1", "p/imp/", "p/odd #?%20 é", "p/sub/"], "{url}");
        let all = ["p/1", "p/imp/", "p/imp/deep/", "p/imp/deep/3", "p/odd #?%20 é", "p/sub/", "p/sub/2"];
        assert_eq!(lines(&cloud.run(&["ls", url, "-r"])), all, "{url}");
    }
    assert_eq!(lines(&cloud.run(&["ls", "s3://data"])), ["both", "both/", "p/", "q"]);
}

#[test]
fn one_object_shows_itself_and_comes_before_what_is_below_its_name() {
    let cloud = cloud();
    for (url, shown) in [("p/1", "p/1"), ("both", "both"), ("both/", "both/x"), ("p/imp/deep", "p/imp/deep/3")] {
        assert_eq!(lines(&cloud.run(&["ls", &format!("s3://data/{url}")])), [shown], "{url}");
    }
    let long = cloud.run(&["ls", "s3://data/p/1", "-l"]);
    assert!(long.out.ends_with("          5 1\n"), "{long:?}");
}

#[test]
fn what_is_printed_can_be_fed_back_to_any_command() {
    let cloud = cloud();
    for line in cloud.run(&["ls", "s3://data/p", "-r"]).out.lines() {
        let ended = cloud.run(&["ls", line]);
        assert_eq!(ended.code, Some(0), "{line} {ended:?}");
        if !line.ends_with('/') {
            assert_eq!(ended.out, format!("{line}\n"));
        }
        let ended = cloud.run(&["download", line, "-q"]);
        assert_eq!(ended.code, Some(0), "{line} {ended:?}");
    }
    let files = [("1", "12345"), ("imp/deep/3", "1"), ("odd #?%20 é", "x"), ("sub/2", "22")];
    assert_eq!(cloud.program.files("cache/_/data/p"), expected(&files));
    for url in cloud.run(&["ls", "s3://data/p/sub"]).out.lines() {
        assert_eq!(cloud.run(&["sync", url, "copy"]).code, Some(4), "an object is no directory: {url}");
        assert_eq!(cloud.run(&["upload", url, "--local", "cache/_/data/p/1", "-q"]).code, Some(0), "{url}");
    }
    assert_eq!(cloud.server.object(BUCKET, "p/sub/2").unwrap().bytes, "12345");
}

#[test]
fn the_profile_stays_in_the_urls() {
    let cloud = cloud();
    let profiles = format!("[profiles.lab]\nendpoint = \"{}\"\n", cloud.server.endpoint());
    fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = cloud.command(arguments);
        Ended::from(command.env("POS3_PROFILES_FILE", cloud.program.path("profiles.toml")).output().unwrap())
    };
    for line in [&["ls", "s3://lab@data/p/sub/"][..], &["ls", "s3://data/p/sub/", "--profile", "lab"]] {
        let ended = run(line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), "s3://lab@data/p/sub/2\n"), "{ended:?}");
    }
    assert_eq!(run(&["ls", "s3://lab@data/p/sub/2"]).out, "s3://lab@data/p/sub/2\n");
}

#[test]
fn what_is_not_there_is_an_error_and_nothing_is_printed() {
    let cloud = cloud();
    for url in ["s3://data/typo", "s3://data/typo/", "s3://data/p/11"] {
        let ended = cloud.run(&["ls", url, "--summarize"]);
        let said = format!("pos3-cli ls: there is nothing at '{url}'\n");
        assert_eq!((ended.code, ended.out.as_str(), ended.err), (Some(1), "", said));
    }
    let ended = cloud.run(&["ls", "s3://nobucket/x"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.starts_with("pos3-cli ls: cannot list 's3://nobucket/x': "), "{ended:?}");
}

#[test]
fn one_level_costs_one_listing_however_much_is_below() {
    let cloud = cloud();
    (0..3_000).for_each(|number| cloud.server.put(BUCKET, &format!("p/imp/{number:04}"), "x"));
    let (code, object) = cloud.json(&["ls", "s3://data/p/"]);
    assert_eq!((code, object["entries"].as_array().unwrap().len()), (0, 4), "{object}");
    assert_eq!(cloud.requests_as_told(&object), requests(&[("ListObjectsV2", 1)]));
    // Without the slash it may be an object, which is asked for at the same time.
    let (_, object) = cloud.json(&["ls", "s3://data/p"]);
    assert_eq!(cloud.requests_as_told(&object), requests(&[("HeadObject", 1), ("ListObjectsV2", 1)]));
}

#[test]
fn lines_come_while_the_listing_goes_on() {
    use pos3_tests::server::{Answer, Fault};

    let cloud = cloud();
    (0..1_500).for_each(|number| cloud.server.put(BUCKET, &format!("many/{number:04}"), "x"));
    let second = Fault::on(Operation::ListObjectsV2).nth(2).answer(Answer::access_denied());
    cloud.server.fault(second);
    let ended = cloud.run(&["ls", "s3://data/many/", "-r"]);
    assert_eq!((ended.code, ended.out.lines().count()), (Some(1), 1000), "{}", ended.err);
    assert!(ended.err.starts_with("pos3-cli ls: cannot list 's3://data/many/': "), "{}", ended.err);
}

#[test]
fn ls_counts_and_sums() {
    let cloud = Cloud::new(&[]).with_objects(&[("p/a", "12345"), ("p/d/b", "1"), ("q", "1")]);
    let ended = cloud.run(&["ls", "s3://data/p/", "--long", "--summarize"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("PRE d/") && ended.out.contains(" 5 a"), "{}", ended.out);
    let ended = cloud.run(&["ls", "s3://data/p/", "--recursive", "--summarize"]);
    assert_eq!(
        ended.out, "s3://data/p/a\ns3://data/p/d/\ns3://data/p/d/b\n\nTotal Objects: 2\n   Total Size: 6\n",
        "{}",
        ended.err
    );
}
