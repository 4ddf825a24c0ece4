//! What `~/.aws/config` says about places: region and endpoint of the AWS profile in use.
//!
//! Its credentials are the business of the chain. What cannot be read here is as if it were not there: the file belongs
//! to other programs, and whoever needs it for credentials will hear what is wrong with it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ini::{self, Line};

/// The profile where `AWS_PROFILE` names none.
const DEFAULT: &str = "default";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SharedConfig {
    pub(super) profile: AwsProfile,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) ca_bundle: Option<PathBuf>,
    /// Where the keys come from with which the profile's role is assumed.
    credential_source: Option<String>,
}

/// The AWS profile in use, and the files that it may stand in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AwsProfile {
    /// What `AWS_PROFILE` says.
    named: Option<String>,
    /// Not known without a home directory.
    pub(super) config: Option<PathBuf>,
    pub(super) credentials: Option<PathBuf>,
}

/// Reads the files that the environment names: `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`, else `config` and
/// `credentials` in `~/.aws`; the profile is `AWS_PROFILE`, else `default`.
pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> SharedConfig {
    let value = |name| variable(name).filter(|value| !value.is_empty());
    let home = value("HOME").map(PathBuf::from);
    let file = |name, usual: &str| {
        let path = value(name).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(".aws").join(usual)));
        path.map(|path| expanded(&path, home.as_deref()))
    };
    let profile = AwsProfile {
        named: value("AWS_PROFILE").and_then(|name| name.into_string().ok()),
        config: file("AWS_CONFIG_FILE", "config"),
        credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    };
    let mut found = SharedConfig::default();
    // What `config` says comes before what `credentials` does.
    for text in profile.texts() {
        let told = parse(&text, profile.name());
        found.region = found.region.or(told.region);
        found.endpoint = found.endpoint.or(told.endpoint);
        found.ca_bundle = found.ca_bundle.or(told.ca_bundle);
        found.credential_source = found.credential_source.or(told.credential_source);
    }
    found.ca_bundle = found.ca_bundle.map(|path| expanded(&path, home.as_deref()));
    SharedConfig { profile, ..found }
}

impl SharedConfig {
    /// Returns true if `AWS_PROFILE` names a profile whose role is assumed with the keys of the environment: they are
    /// for that alone.
    pub(super) fn takes_keys_of_environment(&self) -> bool {
        let source = self.credential_source.as_deref().unwrap_or_default();
        self.profile.named.is_some() && source.eq_ignore_ascii_case("Environment")
    }
}

#[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "without its credentials it is of no use"))]
impl AwsProfile {
    pub(super) fn name(&self) -> &str {
        self.named.as_deref().unwrap_or(DEFAULT)
    }

    /// Returns true if a profile was named and no file has it. The default one need not be there, named or not.
    pub(super) fn is_missing(&self) -> bool {
        let has = |text: String| {
            ini::lines(&text).any(|(_, line)| matches!(line, Line::Section(name) if names_profile(name, self.name())))
        };
        self.name() != DEFAULT && !self.texts().any(has)
    }

    /// Returns the files in words.
    pub(super) fn places(&self) -> String {
        let files: Vec<String> = self.files().map(|file| format!("'{}'", file.display())).collect();
        if files.is_empty() { "~/.aws: there is no home directory".to_owned() } else { files.join(" or ") }
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        self.files().map(|file| fs::read_to_string(file).unwrap_or_default())
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.config.iter().chain(&self.credentials)
    }
}

/// Returns what a file says of a profile. In `config` sections are `[profile NAME]`, in `credentials` `[NAME]`; an
/// endpoint for S3 alone stands under `s3 =` in `[services …]`.
fn parse(text: &str, profile: &str) -> SharedConfig {
    let mut found = SharedConfig::default();
    let mut services = None;
    let mut of_profile = false;
    for (_, line) in ini::lines(text) {
        match line {
            Line::Section(section) => of_profile = names_profile(section, profile),
            Line::Pair(key, value) if of_profile && !value.is_empty() => match key.to_ascii_lowercase().as_str() {
                "region" => found.region = Some(value.to_owned()),
                "endpoint_url" => found.endpoint = Some(value.to_owned()),
                "ca_bundle" => found.ca_bundle = Some(value.into()),
                "credential_source" => found.credential_source = Some(value.to_owned()),
                "services" => services = Some(value),
                _ => {}
            },
            _ => {}
        }
    }
    if let Some(endpoint) = services.and_then(|services| endpoint_of_s3(text, services)) {
        found.endpoint = Some(endpoint);
    }
    found
}

fn names_profile(section: &str, profile: &str) -> bool {
    let name = section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or(section);
    name.trim().trim_matches('"') == profile
}

fn endpoint_of_s3(text: &str, services: &str) -> Option<String> {
    let (mut inside, mut under_s3, mut found) = (false, false, None);
    for (_, line) in ini::lines(text) {
        match line {
            Line::Section(section) => {
                inside = section.strip_prefix("services").is_some_and(|name| name.trim() == services);
                under_s3 = false;
            }
            Line::Pair(key, _) => under_s3 = inside && key.eq_ignore_ascii_case("s3"),
            Line::Nested(key, value) if under_s3 && key.eq_ignore_ascii_case("endpoint_url") => {
                found = Some(value.to_owned());
            }
            _ => {}
        }
    }
    found
}

fn expanded(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile lab]\nregion=r-2\nendpoint_url = http://all\n\
                          services = ours\nca_bundle = ~/ca.pem\n[services ours]\nsts =\n  endpoint_url = http://sts\n\
                          s3 =\n  endpoint_url = http://s3\n[services other]\ns3 =\n  endpoint_url = http://other\n";

    #[test]
    fn the_profile_in_use_is_read() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/config"), CONFIG).unwrap();
        fs::write(home.path().join(".aws/credentials"), "[default]\nregion = x\nendpoint_url = http://c\n").unwrap();
        let read = |profile: &str| {
            read(|name| match name {
                "HOME" => Some(home.path().into()),
                "AWS_PROFILE" => Some(profile.into()),
                _ => None,
            })
        };
        let default = read("");
        assert_eq!((default.region.as_deref(), default.endpoint.as_deref()), (Some("eu-west-1"), Some("http://c")));
        let lab = read("lab");
        assert_eq!((lab.region.as_deref(), lab.endpoint.as_deref()), (Some("r-2"), Some("http://s3")));
        assert_eq!(lab.ca_bundle, Some(home.path().join("ca.pem")));
        let none = read("none");
        assert_eq!(SharedConfig { profile: AwsProfile::default(), ..none.clone() }, SharedConfig::default());
        let missing = [default, lab, none].map(|found| (found.profile.name().to_owned(), found.profile.is_missing()));
        let expected = [("default", false), ("lab", false), ("none", true)];
        assert_eq!(missing, expected.map(|(name, missing)| (name.to_owned(), missing)));
    }

    #[test]
    fn the_files_are_named_as_they_are() {
        let places = |variables: &[(&str, &str)]| {
            read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())).profile.places()
        };
        assert_eq!(places(&[("HOME", "/h")]), "'/h/.aws/config' or '/h/.aws/credentials'");
        let named = [("HOME", "/h"), ("AWS_CONFIG_FILE", "~/c"), ("AWS_SHARED_CREDENTIALS_FILE", "/k")];
        assert_eq!(places(&named), "'/h/c' or '/k'");
        assert_eq!(places(&[]), "~/.aws: there is no home directory");
    }
}
