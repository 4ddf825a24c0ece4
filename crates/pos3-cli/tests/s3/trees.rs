//! Whole trees are uploaded and downloaded again.

use std::fs;
use std::process::Command;

use super::{BUCKET, Cloud, requests};

/// Makes a tree of more than a page of files, with names and shapes that sort in every way.
fn tree(cloud: &Cloud) {
    for number in 0..1_200 {
        let name = format!("tree/d{}/e-{}/f{number:04}.txt", number % 7, number % 11);
        let path = cloud.program.path(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![b'x'; number % 5000]).unwrap();
    }
    for name in ["tree/a-b", "tree/a.txt", "tree/a/x", "tree/a b/c+d", "tree/ü/日本.txt", "tree/x#1?y%20z"] {
        let path = cloud.program.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    fs::create_dir_all(cloud.program.path("tree/empty/deep")).unwrap();
    let large = fs::File::create(cloud.program.path("tree/large.bin")).unwrap();
    std::io::copy(&mut std::io::Read::take(fs::File::open("/dev/urandom").unwrap(), (41 << 20) + 7), &mut &large)
        .unwrap();
}

fn differs(cloud: &Cloud, one: &str, other: &str) -> String {
    let output =
        Command::new("diff").arg("-r").arg(cloud.program.path(one)).arg(cloud.program.path(other)).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_tree_goes_up_and_comes_back_and_then_there_is_nothing_to_do() {
    let cloud = Cloud::new(&[]);
    tree(&cloud);
    let files = 1_200 + 6 + 1 + 1;

    let (code, up) = cloud.json(&["sync", "tree", "s3://data/tree"]);
    assert_eq!((code, up["copied"]["files"].as_u64()), (0, Some(files)));
    let parts = (41_u64 << 20).div_ceil(8 << 20);
    let spent = cloud.requests_as_told(&up);
    let multipart = [("CompleteMultipartUpload", 1), ("CreateMultipartUpload", 1), ("ListObjectsV2", 1)];
    let expected = [&multipart[..], &[("PutObject", files - 1), ("UploadPart", parts)]].concat();
    assert_eq!(spent, requests(&expected), "each file one PutObject, the large one its parts");

    let (code, down) = cloud.json(&["sync", "s3://data/tree", "back"]);
    assert_eq!((code, down["copied"]["files"].as_u64()), (0, Some(files)));
    let spent = cloud.requests_as_told(&down);
    let gets = spent.iter().find(|(kind, _)| kind == "GetObject").unwrap().1;
    let expected = requests(&[("GetObject", gets), ("HeadObject", 1), ("ListObjectsV2", 2)]);
    assert_eq!(spent, expected, "one HeadObject tells the checksum of the one object that comes in ranges");
    assert!((files..=files + parts).contains(&gets), "one GetObject per small object, at most one per part: {gets}");
    assert_eq!(differs(&cloud, "tree", "back"), "");

    for (from, to) in [("tree", "s3://data/tree"), ("s3://data/tree", "back"), ("back", "s3://data/tree")] {
        let (code, again) = cloud.json(&["sync", from, to, "--delete"]);
        assert_eq!((code, again["copied"]["files"].as_u64(), again["deleted"].as_u64()), (0, Some(0), Some(0)));
        assert_eq!(cloud.requests_as_told(&again), requests(&[("ListObjectsV2", 2)]), "{from} to {to}");
    }
    assert!(cloud.server.open_uploads(BUCKET).is_empty());
}

#[test]
fn a_downloaded_file_has_the_time_of_its_object() {
    let cloud = Cloud::new(&[]).with_objects(&[("p/a", "content")]);
    assert_eq!(cloud.run(&["sync", "s3://data/p", "out"]).code, Some(0));
    let modified = fs::metadata(cloud.program.path("out/a")).unwrap().modified().unwrap();
    let stored = cloud.server.object(BUCKET, "p/a").unwrap().modified;
    let millis = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert_eq!(millis(modified), millis(stored));
}

#[test]
fn a_same_size_edit_with_an_old_time_is_found_in_both_directions() {
    let cloud = Cloud::new(&[("d/a", "one"), ("d/b", "two")]);
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d"]).code, Some(0));
    fs::write(cloud.program.path("d/a"), "ONE").unwrap();
    let touched = Command::new("touch").args(["-d", "2020-01-01"]).arg(cloud.program.path("d/a")).status().unwrap();
    assert!(touched.success());
    let (_, up) = cloud.json(&["sync", "d", "s3://data/d"]);
    assert_eq!(up["copied"]["files"], 1);
    assert_eq!(cloud.server.object(BUCKET, "d/a").unwrap().bytes, "ONE");
    cloud.server.put(BUCKET, "d/b", "TWO");
    let (_, down) = cloud.json(&["sync", "s3://data/d", "d"]);
    assert_eq!(down["copied"]["files"], 1);
    assert_eq!(fs::read_to_string(cloud.program.path("d/b")).unwrap(), "TWO");
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let cloud = Cloud::new(&[("d/new", "1"), ("d/same", "2")]).with_objects(&[("d/same", "2"), ("d/old", "3")]);
    let ended = cloud.run(&["sync", "d", "s3://data/d", "--delete", "-n"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(lines, ["(dryrun) upload: d/new to s3://data/d/new", "(dryrun) delete: s3://data/d/old"]);
    assert_eq!(cloud.server.keys(BUCKET), ["d/old", "d/same"]);
    let (_, told) = cloud.json(&["sync", "d", "s3://data/d", "--delete", "--dryrun"]);
    assert_eq!(told["plan"].as_array().unwrap().len(), 2);
}

#[test]
fn between_buckets_the_server_copies() {
    let cloud = Cloud::new(&[]).with_objects(&[("from/a//b", "1"), ("from/dir/", "content"), ("from/../up", "2")]);
    cloud.server.create_bucket("other");
    let (code, told) = cloud.json(&["sync", "s3://data/from", "s3://other/to"]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(cloud.requests_as_told(&told), requests(&[("CopyObject", 3), ("ListObjectsV2", 2)]));
    assert_eq!(cloud.server.keys("other"), ["to/../up", "to/a//b", "to/dir/"]);
    assert_eq!(cloud.server.object("other", "to/dir/").unwrap().bytes, "content");
    let (_, again) = cloud.json(&["sync", "s3://data/from", "s3://other/to"]);
    assert_eq!(again["copied"]["files"], 0);
}
