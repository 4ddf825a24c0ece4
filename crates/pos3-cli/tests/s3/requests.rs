//! A sync sends the documented number of requests, and no more than necessary.

use super::{BUCKET, Cloud, requests};

#[test]
fn deleting_many_takes_one_request_per_thousand() {
    let cloud = Cloud::new(&[("keep/a", "1")]).with_objects(&[("p/a", "1")]);
    for number in 0..2_500 {
        cloud.server.put(BUCKET, &format!("p/old-{number:04}"), "x");
    }
    let (code, told) = cloud.json(&["sync", "keep", "s3://data/p", "--delete", "--max-delete", "100%"]);
    assert_eq!((code, told["deleted"].as_u64()), (0, Some(2_500)));
    // Three pages make the plan, and one goes before each request that deletes.
    assert_eq!(cloud.requests_as_told(&told), requests(&[("DeleteObjects", 3), ("ListObjectsV2", 6)]));
    assert_eq!(cloud.server.keys(BUCKET), ["p/a"]);
}

#[test]
fn retried_requests_are_on_the_bill_too() {
    use pos3_tests::server::{Answer, Fault, Operation};
    let cloud = Cloud::new(&[("d/a", "1"), ("d/b", "2")]);
    cloud.server.fault(Fault::on(Operation::PutObject).times(2).answer(Answer::slow_down()));
    let (code, told) = cloud.json(&["sync", "d", "s3://data/d"]);
    assert_eq!(code, 0, "{told}");
    // Before a write is sent again, its object is looked up: by a HEAD, which a listing confirms.
    let expected = requests(&[("HeadObject", 2), ("ListObjectsV2", 3), ("PutObject", 4)]);
    assert_eq!(cloud.requests_as_told(&told), expected);
}

#[test]
fn no_run_sends_more_requests_at_once_than_allowed() {
    let cloud = Cloud::new(&[]);
    for (name, size) in (0..150).map(|number| (format!("d/{number:03}"), 10)).chain([("d/large".to_owned(), 20 << 20)])
    {
        let path = cloud.program.path(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![7; size]).unwrap();
        cloud.server.put(BUCKET, &format!("p/old {name}"), "x");
        cloud.server.create_upload(BUCKET, &format!("p/open {name}"));
    }
    cloud.server.configure(|settings| {
        settings.latency = std::time::Duration::from_millis(2);
        settings.page_size = 20;
    });
    for arguments in [
        &["sync", "d", "s3://data/p", "--delete", "--max-delete", "100%"][..],
        &["sync", "s3://data/p", "there"],
        &["sync", "s3://data/p", "s3://data/q"],
        &["check", "d", "s3://data/q", "--download"],
        &["upload", "s3://data/r", "--local", "d"],
    ] {
        cloud.server.reset_requests();
        let ended = cloud.run(&[arguments, &["-j", "3"]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(cloud.server.most_in_flight(), 3, "{arguments:?}");
    }
}
