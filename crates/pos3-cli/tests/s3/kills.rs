//! A run that is killed at any moment leaves no torn file or object and loses nothing, and the next run continues.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use pos3_tests::server::Operation;

use super::{BUCKET, Cloud};

const KILLS: u32 = 30;

/// From one byte to 200 MiB; what is over 16 MiB goes in parts.
const SIZES: [usize; 7] = [1, 4096, 100_000, 5 << 20, 17 << 20, 40 << 20, 200 << 20];

const UP: [&str; 3] = ["sync", "d", "s3://data/d"];
const DOWN: [&str; 3] = ["sync", "s3://data/d", "d"];

/// Content that differs from file to file and from part to part.
fn content(size: usize) -> Vec<u8> {
    let mut state = size as u64 | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn files() -> BTreeMap<String, Vec<u8>> {
    SIZES.into_iter().map(|size| (format!("file-{size}"), content(size))).collect()
}

fn quiet(mut command: Command) -> Child {
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
}

/// Lets runs begin and kills each at another moment of the time that a whole run takes.
fn kill_at_many_moments(cloud: &Cloud, arguments: &[&str], whole: Duration, mut look: impl FnMut(u32)) {
    let mut state = 88_172_645_463_325_252u64;
    for round in 0..KILLS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let moment = whole.mul_f64((state % 1000) as f64 / 1000.0);
        let mut child = quiet(cloud.command(arguments));
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        look(round);
    }
}

fn take_time(cloud: &Cloud, arguments: &[&str]) -> Duration {
    let begin = Instant::now();
    assert!(quiet(cloud.command(arguments)).wait().unwrap().success());
    begin.elapsed()
}

#[test]
fn an_upload_that_is_killed_thirty_times_tears_nothing_and_ends_well() {
    let files = files();
    let cloud = Cloud::new(&[("d/", "")]).with_objects(&[("d/theirs", "stays")]);
    for (name, bytes) in &files {
        fs::write(cloud.program.path(&format!("d/{name}")), bytes).unwrap();
    }
    let whole = take_time(&cloud, &UP);
    files.keys().for_each(|name| cloud.server.remove(BUCKET, &format!("d/{name}")));
    fs::remove_dir_all(cloud.program.state()).unwrap();
    cloud.server.reset_requests();

    kill_at_many_moments(&cloud, &UP, whole, |round| {
        for key in cloud.server.keys(BUCKET).into_iter().filter(|key| key != "d/theirs") {
            let stored = cloud.server.object(BUCKET, &key).unwrap().bytes;
            let name = key.strip_prefix("d/").unwrap();
            assert!(files.get(name).is_some_and(|bytes| stored == *bytes), "round {round}: '{key}' is torn or strange");
        }
        assert!(cloud.server.object(BUCKET, "d/theirs").is_some(), "round {round}: something was deleted");
    });

    let parts_before = cloud.server.requests().of(Operation::UploadPart);
    let finished = cloud.server.uploaded_parts(BUCKET);
    cloud.server.reset_requests();
    assert_eq!(cloud.run(&UP).code, Some(0));
    let wanted: usize = files
        .iter()
        .filter(|(name, _)| finished.contains_key(&format!("d/{name}")))
        .map(|(_, bytes)| bytes.len().div_ceil(8 << 20))
        .sum();
    let there: usize = finished.values().sum();
    let sent = cloud.server.requests().of(Operation::UploadPart);
    let fresh: usize = parts_of_others(&files, &cloud, &finished);
    assert!(sent <= wanted - there + fresh, "{sent} parts sent, {there} of {wanted} were there, {parts_before} before");
    for (name, bytes) in &files {
        assert!(cloud.server.object(BUCKET, &format!("d/{name}")).unwrap().bytes == *bytes, "{name}");
    }
    assert_eq!(cloud.server.open_uploads(BUCKET), [""; 0], "orphans are left");
    assert_eq!(cloud.server.keys(BUCKET).len(), files.len() + 1, "something else was uploaded");
}

/// Returns the parts of large files whose uploads had not begun.
fn parts_of_others(files: &BTreeMap<String, Vec<u8>>, cloud: &Cloud, begun: &BTreeMap<String, usize>) -> usize {
    let sent_in_parts = |key: &String| {
        cloud.server.log().iter().any(|seen| seen.operation == Operation::CreateMultipartUpload && seen.key == *key)
    };
    let keys = files.iter().map(|(name, bytes)| (format!("d/{name}"), bytes.len()));
    keys.filter(|(key, _)| !begun.contains_key(key) && sent_in_parts(key)).map(|(_, size)| size.div_ceil(8 << 20)).sum()
}

#[test]
fn a_download_that_is_killed_thirty_times_tears_nothing_and_ends_well() {
    let files = files();
    let cloud = Cloud::new(&[("d/mine", "stays")]);
    for (name, bytes) in &files {
        cloud.server.put(BUCKET, &format!("d/{name}"), bytes.clone());
    }
    let whole = take_time(&cloud, &DOWN);
    let directory = cloud.program.path("d");
    files.keys().for_each(|name| fs::remove_file(directory.join(name)).unwrap());
    fs::remove_dir_all(cloud.program.state()).unwrap();

    kill_at_many_moments(&cloud, &DOWN, whole, |round| {
        for entry in fs::read_dir(&directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name == "mine" || name.starts_with(".pos3-partial.") {
                continue;
            }
            let stored = fs::read(directory.join(&name)).unwrap();
            assert!(
                files.get(&name).is_some_and(|bytes| stored == *bytes),
                "round {round}: '{name}' is torn or strange"
            );
        }
        assert!(directory.join("mine").exists(), "round {round}: something was deleted");
        // What a kill leaves behind is not uploaded by the opposite sync.
        if round % 10 == 0 {
            assert!(quiet(cloud.command(&["sync", "d", "s3://data/copy"])).wait().unwrap().success());
            assert!(cloud.server.keys(BUCKET).iter().all(|key| !key.contains(".pos3-partial.")), "round {round}");
        }
    });

    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(cloud.run(&DOWN).code, Some(0));
    for (name, bytes) in &files {
        assert!(fs::read(directory.join(name)).unwrap() == *bytes, "{name}");
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), files.len() + 1, "something is left behind");
}
