//! What an upload leaves out for what it is: symbolic links, special files, and files that cannot be read.
//!
//! A link is left out by policy, which is no failure of a transfer. But where it leads out of the output, its content is
//! not uploaded at all, and a session that does not report that would call an output complete whose content is lost with
//! the machine.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use pos3_core::{Key, Protection, Report, SkipReason};

use super::registration::Registration;

/// Something in an output that was not uploaded for what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its relative key, without a `/` at its end.
    pub key: Key,
    /// What it is.
    pub why: Protection,
    /// Where it leads, if it is a symbolic link.
    pub link: Option<Link>,
}

/// Where a symbolic link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// To something in the same output, which is uploaded by its own name.
    Inside(PathBuf),
    /// Out of the output, or nowhere.
    Elsewhere(PathBuf),
}

impl LeftOut {
    /// Returns true if its content is not uploaded under any other name.
    pub fn lacks_content(&self) -> bool {
        !matches!(self.link, Some(Link::Inside(_)))
    }
}

impl Link {
    /// Returns what the link contains.
    pub fn target(&self) -> &Path {
        match self {
            Self::Inside(target) | Self::Elsewhere(target) => target,
        }
    }
}

/// Returns what an upload left out.
pub(super) fn of(registration: &Registration, report: &Report) -> Vec<LeftOut> {
    let (mut found, mut names) = (Vec::new(), HashSet::new());
    // What cannot be read again from a temporary file is in the count of the report.
    for (key, why) in report.skipped.iter().flatten() {
        let SkipReason::Source(why) = why else { continue };
        // A link is listed as a file and as a directory.
        let name = key.as_str().trim_end_matches('/');
        if names.insert(name.to_owned()) {
            found.push(LeftOut { key: Key::from(name), link: link(&registration.local, name, &why), why });
        }
    }
    found
}

/// Returns a warning of links that lead out of an output, if there are any.
pub(super) fn warning(registration: &Registration, report: &Report) -> Option<String> {
    let found = of(registration, report);
    let elsewhere: Vec<_> = found.iter().filter_map(|left| Some((&left.key, left.elsewhere()?))).collect();
    let (key, target) = elsewhere.first()?;
    let (local, target) = (registration.local.display(), target.display());
    let more = match elsewhere.len() - 1 {
        0 => String::new(),
        1 => ", nor is that of 1 more link".to_owned(),
        more => format!(", nor is that of {more} more links"),
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

fn link(local: &Path, name: &str, why: &Protection) -> Option<Link> {
    if *why != Protection::Symlink {
        return None;
    }
    // The one file of an output can be a link itself.
    let path = if local.is_dir() { local.join(name) } else { local.to_owned() };
    let target = fs::read_link(&path).ok()?;
    let is_inside = local.is_dir()
        && match (fs::canonicalize(&path), fs::canonicalize(local)) {
            (Ok(end), Ok(root)) => end != root && end.starts_with(&root),
            _ => false,
        };
    Some(if is_inside { Link::Inside(target) } else { Link::Elsewhere(target) })
}
