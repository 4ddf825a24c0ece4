use std::fs;
use std::thread;
use std::time::Duration;

use crate::program::{Program, expected};

const TREE: [(&str, &str); 3] = [("from/a b.txt", "one"), ("from/d/e/x#1", "two"), ("from/empty/", "")];

#[test]
fn a_tree_is_copied_and_then_left_alone() {
    let program = Program::new().with(&TREE);

    let first = program.run(&["sync", "from", "to"]);
    assert_eq!((first.code, first.out.as_str()), (Some(0), ""), "{first:?}");
    assert!(first.err.starts_with("copied     3 files, 6 B\nunchanged  0\ntime       "), "{}", first.err);
    assert_eq!(program.files("to"), expected(&[("a b.txt", "one"), ("d/e/x#1", "two"), ("empty/", "")]));

    let second = program.run(&["sync", "from/", "to/"]);
    assert!(second.err.starts_with("copied     0 files, 0 B\nunchanged  3\n"), "{}", second.err);
    assert_eq!(second.code, Some(0));
}

#[test]
fn a_change_that_keeps_the_size_is_found() {
    let program = Program::new().with(&[("from/a", "old")]);
    program.run(&["sync", "from", "to"]);
    fs::write(program.path("from/a"), "new").unwrap();
    program.run(&["sync", "from", "to"]);
    assert_eq!(program.files("to"), expected(&[("a", "new")]));
}

#[test]
fn extra_files_stay_unless_delete_is_given() {
    let program = Program::new().with(&[("from/a", "1"), ("to/old", "2")]);

    let kept = program.run(&["sync", "from", "to"]);
    assert!(kept.err.contains("extra      1 file only in the target, kept (--delete removes them)\n"), "{}", kept.err);
    assert_eq!(program.files("to"), expected(&[("a", "1"), ("old", "2")]));

    let mirrored = program.run(&["sync", "from", "to", "--delete", "-v"]);
    assert_eq!(mirrored.code, Some(0));
    assert!(mirrored.err.starts_with("delete: to/old\n"), "{}", mirrored.err);
    assert!(mirrored.err.contains("deleted    1 file\n"), "{}", mirrored.err);
    assert_eq!(program.files("to"), expected(&[("a", "1")]));
}

#[test]
fn a_dry_run_shows_the_plan_and_does_nothing() {
    let program = Program::new().with(&[("from/a", "1"), ("from/d/b", "22"), ("to/old", "3")]);
    for flag in ["-n", "--dry-run", "--dryrun"] {
        let planned = program.run(&["sync", "from", "to", "--delete", flag]);
        assert_eq!(planned.code, Some(0));
        assert_eq!(
            planned.out,
            "\
(dryrun) copy: from/a to to/a
(dryrun) copy: from/d/b to to/d/b
(dryrun) delete: to/old
"
        );
        assert!(planned.err.starts_with("to copy    2 files, 3 B\nto delete  1 file\nunchanged  0\n"), "{planned:?}");
        assert_eq!(program.files("to"), expected(&[("old", "3")]));
    }
}

#[test]
fn the_words_of_a_line_follow_the_direction() {
    let program = Program::new().with(&[("a", "1")]);
    let up = program.run(&["sync", ".", "memory://m/d", "-n"]);
    assert_eq!(up.out, "(dryrun) upload: ./a to memory://m/d/a\n");
    let told = program.run(&["sync", ".", "memory://m/d/", "-v"]);
    assert!(told.err.starts_with("upload: ./a to memory://m/d/a\n"), "{}", told.err);
}

#[test]
fn patterns_work_in_the_order_in_which_they_are_written() {
    let program =
        Program::new().with(&[("from/a.txt", ""), ("from/a.bin", ""), ("from/d/b.txt", ""), ("to/z.bin", "")]);
    let only_text = ["sync", "from", "to", "--delete", "-n", "--exclude", "*", "--include", "*.txt"];
    assert_eq!(
        program.run(&only_text).out,
        "(dryrun) copy: from/a.txt to to/a.txt\n(dryrun) copy: from/d/b.txt to to/d/b.txt\n",
        "what is excluded is not deleted"
    );
    let nothing = program.run(&["sync", "from", "to", "-n", "--include", "*.txt", "--exclude", "*"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(0), ""));
    assert!(nothing.err.starts_with("warning: nothing was found in the source 'from'\n"), "{}", nothing.err);
}

#[test]
fn lines_of_a_file_are_those_of_gitignore() {
    let files =
        [("from/keep.log", ""), ("from/x.log", ""), ("from/build/out", ""), ("ignore", "*.log\n!keep.log\nbuild/\n")];
    let program = Program::new().with(&files);
    let planned = program.run(&["sync", "from", "to", "-n", "--exclude-from", "ignore"]);
    assert_eq!(planned.out, "(dryrun) copy: from/keep.log to to/keep.log\n");
}

