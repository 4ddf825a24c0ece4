//! Entries that an upload skips because of their kind: symbolic links, special files and unreadable files.
//!
//! Skipping a link is a rule and not a failure of the transfer. But if the link leads out of the output, its content is
//! not uploaded. A session must report that; otherwise an output whose content is lost with the machine would look
//! complete.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use pos3_core::{Key, Protection, Report, SkipReason, counted};

use super::options::excluded_by;
use super::registration::Registration;

/// An entry of an output that was not uploaded because of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The relative key, without a trailing `/`.
    pub key: Key,
    /// The kind of the entry.
    pub why: Protection,
    /// The target, if the entry is a symbolic link.
    pub link: Option<Link>,
    /// Whether the entry is a link whose object still has the earlier content.
    pub has_old_object: bool,
}

/// The target of a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// An entry of the same output, which is uploaded under its own name.
    Inside(PathBuf),
    /// A path outside the output, an excluded path, or a path that does not exist.
    Elsewhere(PathBuf),
}

impl LeftOut {
    /// Returns true if the content is not uploaded under any other name.
    pub fn lacks_content(&self) -> bool {
        !matches!(self.link, Some(Link::Inside(_)))
    }
}

impl Link {
    /// Returns the path in the link.
    pub fn target(&self) -> &Path {
        match self {
            Self::Inside(target) | Self::Elsewhere(target) => target,
        }
    }
}

/// Returns the entries that an upload skipped.
pub(super) fn of(registration: &Registration, report: &Report) -> Vec<LeftOut> {
    let (mut found, mut names) = (Vec::new(), HashSet::new());
    // Rows that cannot be read from a temporary file are only in the count of the report.
    for (key, why) in report.skipped.iter().flatten() {
        let SkipReason::Source(why) = why else { continue };
        // The program's own files are no output of its user.
        if why == Protection::Own {
            continue;
        }
        // A link is listed both as a file and as a directory.
        let name = key.as_str().trim_end_matches('/');
        if names.insert(name.to_owned()) {
            let key = Key::from(name);
            let link = link(registration, name, &why);
            let has_old_object = link.is_some() && registration.evidence.behind_links.has(&key);
            found.push(LeftOut { key, link, has_old_object, why });
        }
    }
    found
}

/// Returns the warnings about symbolic links that a transfer found.
pub(super) fn warnings(registration: &Registration, report: &Report) -> Vec<String> {
    [leading_out(registration, report), with_old_objects(registration, report), kept(registration, report)]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns a warning about links whose objects still have the earlier content, if there are any.
fn with_old_objects(registration: &Registration, report: &Report) -> Option<String> {
    let mut old = of(registration, report).into_iter().filter(|left| left.has_old_object);
    let (first, more) = (old.next()?, more(old.count()));
    Some(format!(
        "'{}' in '{}' is a symbolic link now, which is not followed: its object still has the earlier content{more}",
        first.key,
        registration.local.display(),
    ))
}

/// Returns a warning about links that a download did not replace, if there are any.
fn kept(registration: &Registration, report: &Report) -> Option<String> {
    let is_kept = |why: &SkipReason| *why == SkipReason::NewerLink;
    let count = report.skipped.count(is_kept);
    let (key, _) = report.skipped.iter().flatten().find(|(_, why)| is_kept(why))?;
    Some(format!(
        "'{key}' was not downloaded: there is a symbolic link in its place in '{}', which is newer and is kept{}",
        registration.local.display(),
        more(usize::try_from(count - 1).unwrap_or(usize::MAX)),
    ))
}

fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" (and {count} more)") }
}

/// Returns a warning about links that lead out of an output, if there are any.
fn leading_out(registration: &Registration, report: &Report) -> Option<String> {
    let found = of(registration, report);
    let elsewhere: Vec<_> = found.iter().filter_map(|left| Some((&left.key, left.elsewhere()?))).collect();
    let (key, target) = elsewhere.first()?;
    let (local, target) = (registration.local.display(), target.display());
    let more = match elsewhere.len() - 1 {
        0 => String::new(),
        more => format!(", nor is that of {}", counted(more as u64, "more link")),
    };
    Some(format!(
        "'{key}' in '{local}' is a symbolic link to '{target}', which is not followed: its content is not uploaded{more}"
    ))
}

impl LeftOut {
    fn elsewhere(&self) -> Option<&Path> {
        match &self.link {
            Some(Link::Elsewhere(target)) => Some(target),
            Some(Link::Inside(_)) | None => None,
        }
    }
}

fn link(registration: &Registration, name: &str, why: &Protection) -> Option<Link> {
    if *why != Protection::Symlink {
        return None;
    }
    let local = &registration.local;
    // An output of one file may itself be a link.
    let path = if local.is_dir() { local.join(name) } else { local.to_owned() };
    let target = fs::read_link(&path).ok()?;
    let is_inside = local.is_dir() && key_of_end(&path, local).is_some_and(|key| !is_excluded(registration, &key));
    Some(if is_inside { Link::Inside(target) } else { Link::Elsewhere(target) })
}

/// Returns the relative key of the path that a link leads to, if it lies in the directory.
fn key_of_end(link: &Path, directory: &Path) -> Option<Key> {
    let (end, root) = (fs::canonicalize(link).ok()?, fs::canonicalize(directory).ok()?);
    let relative = end.strip_prefix(root).ok()?.to_str()?;
    (!relative.is_empty()).then(|| Key::from(relative))
}

fn is_excluded(registration: &Registration, key: &Key) -> bool {
    excluded_by(registration.kind.exclude(), key).is_some()
}
