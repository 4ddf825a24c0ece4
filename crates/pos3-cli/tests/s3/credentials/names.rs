//! Which AWS profile is selected, how its files are parsed, and that pos3 never falls back to other credentials.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use pos3_tests::credentials::CredentialServer;
use pos3_tests::server::{Answer, Fault, Operation, S3Server};

use super::{Account, BUCKET, SECRET};
use crate::program::Ended;

fn keys(section: &str) -> String {
    format!("[{section}]\naws_access_key_id = test-key\naws_secret_access_key = {SECRET}\n")
}

#[test]
fn a_profile_that_cannot_be_used_never_means_the_credentials_of_the_machine() {
    let unusable = "the name of a profile may contain letters without accents, digits and '_-/.%@:+'";
    for (section, name, code, why) in [
        ("lab", "lab", 2, ".aws/config' (it has [lab], where [profile lab] is needed) or '"),
        ("profile my lab", "my lab", 1, unusable),
        ("profile \"my lab\"", "my lab", 1, unusable),
        ("profile a]b", "a]b", 1, unusable),
        ("profile müller", "müller", 1, unusable),
        ("profile lab", "lab ", 2, "the environment variable"),
        ("profile lab", "Lab", 2, "there is no AWS profile 'Lab' in '"),
    ] {
        let account = Account::new(&[(".aws/config", &keys(section))]);
        let endpoint = account.services.endpoint();
        let container = format!("{endpoint}/container");
        for variable in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
            let error = account.ends(
                code,
                &[
                    (variable, name),
                    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container),
                    ("AWS_EC2_METADATA_DISABLED", "false"),
                    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint),
                ],
            );
            assert!(error.contains(why), "{section} {name}: {error}");
            assert_eq!(account.services.requests(), [""; 0], "{section} {name}");
        }
    }
}

#[test]
fn the_older_variable_names_the_profile_too() {
    let account = Account::new(&[(".aws/config", &keys("profile work"))]);
    account.copies(&[("AWS_DEFAULT_PROFILE", "work")], &[]);
    let account = Account::new(&[(".aws/credentials", &keys("work"))]);
    account.copies(&[("AWS_PROFILE", "work"), ("AWS_DEFAULT_PROFILE", "other")], &[]);
}

#[test]
fn an_indented_section_is_read_as_the_aws_tools_read_it() {
    let text = format!("# note\n{}{}", keys("profile other").replace("test-key", "wrong"), keys("profile \"work\""));
    for depth in ["  ", "\t"] {
        let indented: String = text.lines().map(|line| format!("{depth}{line}\r\n")).collect();
        let account = Account::new(&[(".aws/config", &indented)]);
        account.copies(&[("AWS_PROFILE", "work")], &[]);
    }
}

#[test]
fn a_file_that_cannot_be_parsed_is_named_with_its_line() {
    for (file, text, why) in [
        (".aws/config", "[default]\nregion = x\nnonsense\n", "line 3 is neither a [section] nor 'key = value'"),
        (".aws/config", "[default\nregion = x\n", "line 1 is neither a [section] nor 'key = value'"),
        (".aws/credentials", "aws_access_key_id = x\n", "line 1 comes before the first [section]"),
    ] {
        let account = Account::new(&[(file, text)]);
        let container = format!("{}/container", account.services.endpoint());
        let error = account.fails(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container)]);
        assert!(error.contains(&format!("{}': {why}\n", account.program.path(file).display())), "{error}");
        assert_eq!(account.services.requests(), [""; 0]);
    }
}

