//! One entry of a listing: as its location, as `aws s3 ls` shows it, and as JSON.

use std::io;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pos3::{Depth, Entry, Key, Kind, Location, Protection, Tree};
use serde::Serialize;

use crate::args::LsArgs;
use crate::output::Out;
use crate::size;

/// How the entries of one listing are shown.
#[derive(Clone, Debug)]
pub(super) struct Row {
    tree: Tree,
    directory: Location,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// The location, which every command accepts.
    Location,
    /// Time, size, and the name in the directory, or the whole key below it.
    Long { depth: Depth, human_readable: bool, zone: TimeZone },
}

/// An entry in `ls --json`; key and location are exact.
#[derive(Serialize)]
pub(super) struct EntryJson {
    key: Key,
    location: String,
    kind: &'static str,
    size: u64,
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Row {
    /// Returns the rows for the contents of a directory, which is this tree.
    pub(super) fn new(args: &LsArgs, directory: Location, tree: Tree) -> Self {
        let form = if args.is_long() {
            Form::Long { depth: args.depth(), human_readable: args.human_readable, zone: TimeZone::system() }
        } else {
            Form::Location
        };
        Self { tree, directory, form }
    }

    /// Writes an entry. Writes nothing for the directory's own marker, because it is the listed location itself.
    pub(super) fn write(&self, out: &mut Out<'_>, entry: &Entry) -> io::Result<()> {
        let relative = self.relative(entry);
        match &self.form {
            _ if relative.as_str().is_empty() => Ok(()),
            Form::Location => writeln!(out, "{}", self.directory.child(&relative)),
            Form::Long { depth, human_readable, zone } => {
                let name = match depth {
                    Depth::Level => relative,
                    Depth::Recursive => entry.key.clone(),
                };
                let size = if *human_readable { size::bytes(entry.size) } else { entry.size.to_string() };
                match &entry.kind {
                    // The contents of the directory are listed as well.
                    Kind::Directory if *depth == Depth::Recursive => Ok(()),
                    Kind::Directory => writeln!(out, "{:>30} {name}", "PRE"),
                    Kind::Marker if *depth == Depth::Level => writeln!(out, "{:>30} {name}", "PRE"),
                    Kind::Protected(why) => writeln!(out, "{:>30} {name} ({why})", "-"),
                    Kind::File | Kind::Marker => writeln!(out, "{:<19} {size:>10} {name}", time(entry.modified, zone)),
                }
            }
        }
    }

    /// Returns an entry as programs see it.
    pub(super) fn json(&self, entry: &Entry) -> EntryJson {
        let (kind, why) = match &entry.kind {
            Kind::File => ("file", None),
            Kind::Marker => ("marker", None),
            Kind::Directory => ("directory", None),
            Kind::Protected(why) => ("protected", Some(Protection::to_string(why))),
        };
        let modified = entry.modified.and_then(|time| Timestamp::try_from(time).ok()).map(|stamp| stamp.to_string());
        let location = match &self.directory {
            Location::Local(path) => Location::Local(path.join(self.relative(entry).as_str())),
            Location::Remote(remote) => Location::Remote(remote.with_key(entry.key.as_str())),
        };
        EntryJson { key: entry.key.clone(), location: location.to_string(), kind, size: entry.size, modified, why }
    }

    /// Returns the key relative to the directory that is listed.
    fn relative(&self, entry: &Entry) -> Key {
        self.tree.relative(&entry.key).unwrap_or_else(|| entry.key.clone())
    }
}

/// Returns a time in a zone, or nothing.
fn time(time: Option<SystemTime>, zone: &TimeZone) -> String {
    let stamp = time.and_then(|time| Timestamp::try_from(time).ok());
    let shown = |stamp: Timestamp| stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    stamp.map(shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pos3::{Registry, Role};

    use super::*;

    fn entries() -> [Entry; 6] {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        [
            Entry::marker("d/", 0),
            Entry::file("d/a b", 2048).with_modified(at),
            Entry::directory("d/e/"),
            Entry::marker("d/m/", 0).with_modified(at),
            Entry::file("d/n\nl", 1),
            Entry::protected("d/z", Protection::Symlink),
        ]
    }

    /// Returns a tree whose keys begin with `d/`, whatever its store is.
    fn tree() -> Tree {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let registry = Registry::default();
        let opened = runtime.block_on(registry.open(&"/".parse().unwrap(), Role::Source));
        opened.unwrap().directory().unwrap().at("d/")
    }

    fn row(form: Form) -> Row {
        Row { tree: tree(), directory: "s3://lab@bucket/d/".parse().unwrap(), form }
    }

    fn shown(form: &Form) -> String {
        let mut out = Vec::new();
        entries().iter().for_each(|entry| row(form.clone()).write(&mut Out::for_data(&mut out), entry).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_is_a_location_that_can_be_fed_back() {
        let lines = shown(&Form::Location);
        let expected = ["a b", "e/", "m/", "n\\nl", "z"].map(|name| format!("s3://lab@bucket/d/{name}\n"));
        assert_eq!(lines, expected.concat());
        for (line, entry) in lines.lines().zip(&entries()[1..]).take(3) {
            let Ok(Location::Remote(back)) = line.parse() else { panic!("{line}") };
            assert_eq!((back.profile(), back.key()), (Some("lab"), entry.key.as_str()));
        }
    }

    #[test]
    fn programs_get_the_exact_location() {
        for (directory, expected) in [("s3://lab@bucket/d/", "s3://lab@bucket/d/n\nl"), ("/here", "/here/n\nl")] {
            let row = Row { directory: directory.parse().unwrap(), ..row(Form::Location) };
            assert_eq!(row.json(&entries()[4]).location, expected);
        }
    }

    #[test]
    fn long_rows_are_those_of_aws() {
        let long = |depth, human_readable| shown(&Form::Long { depth, human_readable, zone: TimeZone::UTC });
        assert_eq!(
            long(Depth::Level, true),
            "\
2023-11-14 22:13:20    2.0 KiB a b
                           PRE e/
                           PRE m/
                           1 B n\\nl
                             - z (it is a symbolic link)
"
        );
        assert_eq!(
            long(Depth::Recursive, false),
            "\
2023-11-14 22:13:20       2048 d/a b
2023-11-14 22:13:20          0 d/m/
                             1 d/n\\nl
                             - d/z (it is a symbolic link)
"
        );
    }
}
