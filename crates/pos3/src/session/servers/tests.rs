use std::os::unix::fs::symlink;

use super::*;
use crate::location::Location;

fn copies(root: &Path, server: &str) -> LocalCopies {
    let Ok(Location::Remote(remote)) = "s3://b/x".parse() else { unreachable!() };
    LocalCopies::new(root.to_owned(), "_", &remote, Some(server))
}

#[test]
fn a_cache_root_that_cannot_exist_has_no_local_copies_of_any_server() {
    let disk = tempfile::tempdir().unwrap();
    fs::write(disk.path().join("file"), "").unwrap();
    for root in ["file", "file/below"] {
        let copies = copies(&disk.path().join(root), "one");
        assert!(matches!(copies.are_recorded(), Ok(false)) && copies.record().is_ok(), "{root}");
    }
}

fn is_refused<T>(result: &Result<T, SessionError>) -> bool {
    matches!(result, Err(SessionError::OtherServer { .. }))
}

#[test]
fn the_first_use_records_the_server_and_another_one_is_refused() {
    let disk = tempfile::tempdir().unwrap();
    let (one, two) = (copies(disk.path(), "one:9000"), copies(disk.path(), "two:9000"));
    fs::create_dir_all(disk.path().join("_/b/x")).unwrap();
    fs::write(disk.path().join("_/b/x/file"), "from before there were records").unwrap();
    assert!(matches!(one.are_recorded(), Ok(false)) && !one.record_path().exists());
    one.record().unwrap();
    one.record().unwrap();
    assert!(matches!(one.are_recorded(), Ok(true)));
    assert!(is_refused(&two.are_recorded()) && is_refused(&two.record()));
    let Err(error) = two.record() else { unreachable!() };
    let text = format!(
        "the local copies in '{0}/_/b' belong to the server one:9000 (recorded in '{0}/.pos3-servers/_/b'), and 's3://b/x' \
         is on the server two:9000",
        disk.path().display()
    );
    assert_eq!(error.to_string(), text);
    let names: Vec<_> = fs::read_dir(disk.path().join(".pos3-servers/_")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_record_is_never_replaced_also_if_no_file_is_left() {
    let disk = tempfile::tempdir().unwrap();
    let (one, two) = (copies(disk.path(), "one"), copies(disk.path(), "two"));
    one.record().unwrap();
    let whole = fs::read(one.record_path()).unwrap();
    for directory in ["_/b/x/empty", "_/b", "_", "other"] {
        fs::create_dir_all(disk.path().join(directory)).unwrap();
        assert!(is_refused(&two.are_recorded()) && is_refused(&two.record()), "{directory}");
        fs::remove_dir_all(disk.path().join(directory)).unwrap();
    }
    assert_eq!(fs::read(one.record_path()).unwrap(), whole);
    fs::remove_file(one.record_path()).unwrap();
    two.record().unwrap();
    assert!(is_refused(&one.record()), "users can delete a record");
}

#[test]
fn the_error_names_the_directory_that_has_the_local_copy() {
    let disk = tempfile::tempdir().unwrap();
    for (url, expected) in [("s3://b/x", "_/b"), ("s3://b", "_/b"), ("s3://b//x", "_/%/b")] {
        let Ok(Location::Remote(remote)) = url.parse() else { unreachable!() };
        let of = |server| LocalCopies::new(disk.path().to_owned(), "_", &remote, Some(server));
        of("one").record().unwrap();
        let Err(SessionError::OtherServer { path, .. }) = of("two").record() else { unreachable!() };
        assert_eq!(path, disk.path().join(expected), "{url}");
    }
}

#[test]
fn a_damaged_record_is_an_error_even_if_no_file_is_left() {
    let disk = tempfile::tempdir().unwrap();
    let one = copies(disk.path(), "one");
    one.record().unwrap();
    let is_unknown = |case: &str| {
        for result in [one.are_recorded().map(drop), one.record()] {
            let Err(SessionError::ServerUnknown { record, at, .. }) = result else { panic!("{case}: {result:?}") };
            assert_eq!((record, at), (one.record_path(), one.record_path()), "{case}");
        }
    };
    let whole = fs::read(one.record_path()).unwrap();
    for cut in 0..whole.len() {
        fs::write(one.record_path(), &whole[..cut]).unwrap();
        is_unknown(&format!("cut at {cut}"));
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(one.record_path(), damaged).unwrap();
        is_unknown(&format!("changed at {at}"));
    }
    fs::remove_file(one.record_path()).unwrap();
    fs::create_dir(one.record_path()).unwrap();
    is_unknown("a directory");
}

#[test]
fn a_record_that_a_kill_left_incomplete_is_not_used() {
    let disk = tempfile::tempdir().unwrap();
    let (one, two) = (copies(disk.path(), "one"), copies(disk.path(), "two"));
    let directory = one.directory(true).unwrap().unwrap();
    let incomplete = one.record_path().with_file_name("%.new-1-2-3");
    fs::write(&incomplete, &encode(&one.server)[..9]).unwrap();
    assert!(matches!(two.are_recorded(), Ok(false)));
    two.record().unwrap();
    assert!(is_refused(&one.record()) && incomplete.exists());
    // Of two processes that write at once, the second one changes nothing.
    let content = encode(&one.server);
    assert!(!create_exclusively(&directory, "%.new-4", &one.record[2], &content).unwrap());
    assert!(matches!(two.are_recorded(), Ok(true)));
}

#[test]
fn a_record_is_not_read_or_written_through_a_link() {
    let disk = tempfile::tempdir().unwrap();
    let (one, other) = (copies(disk.path(), "one"), tempfile::tempdir().unwrap());
    copies(other.path(), "one").record().unwrap();
    let servers = disk.path().join(layout::SERVERS);
    for (link, target) in [
        (servers.clone(), other.path().join(layout::SERVERS)),
        (servers.join("_"), other.path().join(layout::SERVERS).join("_")),
        (servers.join("_/b"), other.path().join(layout::SERVERS).join("_/b")),
        (servers.join("_/b"), other.path().join("none")),
    ] {
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&target, &link).unwrap();
        for result in [one.are_recorded().map(drop), one.record()] {
            let Err(SessionError::ServerUnknown { at, .. }) = result else { panic!("{}: {result:?}", link.display()) };
            assert_eq!(at, link);
        }
        fs::remove_file(&link).unwrap();
    }
    assert!(one.record().is_ok() && !other.path().join("none").exists());
}

#[test]
fn of_two_servers_at_once_only_one_gets_the_directory() {
    for _ in 0..20 {
        let disk = tempfile::tempdir().unwrap();
        let record = |server| copies(disk.path(), server).record();
        let recorded: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> =
                (0..8).map(|at| scope.spawn(move || record(if at % 2 == 0 { "one" } else { "two" }))).collect();
            starting.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let won = |first: usize| recorded.iter().skip(first).step_by(2).map(Result::is_ok).collect::<Vec<_>>();
        let all = [won(0), won(1)];
        assert!(all.contains(&vec![true; 4]) && all.contains(&vec![false; 4]), "{recorded:?}");
    }
}

#[test]
fn locations_without_servers_are_separated_by_their_schemes() {
    let disk = tempfile::tempdir().unwrap();
    let of = |url: &str| {
        let Ok(Location::Remote(remote)) = url.parse() else { unreachable!() };
        LocalCopies::new(disk.path().to_owned(), "_", &remote, None)
    };
    of("gs://b/x").record().unwrap();
    assert!(of("gs://b/y").record().is_ok() && of("gs://c/x").record().is_ok());
    let Err(error) = of("az://b/x").record() else { unreachable!() };
    let text = error.to_string();
    assert!(text.contains("belong to the server of gs:// (") && text.contains("is on the server of az://"), "{text}");
}
