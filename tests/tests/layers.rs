//! Imports point down: a module imports only from its own layer in `ARCHITECTURE.md` and from the layers below it.
//!
//! If two modules need each other, neither can be read, tested or changed on its own. The table of a crate lists its
//! layers from the top to the bottom. Inside a layer, imports must not form a cycle.

mod code;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use code::{Used, Uses};
use table::{Layers, tables};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn imports_point_down_in_every_table_of_the_architecture() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let tables = tables(&architecture);
    let faults: Vec<String> = tables.iter().flat_map(|(name, layers)| faults(&root(), name, layers)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().file_name());
    for name in crates.map(|name| name.into_string().unwrap()).filter(|name| name == "pos3-core") {
        assert!(
            tables.contains_key(&name),
            "ARCHITECTURE.md needs a heading \"Inside `{name}`\" and a table of its layers"
        );
    }
}

/// Returns what contradicts the table of a crate (`pos3-core`), or of a module of a crate (`pos3/src/session`).
fn faults(root: &Path, name: &str, layers: &Layers) -> Vec<String> {
    let tree = Tree::read(root, name);
    let mut faults = listed(&tree, name, layers);
    let mut imports: BTreeMap<(&str, &str), &Import> = BTreeMap::new();
    for import in &tree.imports {
        let Import { from, to, place } = import;
        match (layers.of(from), layers.of(to)) {
            _ if to == "*" => faults.push(format!("{place}: name what is imported, instead of `*`")),
            _ if !tree.modules.contains(to) => faults.push(format!(
                "{place}: '{from}' imports '{to}', which is defined above all modules; move it to a module in a lower layer"
            )),
            (Some((own, _)), Some((other, layer))) if other < own => faults.push(format!(
                "{place}: '{from}' imports '{to}' from a higher layer ({layer}); move what both need to a lower module"
            )),
            (Some((own, _)), Some((other, _))) if own == other => _ = imports.insert((from, to), import),
            _ => {}
        }
    }
    // A line may import several names of a module.
    faults.dedup();
    faults.extend(cycle(&imports).map(|cycle| {
        let imports = cycle.iter().map(|Import { from, to, place }| format!("\n    {place}: '{from}' imports '{to}'"));
        format!(
            "{name}: modules of one layer import each other; move what they share to a lower module:{}",
            imports.collect::<String>()
        )
    }));
    faults
}

/// Compares the modules of the table with those of the code.
fn listed(tree: &Tree, name: &str, layers: &Layers) -> Vec<String> {
    let unlisted = tree.modules.iter().filter(|module| layers.of(module).is_none());
    let unlisted = unlisted.map(|module| format!("the table of `{name}` in ARCHITECTURE.md lacks `{module}`"));
    let unknown = layers.files().filter(|file| !tree.directory.join(format!("{file}.rs")).exists());
    let unknown =
        unknown.map(|file| format!("the table of `{name}` in ARCHITECTURE.md names `{file}`, which does not exist"));
    let twice = layers.twice().map(|module| format!("the table of `{name}` in ARCHITECTURE.md names `{module}` twice"));
    unlisted.chain(unknown).chain(twice).collect()
}

/// Returns imports that lead from a module back to it, if there are any.
fn cycle<'a>(imports: &BTreeMap<(&'a str, &'a str), &'a Import>) -> Option<Vec<&'a Import>> {
    /// Goes on from the last module of the path, and not to modules that are known to lead to no cycle.
    fn from<'a>(
        module: &'a str,
        imports: &BTreeMap<(&'a str, &'a str), &'a Import>,
        path: &mut Vec<&'a Import>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a Import>> {
        if let Some(start) = path.iter().position(|import| import.from == module) {
            return Some(path[start..].to_vec());
        }
        for ((_, to), import) in imports.iter().filter(|((from, _), _)| *from == module) {
            if done.contains(to) {
                continue;
            }
            path.push(import);
            let found = from(to, imports, path, done);
            if found.is_some() {
                return found;
            }
            path.pop();
        }
        done.insert(module);
        None
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|(module, _)| from(module, imports, &mut Vec::new(), &mut done))
}

