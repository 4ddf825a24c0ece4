//! The files of an output that other transfers wrote: [`OtherPairs`].
//!
//! A transfer of another pair may write to an output, for example a download of a part of it. Such a file is not output
//! of the program: it was equal to an object. So it must not replace a later object, and its removal must not delete one.
//! The manifest rows of the other pairs show which files these are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pos3_core::{Digest, Entry, Key, Kind, StartedWrite};

use super::known::{Known, Match, Recorded, Sides, Way};
use super::seen::Origin;
use crate::error::Error;
use crate::location::Location;
use crate::place::Place;
use crate::registry::Registry;
use crate::state::{Named, StateDirectory, Use, Uses, ends_with_the_process, name_of_pair};

/// A directory with an earlier time of change has not changed since it was listed.
const TICK: Duration = Duration::from_secs(2);

/// The largest difference between the clocks of a server and this machine that is considered.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// The other pairs whose transfers may write to an output. Clones share them. They are looked for only when a file is
/// about to replace an object, or an object is about to be deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct OtherPairs(Option<Arc<Output>>);

#[derive(Debug)]
struct Output {
    uses: Uses,
    /// The name of its own pair.
    own: String,
    local: PathBuf,
    local_name: String,
    remote: Named,
    begun: SystemTime,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// The time of change of the records when they were listed.
    listed: Option<SystemTime>,
    /// The pairs by their names. `None` for those that have no file of the output.
    pairs: HashMap<String, Option<Pair>>,
}

/// Another pair with files of the output.
#[derive(Debug)]
struct Pair {
    relation: Relation,
    remote: Named,
    rows: Option<(Use, Rows)>,
}

/// The local place of another pair, seen from the output.
#[derive(Debug, PartialEq, Eq)]
enum Relation {
    /// The output lies in it, at this path.
    Around(String),
    /// It lies in the output, at this path.
    Inside(String),
    /// They have common files, for example through a mount.
    Common,
}

/// The rows of another pair after its last transfer.
#[derive(Debug)]
enum Rows {
    /// A transfer is running, or the rows cannot be read.
    Unknown,
    Read {
        known: Known,
        started: HashMap<Key, Vec<StartedWrite>>,
        /// The time of the last transfer that may have changed them, if it was after the session began.
        changed: Option<SystemTime>,
    },
}

/// What other transfers show about a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// Which sides still have the fingerprint that they had when such a transfer found them equal.
    pub(super) matches: Vec<Match>,
    /// The contents that both sides had then.
    pub(super) contents: Vec<Recorded>,
    /// Whether another transfer may have written the file, with the digest of the content that it wrote, if known.
    perhaps: Option<Option<Digest>>,
}

impl Shown {
    /// Returns where a file is from that has been written since the session began.
    pub(super) fn origin(&self) -> Origin {
        self.perhaps.map_or(Origin::Program, |digest| Origin::Either { digest, modified: None })
    }
}

impl OtherPairs {
    /// Returns those of an output. Without a state directory, or for a location that ends with the process, none is known.
    pub(super) fn of(
        registry: &Registry,
        state: Option<StateDirectory>,
        (location, place): (&Location, &Place),
        local: PathBuf,
    ) -> Result<Self, Error> {
        let path = Location::Local(local.clone());
        let Some(state) = state.filter(|_| ends_with_the_process(location, &path).is_none()) else {
            return Ok(Self::default());
        };
        Ok(Self(Some(Arc::new(Output {
            uses: Uses::of(state),
            own: name_of_pair(registry, &path, location)?,
            local_name: registry.place(&path)?.name().to_owned(),
            local,
            remote: Named { name: place.name().to_owned(), identity: place.identity().to_owned() },
            begun: SystemTime::now(),
            found: Mutex::default(),
        }))))
    }

