//! What `~/.aws/config` says about places: region and endpoint of the AWS profile in use.
//!
//! Its credentials are the business of the chain. What cannot be read here is as if it were not there: the file belongs
//! to other programs, and whoever needs it for credentials will hear what is wrong with it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ini::{self, Line};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SharedConfig {
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) ca_bundle: Option<PathBuf>,
}

/// Reads the files that the environment names: `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`, else `config` and
/// `credentials` in `~/.aws`; the profile is `AWS_PROFILE`, else `default`.
pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> SharedConfig {
    let value = |name| variable(name).filter(|value| !value.is_empty());
    let home = value("HOME").map(PathBuf::from);
    let file = |name, usual: &str| {
        let path = value(name).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(".aws").join(usual)));
        path.and_then(|path| fs::read_to_string(expanded(&path, home.as_deref())).ok()).unwrap_or_default()
    };
    let profile = value("AWS_PROFILE").and_then(|name| name.into_string().ok()).unwrap_or_else(|| "default".to_owned());
    let config = parse(&file("AWS_CONFIG_FILE", "config"), &profile);
    let credentials = parse(&file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &profile);
    let ca_bundle = config.ca_bundle.or(credentials.ca_bundle);
    SharedConfig {
        region: config.region.or(credentials.region),
        endpoint: config.endpoint.or(credentials.endpoint),
        ca_bundle: ca_bundle.map(|path| expanded(&path, home.as_deref())),
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
        assert_eq!(read("none"), SharedConfig::default());
    }
}