#[test]
fn a_symbolic_link_is_left_out_or_followed() {
    let program = Program::new().with(&[("from/a", "1"), ("elsewhere/b", "2")]);
    std::os::unix::fs::symlink(program.path("elsewhere/b"), program.path("from/link")).unwrap();

    let skipped = program.run(&["sync", "from", "to"]);
    assert_eq!(skipped.code, Some(0), "a policy is no failure");
    assert!(skipped.err.starts_with("left out: 1 key because it is a symbolic link\n"), "{}", skipped.err);
    assert_eq!(program.files("to"), expected(&[("a", "1")]));

    let followed = program.run(&["sync", "from", "to", "--follow-symlinks"]);
    assert_eq!(followed.code, Some(0), "{followed:?}");
    assert_eq!(program.files("to"), expected(&[("a", "1"), ("link", "2")]));
}

#[test]
fn a_link_that_leads_in_a_circle_is_named() {
    let program = Program::new().with(&[("from/a/x", "1"), ("to/gone", "2")]);
    std::os::unix::fs::symlink("..", program.path("from/a/up")).unwrap();
    std::os::unix::fs::symlink("round", program.path("from/round")).unwrap();
    for arguments in
        [&["sync", "from", "to", "--follow-symlinks", "-n"][..], &["sync", "from", "to", "--follow-symlinks"]]
    {
        let ended = program.run(arguments);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let told = "skipped: 2 keys because it is a symbolic link that forms a loop:\n  a/up/\n  round\n";
        assert!(ended.err.contains(told), "{}", ended.err);
    }
    assert_eq!(program.files("to"), expected(&[("a/x", "1"), ("gone", "2")]));
    let mirrored = program.run(&["sync", "from", "to", "--follow-symlinks", "--delete"]);
    assert_eq!(mirrored.code, Some(1), "{mirrored:?}");
    assert_eq!(program.files("to"), expected(&[("a/x", "1")]), "no content is missing, so deletes go on");
    let explained = program.run(&["explain", "from", "to", "a/up/", "--follow-symlinks"]);
    assert!(explained.out.contains("forms a loop"), "{explained:?}");
}

#[test]
fn a_plan_says_what_a_run_does_where_the_target_has_links() {
    let program = Program::new().with(&[
        ("from/d/x", "1"),
        ("from/f", "2"),
        ("from/z", "3"),
        ("away/x", "old"),
        ("away/y", "old"),
    ]);
    std::fs::create_dir(program.path("to")).unwrap();
    std::os::unix::fs::symlink(program.path("away"), program.path("to/d")).unwrap();
    std::os::unix::fs::symlink(program.path("away/x"), program.path("to/f")).unwrap();
    for follow in [&["--follow-symlinks"][..], &[]] {
        let planned = program.run(&[&["sync", "from", "to", "--delete", "-n"], follow].concat());
        assert_eq!(planned.code, Some(1), "{planned:?}");
        let lines: Vec<&str> = planned.out.lines().collect();
        assert!(lines.iter().all(|line| line.ends_with("z")), "only what can be done is promised: {planned:?}");
        let ended = program.run(&[&["sync", "from", "to", "--delete"], follow].concat());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(lines.len(), usize::from(ended.err.contains("copied     1 file")), "{planned:?} {ended:?}");
        assert_eq!(program.files("away"), expected(&[("x", "old"), ("y", "old")]));
        std::fs::remove_file(program.path("to/z")).unwrap();
    }
}

