//! Roles of an AWS profile, assumed with keys from each possible source.

use super::{Account, SECRET};

#[test]
fn an_assumed_role() {
    let account = Account::new(&[(
        ".aws/config",
        "[profile base]\naws_access_key_id = base-key\naws_secret_access_key = base-secret\n\
         [profile deploy]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\nregion = eu-west-1\n",
    )]);
    account.copies(&[("AWS_PROFILE", "deploy")], &[("AssumeRole", 1)]);
    let request = account.services.requests().remove(0);
    assert!(request.contains("Credential=base-key/") && request.contains("/eu-west-1/sts/"), "{request}");
    assert!(request.contains("role%2Fdeploy"), "{request}");
}

/// A role that is assumed with the keys of this place.
fn deploy(source: &str) -> String {
    format!(
        "[profile deploy]\nrole_arn = arn:aws:iam::123456789012:role/deploy\ncredential_source = {source}\n\
         external_id = of-us\nrole_session_name = nightly\n"
    )
}

#[test]
fn a_role_that_is_assumed_with_the_keys_of_the_environment() {
    let account = Account::new(&[(".aws/config", &deploy("Environment"))]);
    let keys = [("AWS_ACCESS_KEY_ID", "base-key"), ("AWS_SECRET_ACCESS_KEY", "base-secret")];
    account.copies(&[keys[0], keys[1], ("AWS_PROFILE", "deploy")], &[("AssumeRole", 1)]);
    let request = account.services.requests().remove(0);
    for word in ["Credential=base-key/", "role%2Fdeploy", "ExternalId=of-us", "RoleSessionName=nightly"] {
        assert!(request.contains(word), "{word}: {request}");
    }
    // Who names no profile means the keys.
    let keys = [("AWS_ACCESS_KEY_ID", "test-key"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let config = deploy("Environment").replace("profile deploy", "default");
    Account::new(&[(".aws/config", &config)]).copies(&keys, &[("AssumeRole", 0)]);
}

#[test]
fn a_role_that_is_assumed_with_the_keys_of_a_container() {
    let account = Account::new(&[(".aws/config", &deploy("EcsContainer"))]);
    let uri = format!("{}/container", account.services.endpoint());
    let variables = [("AWS_PROFILE", "deploy"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri)];
    account.copies(&variables, &[("container", 1), ("AssumeRole", 1)]);
    // Temporary keys are signed with their token.
    assert!(account.services.requests()[1].contains("x-amz-security-token: a-token"));
}

#[test]
fn a_role_that_is_assumed_with_the_keys_of_the_instance() {
    let account = Account::new(&[(".aws/config", &deploy("Ec2InstanceMetadata"))]);
    let endpoint = account.services.endpoint();
    let variables = [
        ("AWS_PROFILE", "deploy"),
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*endpoint),
    ];
    account.copies(&variables, &[("instance", 1), ("AssumeRole", 1)]);
}

#[test]
fn a_role_that_is_assumed_with_another_role() {
    let account = Account::new(&[(
        ".aws/config",
        "[profile base]\naws_access_key_id = base-key\naws_secret_access_key = base-secret\n\
         [profile middle]\nrole_arn = arn:aws:iam::123456789012:role/middle\nsource_profile = base\n\
         [profile deploy]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = middle\n",
    )]);
    account.copies(&[("AWS_PROFILE", "deploy")], &[("AssumeRole", 2)]);
    let requests = account.services.requests();
    assert!(requests[0].contains("role%2Fmiddle") && requests[0].contains("Credential=base-key/"), "{requests:?}");
    assert!(requests[1].contains("role%2Fdeploy") && requests[1].contains("Credential=test-key/"), "{requests:?}");
}
