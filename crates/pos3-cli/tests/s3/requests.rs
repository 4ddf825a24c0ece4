//! The bill: what a sync costs is what it says it costs, and no more than it must.

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
    assert_eq!(cloud.requests_as_told(&told), requests(&[("ListObjectsV2", 1), ("PutObject", 4)]));
}
