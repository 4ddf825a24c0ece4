//! The messages for missing or invalid credentials: where pos3 looked for them, and how to fix this.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Account, SECRET, SIGNED_ON, TOKEN_FILE, sso_token};

/// Returns the two lines, with the home directory as `HOME`.
fn told(account: &Account, error: &str) -> [String; 2] {
    let home = account.program.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let lines: Vec<String> = error.lines().map(|line| line.replace(&home, "HOME")).collect();
    lines.try_into().unwrap_or_else(|lines| panic!("{lines:?}"))
}

const FILES: &str = "'HOME/.aws/config' or 'HOME/.aws/credentials'";

const FAILED: &str = "hint: fix that source, or choose another with AWS_PROFILE or --profile: if a configured source of \
                      credentials fails, pos3 tries no other";

#[test]
fn nothing_at_all() {
    let account = Account::new(&[]);
    let [error, hint] = told(&account, &account.fails(&[]));
    assert_eq!(
        error,
        format!(
            "error: no S3 credentials found; looked at the environment (AWS_ACCESS_KEY_ID is not set), the AWS profile \
             'default' (nothing for it in {FILES}), a web identity (AWS_WEB_IDENTITY_TOKEN_FILE is not set), a container \
             (neither AWS_CONTAINER_CREDENTIALS_FULL_URI nor AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is set), the \
             instance's metadata (IMDS disabled by AWS_EC2_METADATA_DISABLED env var set to `true`)"
        )
    );
    assert!(hint.starts_with("hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"), "{hint}");
}

/// A machine that is not an instance: no service listens, or a service that never responds.
#[test]
fn no_instance() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    // Nobody listens on a port that is reserved for a service that has gone.
    for (address, why) in
        [("127.0.0.1:1", "cannot connect to http://"), (&*silent, "no complete response from http://")]
    {
        let account = Account::new(&[]);
        let endpoint = format!("http://{address}");
        let variables = [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*endpoint)];
        let [error, hint] = told(&account, &account.fails(&variables));
        let instance = error.split_once("the instance's metadata (could not communicate with IMDS: ").unwrap().1;
        assert!(error.starts_with("error: no S3 credentials found; looked at ") && instance.contains(why), "{error}");
        assert!(hint.starts_with("hint: set AWS_ACCESS_KEY_ID"), "{hint}");
    }
}

#[test]
fn an_aws_profile_that_is_not_there_does_not_mean_other_credentials() {
    let keys = format!("[work]\naws_access_key_id = test-key\naws_secret_access_key = {SECRET}\n");
    for files in [&[(".aws/credentials", &*keys)][..], &[]] {
        let account = Account::new(files);
        // The machine would have some.
        let uri = format!("{}/container", account.services.endpoint());
        let variables = [("AWS_PROFILE", "wrok"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri)];
        let [error, hint] = told(&account, &account.ends(2, &variables));
        assert_eq!(error, format!("error: there is no AWS profile 'wrok' in {FILES}"));
        assert_eq!(
            hint,
            "hint: check AWS_PROFILE and AWS_DEFAULT_PROFILE, or unset them; a profile of another server is named with --profile"
        );
        assert_eq!(account.services.requests(), [""; 0]);
    }
    // One that is there and has no credentials lets the machine have them.
    let account = Account::new(&[(".aws/config", "[profile work]\nregion = eu-west-1\n")]);
    let uri = format!("{}/container", account.services.endpoint());
    let variables = [("AWS_PROFILE", "work"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*uri)];
    account.copies(&variables, &[("container", 1)]);
}

#[test]
fn a_sign_on_that_has_ended() {
    let old = sso_token("2020-01-01T00:00:00Z").replace("2999-01-01", "2020-01-01");
    for (files, why) in [
        (&[(".aws/config", SIGNED_ON), (TOKEN_FILE, &*old)][..], "the SSO token has expired and cannot be refreshed"),
        (&[(".aws/config", SIGNED_ON)], "failed to load the cached SSO token"),
    ] {
        let account = Account::new(files);
        let [error, hint] = told(&account, &account.fails(&[]));
        let place = format!("error: cannot get S3 credentials from the AWS profile 'default' ({FILES}): ");
        assert!(error.starts_with(&place) && error.contains(why), "{error}");
        assert_eq!(hint, "hint: sign in again: aws sso login");
    }
}