    /// Returns what other transfers show about a file. Must be called after the file was listed: a transfer that is not
    /// running then has recorded its rows.
    pub(super) fn of_file(&self, file: &Entry, object: Option<&Entry>) -> Shown {
        let mut shown = Shown::default();
        let Some(output) = self.0.as_ref().filter(|_| file.kind == Kind::File) else { return shown };
        let object = object.and_then(|object| object.fingerprint.as_ref());
        output.each(&file.key, |pair, key, is_certain| {
            let Some((used, Rows::Read { known, started, changed })) = &pair.rows else {
                shown.perhaps = Some(None);
                return;
            };
            let found = known.compare(key, Sides { local: file.fingerprint.as_ref(), remote: object });
            match found {
                // It may be a file of another server.
                Some(Match { local: true, .. }) if !is_certain => shown.perhaps = Some(None),
                Some(found) if is_certain && (found.local || pair.relation != Relation::Common) => {
                    shown.matches.push(found);
                    shown.contents.extend(known.content(key));
                }
                _ => {}
            }
            if found.is_some_and(|found| found.local) {
                return;
            }
            let may_be = |write: &&StartedWrite| write.size == file.size;
            match started.get(key).into_iter().flatten().rfind(may_be) {
                Some(write) => {
                    let is_unknown = shown.perhaps == Some(None);
                    shown.perhaps = Some(write.digest.filter(|_| is_certain && !is_unknown));
                }
                None if !used.has_ended() && changed.is_some() => shown.perhaps = Some(None),
                None => {}
            }
        });
        shown
    }

    /// Returns true if another transfer may have removed the local file of an object, which may have been stored again since
    /// then. `known` are the pairs that the session knows.
    pub(super) fn may_have_removed(&self, object: &Entry, known: &Known) -> bool {
        let Some(output) = self.0.as_ref().filter(|output| output.may_be_new(object)) else { return false };
        let since = known.since(&object.key).unwrap_or(output.begun);
        let remote = Sides { local: None, remote: object.fingerprint.as_ref() };
        let mut is_possible = false;
        output.each(&object.key, |pair, key, _| {
            is_possible |= match &pair.rows {
                Some((used, Rows::Read { known, changed, .. })) => {
                    let may_be_later = |time: Option<SystemTime>| time.is_some_and(|time| time + TICK >= since);
                    let is_killed = !used.has_ended() && may_be_later(*changed);
                    let has_removed = is_killed || may_be_later(used.removed_rows());
                    has_removed && !known.compare(key, remote).is_some_and(|found| found.remote)
                }
                Some((used, Rows::Unknown)) => used.is_download(),
                None => true,
            };
        });
        is_possible
    }

    /// Returns true if an object may have been stored since the session began.
    pub(super) fn may_be_new(&self, object: &Entry) -> bool {
        self.0.as_ref().is_some_and(|output| output.may_be_new(object))
    }
}

impl Output {
    fn may_be_new(&self, object: &Entry) -> bool {
        object.modified.is_none_or(|modified| modified + SKEW >= self.begun)
    }

    /// Calls `see` for each other pair that has the file and the object with a key of the output, with the key in that pair
    /// and whether the object is certainly the same one.
    fn each(&self, key: &Key, mut see: impl FnMut(&Pair, &Key, bool)) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        self.find(&mut found);
        let pairs = found.pairs.iter_mut().filter_map(|(name, pair)| Some((name, pair.as_mut()?)));
        let is_one_file = self.local.is_file();
        let file = if is_one_file { "" } else { key.as_str() };
        for (name, pair) in pairs {
            let key_by = |own: &str, remote: &str| {
                let object = if is_one_file { own.trim_end_matches('/').to_owned() } else { format!("{own}{file}") };
                pair.relation.key(file, &object, remote)
            };
            let Some(theirs) = key_by(&self.remote.name, &pair.remote.name) else { continue };
            let is_certain = key_by(&self.remote.identity, &pair.remote.identity).is_some();
            pair.read(&self.uses, name, self.begun);
            see(pair, &theirs, is_certain);
        }
    }

    /// Adds the pairs that are new since the last call.
    fn find(&self, found: &mut Found) {
        let changed = self.uses.changed();
        if changed.is_none() || changed == found.listed {
            return;
        }
        let new = self.uses.names().into_iter().filter(|name| *name != self.own && !found.pairs.contains_key(name));
        let new: Vec<_> = new.filter_map(|name| Some((self.uses.read(&name)?, name))).collect();
        if !new.is_empty() {
            let own = Place::local(self.local_name.clone(), &self.local);
            found.pairs.extend(new.into_iter().map(|(used, name)| (name, Pair::of(&used, &own))));
        }
        // A later change in the same tick would not be visible.
        let is_over = |changed: &SystemTime| SystemTime::now().duration_since(*changed).is_ok_and(|age| age > TICK);
        found.listed = changed.filter(is_over);
    }
}

