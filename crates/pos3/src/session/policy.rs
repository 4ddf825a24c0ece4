//! Decides which side wins if the two sides of a registration differ.
//!
//! Both sides have writers: the local program, and other machines. A transfer must never replace newer data with older
//! data, and unchanged data is never newer. All these decisions of a session are made here, from one table of the known
//! states of both sides. A session knows more than a single run, such as the files from before it began. So it finds out
//! by rules of its own which side has changed; the [`Policy`] is the same.

use std::time::SystemTime;

use pos3_core::{
    ByContent, Deletable, Digest, Entry, Kind, Objection, Overwritable, PendingWrite, Protection, Side, SkipReason,
    SyncOptions,
};
use pos3_local::{last_change, last_modification};

use super::known::{Known, Match, Recorded, Sides, Way};
use super::other_pairs::{OtherPairs, Shown};
use super::registration::Registration;
use super::removed::Removed;
use super::replaced::Replaced;
use super::seen::{Beginning, Noted, Origin};
use super::surroundings::Ownership;
use super::unsaved::Unsaved;
use crate::policy::{Conflict, Policy};

/// The evidence that shows which side of a registration has changed, with the rules that follow from it.
#[derive(Clone)]
pub(super) struct Rules {
    /// The pairs that the session itself knows.
    pub(super) known: Known,
    /// The local files, with their fingerprints, that existed when the session began.
    pub(super) at_begin: Beginning,
    /// The objects whose local files have become symbolic links, recorded by an upload.
    pub(super) behind_links: Noted,
    /// The objects of other writers that an upload replaces.
    pub(super) replaced: Replaced,
    /// The pairs of other transfers that may have written files.
    pub(super) others: OtherPairs,
}

/// Whether changes are transferred in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The remote side becomes like the local side.
    OneWay,
    /// Each side receives the changes of the other.
    TwoWay,
}

/// Which sides have changed since they were last known to be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Changed {
    /// There is no earlier state of the key.
    Unknown,
    Neither,
    Local,
    /// Only the file has changed, and it was modified before the known one. So it may be an earlier copy, for example
    /// from a backup. Only its content shows whether it has changed. The digests are those of the known contents.
    LocalToOlder(Vec<Digest>),
    Remote,
    Both,
    /// The object has changed, and the local file has another fingerprint. Only its content shows whether it has
    /// changed, because a new mode, time or link also changes the fingerprint.
    RemoteAndPerhapsLocal(Contents),
    /// The local file is older than the known one. So it is on another disk, and the known state is from another
    /// machine that shares the state directory.
    Back,
}

/// The contents that a file had when both sides were equal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents {
    digests: Vec<Digest>,
    /// Whether each content has a digest. If so, a file with none of these digests has changed.
    is_complete: bool,
}

/// Restricts a rule for a download: equal times are no evidence for a file that may be unsaved output.
pub(super) fn unless_unsaved(rule: Overwritable, unsaved: &Unsaved) -> Overwritable {
    let unsaved = unsaved.clone();
    rule.with_times_trusted_if(move |_, file| !unsaved.covers(&file.key))
}

/// Prevents a download from changing output that is not known to be stored.
pub(super) fn keeping_output(
    options: SyncOptions,
    registration: &Registration,
    unsaved: &Unsaved,
    removed: Removed,
) -> SyncOptions {
    let overwritable = unless_unsaved(Rules::new(registration).keeping_output(unsaved.clone(), removed), unsaved);
    let overwritable = if unsaved.is_none_known() { overwritable.without_evidence() } else { overwritable };
    let deletable = {
        let unsaved = unsaved.clone();
        Deletable::when(move |file, row| {
            !unsaved.covers(&file.key) || row.is_some_and(|row| file.fingerprint.as_ref() == Some(&row.target))
        })
    };
    options.with_overwritable(overwritable).with_deletable(deletable.otherwise(SkipReason::Unsaved))
}

