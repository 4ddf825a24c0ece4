//! The configuration files of the AWS tools: region and endpoint of the selected AWS profile, and whether the profile
//! exists.
//!
//! The credentials in these files are read by the chain, which gets the files as this module parsed them. Two parsers
//! could disagree on a name, and the keys of one section would then be sent to the endpoint of another. For the region
//! and the endpoint, unreadable lines are ignored, because the files belong to other programs. If the credentials are
//! needed, the chain reports the error.

#[cfg(feature = "aws")]
mod definition;
#[cfg(feature = "aws")]
pub(super) mod processes;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::ini::{self, Line};

/// The profile if none is selected.
const DEFAULT: &str = "default";

/// The variables that select a profile. The first one that is set is used.
pub(super) const PROFILES: [&str; 2] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];

/// The settings in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SharedConfig {
    pub(super) profile: AwsProfile,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) ca_bundle: Option<PathBuf>,
    /// The source of the keys that are used to assume the profile's role.
    credential_source: Option<String>,
}

/// The selected AWS profile, and the files that may define it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AwsProfile {
    /// The name in the environment.
    named: Option<String>,
    /// `None` if the home directory is unknown.
    config: Option<PathBuf>,
    credentials: Option<PathBuf>,
}

/// One of the two files. They name their sections differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Config,
    Credentials,
}

/// Reads the files that the environment selects: `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`, else `config` and
/// `credentials` in `~/.aws`. The profile is `AWS_PROFILE`, else `AWS_DEFAULT_PROFILE`, else `default`.
pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> SharedConfig {
    let value = |name| variable(name).filter(|value| !value.is_empty());
    let home = value("HOME").map(PathBuf::from);
    let file = |name, usual: &str| {
        let path = value(name).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(".aws").join(usual)));
        path.map(|path| expanded(&path, home.as_deref()))
    };
    let profile = AwsProfile {
        named: PROFILES.into_iter().find_map(value).and_then(|name| name.into_string().ok()),
        config: file("AWS_CONFIG_FILE", "config"),
        credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    };
    let mut found = SharedConfig::default();
    // Settings in `config` take precedence over those in `credentials`.
    for (kind, path) in profile.files() {
        let told = parse(&crate::small_file::read_small_text(path).unwrap_or_default(), kind, profile.name());
        found.region = found.region.or(told.region);
        found.endpoint = found.endpoint.or(told.endpoint);
        found.ca_bundle = found.ca_bundle.or(told.ca_bundle);
        found.credential_source = found.credential_source.or(told.credential_source);
    }
    found.ca_bundle = found.ca_bundle.map(|path| expanded(&path, home.as_deref()));
    SharedConfig { profile, ..found }
}

impl SharedConfig {
    /// Returns true if the environment selects a profile whose role is assumed with the keys in the environment. The
    /// keys must then not be used for anything else.
    pub(super) fn takes_keys_of_environment(&self) -> bool {
        let source = self.credential_source.as_deref().unwrap_or_default();
        self.profile.named.is_some() && source.eq_ignore_ascii_case("Environment")
    }
}

impl AwsProfile {
    pub(super) fn name(&self) -> &str {
        self.named.as_deref().unwrap_or(DEFAULT)
    }

    /// Returns the files, which need not exist.
    pub(super) fn files(&self) -> impl Iterator<Item = (FileKind, &PathBuf)> {
        let config = self.config.iter().map(|path| (FileKind::Config, path));
        config.chain(self.credentials.iter().map(|path| (FileKind::Credentials, path)))
    }
}

impl FileKind {
    /// Returns the profile of a section. `config` names them `[profile NAME]`, where the name may be quoted;
    /// `credentials` names them `[NAME]`. Both have `[default]`.
    fn profile(self, section: &str) -> Option<&str> {
        let name = section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])).map(unquoted);
        match self {
            Self::Config => name.or(Some(section).filter(|section| *section == DEFAULT)),
            Self::Credentials => Some(section),
        }
    }
}

/// Returns the settings of a profile in a file. An endpoint for S3 alone is under `s3 =` in a `[services …]` section.
fn parse(text: &str, kind: FileKind, profile: &str) -> SharedConfig {
    let mut found = SharedConfig::default();
    let mut services = None;
    let mut of_profile = false;
    for (_, line) in ini::lines(text) {
        match line {
            Line::Section(section) => of_profile = kind.profile(section) == Some(profile),
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

fn endpoint_of_s3(text: &str, services: &str) -> Option<String> {
    let (mut inside, mut under_s3, mut found) = (false, false, None);
    for (_, line) in ini::lines(text) {
        match line {
            Line::Section(section) => {
                inside = section.strip_prefix("services").is_some_and(|name| unquoted(name) == services);
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

fn unquoted(name: &str) -> &str {
    let name = name.trim();
    let inside = |quote: char| name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(name)
}

fn expanded(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile lab]\nregion=r-2\nendpoint_url = http://all\n\
                          services = ours\nca_bundle = ~/ca.pem\n[services ours]\nsts =\n  endpoint_url = http://sts\n\
                          s3 =\n  endpoint_url = http://s3\n[services other]\ns3 =\n  endpoint_url = http://other\n\
                          [bare]\nregion = r-3\n[profile \"two words\"]\nregion = r-4\n";

    fn home(config: &str, credentials: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/config"), config).unwrap();
        fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        home
    }

    #[test]
    fn the_profile_in_use_is_read() {
        let home = home(CONFIG, "[default]\nregion = x\nendpoint_url = http://c\n");
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
        let bare = read("bare");
        assert_eq!(bare.region, None, "what is no profile says nothing about one");
        let two = read("two words");
        assert_eq!(two.region.as_deref(), Some("r-4"));
    }

    #[test]
    fn the_profile_is_named_by_the_first_variable_that_is_set() {
        let named = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            read(value).profile.name().to_owned()
        };
        assert_eq!(named(&[("AWS_PROFILE", "a"), ("AWS_DEFAULT_PROFILE", "b")]), "a");
        assert_eq!(named(&[("AWS_PROFILE", ""), ("AWS_DEFAULT_PROFILE", "b")]), "b");
        assert_eq!(named(&[]), "default");
    }
}
