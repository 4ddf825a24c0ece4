//! Users without permission for every request: a policy often allows only the keys below one prefix.

use pos3_tests::server::{Answer, Fault, Operation};

use super::Cloud;
use super::run::{run, sh, stored};
use crate::program::expected;

/// Returns a bucket in which the user may read and list only what is below `team/`, as with a policy that names
/// `team/*`.
fn limited_to_a_prefix() -> Cloud {
    let cloud = Cloud::new(&[("up/b", "2")]).with_objects(&[("team/a", "1"), ("team/d/x", "3"), ("other/y", "4")]);
    for key in ["team", "other", "", "other/"] {
        for operation in [Operation::HeadObject, Operation::ListObjectsV2] {
            cloud.server.fault(Fault::on(operation).key(key).always().answer(Answer::access_denied()));
        }
    }
    cloud
}

#[test]
fn a_prefix_can_be_used_without_permissions_outside_it() {
    for location in ["s3://data/team", "s3://data/team/"] {
        let cloud = limited_to_a_prefix();
        let listed = cloud.run(&["ls", location]);
        assert_eq!(listed.out, "s3://data/team/a\ns3://data/team/d/\n", "{listed:?}");
        for line in [&["download", location, "--local", "out"][..], &["sync", location, "out"]] {
            let ended = cloud.run(line);
            assert_eq!(ended.code, Some(0), "{location} {ended:?}");
            assert_eq!(cloud.program.files("out"), expected(&[("a", "1"), ("d/x", "3")]), "{location}");
            std::fs::remove_dir_all(cloud.program.path("out")).unwrap();
        }
        let output = format!("team={location}");
        let ended = run(&cloud, &sh(&["--sync", &output], r#"echo 5 > "$POS3_PATH_TEAM/n""#));
        assert_eq!(ended.code, Some(0), "{location} {ended:?}");
        assert_eq!(stored(&cloud, "team/n").unwrap(), "5\n");
    }
}

#[test]
fn what_may_not_be_read_is_denied_and_not_missing() {
    let cloud = limited_to_a_prefix();
    for line in [&["ls", "s3://data/other"][..], &["download", "s3://data/other", "--local", "out"]] {
        let ended = cloud.run(line);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("access denied") && !ended.err.contains("there is nothing"), "{ended:?}");
    }
}
