use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use pos3_core::{
    Action, Change, Deletion, Digest, Entry, Filter, Key, MemoryStore, Namespace, Plan, RemoteStore, SkipReason, Tally,
};

use super::*;
use crate::{Error, Location, Provider, Registry, Role, Symlinks};

/// Buckets on a server, with and without the feature for S3.
#[derive(Debug)]
struct Buckets;

#[async_trait]
impl Provider for Buckets {
    async fn open(&self, _: &Location, _: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        Ok(Arc::new(MemoryStore::new()))
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        Ok(format!("{location}/"))
    }

    fn server(&self, _: &Location) -> Result<Option<String>, Error> {
        Ok(Some("s3.amazonaws.com".to_owned()))
    }
}

fn plan() -> Plan {
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
    let seen = |key: &str, size| Entry::file(key, size).with_modified(time).with_fingerprint("\"e\"".into());
    let digest = Digest::Md5OfParts { digest: [0xab; 16], parts: 3 };
    let odd = Entry { fingerprint: Some(pos3_core::Fingerprint::new([0xff, 0])), ..seen("a\nb \u{202e}é#", 7) };
    let actions = [
        Action::Copy { source: odd, target: None, why: Change::New },
        Action::Copy { source: seen("c", 1), target: Some(seen("c", 2).with_digest(digest)), why: Change::Size },
        Action::Skip { key: Key::from("l"), why: SkipReason::Source(pos3_core::Protection::Symlink) },
        Action::Skip { key: Key::from("../x"), why: SkipReason::Unsafe(pos3_core::UnsafeKey::DotSegment) },
        Action::Delete { target: seen("d", 1) },
        Action::Delete { target: Entry::directory("e/") },
        Action::Delete { target: Entry::marker("e/f/", 0) },
        Action::Replace { source: seen("d/x", 1), obstacle: Key::from("d") },
    ];
    let mut plan = Plan::of(actions).unwrap();
    plan.tally = Tally { source: 9, target: 8, unchanged: 7, ..Tally::default() };
    plan.warnings = vec!["a line\nwith a break".into()];
    plan
}

fn actions(plan: &Plan) -> Vec<Action> {
    plan.actions().map(Result::unwrap).collect()
}

fn header() -> PlanHeader {
    let (from, to) = ("/from".parse().unwrap(), "s3://b/to".parse().unwrap());
    let registry = Registry::default().with("s3", Buckets);
    let header = PlanHeader::new(&registry, &from, &to, &plan()).unwrap();
    header.with_deletion(Deletion::Extra).with_filter(filter()).with_options("--delete")
}

fn header_of_directories() -> PlanHeader {
    PlanHeader::new(&Registry::default(), &"/from".parse().unwrap(), &"/to".parse().unwrap(), &plan()).unwrap()
}

fn filter() -> Filter {
    let filter = Filter::builder().exclude("*.tmp").and_then(|filter| filter.include("k.tmp"));
    let filter = filter.and_then(|filter| filter.ignore_file("f", "*.log\n")).unwrap();
    filter.exclude_matching("old").unwrap().build().unwrap()
}

fn text() -> String {
    let mut out = Vec::new();
    write_plan(&mut out, &header(), &plan()).unwrap();
    String::from_utf8(out).unwrap()
}

/// Returns the text as version 2 of the format, which has no checksum. A changed text is then read as far as its lines are
/// valid.
fn unsealed() -> String {
    let text = text().replacen("\"version\":3", "\"version\":2", 1);
    let (at, length) = (text.find(",\"checksum\":\"").unwrap(), ",\"checksum\":\"\"".len() + 64);
    format!("{}{}", &text[..at], &text[at + length..])
}

fn read(text: &str) -> Result<Vec<Action>, PlanFileError> {
    Ok(actions(&PlanReader::open(text.as_bytes())?.plan(Namespace::Hierarchical, Shard::default())?))
}

