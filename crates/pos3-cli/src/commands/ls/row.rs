//! One entry of a listing, as `aws s3 ls` shows it, and as JSON.

use std::io::{self, Write};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pos3::{Depth, Entry, Key, Kind, Protection};
use serde::Serialize;

use crate::args::LsArgs;
use crate::size;

/// How entries are shown: names after the directory, or whole keys below it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    prefix: String,
    depth: Depth,
    human_readable: bool,
    zone: TimeZone,
}

/// An entry in `ls --json`; the key is whole.
#[derive(Serialize)]
pub(super) struct EntryJson<'a> {
    key: &'a str,
    kind: &'static str,
    size: u64,
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Row {
    pub(super) fn new(args: &LsArgs, prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            depth: args.depth(),
            human_readable: args.human_readable,
            zone: TimeZone::system(),
        }
    }

    /// Writes an entry; a directory is shown by what is in it where that is listed too, and its own marker is the
    /// location itself.
    pub(super) fn write(&self, out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
        let relative = entry.key.as_str().strip_prefix(&self.prefix).unwrap_or(entry.key.as_str());
        let name = match self.depth {
            Depth::Level => Key::from(relative),
            Depth::Recursive => entry.key.clone(),
        };
        match &entry.kind {
            _ if relative.is_empty() => Ok(()),
            Kind::Directory if self.depth == Depth::Recursive => Ok(()),
            Kind::Directory => writeln!(out, "{:>30} {name}", "PRE"),
            Kind::Marker if self.depth == Depth::Level => writeln!(out, "{:>30} {name}", "PRE"),
            Kind::Protected(why) => writeln!(out, "{:>30} {name} ({why})", "-"),
            Kind::File | Kind::Marker => {
                let (time, size) = (self.time(entry.modified), self.size(entry.size));
                writeln!(out, "{time:<19} {size:>10} {name}")
            }
        }
    }

    /// Returns a time in the local zone, or blanks.
    fn time(&self, time: Option<SystemTime>) -> String {
        let stamp = time.and_then(|time| Timestamp::try_from(time).ok());
        let shown = |stamp: Timestamp| stamp.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        stamp.map(shown).unwrap_or_default()
    }

    fn size(&self, bytes: u64) -> String {
        if self.human_readable { size::bytes(bytes) } else { bytes.to_string() }
    }
}

impl<'a> From<&'a Entry> for EntryJson<'a> {
    fn from(entry: &'a Entry) -> Self {
        let (kind, why) = match &entry.kind {
            Kind::File => ("file", None),
            Kind::Marker => ("marker", None),
            Kind::Directory => ("directory", None),
            Kind::Protected(why) => ("protected", Some(Protection::to_string(why))),
        };
        let modified = entry.modified.and_then(|time| Timestamp::try_from(time).ok()).map(|stamp| stamp.to_string());
        Self { key: entry.key.as_str(), kind, size: entry.size, modified, why }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shown(depth: Depth, human_readable: bool) -> String {
        let row = Row { prefix: "d/".into(), depth, human_readable, zone: TimeZone::UTC };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut out = Vec::new();
        for entry in [
            Entry::marker("d/", 0),
            Entry::file("d/a b", 2048).with_modified(at),
            Entry::directory("d/e/"),
            Entry::marker("d/m/", 0).with_modified(at),
            Entry::file("d/n\nl", 1),
            Entry::protected("d/z", Protection::Symlink),
        ] {
            row.write(&mut out, &entry).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_those_of_aws() {
        assert_eq!(
            shown(Depth::Level, true),
            "\
2023-11-14 22:13:20    2.0 KiB a b
                           PRE e/
                           PRE m/
                           1 B n\\nl
                             - z (it is a symbolic link)
"
        );
        assert_eq!(
            shown(Depth::Recursive, false),
            "\
2023-11-14 22:13:20       2048 d/a b
2023-11-14 22:13:20          0 d/m/
                             1 d/n\\nl
                             - d/z (it is a symbolic link)
"
        );
    }
}