impl Rules {
    pub(super) fn new(registration: &Registration) -> Self {
        let (known, evidence) = (registration.memory.known.clone(), &registration.evidence);
        Self {
            known,
            at_begin: evidence.at_begin(),
            behind_links: evidence.behind_links.clone(),
            replaced: evidence.replaced.clone(),
            others: registration.others.clone(),
        }
    }

    /// Returns the rules for the files that are at the path of an output now.
    pub(super) fn of(registration: &Registration, ownership: Ownership) -> Self {
        match ownership {
            Ownership::Program => Self::new(registration),
            Ownership::Others => Self { at_begin: Beginning::of_everything(), ..Self::new(registration) },
        }
    }

    /// Returns the rule that decides which local files the download of a two-way sync may write.
    pub(super) fn download(self, removed: Removed) -> Overwritable {
        Overwritable::judged(move |write| {
            let (object, Some(file)) = (write.source, write.target) else {
                let is_removed = removed.may_have(&write.source.key, write.row);
                return is_removed.then_some(SkipReason::Removed).into();
            };
            let why = |changed: &Changed| match changed {
                Changed::Neither | Changed::Remote => None,
                Changed::Local => Some(SkipReason::Newer),
                Changed::Both | Changed::RemoteAndPerhapsLocal(_) | Changed::Back => Some(SkipReason::Conflict),
                Changed::LocalToOlder(_) => Some(SkipReason::Older),
                // It may be output that was never uploaded, however old it is.
                Changed::Unknown => Some(SkipReason::Later),
            };
            objection(
                self.changed(write, file, Some(object), (Way::Down, modified(file)), &Shown::default()),
                Side::Target,
                why,
            )
        })
    }

    /// Returns the rule that decides which local files a download may write if a session left output that was not
    /// uploaded, or may have removed a file.
    pub(super) fn keeping_output(self, unsaved: Unsaved, removed: Removed) -> Overwritable {
        Overwritable::judged(move |write| {
            let (object, Some(file)) = (write.source, write.target) else {
                let is_removed = removed.may_have(&write.source.key, write.row);
                return is_removed.then_some(SkipReason::RemovedOutput).into();
            };
            if !unsaved.covers(&file.key) {
                return Objection::None;
            }
            let why = |changed: &Changed| match changed {
                Changed::Neither | Changed::Remote => None,
                _ => Some(SkipReason::Unsaved),
            };
            objection(
                self.changed(write, file, Some(object), (Way::Down, modified(file)), &Shown::default()),
                Side::Target,
                why,
            )
        })
    }

    /// Returns a rule that trusts equal times only for files that have not changed since the session began. If an earlier
    /// session may have left output, it trusts none: that session may have changed a file before.
    pub(super) fn trusting_times(self, rule: Overwritable, may_have_earlier_output: bool) -> Overwritable {
        let at_begin = self.at_begin;
        rule.with_times_trusted_if(move |file, _| !may_have_earlier_output && at_begin.origin(file) == Origin::Before)
    }

