//! The `credential_process` settings of AWS profiles, which pos3 runs itself.
//!
//! The AWS SDK collects the whole output of such a process in memory. pos3 passes the SDK a custom source of credentials
//! in place of each process. The SDK still decides which profile of a chain of roles the credentials come from.

use std::collections::BTreeMap;

use super::FileKind;

const PROCESS: &str = "credential_process";
const SOURCE: &str = "credential_source";
const SOURCE_PROFILE: &str = "source_profile";
const ROLE: &str = "role_arn";

/// The settings that the SDK uses instead of a process of the same profile.
const STRONGER: [&str; 8] = [
    SOURCE,
    "login_session",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// A process that returns credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::s3) struct CredentialProcess {
    /// The name of the custom source that the files contain in its place.
    pub(in crate::s3) source: String,
    /// The profile that defines it.
    pub(in crate::s3) profile: String,
    /// The command line for the shell.
    pub(in crate::s3) command: String,
}

/// Whether the SDK runs the process of one profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// The SDK never calls it, or reports an error in the profile.
    No,
    /// The SDK calls the custom source.
    Yes,
    /// The same, for a role that names its own profile as the source of its keys.
    OfItself,
}

/// Replaces the processes in files by custom sources. The files have the form that [`FileKind::canonical`] returns.
pub(in crate::s3) fn replace_processes(files: &mut [(FileKind, String)]) -> Vec<CredentialProcess> {
    let uses = uses(files);
    let mut processes = Vec::new();
    for (kind, text) in files {
        *text = replaced(*kind, text, &uses, &mut processes);
    }
    processes
}

/// Returns the use of the process of each profile that has one.
fn uses(files: &[(FileKind, String)]) -> BTreeMap<String, Use> {
    let mut profiles = BTreeMap::<String, BTreeMap<String, String>>::new();
    for (kind, text) in files {
        let mut profile = None;
        for line in text.lines() {
            match read(line) {
                Line::Section(section) => profile = kind.profile(section).map(str::to_owned),
                Line::Pair(key, value) => {
                    if let Some(profile) = &profile {
                        let settings = profiles.entry(profile.clone()).or_default();
                        settings.insert(key.to_ascii_lowercase(), without_comment(value).to_owned());
                    }
                }
                Line::Continued(_) => {}
            }
        }
    }
    let with_process = profiles.into_iter().filter(|(_, settings)| settings.contains_key(PROCESS));
    with_process
        .map(|(profile, settings)| {
            let names_itself = settings.get(SOURCE_PROFILE) == Some(&profile);
            let is_used = match (STRONGER.iter().any(|key| settings.contains_key(*key)), settings.contains_key(ROLE)) {
                (true, _) => Use::No,
                (false, false) => Use::Yes,
                (false, true) if names_itself => Use::OfItself,
                (false, true) => Use::No,
            };
            (profile, is_used)
        })
        .collect()
}

fn replaced(
    kind: FileKind,
    text: &str,
    uses: &BTreeMap<String, Use>,
    processes: &mut Vec<CredentialProcess>,
) -> String {
    let mut result = String::with_capacity(text.len());
    let (mut profile, mut is_in_process): (Option<&str>, bool) = (None, false);
    for line in text.lines() {
        let is_used = profile.and_then(|profile| uses.get(profile)).copied().unwrap_or(Use::No);
        match (read(line), is_used) {
            (Line::Continued(more), _) if is_in_process => {
                if let Some(process) = processes.last_mut() {
                    process.command.push('\n');
                    process.command.push_str(more);
                }
                continue;
            }
            (Line::Pair(key, value), Use::Yes | Use::OfItself) if key.eq_ignore_ascii_case(PROCESS) => {
                let source = format!("pos3-process-{}", processes.len());
                result.push_str(&format!("{SOURCE} = {source}\n"));
                let (profile, command) = (profile.unwrap_or_default().to_owned(), without_comment(value).to_owned());
                processes.push(CredentialProcess { source, profile, command });
                is_in_process = true;
                continue;
            }
            // With a custom source, the SDK rejects a source profile.
            (Line::Pair(key, _), Use::OfItself) if key.eq_ignore_ascii_case(SOURCE_PROFILE) => {
                is_in_process = false;
                continue;
            }
            (Line::Section(section), _) => (profile, is_in_process) = (kind.profile(section), false),
            (Line::Pair(..), _) => is_in_process = false,
            (Line::Continued(_), _) => {}
        }
        result.push_str(line);
        result.push('\n');
    }
    result
}

enum Line<'t> {
    Section(&'t str),
    Pair(&'t str, &'t str),
    Continued(&'t str),
}

fn read(line: &str) -> Line<'_> {
    if line.starts_with([' ', '\t']) {
        return Line::Continued(line.trim());
    }
    match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(section) => Line::Section(section),
        None => line.split_once('=').map_or(Line::Continued(line), |(key, value)| Line::Pair(key.trim(), value.trim())),
    }
}

/// Returns a value without the comment that follows it, as the SDK does.
fn without_comment(value: &str) -> &str {
    let starts = value.match_indices(['#', ';']).map(|(at, _)| at);
    let mut comments = starts.filter(|at| value[..*at].ends_with(char::is_whitespace));
    comments.next().map_or(value, |at| value[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_that_would_be_asked_becomes_a_custom_source() {
        let config = "[default]\nregion = r\nCredential_Process = a --x=1  # note\n  --y = 2\nca_bundle = c\n\
                      [profile sso]\nsso_session = s\ncredential_process = b\n\
                      [profile role]\nrole_arn = r\nsource_profile = base\ncredential_process = c\n\
                      [profile self]\nrole_arn = r\nsource_profile = self\ncredential_process = d; e#f\n\
                      [services x]\ncredential_process = no\n";
        let credentials = "[base]\ncredential_process = g\n[odd]\nrole_arn = r\ncredential_process = h\n";
        let mut files = [(FileKind::Config, config.to_owned()), (FileKind::Credentials, credentials.to_owned())];
        let found = replace_processes(&mut files);
        let found: Vec<_> = found.iter().map(|one| (one.profile.as_str(), one.command.as_str())).collect();
        assert_eq!(found, [("default", "a --x=1\n--y = 2"), ("self", "d; e#f"), ("base", "g")]);
        let expected = "[default]\nregion = r\ncredential_source = pos3-process-0\nca_bundle = c\n\
                        [profile sso]\nsso_session = s\ncredential_process = b\n\
                        [profile role]\nrole_arn = r\nsource_profile = base\ncredential_process = c\n\
                        [profile self]\nrole_arn = r\ncredential_source = pos3-process-1\n\
                        [services x]\ncredential_process = no\n";
        assert_eq!(files[0].1, expected);
        let expected = "[base]\ncredential_source = pos3-process-2\n[odd]\nrole_arn = r\ncredential_process = h\n";
        assert_eq!(files[1].1, expected);
    }
}
