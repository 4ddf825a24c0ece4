//! The missing files of a download that the program of another session may have removed: [`Removed`].
//!
//! That session deletes the objects of such files only when it ends, and not if the files are there again. So a download that
//! writes them would undo the removal. Only the sync state shows that a missing file was there before: it has a row. The
//! sync state of an output above the target or in it is another one than that of the download.

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use pos3_core::{Key, ManifestError, Row};

use super::inner::Inner;
use super::registration::{Kind, Registration};
use super::seen::Noted;
use super::unsaved::{Active, Position, Unsaved};
use crate::location::Location;
use crate::state::{State, Wait};

/// The missing files of a target that other sessions may have removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Removed(Arc<Vec<Output>>);

/// An output of another session.
#[derive(Debug)]
struct Output {
    active: Active,
    rows: Rows,
}

/// What the sync state of an output shows.
#[derive(Debug)]
enum Rows {
    /// It has rows for these keys, which are relative to the target.
    Of(Noted),
    /// It is not known for which keys it has rows.
    Unknown,
}

impl Removed {
    /// Returns the files that may have been removed at the target of a download. `wait` limits how long a transfer of
    /// another session is waited for, which uses the sync state of an output.
    ///
    /// A program that was killed may have removed a file only to write it again, and a `sync` starts it again. So the
    /// download of a `sync` keeps only the removals of sessions that run.
    pub(super) async fn find(inner: &Inner, registration: &Registration, unsaved: &Unsaved, wait: Wait) -> Self {
        let is_sync = matches!(registration.kind, Kind::Sync(_));
        let mut outputs = Vec::new();
        for active in unsaved.active().iter().filter(|output| output.is_running || !is_sync) {
            let rows = rows(inner, registration, &active.position, wait).await;
            outputs.push(Output { active: active.clone(), rows });
        }
        Self(Arc::new(outputs))
    }

    /// Returns true if a program of another session may have removed the file with this key, which is missing. `row` is the
    /// row of the download.
    pub(super) fn may_have(&self, key: &Key, row: Option<&Row>) -> bool {
        let was_there = |rows: &Rows| match rows {
            Rows::Of(keys) => row.is_some() || keys.has(key),
            Rows::Unknown => true,
        };
        self.0.iter().any(|output| output.active.covers(key) && was_there(&output.rows))
    }
}

/// Returns what the sync state of an output shows, unless it is that of the download.
async fn rows(inner: &Inner, registration: &Registration, position: &Position, wait: Wait) -> Rows {
    let none = || Rows::Of(Noted::default());
    let Some((remote, local)) = pair(&registration.location, position) else { return none() };
    let home = inner.remembers.home();
    let opened = home.open_existing(&inner.registry, (&remote, &local), wait, |_waits| {}).await;
    let Ok(opened) = opened.unless_in_use() else { return Rows::Unknown };
    match opened.state() {
        Some(state) => keys(state, position).await.map_or(Rows::Unknown, Rows::Of),
        None => none(),
    }
}

/// Returns the locations of an output, if the output is not exactly the target of the download.
fn pair(downloaded: &Location, position: &Position) -> Option<(Location, Location)> {
    let local = |path: &PathBuf| Location::Local(path.clone());
    match position {
        Position::Inside(path, key) => Some((downloaded.join(key), local(path))),
        Position::Around(path, below) if !below.is_empty() => Some((above(downloaded, below)?, local(path))),
        Position::Around(..) | Position::Unknown => None,
    }
}

/// Returns the location above another one that has this relative key in it.
fn above(location: &Location, below: &str) -> Option<Location> {
    let Location::Remote(remote) = location else { return None };
    let key = remote.key().strip_suffix('/').unwrap_or(remote.key()).strip_suffix(below)?;
    (key.is_empty() || key.ends_with('/')).then(|| Location::Remote(remote.with_key(key)))
}

/// Returns the keys that have rows in the sync state of an output, relative to the target of the download.
async fn keys(state: &State, position: &Position) -> Result<Noted, ManifestError> {
    let keys = Noted::default();
    let mut rows = state.manifest().rows();
    while let Some(row) = rows.try_next().await? {
        if let Some(key) = in_target(&row.key, position) {
            keys.note(key.as_str());
        }
    }
    Ok(keys)
}

/// Returns the key in the target of a key in an output.
fn in_target(key: &Key, position: &Position) -> Option<Key> {
    match position {
        Position::Inside(_, root) => Some(key.under(&format!("{}/", root.as_str()))),
        Position::Around(_, below) => match key.as_str().strip_prefix(below.as_str())? {
            // The target is this one file, whose key is its name.
            "" => Some(Key::from(below.rsplit('/').next()?)),
            rest => rest.strip_prefix('/').map(Key::from),
        },
        Position::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(key: &str) -> Position {
        Position::Inside("/cache/b".into(), Key::from(key))
    }

    fn around(below: &str) -> Position {
        Position::Around("/cache/b".into(), below.to_owned())
    }

    #[test]
    fn an_output_above_a_target_or_in_it_has_a_pair_of_its_own() {
        let local = Location::Local("/cache/b".into());
        for (downloaded, position, expected) in [
            ("s3://b/x", inside("c/d"), Some("s3://b/x/c/d")),
            ("s3://b", inside("c"), Some("s3://b/c")),
            ("s3://b/x/c", around("c"), Some("s3://b/x/")),
            ("s3://p@b/x/c/", around("x/c"), Some("s3://p@b/")),
            ("s3://b/x/ac", around("c"), None),
            ("s3://b/other", around("c"), None),
            ("s3://b/x", around(""), None),
            ("s3://b/x", Position::Unknown, None),
        ] {
            let found = pair(&downloaded.parse().unwrap(), &position);
            let expected = expected.map(|remote| (remote.parse().unwrap(), local.clone()));
            assert_eq!(found, expected, "{downloaded} {position:?}");
        }
    }

    #[test]
    fn keys_of_an_output_are_named_as_in_the_target() {
        for (key, position, expected) in [
            ("f", inside("c/d"), Some("c/d/f")),
            ("c/f", around("c"), Some("f")),
            ("c/d", around("c/d"), Some("d")),
            ("cd", around("c"), None),
            ("f", around("c"), None),
            ("f", Position::Unknown, None),
        ] {
            assert_eq!(in_target(&Key::from(key), &position), expected.map(Key::from), "{key} {position:?}");
        }
    }

    #[test]
    fn a_missing_file_may_have_been_removed_if_it_has_a_row_or_the_rows_are_not_known() {
        let removed = |position, rows| {
            let active = Active { position, is_running: true };
            Removed(Arc::new(vec![Output { active, rows }]))
        };
        let noted = Noted::default();
        noted.note("c/f");
        let row = Row { key: "".into(), source: "1".into(), target: "2".into(), digest: None };
        let may_have = |removed: &Removed, key: &str, row| removed.may_have(&Key::from(key), row);
        let of = removed(inside("c"), Rows::Of(noted));
        assert!(may_have(&of, "c/f", None) && !may_have(&of, "c/g", None));
        assert!(may_have(&of, "c/g", Some(&row)) && !may_have(&of, "d", Some(&row)));
        let unknown = removed(inside("c"), Rows::Unknown);
        assert!(may_have(&unknown, "c/g", None) && !may_have(&unknown, "d", Some(&row)));
        assert!(!Removed::default().may_have(&Key::from("c/f"), Some(&row)));
    }
}
