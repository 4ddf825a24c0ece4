//! The format of a mark.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

/// The first line of a mark. A checksum of the rest follows, then the process ID, then the paths. Each path ends in a
/// NUL.
const FORMAT: &str = "pos3 unsaved output 2";

/// The first line of the earlier format. A checksum of the path follows, then the process ID, then an absolute path.
const ONE_PATH: &str = "pos3 unsaved output 1";

/// Returns the content of a mark of these paths.
pub(super) fn encode(process: u32, paths: &[PathBuf]) -> Vec<u8> {
    let mut rest = format!("process {process}\n").into_bytes();
    for path in paths {
        rest.extend(path.as_os_str().as_bytes());
        rest.push(0);
    }
    let mut content = format!("{FORMAT}\n{}\n", checksum(&rest)).into_bytes();
    content.extend(rest);
    content
}

/// Returns the paths in a mark, or `None` if the mark is damaged.
pub(super) fn decode(content: &[u8]) -> Option<Vec<PathBuf>> {
    let mut fields = content.splitn(3, |byte| *byte == b'\n');
    let (format, sum, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let paths = rest.splitn(2, |byte| *byte == b'\n').nth(1)?;
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    if format == FORMAT.as_bytes() && sum == checksum(rest).as_bytes() {
        return Some(paths.strip_suffix(&[0])?.split(|byte| *byte == 0).map(path).collect());
    }
    let is_one_path = format == ONE_PATH.as_bytes() && sum == checksum(paths).as_bytes();
    is_one_path.then(|| vec![path(paths)])
}

fn checksum(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_all_damage_is_found(whole: &[u8], paths: &[PathBuf]) {
        assert_eq!(decode(whole).as_deref(), Some(paths));
        for cut in 0..whole.len() {
            assert_eq!(decode(&whole[..cut]), None, "{cut}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_none_or(|found| found == paths), "{at}");
        }
    }

    #[test]
    fn a_mark_that_is_damaged_has_no_path() {
        for paths in [&["_/data/a line\nand another", "/x"][..], &["", "/x/y"], &[""]] {
            let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
            assert_all_damage_is_found(&encode(7, &paths), &paths);
        }
    }

    #[test]
    fn a_mark_of_the_earlier_format_has_an_absolute_path() {
        let path = "/x/a line\nand another";
        let mark = format!("{ONE_PATH}\n{}\nprocess 7\n{path}", checksum(path.as_bytes()));
        assert_all_damage_is_found(mark.as_bytes(), &[PathBuf::from(path)]);
    }
}
