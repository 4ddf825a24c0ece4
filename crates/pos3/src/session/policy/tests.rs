//! The table of decisions, and the files that existed before a session.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pos3_core::{Agreement, Fingerprint, Key, Row, RowChange};

use super::*;

/// The default of a session.
const KEPT: Policy = Policy::UnlessTheirs(Conflict::Skip);

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
    let rules = || {
        let known = Known::default();
        own.iter().for_each(|own| known.note(own, Way::Up));
        Rules {
            known,
            at_begin: Beginning::default(),
            behind_links: Noted::default(),
            replaced: Replaced::default(),
            others: OtherPairs::default(),
        }
    };
    let answered = |objection| {
        let [same, different, unknown] = answers(objection);
        match content {
            Agreement::Same => same,
            Agreement::Different => different,
            Agreement::Unknown => unknown,
        }
    };
    let upload = |reach| {
        let rule = rules().upload(reach, KEPT);
        answered(rule.objection(file, object, recorded))
    };
    let reversed = recorded.cloned().map(Row::reversed);
    let download = object.and_then(|object| {
        answered(rules().download(Removed::default()).objection(object, Some(file), reversed.as_ref()))
    });
    [upload(Reach::TwoWay), download, upload(Reach::OneWay)]
}

fn same(answer: Option<SkipReason>) -> [Option<SkipReason>; 3] {
    [answer.clone(), answer.clone(), answer]
}

/// Returns the answers if the content is the same, is different, and cannot be determined.
fn answers(objection: Objection) -> [Option<SkipReason>; 3] {
    match objection {
        Objection::ByContent(question) => [question.same, question.different, question.unknown],
        Objection::Stay(why) => same(Some(why)),
        _ => same(None),
    }
}

#[test]
fn the_side_that_somebody_changed_wins() {
    use SkipReason::{Conflict as Both, Later, Newer, Removed};
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
        ("both were changed", &f2, Some(&e2), known(), none(), [None, Some(Both), None]),
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
    use SkipReason::{Conflict as Both, Newer, Removed};
    let (touched, theirs) = (entry("f2", 20), entry("e2", 20));
    let opaque = |file: &str| Row { digest: None, ..row(file, "e1") };
    let other = Row { digest: Some(Digest::Md5([2; 16])), ..row("f0", "e0") };
    let longer = Row { source: Fingerprint::tagged(0xff, &[9; 32]), ..row("f1", "e1") };
    let unchanged = [Some(Newer), None, Some(Newer)];
    let changed = [None, Some(Both), None];
    let unclear = [Some(Both), Some(Both), Some(Both)];
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
    let rules = Rules {
        known: Known::default(),
        at_begin,
        behind_links: Noted::default(),
        replaced: Replaced::default(),
        others: OtherPairs::default(),
    };
    let later = Objection::Stay(SkipReason::Later);
    for reach in [Reach::OneWay, Reach::TwoWay] {
        let rule = |policy| rules.clone().upload(reach, policy);
        // The object is later, as old, and older.
        for age in [20, 10, 5] {
            let (file, object) = (entry("f1", 10), entry("e1", age));
            let usual = rule(KEPT);
            assert_eq!(usual.objection(&file, Some(&object), None), later, "{reach:?} {age}");
            assert_eq!(usual.objection(&file, None, None), Objection::None, "{reach:?}");
            let always = rule(Policy::SourceWins).objection(&file, Some(&object), None);
            assert_eq!(always, Objection::None, "{reach:?} {age}");
        }
    }
    let made = rules.upload(Reach::OneWay, KEPT);
    assert_eq!(made.objection(&entry("f2", 10), Some(&entry("e1", 20)), None), Objection::None);
}

#[test]
fn a_file_that_was_here_before_the_session_replaces_no_object_that_changed_since_both_were_equal() {
    let at_begin = Beginning::default();
    at_begin.take(&entry("f2", 10), None, false);
    let rules = Rules {
        known: Known::default(),
        at_begin,
        behind_links: Noted::default(),
        replaced: Replaced::default(),
        others: OtherPairs::default(),
    };
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
            let answer = |policy| {
                answers(rules.clone().upload(reach, policy).objection(&file, object.as_ref(), Some(&known)))[1].clone()
            };
            assert_eq!(answer(KEPT), expected, "{file:?} {object:?}");
            assert_eq!(answer(Policy::SourceWins), None);
        }
    }
}

#[test]
fn the_content_of_a_leftover_decides_whether_the_program_wrote_it() {
    use SkipReason::{Conflict as Both, Later};
    let digest = Digest::Md5([7; 16]);
    let known = row("f1", "e1");
    for (digest, row, age, expected) in [
        // The answers if the content is the same, is different, and cannot be determined.
        (Some(digest), None, 20, [Some(Later), None, Some(Later)]),
        (Some(digest), None, 5, [Some(Later), None, Some(Later)]),
        (Some(digest), Some(&known), 20, [Some(Both), None, Some(Both)]),
        (None, None, 20, [Some(Later), Some(Later), Some(Later)]),
        (None, Some(&known), 20, [Some(Both), Some(Both), Some(Both)]),
    ] {
        let at_begin = Beginning::default();
        at_begin.take(&entry("f2", 10), digest, true);
        let rules = Rules {
            known: Known::default(),
            at_begin,
            behind_links: Noted::default(),
            replaced: Replaced::default(),
            others: OtherPairs::default(),
        };
        // `chmod` gives the file another fingerprint and a later time.
        let rule = rules.upload(Reach::OneWay, KEPT);
        let found = answers(rule.objection(&entry("f3", 30), Some(&entry("e2", age)), row));
        assert_eq!(found, expected, "{digest:?} {row:?} {age}");
    }
}