/// The modules of a crate, or of a module, and what each of them imports from the others.
struct Tree {
    directory: PathBuf,
    modules: BTreeSet<String>,
    imports: Vec<Import>,
}

/// An import of one module from another, or from the file above all modules.
struct Import {
    from: String,
    to: String,
    /// The file and the line.
    place: String,
}

impl Tree {
    /// Reads the code of a crate (`pos3-core`) or of a module of it (`pos3/src/session`).
    fn read(root: &Path, name: &str) -> Self {
        let (package, inner) = name.split_once("/src/").unwrap_or((name, ""));
        let sources = root.join("crates").join(package).join("src");
        let base: Vec<String> = inner.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let (directory, top) = match inner {
            "" => (sources.clone(), sources.join("lib.rs")),
            inner => (sources.join(inner), sources.join(format!("{inner}.rs"))),
        };
        let top = read(&top);
        let names = Names { base: &base, modules: top.modules.iter().cloned().collect(), top: &top };
        let mut imports = Vec::new();
        for module in &top.modules {
            names.walk(
                root,
                &directory.join(module),
                &[base.as_slice(), std::slice::from_ref(module)].concat(),
                &mut imports,
            );
        }
        Self { directory, modules: names.modules, imports }
    }
}

fn read(file: &Path) -> Uses {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    code::uses(&code::code(&text))
}

/// What the names of a tree mean.
struct Names<'a> {
    base: &'a [String],
    modules: BTreeSet<String>,
    /// The file above the modules.
    top: &'a Uses,
}

impl Names<'_> {
    /// Adds the imports of a module and of the modules in it.
    fn walk(&self, root: &Path, module: &Path, path: &[String], imports: &mut Vec<Import>) {
        let file = module.with_extension("rs");
        let uses = read(&file);
        let from = &path[self.base.len()];
        for used in &uses.paths {
            if let Some(to) = self.imported(path, used).filter(|to| to != from) {
                let place = format!("{}:{}", file.strip_prefix(root).unwrap().display(), used.line);
                imports.push(Import { from: from.clone(), to, place });
            }
        }
        for inner in &uses.modules {
            self.walk(root, &module.join(inner), &[path, std::slice::from_ref(inner)].concat(), imports);
        }
    }

    /// Returns the module that a path of the module `own` leads to, or the name of an item of the file above them.
    fn imported(&self, own: &[String], used: &Used) -> Option<String> {
        let path = absolute(own, used)?;
        let name = path.strip_prefix(self.base)?.first()?;
        if name == "*" || self.modules.contains(name) {
            return Some(name.clone());
        }
        let mut named = self.top.paths.iter().filter(|used| used.name == *name);
        let Some(named) = named.find(|used| used.path.len() > 1) else { return Some(name.clone()) };
        match absolute(self.base, named) {
            // A name of another crate, or of a module outside the tree, that the file above imports.
            Some(path) => path.strip_prefix(self.base)?.first().cloned(),
            None => named.path.first().filter(|first| self.modules.contains(*first)).cloned(),
        }
    }
}

