//! The format of a mark.
//!
//! A mark begins with the format, the checksum and the length of its head. The head has one line about the session, one
//! about the site of the output, and then the paths, each of which ends in a NUL. One line for each process that writes
//! follows. These lines are appended later, so each has its own checksum.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::super::site::Site;
use super::system::{Process, System};

const FORMAT: &str = "pos3 unsaved output 4";

/// The first line of the previous format, which has no site.
const WITHOUT_SITE: &str = "pos3 unsaved output 3";

/// The first line of an earlier format. It has no length, no processes, and only the ID of the session.
const WITHOUT_PROCESSES: &str = "pos3 unsaved output 2";

/// The first line of the earliest format. A checksum of the path follows, then the process ID, then an absolute path.
const ONE_PATH: &str = "pos3 unsaved output 1";

/// The number of characters of the checksum of an appended line.
const SHORT: usize = 16;

/// A line for this process, which cannot exist, states that the program of the session has succeeded, that none of its
/// processes is known to run, and that all its outputs are stored. Earlier versions read it as a process that has ended.
pub(super) const SETTLED: Process = Process { id: u32::MAX, start: 0 };

/// The content of a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) paths: Vec<PathBuf>,
    /// `None` in the earlier formats.
    pub(super) recorded: Option<Recorded>,
}

/// What a mark records about its output, and about the processes that may write there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    /// Where the output lies, if this is known.
    pub(super) site: Option<Site>,
    /// The process of the session, if this system shows processes.
    pub(super) session: Option<Process>,
    /// Where the processes run.
    pub(super) system: System,
    /// The ID of the session, which its processes have in their environment.
    pub(super) id: String,
    /// The processes that write for the session, as far as it knows them.
    pub(super) writers: Vec<Process>,
}

impl Recorded {
    /// Returns true if the session has succeeded, so a file that its program removed stays removed.
    pub(super) fn is_settled(&self) -> bool {
        self.writers.contains(&SETTLED)
    }
}

/// Returns a mark of these paths.
pub(super) fn encode(paths: &[PathBuf], recorded: &Recorded) -> Vec<u8> {
    let Recorded { site, session, system: System { boot, namespace }, id, writers } = recorded;
    let (process, start) = session.as_ref().map_or((std::process::id(), 0), |session| (session.id, session.start));
    let mut head = format!("process {process} {start} {boot} {namespace} {id}\n").into_bytes();
    head.extend(site.as_ref().and_then(|site| serde_json::to_vec(site).ok()).unwrap_or_default());
    head.push(b'\n');
    for path in paths {
        head.extend(path.as_os_str().as_bytes());
        head.push(0);
    }
    let mut content = format!("{FORMAT}\n{} {}\n", checksum(&head), head.len()).into_bytes();
    content.extend(head);
    content.extend(encode_writers(writers));
    content
}

/// Returns the lines that add processes to a mark.
pub(super) fn encode_writers(writers: &[Process]) -> Vec<u8> {
    let lines = writers.iter().map(|Process { id, start }| {
        let line = format!("{id} {start}");
        format!("{line} {}\n", &checksum(line.as_bytes())[..SHORT])
    });
    lines.collect::<String>().into_bytes()
}

