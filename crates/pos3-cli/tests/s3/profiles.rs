//! Two servers with different keys in one command: pos3 sends no key to the wrong server.

use std::fs;

use pos3_tests::server::S3Server;

use crate::program::{Ended, Program, expected};

/// Two servers, one of them behind TLS of its own authority, and a home with a profile for each.
struct Two {
    lab: S3Server,
    far: S3Server,
    program: Program,
}

impl Two {
    fn new() -> Self {
        let lab = S3Server::builder().bucket("data").credentials("lab-key", "lab-secret").tls().start().unwrap();
        let far = S3Server::builder().bucket("data").credentials("far-key", "far-secret").start().unwrap();
        let program = Program::new().with(&[
            ("from/a", "1"),
            ("from/d/b", "2"),
            ("config/pos3/keys.ini", "[default]\naws_access_key_id = lab-key\naws_secret_access_key = lab-secret\n"),
            ("far.ini", "[far]\naws_access_key_id = far-key\naws_secret_access_key = far-secret\n"),
            ("config/pos3/ca.pem", lab.authority().unwrap()),
        ]);
        let profiles = format!(
            "[profiles.lab]\nendpoint = \"{}\"\ncredentials_file = \"keys.ini\"\nca_bundle = \"ca.pem\"\n\
             [profiles.far]\nendpoint = \"{far}\"\ncredentials_file = \"~/far.ini\"\n\
             [profiles.wrong]\nendpoint = \"{far}\"\ncredentials_file = \"keys.ini\"\n\
             [profiles.lost]\nendpoint = \"{far}\"\ncredentials_file = \"missing.ini\"\n\
             [profiles.open]\nendpoint = \"{far}\"\npublic = true\n\
             [profiles.plain]\nendpoint = \"{far}\"\n\
             [profiles.broken]\nendpoint = \"{far}\"\npublic = \"false\"\n",
            lab.endpoint(),
            far = far.endpoint(),
        );
        Self { lab, far, program: program.with(&[("config/pos3/profiles.toml", &profiles)]) }
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = self.program.command(arguments);
        command.env("HOME", self.program.path("")).env("XDG_CONFIG_HOME", self.program.path("config"));
        command.envs(variables.iter().copied()).output().unwrap().into()
    }

    fn requests(&self) -> usize {
        self.lab.requests().total() + self.far.requests().total()
    }
}

/// The valid keys of the far server, in a place where pos3 must not look for them.
const FAR_KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "far-key"), ("AWS_SECRET_ACCESS_KEY", "far-secret")];

#[test]
fn one_command_uses_two_servers_each_with_its_own_keys_and_trust() {
    let two = Two::new();
    let up = two.run(&["sync", "from", "s3://data/x", "--profile", "lab"], &[]);
    assert_eq!(up.code, Some(0), "{up:?}");
    assert_eq!(two.lab.keys("data"), ["x/a", "x/d/b"]);
    // The location's own profile comes before the option's.
    let across = two.run(&["sync", "s3://data/x", "s3://far@data/y", "--profile", "lab", "-v"], &[]);
    assert_eq!(across.code, Some(0), "{across:?}");
    assert_eq!(two.far.keys("data"), ["y/a", "y/d/b"]);
    assert!(across.err.contains("s3://lab@data/x/a"), "{across:?}");
    let down = two.run(&["sync", "s3://far@data/y", "to"], &[]);
    assert_eq!(down.code, Some(0), "{down:?}");
    assert_eq!(two.program.files("to"), expected(&[("a", "1"), ("d/b", "2")]));
    let listed = two.run(&["ls", "s3://data/y/", "--recursive", "--profile", "far"], &[]);
    assert_eq!(listed.out, "s3://far@data/y/a\ns3://far@data/y/d/\ns3://far@data/y/d/b\n", "{listed:?}");
}