    /// Returns the rule that decides which objects an upload may write.
    pub(super) fn upload(self, reach: Reach, policy: Policy) -> Overwritable {
        Overwritable::judged(move |write| {
            let (file, object) = (write.source, write.target);
            if file.kind == Kind::Protected(Protection::Symlink) && object.is_some_and(Entry::has_content) {
                self.behind_links.note(file.key.as_str());
            }
            let why = |changed: &Changed, origin: Origin| match (changed, object, policy) {
                // The file has not changed since its last transfer, so it is not output of the program.
                (Changed::Remote, None, _) if reach == Reach::TwoWay => Some(SkipReason::Removed),
                (_, None, _) | (_, _, Policy::SourceWins) => None,
                (Changed::Remote, Some(_), Policy::UnlessTheirs(_)) => Some(SkipReason::Newer),
                (_, Some(_), Policy::UnlessTheirs(conflict)) => {
                    changed.conflict(origin, reach).and_then(|why| conflict.reason(why))
                }
            };
            let shown = match (object, reach) {
                // The object is stored again, whoever wrote the file.
                (None, Reach::OneWay) => Shown::default(),
                (Some(_), _) | (None, Reach::TwoWay) => self.others.of_file(file, object),
            };
            let origin = match self.at_begin.origin(file) {
                Origin::Program => shown.origin(),
                origin => origin,
            };
            let modified = match origin {
                Origin::Either { modified, .. } => modified,
                Origin::Program | Origin::Before => modified(file),
            };
            let changed = self.changed(write, file, object, (Way::Up, modified), &shown);
            let may_be_theirs = match &changed {
                Changed::Both | Changed::RemoteAndPerhapsLocal(_) => true,
                Changed::Unknown => self.replaced.has_appeared(&file.key),
                _ => false,
            };
            let objection = match origin {
                Origin::Either { digest, .. } if object.is_some() && policy == Policy::UnlessTheirs(Conflict::Skip) => {
                    let from_before = why(&changed.with_content(digest), Origin::Before);
                    by_origin(
                        objection(changed, Side::Source, |changed| why(changed, Origin::Program)),
                        from_before,
                        digest,
                    )
                }
                origin => objection(changed, Side::Source, |changed| why(changed, origin)),
            };
            let is_kept = matches!(objection, Objection::Stay(_)) || policy == Policy::SourceWins;
            if may_be_theirs && object.is_some() && !is_kept {
                self.replaced.plan(&file.key);
            }
            objection
        })
    }

    /// Returns which sides have changed, based on the manifest row and on the pairs that the session knows. Either of
    /// them may be missing or be from another machine. A file that matches one of them has not changed. `modified` is the
    /// time at which the content of the file was modified.
    fn changed(
        &self,
        write: &PendingWrite<'_>,
        file: &Entry,
        object: Option<&Entry>,
        (way, modified): (Way, Option<SystemTime>),
        shown: &Shown,
    ) -> Changed {
        let object = object.and_then(|object| object.fingerprint.as_ref());
        let now = Sides { local: file.fingerprint.as_ref(), remote: object };
        let then = write.row.map(|row| Sides::of_row(row, way));
        let recorded = then.map(|then| now.matching(then));
        if recorded == Some(Match { local: true, remote: true }) {
            write.row.iter().for_each(|row| self.known.note(row, way));
            return Changed::Neither;
        }
        let own = self.known.compare(&file.key, now);
        let matches = || [recorded, own].into_iter().flatten().chain(shown.matches.iter().copied());
        if matches().any(|known| known.local && known.remote) {
            return Changed::Neither;
        }
        if matches().any(|known| known.local) {
            return Changed::Remote;
        }
        if then.is_some_and(|then| is_before(now, then)) {
            return Changed::Back;
        }
        match (matches().next(), matches().any(|known| known.remote)) {
            (None, _) => Changed::Unknown,
            (Some(_), true) => local(&self.recorded(write, file, way, shown), file, modified),
            (Some(_), false) => perhaps_both(&self.recorded(write, file, way, shown), file),
        }
    }

    /// Returns the recorded facts about the contents that both sides had.
    fn recorded(&self, write: &PendingWrite<'_>, file: &Entry, way: Way, shown: &Shown) -> Vec<Recorded> {
        let of_row = write.row.map(|row| Recorded::of_row(row, way));
        let own = [self.known.content(&file.key), of_row].into_iter().flatten();
        own.chain(shown.contents.iter().copied()).collect()
    }
}

/// Returns the state of a key whose object has not changed and whose file has another fingerprint.
fn local(recorded: &[Recorded], file: &Entry, modified: Option<SystemTime>) -> Changed {
    let known = || recorded.iter().filter_map(|recorded| recorded.modified);
    match modified {
        Some(modified) if known().any(|known| modified < known) => {
            Changed::LocalToOlder(Contents::of(recorded, file).digests)
        }
        _ => Changed::Local,
    }
}

