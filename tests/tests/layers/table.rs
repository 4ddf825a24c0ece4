//! The tables of layers in `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};

/// The layers of a crate or a module, from the top to the bottom.
pub(super) struct Layers(Vec<Layer>);

struct Layer {
    name: String,
    /// The files that it names, without `.rs`: `plan`, `plan/planner`.
    files: Vec<String>,
}

impl Layers {
    /// Returns the layer of a module: its number from the top, and its name.
    pub(super) fn of(&self, module: &str) -> Option<(usize, &str)> {
        let at = self.0.iter().position(|layer| layer.files.iter().any(|file| file == module))?;
        Some((at, &self.0[at].name))
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|layer| &layer.files).map(String::as_str)
    }

    /// Returns the files that are named more than once.
    pub(super) fn twice(&self) -> impl Iterator<Item = &str> {
        let mut seen = BTreeSet::new();
        self.files().filter(move |file| !seen.insert(*file))
    }
}

/// Returns the tables below the headings "Inside `name`", by that name.
pub(super) fn tables(architecture: &str) -> BTreeMap<String, Layers> {
    let sections = architecture.split("\n#").flat_map(|section| section.split_once("# Inside `"));
    let table = |section: &str| {
        let (name, text) = section.split_once('`').unwrap();
        let rows = text.lines().skip_while(|line| !line.starts_with("| layer |")).skip(2);
        let layers: Vec<Layer> = rows.take_while(|line| line.starts_with("| ")).map(layer).collect();
        assert!(!layers.is_empty(), "the section about `{name}` has no table of layers");
        (name.to_owned(), Layers(layers))
    };
    sections.map(|(_, section)| table(section)).collect()
}

fn layer(row: &str) -> Layer {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    Layer { name: cells[1].to_owned(), files: files(cells[2]) }
}

/// Returns the files of a list such as "`plan` (`planner` (`contents`), `decide`), `diff`".
fn files(list: &str) -> Vec<String> {
    let (mut files, mut directory) = (Vec::<String>::new(), String::new());
    for (part, is_name) in list.split('`').zip([false, true].into_iter().cycle()) {
        if is_name {
            files.push(format!("{directory}{part}"));
            continue;
        }
        for letter in part.chars() {
            match letter {
                '(' => directory = format!("{}/", files.last().unwrap()),
                ')' => directory.truncate(directory.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1)),
                _ => {}
            }
        }
    }
    files
}

#[test]
fn a_list_of_files_is_read() {
    let list = "`plan` (`planner` (`contents`, `records`), `decide`), `execute` (`copy`), `diff`";
    let expected = [
        "plan",
        "plan/planner",
        "plan/planner/contents",
        "plan/planner/records",
        "plan/decide",
        "execute",
        "execute/copy",
        "diff",
    ];
    assert_eq!(files(list), expected);
}
