//! Decides the action for a difference. It is one pure function, tested with a table.
//!
//! Only this module evaluates kinds, unsafe keys and protection.

use crate::action::{Action, Archived, SkipReason};
use crate::compare::{self, Compare, Known, Reading, Subject, Verdict};
use crate::diff::Diff;
use crate::entry::{Availability, Entry, Kind, Protection};
use crate::evidence::{Change, Proof};
use crate::key::Key;
use crate::manifest::Row;
use crate::options::{ByContent, EmptyDirectories, Objection};
use crate::store::{Capabilities, Namespace};

/// The rules and capabilities that decisions depend on.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How two files with the same key are compared.
    pub compare: Compare,
    /// The capabilities of the source's store.
    pub source: Capabilities,
    /// The capabilities of the target's store.
    pub target: Capabilities,
    /// How archived objects of the source are treated.
    pub archived: Archived,
    /// How empty directories of the source that the target does not have are treated.
    pub empty_directories: EmptyDirectories,
}

/// The decision about one difference.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// There is no action and nothing to count, because the directory follows from its contents.
    Nothing,
    /// Both sides are equal.
    Unchanged { key: Key, proof: Proof, learned: Option<Row> },
    /// An action is needed.
    Act(Action),
    /// Only the target has the entry. It is deleted if deletes were requested and both listings complete without error.
    Extra(Entry),
    /// The content must be read to decide.
    Read { source: Entry, target: Entry, reading: Reading, times_decide: bool, objection: Objection, row: Option<Row> },
    /// A copy, unless the content of one side shows that the copy must not be made.
    Ask { source: Entry, target: Option<Entry>, why: Change, question: ByContent, row: Option<Row> },
}

impl Policy {
    pub(super) fn decide(&self, diff: Diff, known: Known<'_>) -> Decision {
        match diff {
            Diff::SourceOnly(source) => self.source_only(source),
            Diff::TargetOnly { target, source_inside } => self.target_only(target, source_inside),
            Diff::Both { source, target } => self.both(source, target, known),
            Diff::Shielded { source, by, why } if source.has_content() => {
                Decision::Act(Action::Skip { key: source.key, why: SkipReason::Shielded { by, why } })
            }
            Diff::Shielded { .. } | Diff::Hidden { .. } => Decision::Nothing,
        }
    }

    fn source_only(&self, source: Entry) -> Decision {
        match source.kind {
            Kind::Directory => Decision::Nothing,
            Kind::Protected(why) => not_read(source.key, why),
            Kind::Marker if !source.is_file() && self.empty_directories == EmptyDirectories::LeftOut => {
                Decision::Nothing
            }
            Kind::File | Kind::Marker => self.copy(source, None, Change::New),
        }
    }

    fn copy(&self, source: Entry, target: Option<Entry>, why: Change) -> Decision {
        match self.target.namespace.check(&source) {
            Ok(()) => Decision::Act(Action::Copy { source, target, why }),
            Err(danger) => skip(source.key, SkipReason::Unsafe(danger)),
        }
    }

    /// Returns the action, or a skip if its source is archived. This sends no request.
    pub(super) fn if_ready(&self, action: Action) -> Action {
        match action {
            Action::Copy { source, .. } | Action::Replace { source, .. }
                if source.availability == Availability::Archived && self.archived != Archived::Requested =>
            {
                Action::Skip { key: source.key, why: SkipReason::Archived(self.archived) }
            }
            action => action,
        }
    }

    fn target_only(&self, target: Entry, source_inside: bool) -> Decision {
        // If the target has real directories, one in which the source has an entry must stay.
        let needed = source_inside && self.target.namespace == Namespace::Hierarchical;
        match target.kind {
            Kind::Protected(Protection::Symlink | Protection::Own) => Decision::Nothing,
            Kind::Protected(why) => skip(target.key, SkipReason::TargetOnly(why)),
            Kind::Directory | Kind::Marker if needed => Decision::Nothing,
            Kind::File | Kind::Marker | Kind::Directory => Decision::Extra(target),
        }
    }

    fn both(&self, source: Entry, target: Entry, known: Known<'_>) -> Decision {
        match (&source.kind, &target.kind) {
            (Kind::Protected(why), _) => {
                let why = why.clone();
                not_read(source.key, why)
            }
            (_, Kind::Protected(why)) => skip(source.key, SkipReason::Target(why.clone())),
            (Kind::Directory, _) => Decision::Nothing,
            (_, Kind::Directory) => match self.target.namespace.check(&source) {
                Ok(()) => unchanged(source, Proof::Kind),
                Err(danger) => skip(source.key, SkipReason::Unsafe(danger)),
            },
            (Kind::Marker, Kind::Marker) if source.size == 0 && target.size == 0 => unchanged(source, Proof::Kind),
            // In a source with real directories, no marker can have content, so an empty one is no change of it.
            (Kind::Marker, Kind::Marker) if self.source.namespace.check(&target).is_err() => {
                skip(source.key, SkipReason::MarkerWithContent)
            }
            (Kind::File | Kind::Marker, Kind::File | Kind::Marker) => self.compare(source, target, known),
        }
    }

