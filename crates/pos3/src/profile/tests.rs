//! Profiles files, and the profiles that are read from them.

use std::fs;

use super::*;

/// A directory with a profiles file.
struct Home(tempfile::TempDir);

impl Home {
    fn new(profiles: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write("pos3/profiles.toml", profiles);
        home
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn profiles(&self) -> Profiles {
        let root = self.0.path().as_os_str().to_owned();
        Profiles::from_variables(|name| ["HOME", "XDG_CONFIG_HOME"].contains(&name).then(|| root.clone()))
    }

    fn error(&self, name: &str) -> String {
        let error = self.profiles().get(name).unwrap_err();
        error.to_string().replace(self.0.path().to_str().unwrap(), "HOME")
    }
}

#[test]
fn a_whole_profile_is_read() {
    let home = Home::new(
        "\u{feff}# servers\n[profiles.lab]\nendpoint = \"http://h:1\"\nregion = \"r-1\"\npublic = false\n\
         credentials_file = \"keys.ini\"\nlocal_name = \"shared\"\npath_style = false\nca_bundle = \"~/ca.pem\"\n\
         opaque_etags = true\n\
         [profiles.open]\nendpoint = \"http://h:2\"\npublic = true\n[profiles.plain]\nendpoint = \"http://h:3\"\n",
    );
    let profiles = home.profiles();
    let lab = profiles.get("lab").unwrap();
    let expected = Profile::new("http://h:1")
        .with_region("r-1")
        .with_credentials_file(home.0.path().join("pos3/keys.ini"))
        .with_local_name("shared")
        .with_addressing(Addressing::VirtualHosted)
        .with_opaque_etags()
        .with_ca_bundle(home.0.path().join("ca.pem"));
    assert_eq!(lab, expected);
    assert_eq!((lab.local_name("lab"), profiles.get("open").unwrap().local_name("open")), ("shared", "open"));
    assert_eq!(profiles.get("open").unwrap(), Profile::new("http://h:2").with_anonymous());
    assert_eq!(profiles.get("plain").unwrap(), Profile::new("http://h:3"));
    assert_eq!(profiles.names().unwrap(), ["lab", "open", "plain"]);
}

#[test]
fn only_the_profile_in_use_must_be_right() {
    const KEYS: &str = "a profile can have endpoint, region, public, credentials_file, local_name, path_style, opaque_etags, ca_bundle";
    const FILE: &str = "'HOME/pos3/profiles.toml'";
    let cases = [
        ("public = \"false\"", "public must be a boolean, true or false without quotes, and is a string"),
        ("public = 0", "public must be a boolean, true or false without quotes, and is an integer"),
        ("path_style = \"yes\"", "path_style must be a boolean, true or false without quotes, and is a string"),
        ("region = 1", "region must be a string, such as \"text\", and is an integer"),
        ("region = \"\"", "region is empty"),
        ("ca_bundle = [\"hush\"]", "ca_bundle must be a string, such as \"text\", and is an array"),
        ("regoin = \"r\"", "unknown key 'regoin'; did you mean region?"),
        ("path-style = true", "unknown key 'path-style'; did you mean path_style?"),
        ("Credential_File = \"hush\"", "unknown key 'Credential_File'; did you mean credentials_file?"),
        ("timeout = 3", &format!("unknown key 'timeout'; {KEYS}")),
        ("addressing = \"virtual\"", "unknown key 'addressing'; write path_style = true or path_style = false"),
        (
            "aws_secret_access_key = \"hush\"",
            "unknown key 'aws_secret_access_key'; put the keys into a separate file and set credentials_file to it",
        ),
        (
            "public = true\ncredentials_file = \"f\"",
            "public = true sends no credentials, so credentials_file must not be set",
        ),
        ("local_name = \"../x\"", &format!("local_name '../x' {}", local_name::RULE)),
        ("local_name = \"_\"", &format!("local_name '_' {}", local_name::RULE)),
    ];
    let mut text = "[profiles.good]\nendpoint = \"http://h\"\npublic = false\n[profiles.none]\nregion = \"r\"\n\
                    [profiles.number]\nendpoint = 9000\n[profiles.\"a/b\"]\nendpoint = \"h\"\n[profiles]\nflat = 1\n"
        .to_owned();
    for (index, (line, _)) in cases.iter().enumerate() {
        text = format!("[profiles.bad{index}]\nendpoint = \"http://h\"\n{line}\n{text}");
    }
    let home = Home::new(&text);
    assert_eq!(home.profiles().get("good").unwrap(), Profile::new("http://h"));
    for (index, (_, expected)) in cases.iter().enumerate() {
        assert_eq!(home.error(&format!("bad{index}")), format!("profile 'bad{index}' in {FILE}: {expected}"));
    }
    for (name, expected) in [
        ("none", "profile 'none' in 'HOME/pos3/profiles.toml': endpoint is missing"),
        (
            "number",
            "profile 'number' in 'HOME/pos3/profiles.toml': endpoint must be a string, such as \"text\", and is an integer",
        ),
        (
            "flat",
            "profile 'flat' in 'HOME/pos3/profiles.toml': it is an integer, not a table; write profiles as [profiles.NAME]",
        ),
        ("a/b", "'a/b' is not a valid profile name: use letters, digits, '_' and '-', but not '_' alone"),
    ] {
        assert_eq!(home.error(name), expected);
    }
}

#[test]
fn path_style_says_where_the_bucket_stands() {
    for (line, expected) in [
        ("", None),
        ("path_style = true", Some(Addressing::Path)),
        ("path_style = false", Some(Addressing::VirtualHosted)),
    ] {
        let home = Home::new(&format!("[profiles.lab]\nendpoint = \"http://h\"\n{line}\n"));
        assert_eq!(home.profiles().get("lab").unwrap().addressing, expected, "{line}");
    }
}

#[test]
fn an_unknown_name_is_told_with_those_there_are() {
    let home = Home::new("[profiles.lab]\nendpoint = \"http://h\"\n[profiles.b]\nendpoint = \"http://h\"\n");
    assert_eq!(home.error("x"), "there is no profile 'x'; 'HOME/pos3/profiles.toml' has 'b', 'lab'");
    assert_eq!(Home::new("").error("x"), "there is no profile 'x'; 'HOME/pos3/profiles.toml' has none");

    let missing = Profiles::from_file("/nowhere/profiles.toml").with("mine", Profile::new("http://h")).unwrap();
    assert_eq!(
        missing.get("x").unwrap_err().to_string(),
        "there is no profile 'x'; the program has 'mine'; the file '/nowhere/profiles.toml' does not exist"
    );
    assert_eq!(
        Profiles::default().get("x").unwrap_err().to_string(),
        "there is no profile 'x'; no profiles file is configured"
    );
}

#[test]
fn a_file_that_is_none_is_told_without_its_content() {
    for (text, expected) in [
        ("[profiles.a]\nendpoint = \"http://h\"\nsecret hush\n", "line 3"),
        ("[profile.a]\nendpoint = \"http://h\"\n", "unknown key 'profile'; write profiles as [profiles.NAME]"),
        ("profiles = 1\n", "'profiles' is not a table"),
    ] {
        let error = Home::new(text).error("a");
        assert!(error.starts_with("'HOME/pos3/profiles.toml' is not a profiles file: "), "{error}");
        assert!(error.contains(expected) && !error.contains("hush") && !error.contains('\n'), "{error}");
    }
    // A failure is not cached.
    let home = Home::new("[");
    let profiles = home.profiles();
    assert!(profiles.get("a").is_err());
    home.write("pos3/profiles.toml", "[profiles.a]\nendpoint = \"http://h\"\n");
    assert!(profiles.get("a").is_ok());
}

#[test]
fn the_variables_are_asked_in_order() {
    let all = [("POS3_PROFILES_FILE", "~/p.toml"), ("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")];
    for (variables, expected) in [
        (&all[..], Some("/h/p.toml")),
        (&[("POS3_PROFILES_FILE", ""), ("XDG_CONFIG_HOME", "/x")], Some("/x/pos3/profiles.toml")),
        (&[("XDG_CONFIG_HOME", "x"), ("HOME", "/h")], Some("/h/.config/pos3/profiles.toml")),
        (&[], None),
    ] {
        let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        assert_eq!(Profiles::from_variables(value).path(), expected.map(Path::new), "{variables:?}");
    }
}

#[test]
fn a_profile_of_the_program_wins_and_cannot_change() {
    let home = Home::new("[profiles.lab]\nendpoint = \"http://file\"\n");
    let given = Profile::new("http://program").with_credentials("id", "hush", Some("token-hush".into()));
    let profiles = home.profiles().with("lab", given.clone()).unwrap().with("lab", given.clone()).unwrap();
    assert_eq!(profiles.get("lab").unwrap(), given);
    assert!(!format!("{profiles:?} {given:?}").contains("hush"));

    let other = given.with_credentials("id", "other", None);
    assert!(matches!(profiles.clone().with("lab", other), Err(ProfileError::Different { .. })));
    for (name, reserved) in [("aws", true), ("_", false), ("a@b", false), ("", false)] {
        let error = profiles.clone().with(name, Profile::new("http://h")).unwrap_err();
        assert_eq!(matches!(error, ProfileError::Reserved { .. }), reserved, "{error}");
        assert_eq!(matches!(error, ProfileError::Name { .. }), !reserved, "{error}");
    }
}

#[test]
fn the_reserved_name_is_no_profile() {
    let home = Home::new("[profiles.aws]\nendpoint = \"http://h\"\n");
    assert!(matches!(home.profiles().get("aws"), Err(ProfileError::Reserved { .. })));
    assert!(matches!(home.profiles().check_reserved(), Err(ProfileError::Reserved { .. })));
    assert!(Profiles::default().check_reserved().is_ok());
}

#[cfg(unix)]
#[test]
fn credentials_that_others_can_read_are_used_with_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new("");
    home.write("keys.ini", "[lab]\naws_access_key_id = id\naws_secret_access_key = hush\n");
    let path = home.0.path().join("keys.ini");
    let profiles = home.profiles();
    for (mode, warnings) in [(0o600, 0), (0o644, 1)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut told = Vec::new();
        let keys = profiles.keys("lab", &path, |warning| told.push(warning.to_owned())).unwrap();
        assert_eq!((keys.secret_key.as_str(), told.len()), ("hush", warnings), "{mode:o}");
    }
    let missing = profiles.keys("lab", Path::new("/nowhere/keys"), |_| ()).unwrap_err();
    assert_eq!(missing.to_string(), "profile 'lab': cannot read the credentials in '/nowhere/keys'");
}