#[test]
fn what_cannot_be_copied_makes_the_exit_code_one_and_the_rest_is_copied() {
    let program = Program::new().with(&[("from/a", "1"), ("from/b", "2"), ("to/a/inside", "3"), ("to/old", "4")]);
    let ended = program.run(&["sync", "from", "to"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("  a\n"), "{}", ended.err);
    assert_eq!(program.files("to"), expected(&[("a/inside", "3"), ("b", "2"), ("old", "4")]));

    let replaced = program.run(&["sync", "from", "to", "--delete"]);
    assert_eq!(replaced.code, Some(0), "another kind is replaced where deleting is allowed: {replaced:?}");
    assert_eq!(program.files("to"), expected(&[("a", "1"), ("b", "2")]));
}

#[test]
fn a_directory_is_excluded_however_its_pattern_is_written() {
    for pattern in ["folder/", "/folder/", "/folder/*", "./folder/", "./folder/*", "folder/*"] {
        let program = Program::new().with(&[("from/a", "1"), ("from/folder/b", "2"), ("to/folder/d/x", "3")]);
        let sync = ["sync", "from", "to", "--delete", "--no-manifest", "-q", "--exclude", pattern];
        let ended = program.run(&sync);
        assert_eq!(ended.code, Some(0), "{pattern} {ended:?}");
        assert_eq!(program.files("to"), expected(&[("a", "1"), ("folder/d/x", "3")]), "{pattern}");

        let checked = program.run(&["check", "from", "to", "-q", "--exclude", pattern]);
        assert_eq!((checked.code, checked.out.as_str()), (Some(0), ""), "{pattern} {checked:?}");
        let planned = program.run(&["plan", "from", "to", "--delete", "-q", "--exclude", pattern]);
        assert!(planned.code == Some(0) && !planned.out.contains("folder/d"), "{pattern} {planned:?}");
        let explained = program.run(&["explain", "from", "to", "folder/d/x", "--delete", "--exclude", pattern]);
        assert!(explained.out.contains(&format!("excluded by --exclude '{pattern}'")), "{explained:?}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_named_once_whatever_the_target_has() {
    for target in [&[][..], &["link"], &["link/"], &["link/file"], &["link -> nowhere"]] {
        let program = Program::new().with(&[("from/x", "1"), ("to/x", "1")]);
        std::os::unix::fs::symlink("nowhere", program.path("from/link")).unwrap();
        for entry in target {
            let path = program.path("to").join(entry);
            match entry.split_once(" -> ") {
                Some((link, to)) => std::os::unix::fs::symlink(to, program.path("to").join(link)).unwrap(),
                None if entry.ends_with('/') => fs::create_dir(path).unwrap(),
                None => {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, "1").unwrap();
                }
            }
        }
        for options in [&["--follow-symlinks"][..], &["--follow-symlinks", "--delete"], &[]] {
            let ended = program.run(&[&["sync", "from", "to"], options].concat());
            assert_eq!(ended.code, Some(i32::from(!options.is_empty())), "{target:?} {ended:?}");
            assert!(ended.err.contains("skipped    1\n"), "{target:?} {options:?} {}", ended.err);
        }
    }
}

#[test]
fn what_a_killed_run_staged_is_not_synced_and_not_backed_up() {
    let staged = [".pos3-new.1f-18ab4c2d9e0f1234.0", "sub/.pos3-new.1f-18ab4c2d9e0f1234.1"];
    let users = ".pos3-new.txt";
    let program = Program::new().with(&[("from/sub/x", "1"), ("from/.pos3-new.txt", "mine")]);
    for name in staged {
        fs::write(program.path("from").join(name), "staged").unwrap();
    }
    let up = program.run(&["sync", "from", "to"]);
    assert_eq!(up.code, Some(0), "{up:?}");
    assert_eq!(program.files("to"), expected(&[(users, "mine"), ("sub/x", "1")]));

    // In the source of a run with --delete, it would withhold the deletes.
    for name in staged {
        fs::remove_file(program.path("from").join(name)).unwrap();
    }

    // A run that succeeds removes it from the target, with or without --delete, and no backup contains it.
    fs::write(program.path("to/old"), "precious").unwrap();
    for (options, kept) in [
        (&[][..], &[(users, "mine"), ("old", "precious"), ("sub/x", "1")][..]),
        (&["--delete", "--max-delete", "100%", "--backup-dir", "kept"], &[(users, "mine"), ("sub/x", "1")]),
    ] {
        for name in staged {
            fs::write(program.path("to").join(name), "staged").unwrap();
        }
        assert_eq!(program.run(&["sync", "from", "to"]).code, Some(0));
        assert!(program.path("to").join(staged[1]).exists(), "reading changes nothing");
        assert!(!program.run(&["ls", "to/"]).out.contains(staged[0]), "it is not a file of the user");
        // It could have been written a moment ago.
        thread::sleep(Duration::from_millis(1100));
        let new = format!("new{}", options.len());
        fs::write(program.path("from").join(&new), "2").unwrap();
        let ended = program.run(&[&["sync", "from", "to"], options].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        fs::remove_file(program.path("from").join(&new)).unwrap();
        fs::remove_file(program.path("to").join(&new)).unwrap();
        assert_eq!(program.files("to"), expected(kept), "{options:?}");
    }
    assert_eq!(program.files("kept"), expected(&[("old", "precious")]));
}

/// A run that was killed between the move of a file and its delete.
#[test]
fn a_file_that_a_killed_run_moved_away_blocks_no_later_run() {
    let moved = |own: &str| format!(".pos3-moved.0123456700000000000000000123456789abcdef.{own}");
    let program = Program::new().with(&[("from/k", "1"), ("from/m", "file now"), ("to/k", "1"), ("to/m/", "")]);
    for name in [moved("gone"), format!("m/{}", moved("x"))] {
        fs::write(program.path("to").join(name), "old").unwrap();
    }
    // A file that was moved a moment ago may still have its process.
    thread::sleep(Duration::from_millis(1100));
    let planned = program.run(&["sync", "from", "to", "--delete", "--dry-run"]);
    assert!(planned.err.contains("gets its name back from the next run"), "{}", planned.err);
    assert!(program.path("to").join(moved("gone")).exists(), "a dry run changes nothing");

    let ended = program.run(&["sync", "from", "to", "--delete", "--max-delete", "100%"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(program.files("to"), expected(&[("k", "1"), ("m", "file now")]));

    // Without --delete, the file comes back.
    fs::write(program.path("to").join(moved("kept")), "theirs").unwrap();
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(program.run(&["sync", "from", "to"]).code, Some(0));
    assert_eq!(program.files("to"), expected(&[("k", "1"), ("kept", "theirs"), ("m", "file now")]));
}