    fn compare(&self, source: Entry, target: Entry, known: Known<'_>) -> Decision {
        let from = Subject { entry: &source, store: &self.source };
        let to = Subject { entry: &target, store: &self.target };
        let times_decide = compare::times_decide(self.compare, from, to, known);
        match self.compare.verdict(from, to, known) {
            Verdict::Same(proof @ (Proof::Digest | Proof::Content)) => {
                let learned = Row::of(&source, &target);
                Decision::Unchanged { key: source.key, proof, learned }
            }
            Verdict::Same(proof) => unchanged(source, proof),
            Verdict::Changed(why) => self.copy(source, Some(target), why),
            Verdict::NeedsContent if source.availability == Availability::Archived => {
                skip(source.key, SkipReason::Archived(self.archived))
            }
            Verdict::NeedsDigest => read(source, target, Reading::Digest, times_decide),
            Verdict::NeedsChecksum => read(source, target, Reading::Checksum, times_decide),
            Verdict::NeedsContent => read(source, target, Reading::Both, false),
        }
    }
}

fn read(source: Entry, target: Entry, reading: Reading, times_decide: bool) -> Decision {
    Decision::Read { source, target, reading, times_decide, objection: Objection::None, row: None }
}

fn unchanged(source: Entry, proof: Proof) -> Decision {
    Decision::Unchanged { key: source.key, proof, learned: None }
}

/// Returns the decision about an entry of the source that is not read.
fn not_read(key: Key, why: Protection) -> Decision {
    match why {
        Protection::Vanished => skip(key, SkipReason::Vanished),
        why => skip(key, SkipReason::Source(why)),
    }
}