/// Returns the error for the text with `from` replaced by `to`.
fn problem(from: &str, to: &str) -> String {
    let text = text();
    assert!(text.contains(from), "{from} is not in {text}");
    read(&text.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn a_plan_comes_back_as_it_was_written() {
    let reader = PlanReader::open(text().as_bytes().to_owned().leak() as &[u8]).unwrap();
    let header = reader.header().clone();
    assert_eq!((header.source.to_string(), header.target.to_string()), ("/from".into(), "s3://b/to".into()));
    assert_eq!((header.deletion, header.symlinks), (Deletion::Extra, Symlinks::Skip));
    assert_eq!((header.tally, &header.warnings), (plan().tally, &plan().warnings));
    assert_eq!((header.source_server, header.target_server), (None, Some("s3.amazonaws.com".into())));
    assert_eq!(header.filter, filter());
    let read = reader.plan(Namespace::Hierarchical, Shard::default()).unwrap();
    assert_eq!(actions(&read), actions(&plan()));
    assert_eq!((read.tally, &read.warnings, read.len()), (plan().tally, &plan().warnings, 8));
}

#[test]
fn a_time_of_any_date_comes_back_as_it_was_written() {
    let distances = [(0, 0), (0, 1), (1, 0), (1, 999_999_999), (86_400, 500), (2_177_452_800, 1), (62_135_596_800, 7)];
    for (seconds, nanos) in distances {
        let distance = Duration::new(seconds, nanos);
        for time in [SystemTime::UNIX_EPOCH - distance, SystemTime::UNIX_EPOCH + distance] {
            let file = |key: &str| Entry::file(key, 1).with_fingerprint("e".into()).with_modified(time);
            let plan = Plan::of([
                Action::Copy { source: file("a"), target: Some(file("a")), why: Change::Size },
                Action::Delete { target: file("b") },
                Action::Replace { source: file("b/c"), obstacle: Key::from("b") },
            ]);
            let (mut out, plan) = (Vec::new(), plan.unwrap());
            let header = PlanHeader { actions: 3, ..header() };
            write_plan(&mut out, &header, &plan).unwrap();
            assert_eq!(read(&String::from_utf8(out).unwrap()).unwrap(), actions(&plan), "{time:?}");
        }
    }
}

/// If a field is renamed, existing plan files become unreadable, or worse, change their meaning.
#[test]
fn the_lines_of_the_format_never_change() {
    let text = text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(r#"{"format":"pos3-plan","version":3,"source":"/from","target":"s3://b/to","target_server":"s3.amazonaws.com","follow_symlinks":false,"delete":true,"filter":[{"exclude":"*.tmp"},{"include":"k.tmp"},{"ignore_file":{"name":"f","text":"*.log\n"}},{"exclude_matching":"old"}],"created":""#));
    let (before, checksum) = lines[0].split_once(r#","checksum":""#).unwrap();
    assert!(before.ends_with(r#""options":"--delete","source_entries":9,"target_files":8,"unchanged":7,"extra":0,"warnings":["a line\nwith a break"],"actions":8"#), "{}", lines[0]);
    assert!(checksum.len() == 66 && checksum.ends_with("\"}"), "{checksum}");
    assert_eq!(
        lines[2],
        r#"{"action":"copy","key":"c","why":"size","source":{"kind":"file","size":1,"modified":"2023-11-14T22:13:20.123456789Z","fingerprint":"\"e\""},"target":{"kind":"file","size":2,"modified":"2023-11-14T22:13:20.123456789Z","fingerprint":"\"e\"","digest":"abababababababababababababababab-3"}}"#
    );
    assert_eq!(lines[3], r#"{"action":"skip","key":"l","why":{"source":"symlink"}}"#);
    assert_eq!(lines[6], r#"{"action":"delete","key":"e/","target":{"kind":"directory","size":0}}"#);
    assert!(lines[8].starts_with(r#"{"action":"replace","key":"d/x","obstacle":"d","source":{"#), "{}", lines[8]);
}

#[test]
fn a_file_that_was_cut_anywhere_is_noticed() {
    let text = text();
    // Only the last newline has no meaning.
    for end in 0..text.len() - 1 {
        if text.is_char_boundary(end) {
            assert!(read(&text[..end]).is_err(), "cut at {end}: {:?}", &text[..end]);
        }
    }
    let without_last = text.trim_end().rsplit_once('\n').unwrap().0;
    assert_eq!(read(without_last).unwrap_err().to_string(), "it is truncated: it has 7 of 8 actions");
}

#[test]
fn a_plan_that_was_changed_anywhere_is_refused() {
    let text = text();
    assert!(read(&text).is_ok());
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric()) {
        let mut changed = text.clone().into_bytes();
        changed[at] = if matches!(byte, b'9' | b'z' | b'Z') { b'a' } else { byte + 1 };
        let changed = String::from_utf8(changed).unwrap();
        assert!(read(&changed).is_err(), "at {at}: {changed}");
    }
    // Each of these is a valid plan, but not the one that was written.
    let edited = "it was changed after it was written: its checksum is wrong";
    let delete = text.lines().nth(5).unwrap();
    let without = text.replacen(&format!("{delete}\n"), "", 1).replacen("\"actions\":8", "\"actions\":7", 1);
    for changed in [
        without,
        text.replacen("s3://b/to", "s3://other/to", 1),
        text.replacen("s3.amazonaws.com", "localhost:9000", 1),
        text.replacen("\"/from\"", "\"/other\"", 1),
        text.replacen("{\"exclude\":\"*.tmp\"},", "", 1),
        text.replacen("\"size\":1", "\"size\":9", 1),
        text.replacen("\"unchanged\":7", "\"unchanged\":6", 1),
    ] {
        assert_ne!(changed, text);
        assert_eq!(read(&changed).unwrap_err().to_string(), edited, "{changed}");
    }
    assert!(read(&text.replace('\n', "\r\n")).is_ok(), "line ends do not matter");
    let empty = "it is empty, so the plan was changed after it was written";
    assert_eq!(read(&format!("{text}\n")).unwrap_err().to_string(), format!("line 10: {empty}"));
    assert_eq!(read(&text.replacen('\n', "\r\n \n", 1)).unwrap_err().to_string(), format!("line 2: {empty}"));
    // The rest of the line is the next one.
    let broken = read(&text.replacen(",\"key\"", "\n,\"key\"", 1)).unwrap_err().to_string();
    assert!(broken.starts_with("line 2: ") && !broken.contains("truncated"), "{broken}");
}

#[test]
fn a_plan_without_a_checksum_is_read_if_its_version_has_none() {
    assert_eq!(read(&unsealed()).unwrap(), actions(&plan()));
    let without = unsealed().replacen("\"version\":2", "\"version\":3", 1);
    assert_eq!(read(&without).unwrap_err().to_string(), "line 1: it has no checksum");
    let (text, field) = (text(), ",\"checksum\":\"");
    let at = text.find(field).unwrap();
    let (checksum, rest) = text[at..].split_at(field.len() + 65);
    let moved = format!("{}{rest}", text[..at].replacen(",\"actions\"", &format!("{checksum},\"actions\""), 1));
    assert_eq!(read(&moved).unwrap_err().to_string(), "line 1: the checksum is not its last field");
}

#[test]
fn what_this_program_would_not_write_is_refused_with_its_line() {
    let not_a_plan = "it is not a plan: line 1 does not contain \"format\":\"pos3-plan\"";
    for garbage in ["", "\n", "hello", "{}", "[1]", "{\"format\":\"other\",\"version\":1}"] {
        assert_eq!(read(garbage).unwrap_err().to_string(), not_a_plan, "{garbage:?}");
    }
    for (from, to, expected) in [
        ("\"version\":3", "\"version\":1", "it is a plan of version 1; this program reads versions 2 and 3"),
        ("\"version\":3", "\"version\":2", "line 1: a plan of version 2 has no checksum"),
        (",\"checksum\":", ",\"checksun\":", "line 1: unknown field `checksun`"),
        ("\"actions\":8,", "\"actions\": 8,", "it was changed after it was written: its checksum is wrong"),
        ("\"exclude\":\"*.tmp\"", "\"exclude\":\"\"", "line 1: the pattern '' cannot be used"),
        ("\"created\":\"2", "\"created\":\"x2", "line 1: "),
        ("\"source\":\"/from\"", "\"source\":\"s3:\"", "line 1: "),
        ("\"source\":\"/from\"", "\"source\":\"from\"", "line 1: the path 'from' is relative"),
        ("\"target\":\"s3://b/to\"", "\"target\":\"../to\"", "line 1: the path '../to' is relative"),
        ("\"options\":", "\"opinions\":", "line 1: unknown field `opinions`"),
        ("\"why\":\"size\"", "\"why\":\"mood\"", "line 3: unknown variant `mood`"),
        ("\"action\":\"copy\",\"key\":\"c\"", "\"action\":\"chmod\",\"key\":\"c\"", "line 3: unknown variant `chmod`"),
        (
            "\"key\":\"c\"",
            "\"key\":\"../c\"",
            "line 3: the target cannot store '../c': it has a '.' or '..' path segment",
        ),
        ("\"key\":\"c\"", "\"key\":\"\"", "line 3: an action without a key"),
        ("\"key\":\"d\"", "\"key\":\"/d\"", "line 6: the target cannot store '/d'"),
        ("\"key\":\"e/\"", "\"key\":\"e\"", "line 7: 'e' cannot be a directory"),
        ("\"key\":\"e/f/\"", "\"key\":\"c/\"", "line 8: the action on 'c/' is out of order"),
        ("\"obstacle\":\"d\"", "\"obstacle\":\"dd\"", "line 9: 'dd' cannot be in the way of 'd/x'"),
        (
            "\"delete\":true",
            "\"delete\":false",
            "line 6: the header states that nothing is deleted, but 'd' would be deleted",
        ),
        ("abab-3", "abab-x", "line 3: the digest of 'c': "),
        ("\"actions\":8", "\"actions\":7", "line 9: the header states 7 actions, but there is another one"),
        ("\"key\":\"l\"", "\"key\":\"c\"", "line 4: there are two actions on 'c'"),
    ] {
        let problem = problem(from, to);
        assert!(problem.starts_with(expected), "{from} -> {to}: {problem}");
    }
    let text = text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(3, 5);
    let problem = read(&lines.join("\n")).unwrap_err().to_string();
    assert!(problem.ends_with("is out of order"), "{problem}");
}

#[test]
fn the_fingerprints_of_local_files_of_an_earlier_version_get_their_tag() {
    let etag = "0123456789abcdef0123456789abcdef";
    let earlier = unsealed().replace("\\\"e\\\"", etag);
    let both = earlier.replace("\"target\":\"s3://b/to\"", "\"target\":\"/to\"");
    let local = pos3_core::Fingerprint::tagged(0xff, etag.as_bytes());
    for (text, expected) in [(earlier, pos3_core::Fingerprint::from(etag)), (both, local.clone())] {
        let mut found = 0;
        for action in read(&text).unwrap() {
            let (source, target) = match action {
                Action::Copy { source, target, .. } => (Some(source), target),
                Action::Delete { target } => (None, Some(target)),
                Action::Replace { source, .. } => (Some(source), None),
                Action::Skip { .. } => (None, None),
            };
            for (entry, expected) in [(source, &local), (target, &expected)] {
                let Some(entry) = entry.filter(|entry| ["c", "d", "d/x"].contains(&entry.key.as_str())) else {
                    continue;
                };
                assert_eq!(entry.fingerprint.as_ref(), Some(expected), "{}", entry.key);
                found += 1;
            }
        }
        assert_eq!(found, 4);
    }
}

#[test]
fn an_empty_directory_over_content_is_refused_unless_it_is_an_object() {
    let marker = |size| Entry::marker("m/", size).with_fingerprint("\"e\"".into());
    let copy = Action::Copy { source: marker(0), target: Some(marker(5)), why: Change::Size };
    let plan = Plan::of([copy]).unwrap();
    let registry = Registry::default().with("s3", Buckets);
    for (source, is_refused) in [("/from", true), ("s3://b/from", false)] {
        let locations = (source.parse().unwrap(), "s3://b/to".parse().unwrap());
        let header = PlanHeader::new(&registry, &locations.0, &locations.1, &plan).unwrap();
        let mut out = Vec::new();
        write_plan(&mut out, &header, &plan).unwrap();
        let reader = PlanReader::open(out.as_slice()).unwrap();
        let read = reader.plan(Namespace::Flat, Shard::default()).map_err(|error| error.to_string());
        if is_refused {
            assert!(read.unwrap_err().starts_with("line 2: 'm/' in the source is an empty directory"));
        } else {
            assert_eq!(read.unwrap().len(), 1);
        }
    }
}

#[test]
fn a_local_file_that_a_plan_does_not_identify_is_refused_with_its_line() {
    let local = unsealed().replace("\"target\":\"s3://b/to\"", "\"target\":\"/to\"");
    assert!(read(&local).is_ok());
    let fingerprint = ",\"fingerprint\":\"\\\"e\\\"\"";
    for (number, key) in [(3, "c"), (6, "d")] {
        let mut lines: Vec<String> = local.lines().map(str::to_owned).collect();
        let line = &mut lines[number - 1];
        let at = line.rfind(fingerprint).unwrap();
        line.replace_range(at..at + fingerprint.len(), "");
        let without = lines.join("\n") + "\n";
        let problem = read(&without).unwrap_err().to_string();
        let expected = format!("line {number}: the file '{key}' of the target has no fingerprint");
        assert!(problem.starts_with(&expected), "{problem}");
        // A server need not return fingerprints.
        assert!(read(&without.replace("\"target\":\"/to\"", "\"target\":\"s3://b/to\"")).is_ok());
    }
}

#[test]
fn parts_of_a_plan_are_all_of_it_and_share_nothing() {
    let mut all: Vec<Action> = (0..500)
        .map(|number| Action::Copy {
            source: Entry::file(format!("d{}/f{number}", number % 7), 1),
            target: None,
            why: Change::New,
        })
        .collect();
    all.extend(actions(&plan()));
    for count in [1_u32, 2, 3, 16] {
        let shards: Vec<Shard> = (1..=count).map(|index| format!("{index}/{count}").parse().unwrap()).collect();
        for action in &all {
            assert_eq!(shards.iter().filter(|shard| shard.takes(action)).count(), 1, "{action:?} of {count}");
        }
        let least = shards.iter().map(|shard| all.iter().filter(|action| shard.takes(action)).count()).min();
        assert!(least.unwrap() > 500 / count as usize / 3, "{count} parts are of about the same size: {least:?}");
    }
    // If the hash changed between versions, some actions would run twice and others never.
    let copy = |key: &str| Action::Copy { source: Entry::file(key, 1), target: None, why: Change::New };
    let shard = |index: u32| format!("{index}/3").parse::<Shard>().unwrap();
    let part = |action: &Action| (1..=3).find(|index| shard(*index).takes(action)).unwrap();
    assert_eq!(["a", "b", "c", "dir/file", "é"].map(|key| part(&copy(key))), [2, 2, 3, 2, 1]);
}

#[test]
fn what_depends_on_a_delete_is_in_its_part() {
    for name in ["d", "e", "long name", "é"] {
        let delete = |key: String| Action::Delete { target: Entry::file(key, 1) };
        let replace = |key: String, obstacle: String| Action::Replace {
            source: Entry::file(key, 1),
            obstacle: Key::from(obstacle),
        };
        let group = [
            delete(name.into()),
            delete(format!("{name}/a/b")),
            Action::Delete { target: Entry::directory(format!("{name}/")) },
            replace(format!("{name}/x"), name.into()),
            replace(name.into(), format!("{name}/")),
        ];
        let shards = (1..=5).map(|index| format!("{index}/5").parse::<Shard>().unwrap());
        for shard in shards {
            let taken = group.iter().filter(|action| shard.takes(action)).count();
            assert!(taken == 0 || taken == group.len(), "{name} {shard}");
        }
    }
}

#[test]
fn a_part_is_written_as_it_is_read() {
    assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
    for text in ["", "1", "0/3", "4/3", "1/0", "a/3", "1/3/4", "-1/3"] {
        assert!(text.parse::<Shard>().is_err(), "{text}");
    }
}

#[test]
fn a_file_is_whole_or_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plan.jsonl");
    let header = header_of_directories();
    save_plan(&path, &header, &plan()).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    let bad = Action::Delete { target: Entry::protected("x", pos3_core::Protection::Symlink) };
    assert!(save_plan(&path, &header, &Plan::of([bad]).unwrap()).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_file_that_is_not_a_plan_is_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.bin");
    let header = header_of_directories();
    let whole = text();
    let (longer, cut) = (format!("{whole}my notes\n"), &whole[..whole.len() - 1 - whole.lines().last().unwrap().len()]);
    let first = format!("{}\nmy notes\n", whole.lines().next().unwrap());
    let others = [&b"data"[..], b"{\"format\":\"other\",\"version\":1}\n", &[0xff; 64], b"{}", b"\n"];
    for content in others.into_iter().chain([longer.as_bytes(), cut.as_bytes(), first.as_bytes()]) {
        std::fs::write(&path, content).unwrap();
        let refused = save_plan(&path, &header, &plan());
        assert!(matches!(refused, Err(PlanFileError::Occupied)), "{refused:?}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
    std::fs::write(&path, "").unwrap();
    save_plan(&path, &header, &plan()).unwrap();
    save_plan(&path, &header, &plan()).unwrap();
}

#[test]
fn a_file_that_changes_while_the_plan_is_written_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plan.jsonl");
    let header = header_of_directories();
    save_plan(&path, &header, &plan()).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(directory.path().join("plan.jsonl.1"), "another").unwrap();
    let (seen, _) = crate::SeenFile::look(&path, |_| ()).unwrap();
    let mut new = seen.stage(0o600).unwrap();
    write_plan(&mut new, &header, &plan()).unwrap();
    std::fs::write(&path, format!("{whole}my notes\n")).unwrap();
    let crate::Replaced::Changed(new) = seen.replace(new).unwrap() else { panic!("it was replaced") };
    let Err(PlanFileError::Changed { plan }) = super::writer::save_beside(&seen, new) else { panic!() };
    assert_eq!(plan, seen.path().with_file_name("plan.jsonl.2"));
    assert_eq!(std::fs::read_to_string(&plan).unwrap(), whole);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{whole}my notes\n"));
    assert_eq!(std::fs::read_to_string(directory.path().join("plan.jsonl.1")).unwrap(), "another");
}