/// Returns a path from the root of the crate, or `None` for one that may begin with another crate.
fn absolute(own: &[String], used: &Used) -> Option<Vec<String>> {
    let ups = used.path.iter().take_while(|segment| *segment == "super").count();
    let (above, skipped) = match used.path.first().map(String::as_str) {
        Some("crate") => (&own[..0], 1),
        Some("self") => (own, 1),
        Some("super") => (&own[..own.len().checked_sub(ups.saturating_sub(used.inside))?], ups),
        _ => return None,
    };
    Some([above, &used.path[skipped..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the faults of a crate with these files, whose table is `table`.
    fn found(table: &str, files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = root.path().join("crates/c/src").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let tables = tables(table);
        tables.iter().flat_map(|(name, layers)| faults(root.path(), name, layers)).collect()
    }

    const TABLE: &str =
        "## Inside `c`\n\n| layer | modules |\n| --- | --- |\n| top | `a` (`inner`) |\n| low | `b`, `d` |\n";
    const TOP: (&str, &str) = ("lib.rs", "mod a;\nmod b;\nmod d;\npub use a::A;\npub use x::X;\nstruct Own;");
    const INNER: (&str, &str) = ("a/inner.rs", "use super::A;\nuse crate::X;\nuse super::super::d;");

    #[test]
    fn an_import_from_below_or_of_the_same_layer_is_fine() {
        let files = [
            TOP,
            INNER,
            ("a.rs", "mod inner;\nuse crate::b::B;"),
            ("b.rs", "use crate::d::D;"),
            ("d.rs", "use self::D;"),
        ];
        assert_eq!(found(TABLE, &files), [""; 0]);
    }

    #[test]
    fn an_import_from_above_is_a_fault_however_it_is_written() {
        for import in [
            "use crate::a::A;",
            "use crate::{d, a};",
            "\n use super::a::A;",
            "fn f() -> crate::A {}",
            "use crate::A as B;",
        ] {
            let found = found(TABLE, &[TOP, INNER, ("a.rs", "mod inner;"), ("b.rs", import), ("d.rs", "")]);
            let line = import.lines().count();
            assert_eq!(found.len(), 1, "{import}: {found:?}");
            assert!(
                found[0].starts_with(&format!("crates/c/src/b.rs:{line}: 'b' imports 'a' from a higher layer (top)")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_cycle_in_a_layer_an_item_of_the_top_and_a_star_are_faults() {
        let found = |b, d| found(TABLE, &[TOP, INNER, ("a.rs", "mod inner;"), ("b.rs", b), ("d.rs", d)]);
        let cycle = found("use crate::d::D;", "use crate::b::B;");
        assert_eq!(cycle.len(), 1, "{cycle:?}");
        assert!(
            cycle[0].contains("b.rs:1: 'b' imports 'd'") && cycle[0].contains("d.rs:1: 'd' imports 'b'"),
            "{cycle:?}"
        );
        assert!(found("use crate::Own;", "")[0].contains("'b' imports 'Own', which is defined above all modules"));
        assert!(found("use super::*;", "")[0].contains("name what is imported"));
    }

    #[test]
    fn the_table_and_the_code_have_the_same_modules() {
        let files = [TOP, INNER, ("a.rs", "mod inner;"), ("b.rs", ""), ("d.rs", "")];
        assert!(found(&TABLE.replace(", `d`", ""), &files)[0].ends_with("lacks `d`"));
        assert!(found(&TABLE.replace("inner", "outer"), &files)[0].ends_with("names `a/outer`, which does not exist"));
        assert!(found(&TABLE.replace(", `d`", ", `d`, `b`"), &files)[0].ends_with("names `b` twice"));
    }

    #[test]
    fn a_table_of_a_module_has_the_modules_in_it() {
        let table = TABLE.replace("Inside `c`", "Inside `c/src/s`");
        let top = ("s.rs", "mod a;\nmod b;\nmod d;\nuse a::A;\nuse crate::error::E;");
        let files = [
            top,
            ("s/a.rs", "use super::E;"),
            ("s/a/inner.rs", ""),
            ("s/b.rs", "use crate::s::A;\nuse crate::a;"),
            ("s/d.rs", "use super::a;"),
        ];
        let found = found(&table, &files);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("crates/c/src/s/b.rs:1: 'b' imports 'a'"), "{found:?}");
        assert!(found[1].starts_with("crates/c/src/s/d.rs:1: 'd' imports 'a'"), "{found:?}");
    }
}