/// Returns the content of a mark, or `None` if the mark is damaged.
pub(super) fn decode(content: &[u8]) -> Option<Content> {
    let mut fields = content.splitn(3, |byte| *byte == b'\n');
    let (format, sum, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let is = |known: &str| format == known.as_bytes();
    if is(FORMAT) || is(WITHOUT_SITE) {
        return decode_with_processes(std::str::from_utf8(sum).ok()?, rest, is(FORMAT));
    }
    let (_, paths) = split_line(rest)?;
    let has_sum = |of: &[u8]| sum == checksum(of).as_bytes();
    let paths = match () {
        () if is(WITHOUT_PROCESSES) && has_sum(rest) => decode_paths(paths)?,
        () if is(ONE_PATH) && has_sum(paths) => vec![path(paths)],
        () => return None,
    };
    Some(Content { paths, recorded: None })
}

fn decode_with_processes(sum: &str, rest: &[u8], has_site: bool) -> Option<Content> {
    let (sum, length) = sum.split_once(' ')?;
    let (head, lines) = rest.split_at_checked(length.parse().ok()?)?;
    if sum != checksum(head) {
        return None;
    }
    let (session, rest) = split_line(head)?;
    let (site, paths) = if has_site { split_line(rest)? } else { (&[][..], rest) };
    let site = if site.is_empty() { None } else { Some(serde_json::from_slice(site).ok()?) };
    let fields: Vec<&str> = std::str::from_utf8(session).ok()?.split(' ').collect();
    let ["process", process, start, boot, namespace, id] = fields[..] else { return None };
    let session = Process { id: process.parse().ok()?, start: start.parse().ok()? };
    let recorded = Recorded {
        site,
        session: Some(session).filter(|session| session.start != 0),
        system: System { boot: boot.to_owned(), namespace: namespace.to_owned() },
        id: id.to_owned(),
        writers: decode_writers(lines)?,
    };
    Some(Content { paths: decode_paths(paths)?, recorded: Some(recorded) })
}

/// Returns the appended processes. A last line without an end is one that is being written, or that did not fit on the
/// disk.
fn decode_writers(lines: &[u8]) -> Option<Vec<Process>> {
    let whole = lines.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let writer = |line: &[u8]| {
        let (line, sum) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
        let (id, start) = line.split_once(' ')?;
        let is_whole = sum == &checksum(line.as_bytes())[..SHORT];
        is_whole.then_some(Process { id: id.parse().ok()?, start: start.parse().ok()? })
    };
    whole.map(writer).collect()
}

fn decode_paths(paths: &[u8]) -> Option<Vec<PathBuf>> {
    Some(paths.strip_suffix(&[0])?.split(|byte| *byte == 0).map(path).collect())
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

fn split_line(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = content.iter().position(|byte| *byte == b'\n')?;
    Some((&content[..end], &content[end + 1..]))
}

fn checksum(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::site::Sites;
    use super::*;

    fn assert_all_damage_is_found(whole: &[u8], expected: &Content) {
        assert_eq!(decode(whole).as_ref(), Some(expected));
        for cut in 0..whole.len() {
            assert_eq!(decode(&whole[..cut]), None, "{cut}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_none_or(|found| found == *expected), "{at}");
        }
    }

    fn recorded(writers: &[(u32, u64)]) -> Recorded {
        Recorded {
            site: Sites::default().of(std::path::Path::new("/")),
            session: Some(Process { id: 7, start: 1234 }),
            system: System { boot: "b-1".to_owned(), namespace: "pid:[2]".to_owned() },
            id: "0f".to_owned(),
            writers: writers.iter().map(|(id, start)| Process { id: *id, start: *start }).collect(),
        }
    }

    #[test]
    fn a_mark_that_is_damaged_has_no_path() {
        for paths in [&["_/data/a line\nand another", "/x"][..], &["", "/x/y"], &[""]] {
            let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
            let content = Content { paths: paths.clone(), recorded: Some(recorded(&[])) };
            assert_all_damage_is_found(&encode(&paths, &recorded(&[])), &content);
        }
        let unknown = Recorded { session: None, site: None, ..recorded(&[]) };
        assert_eq!(decode(&encode(&["x".into()], &unknown)).unwrap().recorded, Some(unknown));
    }

    #[test]
    fn processes_are_added_to_a_mark_and_their_damage_is_found() {
        let paths = [PathBuf::from("x")];
        let mut mark = encode(&paths, &recorded(&[]));
        let head = mark.len();
        for writers in [&[(1, 2)][..], &[(40, 99_999_999), (5, 6)]] {
            let more: Vec<_> = writers.iter().map(|(id, start)| Process { id: *id, start: *start }).collect();
            mark.extend(encode_writers(&more));
        }
        let all = [(1, 2), (40, 99_999_999), (5, 6)];
        assert_eq!(mark, encode(&paths, &recorded(&all)));
        assert_eq!(decode(&mark).unwrap().recorded, Some(recorded(&all)));
        for cut in head..mark.len() {
            let writers = decode(&mark[..cut]).unwrap().recorded.unwrap().writers;
            assert!(recorded(&all).writers.starts_with(&writers) && writers.len() < 3, "{cut}");
        }
        for at in head..mark.len() - 1 {
            let mut damaged = mark.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "{at}");
        }
    }

    #[test]
    fn a_mark_of_the_earlier_format_has_an_absolute_path() {
        let path = "/x/a line\nand another";
        let mark = format!("{ONE_PATH}\n{}\nprocess 7\n{path}", checksum(path.as_bytes()));
        let content = |paths: &[&str]| Content { paths: paths.iter().map(PathBuf::from).collect(), recorded: None };
        assert_all_damage_is_found(mark.as_bytes(), &content(&[path]));
        let rest = "process 7\n_/x\0/y\n/z\0";
        let mark = format!("{WITHOUT_PROCESSES}\n{}\n{rest}", checksum(rest.as_bytes()));
        assert_all_damage_is_found(mark.as_bytes(), &content(&["_/x", "/y\n/z"]));
        let head = "process 7 1234 b-1 pid:[2] 0f\n_/x\0/y\n/z\0";
        let mark = format!("{WITHOUT_SITE}\n{} {}\n{head}", checksum(head.as_bytes()), head.len());
        let recorded = Some(Recorded { site: None, ..recorded(&[]) });
        assert_all_damage_is_found(mark.as_bytes(), &Content { recorded, ..content(&["_/x", "/y\n/z"]) });
    }
}