#[test]
fn objects_are_written_over_where_that_was_asked_for() {
    let (file, object) = (entry("f1", 10), entry("e2", 20));
    let rules = Rules {
        known: Known::default(),
        at_begin: Beginning::default(),
        behind_links: Noted::default(),
        replaced: Replaced::default(),
        others: OtherPairs::default(),
    };
    let rule = rules.upload(Reach::OneWay, Policy::SourceWins);
    assert_eq!(rule.objection(&file, Some(&object), Some(&row("f1", "e1"))), Objection::None);
}

#[test]
fn the_file_wins_every_conflict_where_that_was_asked_for_and_nothing_else() {
    use SkipReason::{Conflict as Both, Later, Newer};
    let at_begin = Beginning::default();
    at_begin.take(&entry("before", 10), None, false);
    at_begin.take(&entry("leftover", 10), Some(Digest::Md5([7; 16])), true);
    let rules = Rules {
        known: Known::default(),
        at_begin,
        behind_links: Noted::default(),
        replaced: Replaced::default(),
        others: OtherPairs::default(),
    };
    let (known, opaque) = (row("f1", "e1"), Row { digest: None, ..row("f1", "e1") });
    let stored = row("before", "e1");
    for (what, file, object, row, skips, wins) in [
        // The answers if the content is the same, is different, and cannot be determined.
        ("only the object changed", "before", Some("e2"), Some(&stored), same(Some(Newer)), same(Some(Newer))),
        (
            "both changed, before the session",
            "before",
            Some("e2"),
            Some(&known),
            [Some(Newer), Some(Both), Some(Both)],
            [Some(Newer), None, None],
        ),
        (
            "the same, and touched since",
            "touched",
            Some("e2"),
            Some(&known),
            [Some(Both), None, Some(Both)],
            [Some(Newer), None, None],
        ),
        ("nothing is known", "before", Some("e2"), None, same(Some(Later)), same(None)),
        ("only the file changed", "before", Some("e1"), Some(&known), same(None), same(None)),
        ("the object was removed and the file changed", "before", None, Some(&opaque), same(None), same(None)),
    ] {
        let (file, object) = (entry(file, 10), object.map(|object| entry(object, 20)));
        for reach in [Reach::OneWay, Reach::TwoWay] {
            let found = |conflict| {
                let rule = rules.clone().upload(reach, Policy::UnlessTheirs(conflict));
                answers(rule.objection(&file, object.as_ref(), row))
            };
            assert_eq!(found(Conflict::Skip), skips, "{what}, {reach:?}");
            assert_eq!(found(Conflict::SourceWins), wins, "{what}, {reach:?}");
        }
    }
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
    for (what, now, object, row, uploaded, downloaded) in table {
        for own in [false, true] {
            let rules = || {
                let pairs = Known::default();
                if own {
                    pairs.note(&row, Way::Up);
                }
                Rules {
                    known: pairs,
                    at_begin: Beginning::default(),
                    behind_links: Noted::default(),
                    replaced: Replaced::default(),
                    others: OtherPairs::default(),
                }
            };
            let recorded = (!own).then_some(&row);
            let before = rules();
            before.at_begin.take(&file(&now), None, true);
            for reach in [Reach::OneWay, Reach::TwoWay] {
                let rule = before.clone().upload(reach, KEPT);
                assert_eq!(answers(rule.objection(&file(&now), Some(object), recorded)), uploaded, "{what} {own}");
                let always = before.clone().upload(reach, Policy::SourceWins);
                assert_eq!(answers(always.objection(&file(&now), Some(object), recorded)), same(None), "{what} {own}");
                // The program of this session restored it.
                let rule = rules().upload(reach, KEPT);
                let by_program = answers(rule.objection(&file(&now), Some(object), recorded));
                assert_eq!(by_program[1], None, "{what} {own}");
            }
            let reversed = recorded.cloned().map(Row::reversed);
            let download = rules().download(Removed::default()).objection(object, Some(&file(&now)), reversed.as_ref());
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
        let rules = Rules {
            known: Known::default(),
            at_begin,
            behind_links: Noted::default(),
            replaced: Replaced::default(),
            others: OtherPairs::default(),
        };
        let rule = rules.upload(Reach::OneWay, KEPT);
        let found = answers(rule.objection(&file(local(40, 40)), Some(&entry("e1", 10)), Some(&known)));
        assert_eq!(found, expected, "{digest:?}");
    }
}
