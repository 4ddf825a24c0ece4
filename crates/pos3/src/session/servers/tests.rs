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
    let servers = Servers::default();
    for root in ["file", "file/below"] {
        let copies = copies(&disk.path().join(root), "one");
        assert!(copies.check().is_ok() && servers.claim(&copies).is_ok(), "{root}");
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
    assert!(one.check().is_ok() && !one.record_path().exists());
    drop(one.claim().unwrap());
    drop(one.claim().unwrap());
    assert!(one.check().is_ok());
    assert!(is_refused(&two.check()) && is_refused(&two.claim()));
    let Err(error) = two.claim() else { unreachable!() };
    let text = format!(
        "'{}' has local copies from the server one:9000, and 's3://b/x' is on the server two:9000",
        disk.path().join("_/b").display()
    );
    assert_eq!(error.to_string(), text);
    let names: Vec<_> = fs::read_dir(disk.path().join(".pos3-servers/_")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_record_is_replaced_if_no_file_is_left_and_no_session_uses_it() {
    let disk = tempfile::tempdir().unwrap();
    let (one, two) = (copies(disk.path(), "one"), copies(disk.path(), "two"));
    let used = one.claim().unwrap();
    fs::create_dir_all(disk.path().join("_/b/x/empty")).unwrap();
    assert!(two.check().is_ok() && is_refused(&two.claim()), "a session uses it");
    drop(used);
    symlink("nowhere", disk.path().join("_/b/x/link")).unwrap();
    assert!(is_refused(&two.claim()), "a link is a file");
    fs::remove_file(disk.path().join("_/b/x/link")).unwrap();
    let used = two.claim().unwrap();
    assert!(is_refused(&one.claim()));
    drop(used);
    fs::remove_dir_all(disk.path().join("_")).unwrap();
    drop(one.claim().unwrap());
    assert_eq!(one.read(&one.open().unwrap().unwrap()).unwrap(), one.server);
}

#[test]
fn a_damaged_record_is_an_error_even_if_no_file_is_left() {
    let disk = tempfile::tempdir().unwrap();
    let one = copies(disk.path(), "one");
    drop(one.claim().unwrap());
    let is_unknown = |case: &str| {
        for result in [one.check(), one.claim().map(drop)] {
            assert!(matches!(result, Err(SessionError::ServerUnknown { .. })), "{case}: {result:?}");
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
fn a_record_is_not_read_or_written_through_a_link() {
    let disk = tempfile::tempdir().unwrap();
    let (one, other) = (copies(disk.path(), "one"), tempfile::tempdir().unwrap());
    drop(copies(other.path(), "one").claim().unwrap());
    let servers = disk.path().join(layout::SERVERS);
    for (link, target) in [
        (servers.clone(), other.path().join(layout::SERVERS)),
        (servers.join("_"), other.path().join(layout::SERVERS).join("_")),
        (servers.join("_/b"), other.path().join(layout::SERVERS).join("_/b")),
        (servers.join("_/b"), other.path().join("none")),
    ] {
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&target, &link).unwrap();
        assert!(one.check().is_err() && one.claim().is_err(), "{}", link.display());
        fs::remove_file(&link).unwrap();
    }
    assert!(one.claim().is_ok());
}

#[test]
fn of_two_servers_at_once_only_one_gets_the_directory() {
    for _ in 0..20 {
        let disk = tempfile::tempdir().unwrap();
        let claim = |server| copies(disk.path(), server).claim();
        let claimed: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> =
                (0..8).map(|at| scope.spawn(move || claim(if at % 2 == 0 { "one" } else { "two" }))).collect();
            starting.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let won = |first: usize| claimed.iter().skip(first).step_by(2).map(Result::is_ok).collect::<Vec<_>>();
        let all = [won(0), won(1)];
        assert!(all.contains(&vec![true; 4]) && all.contains(&vec![false; 4]), "{claimed:?}");
    }
}

#[test]
fn locations_without_servers_are_separated_by_their_schemes() {
    let disk = tempfile::tempdir().unwrap();
    let of = |url: &str| {
        let Ok(Location::Remote(remote)) = url.parse() else { unreachable!() };
        LocalCopies::new(disk.path().to_owned(), "_", &remote, None)
    };
    let _used = of("gs://b/x").claim().unwrap();
    assert!(of("gs://b/y").claim().is_ok() && of("gs://c/x").claim().is_ok());
    let Err(error) = of("az://b/x").claim() else { unreachable!() };
    assert!(
        error.to_string().contains("from the server of gs://, and 'az://b/x' is on the server of az://"),
        "{error}"
    );
}