#[test]
fn half_a_pair_of_keys() {
    let account = Account::new(&[]);
    let [error, hint] = told(&account, &account.ends(2, &[("AWS_SECRET_ACCESS_KEY", SECRET)]));
    assert_eq!(error, "error: AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not");
    assert_eq!(hint, "hint: set both, or neither");

    for (half, missing) in [
        (format!("aws_secret_access_key = {SECRET}"), "aws_access_key_id"),
        ("aws_access_key_id = test-key".to_owned(), "aws_secret_access_key"),
    ] {
        let account = Account::new(&[(".aws/credentials", &format!("[default]\n{half}\n"))]);
        let [error, hint] = told(&account, &account.fails(&[]));
        assert!(error.contains(&format!("({FILES}): ")) && error.contains(&format!("missing {missing}")), "{error}");
        assert_eq!(hint, FAILED);
    }
}

#[test]
fn a_key_without_a_value_is_named_with_its_line() {
    for (key, keys) in [
        ("aws_access_key_id", format!("aws_access_key_id =\naws_secret_access_key = {SECRET}")),
        ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY = \naws_access_key_id = test-key".to_owned()),
    ] {
        let account =
            Account::new(&[(".aws/credentials", &format!("[other]\naws_access_key_id =\n\n[default]\n{keys}\n"))]);
        let [error, hint] = told(&account, &account.fails(&[]));
        assert!(error.ends_with(&format!("'HOME/.aws/credentials': {key} in line 5 has no value")), "{error}");
        assert_eq!(hint, FAILED);
        assert_eq!(account.services.requests(), [""; 0]);
    }
}

#[test]
fn a_process_that_gives_none() {
    let process = |script: &str| format!("[default]\ncredential_process = {script}\n");
    let nonsense = format!("echo 'SecretAccessKey: {SECRET}'");
    let halves = format!("echo '{{\"Version\":1,\"SecretAccessKey\":\"{SECRET}\"}}'");
    for (script, why) in [
        (nonsense.as_str(), "the credential process 'echo' of the profile 'default': its output is not a JSON object"),
        (&halves, "AccessKeyId"),
        ("echo broken >&2; exit 7", "exit status: 7. Stderr: broken"),
        ("/nowhere/program", "/nowhere/program: not found"),
        ("true", "its output is not a JSON object"),
        ("yes", "the credential process 'yes' of the profile 'default': it printed more than 64 KiB"),
    ] {
        let account = Account::new(&[(".aws/config", &process(script))]);
        let [error, hint] = told(&account, &account.fails(&[("PATH", "/usr/bin:/bin")]));
        let place = format!("error: cannot get S3 credentials from the AWS profile 'default' ({FILES}): ");
        assert!(error.starts_with(&place) && error.contains(why), "{error}");
        assert_eq!(hint, FAILED);
    }
    // However much it says.
    let account = Account::new(&[(".aws/config", &process("yes no | head -c 100000 >&2; exit 1"))]);
    let [error, _] = told(&account, &account.fails(&[("PATH", "/usr/bin:/bin")]));
    assert!(error.contains("Stderr: no no no") && error.ends_with('…') && error.len() < 1000, "{error}");
}

#[test]
fn a_token_service_that_refuses() {
    let role = format!(
        "[default]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\n\
         [profile base]\naws_access_key_id = base-key\naws_secret_access_key = {SECRET}\n"
    );
    let account = Account::new(&[(".aws/config", &role), ("token", SECRET)]);
    account.services.refuse_after(0, "AccessDenied");
    let [error, hint] = told(&account, &account.fails(&[]));
    let place = format!("error: cannot get S3 credentials from the AWS profile 'default' ({FILES}): ");
    assert!(error.starts_with(&place) && error.ends_with("): AccessDenied: not for you"), "{error}");
    assert_eq!((hint.as_str(), account.services.requests().len()), (FAILED, 1));

    std::fs::remove_file(account.program.path(".aws/config")).unwrap();
    let token = account.program.path("token");
    let identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
    ];
    let [error, hint] = told(&account, &account.fails(&identity));
    let place = "error: cannot get S3 credentials from a web identity (AWS_WEB_IDENTITY_TOKEN_FILE): ";
    assert!(error.starts_with(place) && error.contains("AccessDenied"), "{error}");
    assert_eq!(hint, FAILED);
}

