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
    for name in crates.map(|name| name.into_string().unwrap()) {
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
            (_, None) if *to == tree.top => faults.push(format!(
                "{place}: '{from}' imports an item of the file '{to}', which is above all modules; move it to a module, or \
                 add `{to}` to the table"
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
    let exists = |file: &str| file == tree.top || tree.directory.join(format!("{file}.rs")).exists();
    let unlisted = tree.modules.iter().filter(|module| layers.of(module).is_none());
    let unlisted = unlisted.map(|module| format!("the table of `{name}` in ARCHITECTURE.md lacks `{module}`"));
    let unknown = layers.files().filter(|file| !exists(file));
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
    /// The name of the file above the modules. It has a layer of its own if modules import an item of it.
    top: String,
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
        let uses = read(&top);
        let modules: BTreeSet<_> = uses.modules.iter().cloned().collect();
        let top = top.with_extension("");
        let names =
            Names { base: &base, modules: &modules, top: top.file_name().unwrap().to_str().unwrap(), uses: &uses };
        let mut imports = names.of_top(&shown(&top, root));
        for module in &modules {
            let path = [base.as_slice(), std::slice::from_ref(module)].concat();
            names.walk(root, &directory.join(module), &path, &mut imports);
        }
        Self { directory, top: names.top.to_owned(), imports, modules }
    }
}

fn read(file: &Path) -> Uses {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    code::uses(&code::code(&text))
}

/// Returns the file of a module as messages show it.
fn shown(module: &Path, root: &Path) -> String {
    module.strip_prefix(root).unwrap().with_extension("rs").display().to_string()
}

/// What the names of a tree mean.
struct Names<'a> {
    base: &'a [String],
    modules: &'a BTreeSet<String>,
    /// The name of the file above the modules, and what it uses.
    top: &'a str,
    uses: &'a Uses,
}

impl Names<'_> {
    /// Adds the imports of a module and of the modules in it.
    fn walk(&self, root: &Path, module: &Path, path: &[String], imports: &mut Vec<Import>) {
        let uses = read(&module.with_extension("rs"));
        let from = &path[self.base.len()];
        for used in uses.imports.iter().chain(&uses.paths) {
            if let Some(to) = self.imported(path, used).filter(|to| to != from) {
                let place = format!("{}:{}", shown(module, root), used.line);
                imports.push(Import { from: from.clone(), to, place });
            }
        }
        for inner in &uses.modules {
            self.walk(root, &module.join(inner), &[path, std::slice::from_ref(inner)].concat(), imports);
        }
    }

    /// Returns what the file above the modules uses. A name that it only passes on is not used.
    fn of_top(&self, file: &str) -> Vec<Import> {
        let of_paths = self.uses.paths.iter().map(|used| (self.imported(self.base, used), used.line));
        let is_module = |name: &String, is_path| is_path && self.modules.contains(name);
        let is_known = |name: &String, is_path| is_module(name, is_path) || self.import(name).is_some();
        let of_names = self.uses.names.iter().filter(|(name, _, is_path)| is_known(name, *is_path));
        let used = of_paths.chain(of_names.map(|(name, line, _)| (self.meaning(name), *line)));
        let used = used.filter_map(|(to, line)| Some((to.filter(|to| to != self.top)?, line)));
        used.map(|(to, line)| Import { from: self.top.to_owned(), to, place: format!("{file}:{line}") }).collect()
    }

    /// Returns the module that a path in the module `own` leads to, or the name of the file above them.
    fn imported(&self, own: &[String], used: &Used) -> Option<String> {
        let path = absolute(own, used)?;
        let name = path.strip_prefix(self.base)?.first()?;
        if name == "*" { Some(name.clone()) } else { self.meaning(name) }
    }

    /// Returns the module that a name leads to in the file above, or the name of that file if it is defined there.
    /// Returns `None` for an import from outside the tree.
    fn meaning(&self, name: &String) -> Option<String> {
        if self.modules.contains(name) {
            return Some(name.clone());
        }
        let Some(import) = self.import(name) else { return Some(self.top.to_owned()) };
        match absolute(self.base, import) {
            Some(path) => path.strip_prefix(self.base)?.first().cloned(),
            None => import.path.first().filter(|first| self.modules.contains(*first)).cloned(),
        }
    }

    fn import(&self, name: &str) -> Option<&Used> {
        self.uses.imports.iter().find(|import| import.name == name && import.path.len() > 1)
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
        assert!(
            found("use crate::Own;", "")[0]
                .contains("'b' imports an item of the file 'lib', which is above all modules")
        );
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

    #[test]
    fn the_file_above_the_modules_may_have_a_layer() {
        let table = TABLE.replace("| low |", "| own | `lib` |\n| low |");
        let found = |top: &str, d: &str| {
            let top = format!("mod a;\nmod b;\nmod d;\npub use a::A;\nuse b::B;\nstruct Own;\n{top}");
            found(
                &table,
                &[("lib.rs", &top), INNER, ("a.rs", "mod inner;\nuse crate::Own;"), ("b.rs", ""), ("d.rs", d)],
            )
        };
        assert_eq!(found("fn f() -> B { d::g() }", ""), [""; 0], "it imports from below, and passes a name on");
        assert!(found("", "use super::Own;")[0].contains("d.rs:1: 'd' imports 'lib' from a higher layer (own)"));
        assert!(found("fn f() -> A {}", "")[0].contains("lib.rs:7: 'lib' imports 'a' from a higher layer (top)"));
        assert!(found("fn f() { a::g() }", "")[0].contains("lib.rs:7: 'lib' imports 'a' from a higher layer (top)"));
        assert!(
            found("fn f() { self::a::g() }", "")[0].contains("lib.rs:7: 'lib' imports 'a' from a higher layer (top)")
        );
    }
}
