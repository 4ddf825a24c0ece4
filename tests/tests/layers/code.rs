//! The code of a file, without its comments, texts and tests, and the modules and paths in it.

/// Replaces comments, texts and the items under `#[cfg(test)]` by spaces. Line breaks stay.
pub(super) fn code(text: &str) -> String {
    without_tests(without_texts(text))
}

fn without_texts(text: &str) -> Vec<char> {
    let mut all: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < all.len() {
        let end = end_of_text(&all, at);
        blank(&mut all, at, end);
        at = end.max(at + 1);
    }
    all
}

/// Returns the end of the comment or the literal that begins at `at`, or `at` if none does.
fn end_of_text(all: &[char], at: usize) -> usize {
    let is =
        |from: usize, what: &str| all[from..].iter().zip(what.chars()).filter(|(a, b)| **a == *b).count() == what.len();
    let after =
        |from: usize, what: &str| (from..all.len()).find(|at| is(*at, what)).map_or(all.len(), |at| at + what.len());
    let in_word = at > 0 && (all[at - 1].is_alphanumeric() || all[at - 1] == '_');
    match all[at] {
        '/' if is(at, "//") => after(at, "\n") - 1,
        '/' if is(at, "/*") => after(at, "*/"),
        'r' if !in_word || is(at - 1, "b") => {
            let hashes = all[at + 1..].iter().take_while(|letter| **letter == '#').count();
            if !is(at + 1 + hashes, "\"") {
                return at;
            }
            after(at + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
        }
        '"' => escaped(all, at, '"'),
        // A lifetime is not closed.
        '\'' if is(at + 1, "\\") || all.get(at + 2) == Some(&'\'') => escaped(all, at, '\''),
        _ => at,
    }
}

/// Returns the end of a literal in which a backslash escapes the next letter.
fn escaped(all: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < all.len() && all[at] != quote {
        at += if all[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(all.len())
}

fn without_tests(mut all: Vec<char>) -> String {
    for start in ["#[cfg(test)]", "#[cfg(all(test,"] {
        let start: Vec<char> = start.chars().collect();
        while let Some(at) = all.windows(start.len()).position(|window| *window == start) {
            let end = end_of_item(&all, at + 1);
            blank(&mut all, at, end);
        }
    }
    all.into_iter().collect()
}

/// Returns the end of an item: its `;`, or the `}` that closes its body.
fn end_of_item(all: &[char], from: usize) -> usize {
    let mut open = 0_i32;
    for (at, letter) in all.iter().enumerate().skip(from) {
        match letter {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open -= 1,
            _ => {}
        }
        if open == 0 && matches!(letter, ';' | '}') {
            return at + 1;
        }
    }
    all.len()
}

fn blank(all: &mut [char], from: usize, to: usize) {
    all[from..to].iter_mut().filter(|letter| **letter != '\n').for_each(|letter| *letter = ' ');
}

/// A path in the code, such as `crate::key::Key` or `super::Row`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) path: Vec<String>,
    /// The name that the last segment has here.
    pub(super) name: String,
    pub(super) line: usize,
    /// The number of inline modules around it.
    pub(super) inside: usize,
}

/// What the code of a file declares and uses.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// The modules in files of their own.
    pub(super) modules: Vec<String>,
    /// The paths of `use` items.
    pub(super) imports: Vec<Used>,
    /// The other paths that begin with `crate`, `self` or `super`.
    pub(super) paths: Vec<Used>,
    /// The other names, and the first ones of other paths, each with its line and whether `::` follows.
    pub(super) names: Vec<(String, usize, bool)>,
}

pub(super) fn uses(code: &str) -> Uses {
    let mut reader = Reader { tokens: tokens(code), at: 0, found: Uses::default(), open: Vec::new() };
    reader.read();
    reader.found
}

/// The words and marks of the code, each with its line.
fn tokens(code: &str) -> Vec<(String, usize)> {
    let mut tokens: Vec<(String, usize)> = Vec::new();
    for (line, number) in code.lines().zip(1..) {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                length => length,
            };
            tokens.push((rest[..length].to_owned(), number));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

fn is_segment(token: &str) -> bool {
    token == "*" || token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

struct Reader {
    tokens: Vec<(String, usize)>,
    at: usize,
    found: Uses,
    /// One entry per open brace: whether it is the body of a module.
    open: Vec<bool>,
}

impl Reader {
    fn read(&mut self) {
        while self.at < self.tokens.len() {
            let is_path = self.token(1) == "::" && self.before(1) != "::";
            match self.token(0) {
                "use" => {
                    self.at += 1;
                    let imports = self.paths();
                    self.found.imports.extend(imports);
                    continue;
                }
                "crate" | "self" | "super" if is_path => {
                    let paths = self.paths();
                    self.found.paths.extend(paths);
                    continue;
                }
                "mod" if self.token(2) == ";" => {
                    self.found.modules.push(self.token(1).to_owned());
                    self.at += 2;
                }
                "{" => {
                    let is_module = self.before(2) == "mod" || (self.before(2) == "$" && self.before(3) == "mod");
                    self.open.push(is_module);
                }
                "}" => drop(self.open.pop()),
                word if is_segment(word) && !matches!(self.before(1), "." | "::") => {
                    let name = (word.to_owned(), self.tokens[self.at].1, self.token(1) == "::");
                    self.found.names.push(name);
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn token(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |(token, _)| token)
    }

    fn before(&self, back: usize) -> &str {
        self.at.checked_sub(back).map_or("", |at| &self.tokens[at].0)
    }

    /// Reads a path or a tree of paths.
    fn paths(&mut self) -> Vec<Used> {
        let mut found = Vec::new();
        self.path(&[], &mut found);
        found
    }

    /// Reads a path or a tree of paths below `above`.
    fn path(&mut self, above: &[String], found: &mut Vec<Used>) {
        let mut path = above.to_vec();
        let line = self.tokens[self.at].1;
        loop {
            match self.token(0) {
                "{" => return self.group(&path, found),
                word if is_segment(word) => {
                    path.push(word.to_owned());
                    self.at += 1;
                }
                _ => break,
            }
            if self.token(0) != "::" {
                break;
            }
            self.at += 1;
        }
        // An exported macro is at the root of its crate, wherever it is written.
        if path.len() == 2 && self.token(0) == "!" && self.token(1) != "=" {
            return;
        }
        let renamed = if self.token(0) == "as" { self.token(1) } else { path.last().map_or("", String::as_str) };
        let name = renamed.to_owned();
        self.at += if self.token(0) == "as" { 2 } else { 0 };
        let inside = self.open.iter().filter(|is_module| **is_module).count();
        found.push(Used { path, name, line, inside });
    }

    fn group(&mut self, above: &[String], found: &mut Vec<Used>) {
        while !matches!(self.token(0), "}" | "") {
            match self.token(0) {
                word if is_segment(word) => self.path(above, found),
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }
}

#[test]
fn comments_texts_and_tests_are_no_code() {
    let text = "use crate::a; // use crate::b;\n/* crate::c */ f(\"crate::d\\\"\", r#\"crate::e \" \"#, '\"', 'x');\n\
                fn g<'a>() { crate::f() }\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nfn h(x: u8) { crate::g(x) }\n\
                #[cfg(all(test, unix))] mod i { use crate::h; }\nuse crate::k;\n";
    let code = code(text);
    assert_eq!(code.lines().count(), text.lines().count(), "{code}");
    let uses = uses(&code);
    let found: Vec<_> = uses.imports.iter().chain(&uses.paths).map(|used| (used.path.join("::"), used.line)).collect();
    assert_eq!(found, [("crate::a", 1), ("crate::k", 9), ("crate::f", 3)].map(|(path, line)| (path.to_owned(), line)));
}

#[test]
fn trees_of_paths_are_read() {
    let text = "mod a;\nuse crate::{b, c::{D, e::F as G}, self as me};\nuse std::fmt;\npub(in crate::x) fn f() -> super::super::h::I<crate::J> {}\n\
                mod $inline { use super::*; $crate::macro!(); }\npub(crate) use self::k::*;";
    let uses = uses(text);
    assert_eq!(uses.modules, ["a"]);
    assert!(uses.names.iter().all(|(name, ..)| !["a", "b", "std", "I"].contains(&name.as_str())), "{uses:?}");
    let all = uses.imports.iter().chain(&uses.paths);
    let found: Vec<_> = all.map(|used| (used.path.join("::"), used.name.as_str(), used.inside)).collect();
    let expected = [
        ("crate::b", "b", 0),
        ("crate::c::D", "D", 0),
        ("crate::c::e::F", "G", 0),
        ("crate::self", "me", 0),
        ("std::fmt", "fmt", 0),
        ("super::*", "*", 1),
        ("self::k::*", "*", 0),
        ("crate::x", "x", 0),
        ("super::super::h::I", "I", 0),
        ("crate::J", "J", 0),
    ];
    assert_eq!(found, expected.map(|(path, name, inside)| (path.to_owned(), name, inside)));
}

#[test]
fn names_are_read_with_what_follows() {
    let uses = uses("use a::B; fn f(b: B) { c::d(); e.g(); }");
    let found: Vec<_> = uses.names.iter().filter(|(name, ..)| name.len() == 1).collect();
    let expected = [("f", false), ("b", false), ("B", false), ("c", true), ("e", false)];
    assert_eq!(found, expected.map(|(name, is_path)| (name.to_owned(), 1, is_path)).each_ref());
}
