//! Lines in gitignore syntax, compared with git itself.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use pos3_core::{Filter, FilterBuilder};
use proptest::prelude::*;

/// Returns the paths that git ignores with such lines, or `None` if git is not installed.
fn ignored_by_git(repository: &Path, lines: &str, paths: &[String]) -> Result<Option<Vec<String>>, Box<dyn Error>> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(repository).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command
    };
    if !repository.join(".git").exists() && git(&["init", "-q"]).status().is_err() {
        return Ok(None);
    }
    fs::write(repository.join(".git/info/exclude"), lines)?;
    let mut process = git(&["check-ignore", "--no-index", "--stdin", "-z"]).spawn()?;
    process.stdin.take().ok_or("no stdin")?.write_all(paths.join("\0").as_bytes())?;
    let output = process.wait_with_output()?;
    let ignored = String::from_utf8(output.stdout)?;
    Ok(Some(ignored.split_terminator('\0').map(str::to_owned).collect()))
}

/// Returns the filter of these lines, without those that are errors because they match nothing.
fn filter(lines: &[String]) -> Filter {
    let add = |builder: FilterBuilder, line: &String| match Filter::builder().ignore_lines(line) {
        Ok(_) => builder.ignore_lines(line).unwrap(),
        Err(_) => builder,
    };
    lines.iter().fold(Filter::builder(), add).build().unwrap()
}

fn line() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "1",
        ".",
        "-",
        "*",
        "?",
        "/",
        "/",
        "**",
        "***",
        "[ab]",
        "[!a]",
        "[^b]",
        "[[:digit:]]",
        "[![:alpha:]]",
        "[+-9]",
        "[]-]",
        "[a\\]]",
        "{a,b}",
        "\\*",
        "\\[",
        "[",
        "[b-a]",
        "[!b-a]",
        "a**",
        "**/",
        ",",
        " ",
        "\t",
        "\\ ",
        "\\a",
        "\u{a0}",
    ]);
    let body = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    let ends = (
        prop::sample::select(vec!["", "", "!", "/", "!/", "**/"]),
        prop::sample::select(vec!["", "", "/", "/**", "/*"]),
    );
    (ends, body)
        .prop_map(|((begin, end), body)| format!("{begin}{body}{end}"))
        // An error here, and useless in git: an empty name, and a '/' in a set.
        .prop_filter("two slashes", |line| !line.contains("//"))
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "a", "b", "ab", "a1", "1", "a.b", ".a", "-", "]", "a]", "{a,b}", "*", "[", "b-1", "a ", "a\t", ",", " ",
    ]);
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

#[test]
fn gitignore_lines_exclude_what_git_ignores() {
    let repository = tempfile::tempdir().unwrap();
    let cases = (prop::collection::vec(line(), 1..4), prop::collection::vec(path(), 1..12));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let result = runner.run(&cases, |(lines, paths)| {
        let Some(ignored) = ignored_by_git(repository.path(), &lines.join("\n"), &paths).unwrap() else {
            eprintln!("git is not installed, so nothing is compared with it");
            return Ok(());
        };
        let filter = filter(&lines);
        for path in &paths {
            let excluded = !filter.admits(path);
            prop_assert_eq!(excluded, ignored.contains(path), "{:?} {:?}", &lines, path);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_root_itself_is_never_ignored() {
    for lines in ["*/\n!src/\n", "/*/\n!/src/\n", "**/\n!src/\n"] {
        let filter = Filter::builder().ignore_lines(lines).unwrap().build().unwrap();
        for (key, admitted) in [("top.c", true), ("src/x.c", true), ("other/z", false), ("other/", false)] {
            assert_eq!(filter.admits(key), admitted, "{lines:?} {key}");
        }
        assert!(!filter.prunes("src/"), "{lines:?}");
    }
}

#[test]
fn nothing_below_an_ignored_directory_is_included_again() {
    let filter = Filter::builder().ignore_lines("build/\n!build/keep\n").unwrap().build().unwrap();
    assert!(!filter.admits("build/keep"));
}

/// The beginnings, middles and ends of the lines of the corpus, which has lines of their combinations.
const CORPUS: [&[&str]; 3] = [
    &["", "!", "/", "#", "\\#", "\\!", "**/", "/**/", "***/", "a/", "a/**/", "ab/"],
    &[
        "a",
        "a**",
        "**",
        "***",
        "**b",
        "a**b",
        "a?**",
        "[a]**",
        "\\a**",
        "[b-a]",
        "[!b-a]",
        "[^b-a]",
        "[b-ac]",
        "[c-ab]",
        "[\\b-a]",
        "[[:alpha:]]",
        "[![:alpha:]]",
        "[[:space:]]",
        "[[:digit:]-z]",
        "a{a,b}",
        "a,b",
        "\\a",
        "\\*",
        "a\\ b",
        "a b",
        "a*",
        "a**/**",
        "a**/***/b",
    ],
    &[
        "", "/", "/x", "/**", "**/x", "/**/x", "\t", "\u{b}", "\u{c}", "\u{a0}", "\u{3000}", " ", "  ", " \t", "\\ ",
        "\\  ", "\\\\ ", "\r", " \r", "\\",
    ],
];

/// The paths that each line of the corpus is compared on.
const PATHS: &[&str] = &[
    "a",
    "b",
    "c",
    "x",
    "-",
    "#a",
    "!a",
    "a\\",
    "a ",
    "a  ",
    "a\t",
    "a \t",
    "a\u{b}",
    "a\u{c}",
    "a\u{a0}",
    "a\u{3000}",
    "\t",
    " ",
    "a b",
    "a,b",
    "a{a,b}",
    "aa",
    "ab",
    "ax",
    "abx",
    "*",
    "a/x",
    "ab/x",
    "ab/c/x",
    "a/c/x",
    "a/b/c/x",
    "a/a",
    "a/a /x",
    "a/b",
    "q/a",
    "q/a/x",
    "q/ab/c/x",
    "ab/a",
    "ab/ab/x",
    "b/c/x",
    "b/x",
    "x/a\t/b",
    "a\r",
    "a/ab/b",
    "a\u{3000}/x",
    "1/x",
];

#[test]
fn a_corpus_of_lines_and_paths_is_read_as_git_reads_it() {
    let repository = tempfile::tempdir().unwrap();
    let paths: Vec<String> = PATHS.iter().map(|path| (*path).to_owned()).collect();
    let [begins, middles, ends] = CORPUS;
    let lines = begins.iter().flat_map(|begin| middles.iter().map(move |middle| format!("{begin}{middle}")));
    let mut differences = Vec::new();
    let lines = lines.flat_map(|begun| ends.iter().map(move |end| format!("{begun}{end}")));
    // All lines would take a minute.
    for line in lines.step_by(7) {
        // The line before it shows the effect of a line that includes paths again.
        let text = if line.starts_with('!') { format!("*\n!*/\n{line}") } else { line.clone() };
        let Some(ignored) = ignored_by_git(repository.path(), &text, &paths).unwrap() else {
            eprintln!("git is not installed, so nothing is compared with it");
            return;
        };
        let filter = filter(&text.split('\n').map(str::to_owned).collect::<Vec<_>>());
        let differs = |path: &&String| filter.admits(path) == ignored.contains(path);
        differences.extend(paths.iter().filter(differs).map(|path| (line.clone(), path, filter.admits(path))));
    }
    assert!(
        differences.is_empty(),
        "{} differences: {:#?}",
        differences.len(),
        &differences[..differences.len().min(40)]
    );
}
