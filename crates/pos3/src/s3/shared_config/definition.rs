//! How the files define the selected profile, for the credentials in it.

use std::path::PathBuf;

use super::{AwsProfile, DEFAULT, FileKind};
use crate::ini::{self, Line};

/// The settings that select a source of credentials.
const SOURCES: [&str; 7] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "credential_process",
    "web_identity_token_file",
    "sso_session",
    "sso_account_id",
];

/// The keys that the credentials of a profile need.
const KEYS: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];

impl AwsProfile {
    /// Returns true if a profile is selected and no file defines it. The default profile need not exist, even if it is
    /// selected explicitly.
    pub(in crate::s3) fn is_missing(&self) -> bool {
        let is_there = self.sections().any(|(kind, section)| kind.profile(&section) == Some(self.name()));
        self.name() != DEFAULT && !is_there
    }

    /// Returns a reason if the AWS SDK would treat the profile as missing because it ignores sections with such a name.
    pub(in crate::s3) fn unusable_name(&self) -> Option<&'static str> {
        let is_usual = |letter: char| letter.is_ascii_alphanumeric() || "_-/.%@:+".contains(letter);
        (!self.name().chars().all(is_usual))
            .then_some("the name of a profile may contain letters without accents, digits and '_-/.%@:+'")
    }

    /// Returns the line number and the name of a key of the profile that has no value. Amazon's library would sign with
    /// an empty key, and the server's refusal would not show the reason.
    pub(in crate::s3) fn empty_key(&self, kind: FileKind, text: &str) -> Option<(usize, &'static str)> {
        let mut of_profile = false;
        ini::lines(text).find_map(|(number, line)| match line {
            Line::Section(section) => {
                of_profile = kind.profile(section) == Some(self.name());
                None
            }
            Line::Pair(key, "") if of_profile => {
                KEYS.into_iter().find(|name| key.eq_ignore_ascii_case(name)).map(|name| (number, name))
            }
            _ => None,
        })
    }

    /// Returns the first setting of the profile that selects a source of credentials, if there is one.
    pub(in crate::s3) fn credential_setting(&self) -> Option<&'static str> {
        self.files().find_map(|(kind, path)| {
            let text = crate::small_file::read_small_text(path).unwrap_or_default();
            let mut of_profile = false;
            ini::lines(&text).find_map(|(_, line)| match line {
                Line::Section(section) => {
                    of_profile = kind.profile(section) == Some(self.name());
                    None
                }
                Line::Pair(key, _) if of_profile => SOURCES.into_iter().find(|name| key.eq_ignore_ascii_case(name)),
                _ => None,
            })
        })
    }

    /// Returns a description of the files. It includes a hint if the section lacks its prefix `profile`.
    pub(in crate::s3) fn places(&self) -> String {
        let told = |(kind, path): (FileKind, &PathBuf)| match kind {
            FileKind::Config if self.stands_without_prefix() => {
                format!("'{}' (it has [{1}], where [profile {1}] is needed)", path.display(), self.name())
            }
            _ => format!("'{}'", path.display()),
        };
        let files: Vec<String> = self.files().map(told).collect();
        if files.is_empty() { "~/.aws: there is no home directory".to_owned() } else { files.join(" or ") }
    }

    /// Returns true if `config` has a section with the profile's name but without the prefix `profile`, as in
    /// `credentials`.
    fn stands_without_prefix(&self) -> bool {
        self.is_missing() && self.sections().any(|(kind, name)| kind == FileKind::Config && name == self.name())
    }

    fn sections(&self) -> impl Iterator<Item = (FileKind, String)> {
        self.files().flat_map(|(kind, path)| {
            let text = crate::small_file::read_small_text(path).unwrap_or_default();
            let names = ini::lines(&text).filter_map(|(_, line)| match line {
                Line::Section(name) => Some((kind, name.to_owned())),
                _ => None,
            });
            names.collect::<Vec<_>>()
        })
    }
}

impl FileKind {
    /// Returns the file in the form that the AWS SDK reads: without indentation, quotes and comments.
    ///
    /// # Errors
    ///
    /// Returns the number of the first invalid line. The message contains no part of the line, which may be a secret.
    pub(in crate::s3) fn canonical(self, text: &str) -> Result<String, String> {
        let mut canonical = String::new();
        let mut has_section = false;
        for (number, line) in ini::lines(text) {
            let line = match line {
                Line::Section(section) => {
                    has_section = true;
                    match (self, self.profile(section)) {
                        (Self::Config, Some(name)) if section != DEFAULT => format!("[profile {name}]"),
                        _ => format!("[{section}]"),
                    }
                }
                Line::Pair(..) if !has_section => {
                    return Err(format!("line {number} comes before the first [section]"));
                }
                Line::Pair("", _) => return Err(format!("line {number} has no key before its '='")),
                Line::Pair(key, value) => format!("{key} = {value}"),
                Line::Nested(key, value) => format!("  {key} = {value}"),
                Line::Continued(text) => format!("  {text}"),
                Line::Unknown => return Err(format!("line {number} is neither a [section] nor 'key = value'")),
            };
            canonical.push_str(&line);
            canonical.push('\n');
        }
        Ok(canonical)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::read;
    use super::*;

    fn home(config: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/config"), config).unwrap();
        home
    }

    #[test]
    fn a_profile_without_a_section_is_missing_unless_it_is_the_default() {
        let home = home("[profile lab]\nregion = r-2\n[bare]\nregion = r-3\n[profile \"two words\"]\nregion = r-4\n");
        for (profile, is_missing) in [("", false), ("lab", false), ("none", true), ("bare", true), ("two words", false)]
        {
            let found = read(|name| match name {
                "HOME" => Some(home.path().into()),
                "AWS_PROFILE" => Some(profile.into()),
                _ => None,
            });
            assert_eq!(found.profile.is_missing(), is_missing, "{profile}");
        }
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
        let home = home("[bare]\nregion = r\n");
        let variables = [("HOME", home.path().to_str().unwrap()), ("AWS_PROFILE", "bare")];
        assert!(places(&variables).contains("/.aws/config' (it has [bare], where [profile bare] is needed) or "));
    }

    #[test]
    fn a_file_is_given_on_as_it_is_understood_here() {
        let text = "# note\n  [profile \"lab\"] ; note\n  region : x\n    more\n  s3 =\n    a = b\n[ default ]\nKey=v # w\n\
                    [sso-session ours]\n";
        let expected =
            "[profile lab]\nregion = x\n  more\ns3 = \n  a = b\n[default]\nKey = v # w\n[sso-session ours]\n";
        assert_eq!(FileKind::Config.canonical(text).unwrap(), expected);
        assert_eq!(FileKind::Credentials.canonical("[profile x]\n").unwrap(), "[profile x]\n");
        for (text, why) in [
            ("a = b\n[x]", "line 1 comes before the first [section]"),
            ("[x]\n\n= hush", "line 3 has no key before its '='"),
            ("[x]\nhush", "line 2 is neither a [section] nor 'key = value'"),
            ("[x\na = b", "line 1 is neither a [section] nor 'key = value'"),
        ] {
            assert_eq!(FileKind::Config.canonical(text).unwrap_err(), why, "{text:?}");
        }
    }
}
