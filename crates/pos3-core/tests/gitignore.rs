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
        // git itself gives no meaning to these.
        .prop_filter("two stars in a name", |line| line.split('/').all(|name| name == "**" || !name.contains("**")))
}

fn path() -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(vec!["a", "b", "ab", "a1", "1", "a.b", ".a", "-", "]", "a]", "{a,b}", "*", "[", "b-1"]);
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
