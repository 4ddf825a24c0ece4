//! Decides which side wins if the two sides of a registration differ.
//!
//! Both sides have writers: the local program, and other machines. A transfer must never replace newer data with older
//! data, and unchanged data is never newer. All these decisions of a session are made here, from one table of the known
//! states of both sides.

use pos3_core::{ByContent, Digest, Entry, Kind, Objection, Overwritable, PendingWrite, Protection, Side, SkipReason};
use pos3_local::last_change;

use super::beginning::{Beginning, Origin};
use super::known::{Known, Match, Recorded, Sides, Way};
use super::noted::Noted;
use super::options::RemoteOverwrite;
use super::registration::Registration;
use super::unsaved::Unsaved;

/// The evidence that decides between the two sides of a registration.
#[derive(Clone)]
pub(super) struct Policy {
    /// The pairs that the session itself knows.
    pub(super) known: Known,
    /// The local files, with their fingerprints, that existed when the session began.
    pub(super) at_begin: Beginning,
    /// The objects whose local files have become symbolic links, recorded by an upload.
    pub(super) behind_links: Noted,
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

impl Policy {
    pub(super) fn new(registration: &Registration) -> Self {
        let (known, evidence) = (registration.memory.known.clone(), &registration.evidence);
        Self { known, at_begin: evidence.at_begin(), behind_links: evidence.behind_links.clone() }
    }

    /// Returns the rule that decides which local files the download of a two-way sync may write.
    pub(super) fn download(self) -> Overwritable {
        Overwritable::judged(move |write| {
            let (object, Some(file)) = (write.source, write.target) else { return Objection::None };
            let why = |changed: &Changed| match changed {
                Changed::Neither | Changed::Remote => None,
                Changed::Local => Some(SkipReason::Newer),
                Changed::Both | Changed::RemoteAndPerhapsLocal(_) | Changed::Back => Some(SkipReason::Conflict),
                // It may be output that was never uploaded, however old it is.
                Changed::Unknown => Some(SkipReason::Later),
            };
            objection(self.changed(write, file, Some(object), Way::Down), Side::Target, why)
        })
    }

    /// Returns the rule that decides which local files a download may write if a session left output that was not
    /// uploaded.
    pub(super) fn keeping_output(self, unsaved: Unsaved) -> Overwritable {
        Overwritable::judged(move |write| {
            let (object, Some(file)) = (write.source, write.target) else { return Objection::None };
            if !unsaved.covers(&file.key) {
                return Objection::None;
            }
            let why = |changed: &Changed| match changed {
                Changed::Neither | Changed::Remote => None,
                _ => Some(SkipReason::Unsaved),
            };
            objection(self.changed(write, file, Some(object), Way::Down), Side::Target, why)
        })
    }

    /// Returns the rule that decides which objects an upload may write.
    pub(super) fn upload(self, reach: Reach, overwrite: RemoteOverwrite) -> Overwritable {
        Overwritable::judged(move |write| {
            let (file, object) = (write.source, write.target);
            if file.kind == Kind::Protected(Protection::Symlink) && object.is_some_and(Entry::has_content) {
                self.behind_links.note(file.key.as_str());
            }
            let why = |changed: &Changed, origin: Origin| match (changed, object, reach) {
                // The file has not changed since its last transfer, so it is not output of the program.
                (Changed::Remote, None, Reach::TwoWay) => Some(SkipReason::Removed),
                _ if overwrite == RemoteOverwrite::Always => None,
                (Changed::Remote, Some(_), _) => Some(SkipReason::Newer),
                // Data that may be unchanged never replaces the data of another writer.
                (Changed::Back | Changed::RemoteAndPerhapsLocal(_), Some(_), _) => Some(SkipReason::Conflict),
                // A file from before the session is not output of this program.
                (Changed::Both, Some(_), _) if origin == Origin::Before => Some(SkipReason::Conflict),
                // The times of the two sides decide nothing: `chmod` or `mv` makes any file later than the object.
                (Changed::Unknown, Some(_), _) if origin == Origin::Before => Some(SkipReason::Later),
                // The program of this session never had the object, so it did not mean to replace it.
                (Changed::Unknown, Some(_), Reach::TwoWay) => Some(SkipReason::Later),
                _ => None,
            };
            let changed = self.changed(write, file, object, Way::Up);
            match self.at_begin.origin(file) {
                Origin::Either { digest } if object.is_some() => {
                    let from_before = why(&changed.if_certain(), Origin::Before);
                    by_origin(
                        objection(changed, Side::Source, |changed| why(changed, Origin::Program)),
                        from_before,
                        digest,
                    )
                }
                origin => objection(changed, Side::Source, |changed| why(changed, origin)),
            }
        })
    }