#[test]
fn keys_never_fall_back() {
    let two = Two::new();
    // With its own keys a profile is refused, and the right ones of the environment are not tried.
    let wrong = two.run(&["ls", "s3://wrong@data"], &FAR_KEYS);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(!wrong.err.contains("secret") || wrong.err.contains("the secret key"), "{wrong:?}");
    two.far.reset_requests();

    let lost = two.run(&["ls", "s3://lost@data"], &FAR_KEYS);
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(lost.err.contains("profile 'lost': cannot read the credentials in '"), "{lost:?}");
    assert!(lost.err.contains("hint: fix that file: a profile with a credentials_file"), "{lost:?}");
    let none = two.run(&["ls", "s3://plain@data"], &[]);
    assert!(none.err.contains("no S3 credentials found; looked at the environment"), "{none:?}");
    assert_eq!(two.requests(), 0);

    // One without keys of its own uses those that there are; a public one uses none, which this server refuses.
    two.far.put("data", "k", "1");
    assert_eq!(two.run(&["ls", "s3://plain@data"], &FAR_KEYS).code, Some(0));
    let open = two.run(&["ls", "s3://open@data"], &FAR_KEYS);
    assert!(open.code == Some(1) && open.err.contains("http 403 AccessDenied"), "{open:?}");
}

#[test]
fn a_secret_is_taken_as_it_is() {
    const SECRET: &str = "%(home)s$HOME#1;=+/%25\\\"'";
    let server = S3Server::builder().bucket("data").credentials("key", SECRET).start().unwrap();
    server.put("data", "k", "1");
    let program = Program::new().with(&[
        ("keys.ini", &format!("[lab]\naws_access_key_id = key\naws_secret_access_key = {SECRET}\n")),
        (
            "profiles.toml",
            &format!("[profiles.lab]\nendpoint = \"{}\"\ncredentials_file = \"keys.ini\"\n", server.endpoint()),
        ),
    ]);
    let mut command = program.command(&["ls", "s3://lab@data"]);
    let ended = Ended::from(command.env("POS3_PROFILES_FILE", program.path("profiles.toml")).output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains('k') && !ended.err.contains("home"), "{ended:?}");
}

#[test]
fn a_profile_that_cannot_be_used_is_a_usage_error_that_says_why() {
    let two = Two::new();
    for (arguments, words) in [
        (&["cleanup", "s3://nobody@data"][..], ["there is no profile 'nobody'; '", "'broken', 'far', 'lab', 'lost'"]),
        (
            &["cleanup", "s3://data", "--profile", "nobody"],
            ["'s3://nobody@data' cannot be opened", "hint: define it as"],
        ),
        (
            &["cleanup", "s3://broken@data"],
            ["profile 'broken' in '", "/pos3/profiles.toml': public must be a boolean, true or false"],
        ),
        (&["ls", "s3://@data"], ["names no profile before the '@'", "leave the '@' out"]),
        (&["ls", "s3://data", "--profile", "lab", "--region", "r"], ["--profile", "cannot be used with"]),
    ] {
        let ended = two.run(arguments, &FAR_KEYS);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(words.iter().all(|word| ended.err.contains(word)), "{ended:?}");
    }
    assert_eq!(two.requests(), 0);
}

#[test]
fn a_profile_that_cannot_be_used_is_a_failure_of_the_commands_that_the_python_program_has() {
    let two = Two::new();
    for command in ["download", "upload", "ls"] {
        for url in ["s3://nobody@data/x", "s3://broken@data/x"] {
            let ended = two.run(&[command, url], &FAR_KEYS);
            assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
            let said = match url {
                "s3://nobody@data/x" => "Unknown profile: 'nobody'; ".to_owned(),
                _ => format!("'{url}' cannot be opened"),
            };
            assert!(ended.err.starts_with(&format!("pos3-cli {command}: {said}")), "{ended:?}");
        }
        assert_eq!(two.run(&[command, "s3://data/x", "--no-such-option"], &FAR_KEYS).code, Some(2));
    }
    assert_eq!(two.requests(), 0);
}