impl Pair {
    fn of(used: &Use, own: &Place) -> Option<Self> {
        let (place, remote) = used.sides()?;
        let relation = match (own.inside(&place), place.inside(own)) {
            (Some(below), _) => Relation::Around(below),
            (None, Some(below)) => Relation::Inside(below),
            (None, None) if own.overlaps(&place) => Relation::Common,
            (None, None) => return None,
        };
        Some(Self { relation, remote: remote.clone(), rows: None })
    }

    /// Reads the rows, unless no transfer has used the pair since they were read.
    fn read(&mut self, uses: &Uses, name: &str, begun: SystemTime) {
        let Some(used) = uses.read(name) else {
            self.rows = None;
            return;
        };
        if self.rows.as_ref().is_some_and(|(then, rows)| *then == used && matches!(rows, Rows::Read { .. })) {
            return;
        }
        let is_first = self.rows.as_ref().is_none_or(|(then, _)| *then != used);
        let known = Known::default();
        let read = uses.rows(&used, begun, is_first, |row| known.note(&row, Way::Down));
        let rows = read.map_or(Rows::Unknown, |seen| {
            let mut started = HashMap::<_, Vec<_>>::new();
            seen.started.into_iter().for_each(|write| started.entry(write.key.clone()).or_default().push(write));
            Rows::Read { known, started, changed: seen.changed }
        });
        self.rows = Some((used, rows));
    }
}

impl Relation {
    /// Returns the key of a row for a file of the output if that row is of the same object. `remote` is the other side of
    /// the pair: a prefix, or the object itself.
    fn key(&self, file: &str, object: &str, remote: &str) -> Option<Key> {
        let is_at = |path: &str| match self {
            Self::Around(below) => format!("{below}{file}").trim_end_matches('/') == path,
            Self::Inside(below) => {
                format!("{file}/").strip_prefix(&**below).map(|rest| rest.trim_end_matches('/')) == Some(path)
            }
            Self::Common => true,
        };
        if remote.strip_suffix('/') == Some(object) {
            let name = object.rsplit('/').next()?;
            return (is_at("") || is_at(name)).then(|| Key::from(name));
        }
        let key = object.strip_prefix(remote)?;
        is_at(key).then(|| Key::from(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_another_pair_is_found_only_for_the_same_file_and_object() {
        let inside = |below: &str| Relation::Inside(below.to_owned());
        let around = |below: &str| Relation::Around(below.to_owned());
        for (relation, remote, expected) in [
            (inside("part/"), "s3:/b/p/part/", Some("f")),
            (inside("part/"), "s3:/b/p/part/f/", Some("f")),
            (inside("part/f/"), "s3:/b/p/part/f/", Some("f")),
            (inside("part/f/"), "s3:/b/p/part/", None),
            (inside("other/"), "s3:/b/p/part/", None),
            (inside("part/"), "s3:/b/q/part/", None),
            (inside("part/"), "s3:/b/p/par/", None),
            (around("p/"), "s3:/b/", Some("p/part/f")),
            (around(""), "s3:/b/p/", Some("part/f")),
            (around(""), "s3:/b/q/", None),
            (around("q/"), "s3:/b/", None),
            (Relation::Common, "s3:/b/p/part/", Some("f")),
        ] {
            let key = relation.key("part/f", "s3:/b/p/part/f", remote);
            assert_eq!(key, expected.map(Key::from), "{relation:?} {remote}");
        }
        assert_eq!(around("").key("", "s3:/b/p/f", "s3:/b/p/f/"), Some(Key::from("f")), "an output of one file");
        assert_eq!(around("f/").key("", "s3:/b/p/f", "s3:/b/p/"), Some(Key::from("f")), "the directory above it");
    }
}