    /// Returns which sides have changed, based on the manifest row and on the pairs that the session knows. Either of
    /// them may be missing or be from another machine. A file that matches one of them has not changed.
    fn changed(&self, write: &PendingWrite<'_>, file: &Entry, object: Option<&Entry>, way: Way) -> Changed {
        let object = object.and_then(|object| object.fingerprint.as_ref());
        let now = Sides { local: file.fingerprint.as_ref(), remote: object };
        let then = write.row.map(|row| Sides::of_row(row, way));
        let recorded = then.map(|then| now.matching(then));
        if recorded == Some(Match { local: true, remote: true }) {
            write.row.iter().for_each(|row| self.known.note(row, way));
            return Changed::Neither;
        }
        let own = self.known.compare(&file.key, now);
        let matches = || [recorded, own].into_iter().flatten();
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
            (Some(_), true) => Changed::Local,
            (Some(_), false) => self.perhaps_both(write, file, way),
        }
    }

    /// Returns the state of a key whose object has changed and whose file has another fingerprint.
    fn perhaps_both(&self, write: &PendingWrite<'_>, file: &Entry, way: Way) -> Changed {
        let recorded = write.row.map(|row| Recorded::of_row(row, way));
        let contents = [self.known.content(&file.key), recorded].into_iter().flatten();
        let contents: Vec<_> = contents.filter(|content| content.size.is_none_or(|size| size == file.size)).collect();
        if contents.is_empty() {
            return Changed::Both;
        }
        let mut digests: Vec<_> = contents.iter().filter_map(|content| content.digest).collect();
        let is_complete = digests.len() == contents.len();
        digests.dedup();
        Changed::RemoteAndPerhapsLocal(Contents { digests, is_complete })
    }
}