/// Returns the state of a key whose object has changed and whose file has another fingerprint.
fn perhaps_both(recorded: &[Recorded], file: &Entry) -> Changed {
    if recorded.iter().any(|recorded| recorded.may_be(file)) {
        Changed::RemoteAndPerhapsLocal(Contents::of(recorded, file))
    } else {
        Changed::Both
    }
}

impl Contents {
    /// Returns those of the recorded contents that the file may still have by its size.
    fn of(recorded: &[Recorded], file: &Entry) -> Self {
        let contents: Vec<_> = recorded.iter().filter(|recorded| recorded.may_be(file)).collect();
        let mut digests: Vec<_> = contents.iter().filter_map(|content| content.digest).collect();
        let is_complete = digests.len() == contents.len();
        digests.dedup();
        Self { digests, is_complete }
    }
}

impl Changed {
    /// Returns why an existing object and its file are in conflict, or `None` if the file is output of the program, or
    /// no other writer has changed the object.
    fn conflict(&self, origin: Origin, reach: Reach) -> Option<SkipReason> {
        match self {
            // Data that may be unchanged never replaces the data of another writer.
            Self::Back | Self::RemoteAndPerhapsLocal(_) => Some(SkipReason::Conflict),
            // A file from before the session is not output of this program.
            Self::Both if origin == Origin::Before => Some(SkipReason::Conflict),
            // The program may write a file with any time, for example from an archive.
            Self::LocalToOlder(_) if origin == Origin::Before => Some(SkipReason::Older),
            // The times of the two sides decide nothing: `chmod` or `mv` makes any file later than the object.
            Self::Unknown if origin == Origin::Before => Some(SkipReason::Later),
            // The program of this session never had the object, so it did not mean to replace it.
            Self::Unknown if reach == Reach::TwoWay => Some(SkipReason::Later),
            _ => None,
        }
    }

    /// Returns the state if the content of the file has this digest. Without one, it is treated as changed.
    fn with_content(&self, digest: Option<Digest>) -> Self {
        match self {
            Self::LocalToOlder(known) if digest.is_some_and(|digest| known.contains(&digest)) => Self::Local,
            Self::RemoteAndPerhapsLocal(_) => Self::Both,
            other => other.clone(),
        }
    }
}

/// Returns the objection for a file whose content may be from before the session. Its content decides. If it has the
/// `digest`, the result is `from_before`.
fn by_origin(from_program: Objection, from_before: Option<SkipReason>, digest: Option<Digest>) -> Objection {
    let (mut digests, different) = match from_program {
        Objection::ByContent(question) => (question.digests, question.different),
        Objection::Stay(why) => (Vec::new(), Some(why)),
        _ => (Vec::new(), None),
    };
    let undecided = from_before.or_else(|| different.clone());
    let Some(digest) = digest else { return undecided.into() };
    digests.push(digest);
    let question = ByContent { side: Side::Source, digests, same: undecided.clone(), different, unknown: undecided };
    question.into()
}

/// Returns the objection for a change. If the content of the local side has to decide and cannot, the result of `why`
/// for this state applies.
fn objection(changed: Changed, local: Side, why: impl Fn(&Changed) -> Option<SkipReason>) -> Objection {
    let undecided = why(&changed);
    let (digests, same, different) = match changed {
        Changed::RemoteAndPerhapsLocal(Contents { digests, is_complete }) => {
            let different = if is_complete { why(&Changed::Both) } else { undecided.clone() };
            (digests, why(&Changed::Remote), different)
        }
        Changed::LocalToOlder(digests) => (digests, why(&Changed::Local), undecided.clone()),
        _ => return undecided.into(),
    };
    ByContent { side: local, digests, same, different, unknown: undecided }.into()
}

/// Returns the time at which the content of the file was modified.
fn modified(file: &Entry) -> Option<SystemTime> {
    file.fingerprint.as_ref().and_then(last_modification)
}

/// Returns true if the local file was last changed before the known one.
fn is_before(now: Sides<'_>, then: Sides<'_>) -> bool {
    match (now.local.and_then(last_change), then.local.and_then(last_change)) {
        (Some(now), Some(then)) => now < then,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