#[test]
fn what_is_named_and_not_there() {
    let account = Account::new(&[]);
    let uri = format!("{}/container", account.services.endpoint());
    for (variables, words) in [
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere"), ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web")][..],
            ["a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", "the file cannot be read: No such file"],
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere")],
            ["a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", "AWS_ROLE_ARN"],
        ),
        (
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere")],
            ["a container (AWS_CONTAINER_", "the file of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read"],
        ),
        (
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x")],
            ["a container (AWS_CONTAINER_", "URI did not refer to an allowed IP address"],
        ),
    ] {
        let [error, hint] = told(&account, &account.fails(variables));
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert_eq!(hint, FAILED);
    }
    assert_eq!(account.services.requests(), [""; 0]);
}

#[test]
fn an_answer_with_credentials_that_never_ends_is_given_up() {
    const MOST: usize = 64 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/keys", listener.local_addr().unwrap());
    let most = Arc::new(AtomicUsize::new(0));
    let sent = most.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut written = 0;
            let _request = stream.read(&mut [0; 4096]);
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
            let mut result = stream.write_all(head);
            while result.is_ok() && written < MOST {
                result = stream.write_all(&[b' '; 1 << 16]);
                written += 1 << 16;
            }
            sent.fetch_max(written, Ordering::SeqCst);
        }
    });
    let account = Account::new(&[]);
    let error = account.fails(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)]);
    assert!(error.contains("larger than 1048576 bytes"), "{error}");
    assert!(most.load(Ordering::SeqCst) < MOST, "all of it was read");
}

#[test]
fn a_role_without_keys_to_assume_it_with_ends_the_search() {
    let role = "[default]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = default\n";
    let account = Account::new(&[(".aws/config", role), ("token", SECRET)]);
    let token = account.program.path("token");
    let others = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
    ];
    let [error, hint] = told(&account, &account.fails(&others));
    assert!(error.starts_with("error: cannot get S3 credentials from the AWS profile 'default'"), "{error}");
    assert_eq!(hint, FAILED);
    assert_eq!(account.services.requests(), [""; 0]);
}

#[test]
fn credentials_that_expired_long_ago_are_not_used() {
    let answer = format!(
        "{{\"Version\":1,\"AccessKeyId\":\"test-key\",\"SecretAccessKey\":\"{SECRET}\",\"SessionToken\":\"t\",\
         \"Expiration\":\"2020-01-01T00:00:00Z\"}}"
    );
    let account =
        Account::new(&[("answer.json", &answer), (".aws/config", "[default]\ncredential_process = cat answer.json\n")]);
    let [error, hint] = told(&account, &account.fails(&[("PATH", "/usr/bin:/bin")]));
    assert!(error.contains("it returned credentials that expired "), "{error}");
    assert_eq!(hint, FAILED);
}

#[test]
fn a_signal_ends_a_command_that_waits_for_a_credential_process() {
    let account = Account::new(&[(".aws/config", "[default]\ncredential_process = touch asked; sleep 30\n")]);
    let mut planning = account.program.command(&["plan", "from", "s3://data/d", "-o", "plan"]);
    let planning = planning.env("AWS_ENDPOINT_URL_S3", account.server.endpoint()).env("AWS_ACCESS_KEY_ID", "test-key");
    let planned = crate::program::Ended::from(planning.env("AWS_SECRET_ACCESS_KEY", SECRET).output().unwrap());
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let of_locations = ["sync", "plan", "check"].map(|command| vec![command, "from", "s3://data/d"]);
    for command in of_locations.into_iter().chain([vec!["apply", "plan"]]) {
        let mut child = account.program.command(&command);
        let command = command[0];
        let child = child.env("AWS_ENDPOINT_URL_S3", account.server.endpoint()).env("PATH", "/usr/bin:/bin");
        let child = child.env("HOME", account.program.path(""));
        let child = child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let begin = std::time::Instant::now();
        while !account.program.path("asked").exists() {
            assert!(begin.elapsed().as_secs() < 20, "{command}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        std::fs::remove_file(account.program.path("asked")).unwrap();
        crate::signals::kill("-TERM", &child);
        let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(143), "{command}: {ended:?}");
        assert!(ended.err.contains("ended by a signal"), "{command}: {ended:?}");
        assert!(begin.elapsed().as_secs() < 20, "{command}");
    }
}