fn skip(key: Key, why: SkipReason) -> Decision {
    Decision::Act(Action::Skip { key, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::UnsafeKey;
    use crate::store::Reads;

    fn disk() -> Capabilities {
        Capabilities::new().with_namespace(Namespace::Hierarchical).with_keeps_modified(true).with_reads(Reads::Local)
    }

    fn policy(compare: Compare, source: Capabilities, target: Capabilities) -> Policy {
        Policy { compare, source, target, archived: Archived::Missing, empty_directories: EmptyDirectories::default() }
    }

    #[test]
    fn what_is_archived_is_compared_and_not_copied() {
        use crate::entry::Digest;
        let object = || Entry::file("k", 1).with_digest(Digest::Md5([1; 16]));
        let archived = || object().with_availability(Availability::Archived);
        let policy = policy(Compare::Auto, Capabilities::new(), Capabilities::new());
        let both = |target| policy.decide(Diff::Both { source: archived(), target }, Known::NoManifest);
        assert_eq!(kind_of(&both(object())), "unchanged");
        let Decision::Act(action) = both(Entry::file("k", 2)) else { unreachable!() };
        let skip = Action::Skip { key: Key::from("k"), why: SkipReason::Archived(Archived::Missing) };
        assert_eq!(policy.if_ready(action), skip);
        let replace = Action::Replace { source: archived(), obstacle: Key::from("k/") };
        assert_eq!(policy.if_ready(replace), skip);
        let ready = Action::Copy { source: object(), target: None, why: Change::New };
        assert_eq!(policy.if_ready(ready.clone()), ready);
    }

    #[test]
    fn an_empty_directory_is_left_out_on_request() {
        let copied = policy(Compare::Auto, disk(), Capabilities::new());
        let left_out = Policy { empty_directories: EmptyDirectories::LeftOut, ..copied.clone() };
        let decide = |policy: &Policy, source| kind_of(&policy.decide(Diff::SourceOnly(source), Known::NoManifest));
        assert_eq!(decide(&copied, Entry::marker("k/", 0)), "copy: new");
        assert_eq!(decide(&left_out, Entry::marker("k/", 0)), "nothing");
        assert_eq!(decide(&left_out, Entry::marker("k/", 1)), "copy: new", "it has content");
        assert_eq!(decide(&left_out, Entry::file("k", 0)), "copy: new");
    }

    fn kind_of(decision: &Decision) -> String {
        match decision {
            Decision::Act(Action::Copy { why, .. }) => format!("copy: {}", why.as_str()),
            Decision::Act(Action::Skip { why, .. }) => format!("skip: {why}"),
            Decision::Act(Action::Delete { .. } | Action::Replace { .. }) => "not decided here".into(),
            Decision::Nothing => "nothing".into(),
            Decision::Unchanged { .. } => "unchanged".into(),
            Decision::Extra(_) => "extra".into(),
            Decision::Read { .. } | Decision::Ask { .. } => "read".into(),
        }
    }

    #[test]
    fn every_pair_of_kinds_has_one_decision() {
        let link = || Entry::protected("k", Protection::Symlink);
        let locked = || Entry::protected("k/", Protection::Unreadable("permission denied".into()));
        let (s3, disk) = (Capabilities::new(), disk());
        let only = |source: Entry| Diff::SourceOnly(source);
        let extra = |target: Entry, source_inside| Diff::TargetOnly { target, source_inside };
        let both = |source: Entry, target: Entry| Diff::Both { source, target };
        let up = (&disk, &s3);
        let down = (&s3, &disk);
        let across = (&s3, &s3);
        let table = [
            (up, only(Entry::file("k", 1)), "copy: new"),
            (up, only(Entry::marker("k/", 0)), "copy: new"),
            (up, only(Entry::directory("k/")), "nothing"),
            (up, only(link()), "skip: it is a symbolic link"),
            (up, only(locked()), "skip: it cannot be read: permission denied"),
            (up, extra(Entry::file("k", 1), false), "extra"),
            (up, extra(Entry::marker("k/", 0), true), "extra"),
            (up, both(Entry::directory("k/"), Entry::marker("k/", 0)), "nothing"),
            (up, both(Entry::marker("k/", 0), Entry::marker("k/", 0)), "unchanged"),
            (
                up,
                both(Entry::marker("k/", 0), Entry::marker("k/", 5)),
                "skip: the source has an empty directory there, and the target has an object with content, which a \
                 directory cannot have, so pos3 keeps it (to delete it, use a tool that deletes single objects)",
            ),
            (across, both(Entry::marker("k/", 0), Entry::marker("k/", 5)), "copy: size differs"),
            (across, both(Entry::marker("k/", 5), Entry::marker("k/", 0)), "copy: size differs"),
            (up, both(link(), Entry::file("k", 1)), "skip: it is a symbolic link"),
            (up, both(Entry::file("k", 1), Entry::file("k", 2)), "copy: size differs"),
            (down, only(Entry::marker("k/", 0)), "copy: new"),
            (
                down,
                only(Entry::marker("k/", 5)),
                "skip: the key cannot be a file name: it ends in '/' but has content, which a directory cannot have",
            ),
            (
                down,
                only(Entry::file("../up", 1)),
                "skip: the key cannot be a file name: it has a '.' or '..' path segment",
            ),
            (down, extra(Entry::directory("k/"), false), "extra"),
            (down, extra(Entry::directory("k/"), true), "nothing"),
            (down, extra(Entry::marker("k/", 0), true), "nothing"),
            (down, extra(link(), false), "nothing"),
            (down, extra(locked(), false), "skip: only the target has it, and it cannot be read: permission denied"),
            (up, only(Entry::protected("k", Protection::Vanished)), "skip: it vanished while the sync ran"),
            (down, both(Entry::marker("k/", 0), Entry::directory("k/")), "unchanged"),
            (down, both(Entry::file("k", 1), link()), "skip: in the target, it is a symbolic link"),
            (
                down,
                Diff::Shielded { source: Entry::file("k/x", 1), by: "k/".into(), why: Protection::Symlink },
                "skip: in the target it would be below 'k/', and it is a symbolic link",
            ),
            (
                down,
                Diff::Shielded { source: Entry::directory("k/x/"), by: "k/".into(), why: Protection::Symlink },
                "nothing",
            ),
        ];
        for ((source, target), diff, expected) in table {
            let policy = policy(Compare::Auto, source.clone(), target.clone());
            let shown = format!("{diff:?}");
            assert_eq!(kind_of(&policy.decide(diff, Known::NoManifest)), expected, "{shown}");
        }
    }

    #[test]
    fn an_empty_directory_replaces_no_content_however_they_are_compared() {
        let modes = [
            Compare::Auto,
            Compare::SizeOnly,
            Compare::Mtime,
            Compare::ExactTimestamps,
            Compare::Digest,
            Compare::Content,
            Compare::Always,
        ];
        for compare in modes {
            let policy = policy(compare, disk(), Capabilities::new());
            let diff = Diff::Both { source: Entry::marker("k/", 0), target: Entry::marker("k/", 5) };
            let skip = Action::Skip { key: Key::from("k/"), why: SkipReason::MarkerWithContent };
            assert_eq!(policy.decide(diff, Known::Unknown), Decision::Act(skip), "{compare:?}");
        }
    }

    #[test]
    fn an_unsafe_key_is_refused_before_it_is_copied() {
        let policy = policy(Compare::Always, Capabilities::new(), disk());
        let decision = policy.decide(Diff::SourceOnly(Entry::file("a//b", 1)), Known::NoManifest);
        let why = SkipReason::Unsafe(UnsafeKey::EmptySegment);
        assert_eq!(decision, Decision::Act(Action::Skip { key: Key::from("a//b"), why }));
    }
}