#[test]
fn an_endpoint_that_is_none_is_said_with_its_profile() {
    let two = Two::new();
    fs::write(two.program.path("config/pos3/profiles.toml"), "[profiles.lab]\nendpoint = \"lab.example\"\n").unwrap();
    for (command, code) in [("ls", 1), ("cleanup", 2)] {
        let ended = two.run(&[command, "s3://lab@data/x"], &FAR_KEYS);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let said = "'s3://lab@data/x' cannot be opened: profile 'lab': 'lab.example' is not an S3 endpoint: ";
        assert!(ended.err.contains(said) && !ended.err.contains("AWS_ENDPOINT_URL"), "{ended:?}");
    }
}

#[test]
fn aws_is_no_profile() {
    let two = Two::new();
    let endpoint = two.far.endpoint();
    let variables = [FAR_KEYS[0], FAR_KEYS[1], ("AWS_ENDPOINT_URL", &endpoint)];
    let ended = two.run(&["sync", "from", "s3://aws@data/z", "--profile", "lab"], &variables);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((two.far.keys("data").len(), two.lab.keys("data").len()), (2, 0));
    fs::write(two.program.path("config/pos3/profiles.toml"), "[profiles.aws]\nendpoint = \"http://h\"\n").unwrap();
    let ended = two.run(&["cleanup", "s3://aws@data"], &variables);
    assert!(ended.code == Some(2) && ended.err.contains("the name 'aws' is reserved"), "{ended:?}");
}

#[test]
fn two_names_of_one_server_are_one_place() {
    let two = Two::new();
    let ended = two.run(&["sync", "s3://far@data/x", "s3://wrong@data/x/y", "--delete"], &[]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("overlap"), "{ended:?}");
    assert_eq!(two.requests(), 0);
}

#[test]
fn a_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let two = Two::new();
    two.far.put("data", "k", "1");
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(two.program.path("far.ini"), fs::Permissions::from_mode(mode)).unwrap();
        let ended = two.run(&["ls", "s3://far@data"], &[]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.err.starts_with("warning: other users can read the credentials in "), warned, "{ended:?}");
    }
}

#[test]
fn one_session_has_two_users_buckets_at_two_servers() {
    let two = Two::new();
    two.lab.put("data", "in/a", "from the lab");
    two.far.put("data", "in/a", "from far");
    let places =
        ["--profile", "lab", "--download", "in=s3://data/in", "--sync", "far=s3://far@data/in", "--delete-remote"];
    let script = r#"cat "$POS3_PATH_IN/a"; cp "$POS3_PATH_IN/a" "$POS3_PATH_FAR/copy"; echo " $POS3_PATH_IN""#;
    let line = [&["run", "-q"], &places[..], &["--", "sh", "-c", script]].concat();
    let ended = two.run(&line, &[("PATH", "/usr/bin:/bin")]);
    let path = fs::canonicalize(two.program.path("cache/lab/data/in")).unwrap();
    assert_eq!((ended.code, ended.out), (Some(0), format!("from the lab {}\n", path.display())), "{}", ended.err);
    assert_eq!(two.far.keys("data"), ["in/a", "in/copy"]);
    assert_eq!(two.lab.keys("data"), ["in/a"]);
    assert_eq!(fs::read_to_string(two.program.path("cache/far/data/in/a")).unwrap(), "from far");

    let down = two.run(&["download", "s3://data/in", "--profile", "far", "-q"], &[]);
    let path = fs::canonicalize(two.program.path("cache/far/data/in")).unwrap();
    assert_eq!((down.code, down.out), (Some(0), format!("{}\n", path.display())), "{}", down.err);
    let listed = two.run(&["ls", "s3://data/in", "-r", "--profile", "far"], &[]);
    let keys: Vec<_> = listed.out.lines().collect();
    assert_eq!((listed.code, keys), (Some(0), vec!["s3://far@data/in/a", "s3://far@data/in/copy"]), "{}", listed.err);
}