impl Changed {
    /// Returns the state if the file has changed for certain.
    fn if_certain(&self) -> Self {
        match self {
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
    let Changed::RemoteAndPerhapsLocal(Contents { digests, is_complete }) = changed else { return undecided.into() };
    let different = if is_complete { why(&Changed::Both) } else { undecided.clone() };
    ByContent { side: local, digests, same: why(&Changed::Remote), different, unknown: undecided }.into()
}

/// Returns true if the local file was last changed before the known one.
fn is_before(now: Sides<'_>, then: Sides<'_>) -> bool {
    match (now.local.and_then(last_change), then.local.and_then(last_change)) {
        (Some(now), Some(then)) => now < then,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use pos3_core::{Agreement, Fingerprint, Key, Row, RowChange};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_251_600 + seconds)
    }

    fn entry(token: &str, seconds: u64) -> Entry {
        Entry::file("k", 1).with_fingerprint(Fingerprint::from(token)).with_modified(at(seconds))
    }

    fn row(file: &str, object: &str) -> Row {
        let digest = Some(Digest::Md5([1; 16]));
        Row { key: Key::from("k"), source: file.into(), target: object.into(), digest }
    }

    /// Returns the decisions for a file and an object: of an upload and of the download of a two-way sync, and of a
    /// one-way upload. `content` is the result of comparing the file with its earlier digest.
    fn decisions(
        file: &Entry,
        object: Option<&Entry>,
        (recorded, own): (Option<&Row>, Option<&Row>),
        content: Agreement,
    ) -> [Option<SkipReason>; 3] {
        let policy = || {
            let known = Known::default();
            own.iter().for_each(|own| known.note(own, Way::Up));
            Policy { known, at_begin: Beginning::default(), behind_links: Noted::default() }
        };
        let answered = |objection| match objection {
            Objection::Stay(why) => Some(why),
            Objection::ByContent(question) => match content {
                Agreement::Same => question.same,
                Agreement::Different => question.different,
                Agreement::Unknown => question.unknown,
            },
            _ => None,
        };
        let upload = |reach| {
            let rule = policy().upload(reach, RemoteOverwrite::UnlessTheirs);
            answered(rule.objection(file, object, recorded))
        };
        let reversed = recorded.cloned().map(Row::reversed);
        let download =
            object.and_then(|object| answered(policy().download().objection(object, Some(file), reversed.as_ref())));
        [upload(Reach::TwoWay), download, upload(Reach::OneWay)]
    }

    #[test]
    fn the_side_that_somebody_changed_wins() {
        use SkipReason::{Conflict, Later, Newer, Removed};
        let (f1, f2, e1, e2) = (entry("f1", 10), entry("f2", 10), entry("e1", 10), entry("e2", 10));
        let (early, late) = (entry("e2", 5), entry("e2", 20));
        let known = || Some(row("f1", "e1"));
        let none = || None;
        let table = [
            ("the object was replaced", &f1, Some(&e2), known(), none(), [Some(Newer), None, Some(Newer)]),
            (
                "the same, by the session's own knowledge",
                &f1,
                Some(&e2),
                none(),
                known(),
                [Some(Newer), None, Some(Newer)],
            ),
            (
                "the row is of another machine",
                &f1,
                Some(&e2),
                Some(row("g2", "e2")),
                known(),
                [Some(Newer), None, Some(Newer)],
            ),
            (
                "the row is of an older state",
                &f1,
                Some(&e2),
                Some(row("f0", "e0")),
                known(),
                [Some(Newer), None, Some(Newer)],
            ),
            ("the file was changed", &f2, Some(&e1), known(), none(), [None, Some(Newer), None]),
            ("both were changed", &f2, Some(&e2), known(), none(), [None, Some(Conflict), None]),
            (
                "nothing is known, the file is later",
                &f1,
                Some(&early),
                none(),
                none(),
                [Some(Later), Some(Later), None],
            ),
            (
                "nothing is known, the object is later",
                &f1,
                Some(&late),
                none(),
                none(),
                [Some(Later), Some(Later), None],
            ),
            (
                "nothing is known, the times do not tell",
                &f1,
                Some(&e1),
                none(),
                none(),
                [Some(Later), Some(Later), None],
            ),
            ("the object was removed", &f1, None, known(), none(), [Some(Removed), None, None]),
            ("the same, by the session's own knowledge", &f1, None, none(), known(), [Some(Removed), None, None]),
            ("the object was removed and the file changed", &f2, None, known(), none(), [None, None, None]),
            ("the file is new", &f1, None, none(), none(), [None, None, None]),
        ];
        for (what, file, object, recorded, own, expected) in table {
            let rows = (recorded.as_ref(), own.as_ref());
            assert_eq!(decisions(file, object, rows, Agreement::Different), expected, "{what}");
        }
    }

    #[test]
    fn a_file_with_another_fingerprint_and_the_same_content_has_not_changed() {
        use SkipReason::{Conflict, Newer, Removed};
        let (touched, theirs) = (entry("f2", 20), entry("e2", 20));
        let opaque = |file: &str| Row { digest: None, ..row(file, "e1") };
        let other = Row { digest: Some(Digest::Md5([2; 16])), ..row("f0", "e0") };
        let longer = Row { source: Fingerprint::new([9; 32]), ..row("f1", "e1") };
        let unchanged = [Some(Newer), None, Some(Newer)];
        let changed = [None, Some(Conflict), None];
        let unclear = [Some(Conflict), Some(Conflict), Some(Conflict)];
        let table = [
            ("the same content", Some(&theirs), (Some(row("f1", "e1")), None), Agreement::Same, unchanged.clone()),
            (
                "the same, by own knowledge",
                Some(&theirs),
                (None, Some(row("f1", "e1"))),
                Agreement::Same,
                unchanged.clone(),
            ),
            ("another content", Some(&theirs), (Some(row("f1", "e1")), None), Agreement::Different, changed.clone()),
            (
                "parts of an unusual size",
                Some(&theirs),
                (Some(row("f1", "e1")), None),
                Agreement::Unknown,
                unclear.clone(),
            ),
            ("no digest", Some(&theirs), (Some(opaque("f1")), None), Agreement::Same, unclear.clone()),
            (
                "one of two states has no digest",
                Some(&theirs),
                (Some(other), Some(opaque("f1"))),
                Agreement::Different,
                unclear,
            ),
            ("another size", Some(&theirs), (Some(longer), None), Agreement::Same, changed),
            ("the object is gone", None, (Some(row("f1", "e1")), None), Agreement::Same, [Some(Removed), None, None]),
            (
                "it is gone, and there is no digest",
                None,
                (Some(opaque("f1")), None),
                Agreement::Same,
                [None, None, None],
            ),
        ];
        for (what, object, (recorded, own), content, expected) in table {
            let found = decisions(&touched, object, (recorded.as_ref(), own.as_ref()), content);
            assert_eq!(found, expected, "{what}");
        }
        let nobody_else = decisions(&touched, Some(&entry("e1", 1)), (Some(&row("f1", "e1")), None), Agreement::Same);
        assert_eq!(nobody_else, [None, Some(Newer), None], "the object is as it was, so nothing is read for it");
    }

    #[test]
    fn a_file_that_was_here_before_the_session_and_of_which_nothing_is_known_replaces_nothing() {
        let at_begin = Beginning::default();
        at_begin.take(&entry("f1", 10), None, false);
        let policy = Policy { known: Known::default(), at_begin, behind_links: Noted::default() };
        let later = Objection::Stay(SkipReason::Later);
        for reach in [Reach::OneWay, Reach::TwoWay] {
            let rule = |overwrite| policy.clone().upload(reach, overwrite);
            // The object is later, as old, and older.
            for age in [20, 10, 5] {
                let (file, object) = (entry("f1", 10), entry("e1", age));
                let usual = rule(RemoteOverwrite::UnlessTheirs);
                assert_eq!(usual.objection(&file, Some(&object), None), later, "{reach:?} {age}");
                assert_eq!(usual.objection(&file, None, None), Objection::None, "{reach:?}");
                let always = rule(RemoteOverwrite::Always).objection(&file, Some(&object), None);
                assert_eq!(always, Objection::None, "{reach:?} {age}");
            }
        }
        let made = policy.upload(Reach::OneWay, RemoteOverwrite::UnlessTheirs);
        assert_eq!(made.objection(&entry("f2", 10), Some(&entry("e1", 20)), None), Objection::None);
    }

    #[test]
    fn a_file_that_was_here_before_the_session_replaces_no_object_that_changed_since_both_were_equal() {
        let at_begin = Beginning::default();
        at_begin.take(&entry("f2", 10), None, false);
        let policy = Policy { known: Known::default(), at_begin, behind_links: Noted::default() };
        let known = row("f1", "e1");
        for (file, object, expected) in [
            ("f2", Some("e2"), Some(SkipReason::Conflict)),
            // The program of this session wrote the file, or no other writer changed the object.
            ("f3", Some("e2"), None),
            ("f2", Some("e1"), None),
            ("f2", None, None),
        ] {
            let (file, object) = (entry(file, 10), object.map(|object| entry(object, 20)));
            for reach in [Reach::OneWay, Reach::TwoWay] {
                let answer = |overwrite| match policy.clone().upload(reach, overwrite).objection(
                    &file,
                    object.as_ref(),
                    Some(&known),
                ) {
                    Objection::ByContent(question) => question.different,
                    Objection::Stay(why) => Some(why),
                    _ => None,
                };
                assert_eq!(answer(RemoteOverwrite::UnlessTheirs), expected, "{file:?} {object:?}");
                assert_eq!(answer(RemoteOverwrite::Always), None);
            }
        }
    }

    #[test]
    fn the_content_of_a_leftover_decides_whether_the_program_wrote_it() {
        use SkipReason::{Conflict, Later};
        let digest = Digest::Md5([7; 16]);
        let known = row("f1", "e1");
        for (digest, row, age, expected) in [
            // The answers if the content is the same, is different, and cannot be determined.
            (Some(digest), None, 20, [Some(Later), None, Some(Later)]),
            (Some(digest), None, 5, [Some(Later), None, Some(Later)]),
            (Some(digest), Some(&known), 20, [Some(Conflict), None, Some(Conflict)]),
            (None, None, 20, [Some(Later), Some(Later), Some(Later)]),
            (None, Some(&known), 20, [Some(Conflict), Some(Conflict), Some(Conflict)]),
        ] {
            let at_begin = Beginning::default();
            at_begin.take(&entry("f2", 10), digest, true);
            let policy = Policy { known: Known::default(), at_begin, behind_links: Noted::default() };
            // `chmod` gives the file another fingerprint and a later time.
            let rule = policy.upload(Reach::OneWay, RemoteOverwrite::UnlessTheirs);
            let found = match rule.objection(&entry("f3", 30), Some(&entry("e2", age)), row) {
                Objection::ByContent(question) => [question.same, question.different, question.unknown],
                Objection::Stay(why) => [Some(why.clone()), Some(why.clone()), Some(why)],
                _ => [None, None, None],
            };
            assert_eq!(found, expected, "{digest:?} {row:?} {age}");
        }
    }

    #[test]
    fn objects_are_written_over_where_that_was_asked_for() {
        let (file, object) = (entry("f1", 10), entry("e2", 20));
        let policy = Policy { known: Known::default(), at_begin: Beginning::default(), behind_links: Noted::default() };
        let rule = policy.upload(Reach::OneWay, RemoteOverwrite::Always);
        assert_eq!(rule.objection(&file, Some(&object), Some(&row("f1", "e1"))), Objection::None);
    }

    #[tokio::test]
    async fn what_a_transfer_records_is_known_without_the_database() {
        use pos3_core::{Manifest, MemoryManifest};

        use super::super::known::Noting;

        let known = Known::default();
        let noting = Noting { rows: Arc::new(MemoryManifest::default()), known: known.clone(), way: Way::Up };
        let (file, object) = (Fingerprint::from("f"), Fingerprint::from("e"));
        let sides = Sides { local: Some(&file), remote: Some(&object) };
        noting.apply(vec![RowChange::Equal(row("f", "e"))]).await.unwrap();
        assert_eq!(known.compare(&Key::from("k"), sides), Some(Match { local: true, remote: true }));
        noting.apply(vec![RowChange::Forget(Key::from("k"))]).await.unwrap();
        assert_eq!(known.compare(&Key::from("k"), sides), None);
    }
}
