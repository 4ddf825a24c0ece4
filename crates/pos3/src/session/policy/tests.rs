//! One table of decisions, and the files from before a session.

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
        ("the same, by the session's own knowledge", &f1, Some(&e2), none(), known(), [Some(Newer), None, Some(Newer)]),
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
        ("nothing is known, the file is later", &f1, Some(&early), none(), none(), [Some(Later), Some(Later), None]),
        ("nothing is known, the object is later", &f1, Some(&late), none(), none(), [Some(Later), Some(Later), None]),
        ("nothing is known, the times do not tell", &f1, Some(&e1), none(), none(), [Some(Later), Some(Later), None]),
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
    let longer = Row { source: Fingerprint::tagged(0xff, &[9; 32]), ..row("f1", "e1") };
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
        ("parts of an unusual size", Some(&theirs), (Some(row("f1", "e1")), None), Agreement::Unknown, unclear.clone()),
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
        ("it is gone, and there is no digest", None, (Some(opaque("f1")), None), Agreement::Same, [None, None, None]),
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

/// Returns the fingerprint of a local file of one byte with these times.
fn local(modified: u64, changed: u64) -> Fingerprint {
    let nanos =
        |seconds| u64::try_from(at(seconds).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    let fields = [1, nanos(modified), nanos(changed), 7];
    Fingerprint::tagged(0xff, &fields.map(u64::to_le_bytes).concat())
}

#[test]
fn a_file_that_was_replaced_by_an_older_one_before_the_session_replaces_nothing() {
    use SkipReason::{Conflict, Newer, Older};
    let file = |fingerprint: &Fingerprint| Entry { fingerprint: Some(fingerprint.clone()), ..entry("", 10) };
    let then = local(10, 10);
    let known = || Row { source: then.clone(), ..row("", "e1") };
    let (unchanged, theirs) = (entry("e1", 10), entry("e2", 20));
    let restored = || local(5, 30);
    let older = Some(Older);
    // The answers if the content is the known one, is another one, and cannot be determined.
    type Answers = [Option<SkipReason>; 3];
    let same = |answer: Option<SkipReason>| [answer.clone(), answer.clone(), answer];
    let table: [(&str, Fingerprint, &Entry, Row, Answers, Answers); 6] = [
        (
            "an older copy",
            restored(),
            &unchanged,
            known(),
            [None, older.clone(), older.clone()],
            [Some(Newer), older.clone(), older.clone()],
        ),
        (
            "an older copy, and no digest is known",
            restored(),
            &unchanged,
            Row { digest: None, ..known() },
            same(older.clone()),
            same(older.clone()),
        ),
        ("a file of the same time", local(10, 30), &unchanged, known(), same(None), same(Some(Newer))),
        ("a later file", local(20, 30), &unchanged, known(), same(None), same(Some(Newer))),
        (
            "the known file has a time in the future",
            local(25, 30),
            &unchanged,
            Row { source: local(1000, 10), ..known() },
            same(None),
            same(Some(Newer)),
        ),
        (
            "an older copy, and another writer changed the object",
            restored(),
            &theirs,
            known(),
            [Some(Newer), Some(Conflict), Some(Conflict)],
            [None, Some(Conflict), Some(Conflict)],
        ),
    ];
    let answers = |objection| match objection {
        Objection::ByContent(question) => [question.same, question.different, question.unknown],
        Objection::Stay(why) => same(Some(why)),
        _ => same(None),
    };
    for (what, now, object, row, uploaded, downloaded) in table {
        for own in [false, true] {
            let policy = || {
                let pairs = Known::default();
                if own {
                    pairs.note(&row, Way::Up);
                }
                Policy { known: pairs, at_begin: Beginning::default(), behind_links: Noted::default() }
            };
            let recorded = (!own).then_some(&row);
            let before = policy();
            before.at_begin.take(&file(&now), None, true);
            for reach in [Reach::OneWay, Reach::TwoWay] {
                let rule = before.clone().upload(reach, RemoteOverwrite::UnlessTheirs);
                assert_eq!(answers(rule.objection(&file(&now), Some(object), recorded)), uploaded, "{what} {own}");
                let always = before.clone().upload(reach, RemoteOverwrite::Always);
                assert_eq!(answers(always.objection(&file(&now), Some(object), recorded)), same(None), "{what} {own}");
                // The program of this session restored it.
                let rule = policy().upload(reach, RemoteOverwrite::UnlessTheirs);
                let by_program = answers(rule.objection(&file(&now), Some(object), recorded));
                assert_eq!(by_program[1], None, "{what} {own}");
            }
            let reversed = recorded.cloned().map(Row::reversed);
            let download = policy().download().objection(object, Some(&file(&now)), reversed.as_ref());
            assert_eq!(answers(download), downloaded, "{what} {own}");
        }
    }
}

#[test]
fn a_restored_file_stays_the_older_one_when_the_session_touches_it() {
    use SkipReason::Older;
    let md5 = |byte| Some(Digest::Md5([byte; 16]));
    let known = Row { source: local(10, 10), ..row("", "e1") };
    let file = |fingerprint| Entry { fingerprint: Some(fingerprint), ..entry("", 10) };
    for (digest, expected) in [
        // The answers if the content is that of the beginning, is different, and cannot be determined.
        (md5(7), [Some(Older), None, Some(Older)]),
        // The restored file has the known content.
        (md5(1), [None, None, None]),
        (None, [Some(Older), Some(Older), Some(Older)]),
    ] {
        let at_begin = Beginning::default();
        at_begin.take(&file(local(5, 30)), digest, true);
        let policy = Policy { known: Known::default(), at_begin, behind_links: Noted::default() };
        let rule = policy.upload(Reach::OneWay, RemoteOverwrite::UnlessTheirs);
        let found = match rule.objection(&file(local(40, 40)), Some(&entry("e1", 10)), Some(&known)) {
            Objection::ByContent(question) => [question.same, question.different, question.unknown],
            Objection::Stay(why) => [Some(why.clone()), Some(why.clone()), Some(why)],
            _ => [None, None, None],
        };
        assert_eq!(found, expected, "{digest:?}");
    }
}