#[test]
fn a_line_end_around_a_key_is_refused_with_the_name_of_its_variable() {
    let account = Account::new(&[]);
    for (variable, id, secret) in [
        ("AWS_ACCESS_KEY_ID", "test-key\r", SECRET.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test-key", format!("{SECRET}\n")),
        ("AWS_SECRET_ACCESS_KEY", "test-key", format!(" {SECRET}")),
    ] {
        let error = account.ends(2, &[("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", &secret)]);
        let expected = format!(
            "error: the value of the environment variable {variable} begins or ends with a blank or a line end\n"
        );
        assert!(error.starts_with(&expected) && error.contains("\nhint: "), "{error}");
    }
}

/// A role whose keys the token service gives, and nothing else.
const ROLE: &str = "[profile base]\naws_access_key_id = base-key\naws_secret_access_key = base-secret\n\
                    [default]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\n";

fn expired() -> Answer {
    Answer::Error { status: StatusCode::BAD_REQUEST, code: "ExpiredToken" }
}

#[test]
fn a_token_that_the_server_calls_expired_makes_its_source_be_asked_once_more() {
    let account = Account::new(&[(".aws/config", ROLE)]);
    account.server.fault(Fault::on(Operation::PutObject).answer(expired()));
    account.copies(&[], &[("AssumeRole", 2)]);

    let account = Account::new(&[(".aws/config", ROLE)]);
    account.server.fault(Fault::on_any().always().answer(expired()));
    let mut command = account.command();
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let place = "the credentials have expired; they came from the AWS profile 'default' ('";
    assert!(ended.err.contains(place) && ended.err.contains("\nhint: renew them there: "), "{}", ended.err);
    assert_eq!(account.services.given("AssumeRole"), 2, "once more, and not for every request");
}

/// The response to a HEAD has no body, so its status alone does not show that the credentials have expired.
#[test]
fn a_location_of_one_object_survives_expired_credentials() {
    for status in [StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN] {
        for (option, content) in [("--upload-file", "new"), ("--sync-file", "old"), ("--download", "old")] {
            let account = Account::new(&[(".aws/config", ROLE)]);
            account.server.put(BUCKET, "m", "old");
            for operation in [Operation::HeadObject, Operation::GetObject] {
                let expired = Answer::Error { status, code: "ExpiredToken" };
                account.server.fault(Fault::on(operation).answer(expired));
            }
            let script = if option == "--upload-file" { "printf new > \"$POS3_PATH_O\"" } else { "true" };
            let mut command = account.program.command(&["run", option, "o=s3://data/m", "--", "sh", "-c", script]);
            account.prepare(&mut command);
            let ended = Ended::from(command.output().unwrap());
            assert_eq!(ended.code, Some(0), "{status} {option}: {ended:?}");
            assert_eq!(account.server.object(BUCKET, "m").unwrap().bytes, content, "{status} {option}");
            assert_eq!(account.services.given("AssumeRole"), 2, "{status} {option}");
        }
    }
}

#[test]
fn a_location_without_a_slash_gets_the_advice_for_wrong_credentials() {
    for (code, message, hint) in [
        ("ExpiredToken", "the credentials have expired", "renew them there: "),
        ("InvalidAccessKeyId", "the server does not know this access key", "check AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", "the secret key does not match the access key", "check AWS_SECRET_ACCESS_KEY"),
        ("AccessDenied", "access denied: http 403 AccessDenied", "ask the bucket's owner for permission"),
    ] {
        for arguments in [
            &["run", "--sync", "o=s3://data/m", "--", "true"][..],
            &["download", "s3://data/m"],
            &["upload", "s3://data/m", "--local", "from/a"],
            &["sync", "s3://data/m", "to"],
        ] {
            let account = Account::new(&[(".aws/config", ROLE)]);
            account.server.put(BUCKET, "m", "old");
            account
                .server
                .fault(Fault::on_any().always().answer(Answer::Error { status: StatusCode::FORBIDDEN, code }));
            let mut command = account.program.command(arguments);
            account.prepare(&mut command);
            let ended = Ended::from(command.output().unwrap());
            assert_eq!(ended.code, Some(1), "{code} {arguments:?}: {ended:?}");
            assert!(ended.err.contains(message), "{code} {arguments:?}: {}", ended.err);
            assert!(ended.err.contains(&format!("hint: {hint}")), "{code} {arguments:?}: {}", ended.err);
        }
    }
}

#[test]
fn the_file_of_a_profile_is_read_again_when_its_keys_have_expired() {
    let server = S3Server::builder().bucket(BUCKET).credentials("test-key", SECRET).start().unwrap();
    let services = CredentialServer::start("test-key", SECRET).unwrap();
    let profile = format!("[profiles.lab]\nendpoint = \"{}\"\ncredentials_file = \"keys.ini\"\n", server.endpoint());
    let old = keys("lab").replace("test-key", "old-key") + "aws_session_token = t\n";
    let account = Account::of(server, services, &[("profiles.toml", &profile), ("keys.ini", &old)]);
    account.server.configure(|settings| settings.latency = Duration::from_secs(1));
    account.server.fault(Fault::on_any().answer(expired()));
    let mut command = account.command();
    command.env("POS3_PROFILES_FILE", account.program.path("profiles.toml")).args(["--profile", "lab"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while account.server.connections() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::write(account.program.path("keys.ini"), keys("lab")).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(account.server.keys(BUCKET), ["to/a", "to/b"]);
}

#[test]
fn the_instance_is_asked_as_often_and_as_long_as_the_variables_say() {
    for (attempts, timeout, least) in [("1", "0.3", 0.3), ("3", "0.2", 0.6), ("1", "2.5", 2.5)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for connection in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                held.push(connection);
            }
        });
        let account = Account::new(&[]);
        let begun = Instant::now();
        account.fails(&[
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint),
            ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", attempts),
            ("AWS_METADATA_SERVICE_TIMEOUT", timeout),
        ]);
        let took = begun.elapsed().as_secs_f64();
        assert_eq!(connections.load(Ordering::SeqCst).to_string(), attempts);
        assert!(took >= least, "{attempts} attempts of {timeout} s took {took} s");
    }
    let account = Account::new(&[]);
    let error = account.ends(2, &[("AWS_METADATA_SERVICE_TIMEOUT", "soon")]);
    assert!(error.starts_with("error: AWS_METADATA_SERVICE_TIMEOUT must be a number of seconds"), "{error}");
}
