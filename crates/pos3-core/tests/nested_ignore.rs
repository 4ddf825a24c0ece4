//! Nested ignore files, compared with git itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use pos3_core::IgnoreSet;

/// A linear congruential generator, so that each run compares the same cases.
struct Generator(u64);

impl Generator {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % count
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    fn lines(&mut self) -> String {
        (0..1 + self.below(5)).fold(String::new(), |lines, _| lines + self.one_of(LINES) + "\n")
    }
}

const LINES: &[&str] = &[
    "*",
    "!*/",
    "*.log",
    "!*.log",
    "!keep.log",
    "/keep.log",
    "a",
    "!a",
    "a/",
    "!a/",
    "/a",
    "!/a",
    "b/",
    "!b/",
    "a/b",
    "!a/b",
    "/a/b/",
    "a/b/*.log",
    "a/*",
    "!a/*",
    "**/b",
    "!**/b",
    "a/**",
    "!a/**",
    "a/**/x",
    "!a/**/x",
    "**/a/x",
    "[ab]",
    "![ab]",
    "[!ab]*",
    "x[[:digit:]]",
    "!x[0-4]",
    "x?",
    "\\#note",
    "#note",
    "\\!mark",
    "mark",
    "trail\\ ",
    "trail ",
    "trail",
    "x*\\*",
    "{a,b}",
    "!x",
    "x",
    "b/x",
    "!b/x",
    "",
    "# a comment",
];

const DIRECTORIES: &[&str] = &["", "a/", "a/a/", "a/b/", "a/b/a/", "b/", "b/x/", "d/", "d/a/b/"];

const NAMES: &[&str] =
    &["x", "x1", "x7", "keep.log", "other.log", "#note", "!mark", "mark", "trail", "trail ", "x*", "{a,b}", "y"];

fn git(repository: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_DIR");
    command
}

fn ignored_by_git(repository: &Path, paths: &[String]) -> Vec<String> {
    let mut process = git(repository, &["check-ignore", "--no-index", "--stdin", "-z"]).spawn().unwrap();
    process.stdin.take().unwrap().write_all(paths.join("\0").as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    String::from_utf8(output.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn nested_ignore_files_decide_as_in_git() {
    let repository = tempfile::tempdir().unwrap();
    let root = repository.path();
    if git(root, &["init", "-q"]).status().is_err() {
        eprintln!("git is not installed, so nothing is compared with it");
        return;
    }
    let mut paths = Vec::new();
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory)).unwrap();
        for name in NAMES {
            paths.push(format!("{directory}{name}"));
        }
    }
    paths.retain(|path| !root.join(path).is_dir());
    paths.iter().for_each(|path| fs::write(root.join(path), "").unwrap());
    paths.extend(DIRECTORIES[1..].iter().map(|&directory| directory.to_owned()));

    let mut generator = Generator(11);
    let (mut pairs, mut ignored_pairs) = (0, 0);
    for round in 0..60 {
        let base = generator.lines();
        let mut files = BTreeMap::new();
        for _ in 0..1 + generator.below(4) {
            files.insert(generator.one_of(DIRECTORIES), generator.lines());
        }
        fs::write(root.join(".git/info/exclude"), &base).unwrap();
        DIRECTORIES.iter().for_each(|directory| drop(fs::remove_file(root.join(directory).join(".gitignore"))));
        let mut set = IgnoreSet::new().patterns("base", &*base).unwrap();
        for (directory, text) in &files {
            fs::write(root.join(directory).join(".gitignore"), text).unwrap();
            set = set.file(directory, *directory, &**text).unwrap();
        }
        // git compares the final '/' of a path with patterns, and looks itself whether a path is a directory.
        let named: Vec<_> = paths.iter().map(|path| path.trim_end_matches('/').to_owned()).collect();
        let ignored = ignored_by_git(root, &named);
        for (path, named) in paths.iter().zip(&named) {
            assert_eq!(set.ignores(path), ignored.contains(named), "round {round}: {path:?} {base:?} {files:#?}");
        }
        pairs += paths.len();
        ignored_pairs += ignored.len();
    }
    assert!(pairs >= 500 && ignored_pairs > pairs / 10 && ignored_pairs < pairs * 9 / 10, "{ignored_pairs} of {pairs}");
}
