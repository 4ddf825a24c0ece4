//! The text about a sync that has ended.
//!
//! Reports can have millions of rows, so each row is written when it is read.

use std::io;

use pos3::{
    FailedAction, Failure, Key, NotBegun, Plan, Report, SkipEffect, SkipReason, Sorted, Sorter, SpillError, Stop,
    one_line,
};

use crate::args::Detail;
use crate::lines::Lines;
use crate::output::Out;
use crate::size;

/// The number of keys shown per reason, unless the user wants all.
const SHOWN: u64 = 20;

/// A skipped key after its reason and its position in the report.
type ByReason = (String, u64, Key);

/// Writes the failures, one line each, and the skips that are not policy. These are shown even with `--quiet`.
pub(crate) fn problems(out: &mut Out<'_>, report: &Report, lines: &Lines, detail: Detail) -> io::Result<()> {
    let is_told = |failure: &Result<Failure, _>| !failure.as_ref().is_ok_and(|failure| ends(report, failure));
    for failure in report.failed.iter().filter(is_told).take(shown(detail)) {
        match failure {
            Ok(failure) => writeln!(out, "error: {}", lines.failure(&failure))?,
            Err(error) => cut(out, &error)?,
        }
    }
    let told = match &report.stopped {
        Some(Stop::Fatal(_)) => report.failed.iter().filter(is_told).count() as u64,
        _ => report.failed.len(),
    };
    more(out, "", told, detail)?;
    groups(
        out,
        report,
        |why| !why.is_policy(),
        |out, reason, count, keys| {
            writeln!(out, "skipped: {} because {reason}:", size::counted(count, "key"))?;
            each(out, keys, detail)?;
            more(out, "  ", count, detail)
        },
    )
}

/// Returns true for a failure with the cause that ended the run. The error of the run names that cause.
fn ends(report: &Report, failure: &Failure) -> bool {
    matches!(&report.stopped, Some(Stop::Fatal(fatal)) if fatal.is_like(failure))
}

/// Writes the whole account of a run, or of a plan that was not executed.
pub(crate) fn account(out: &mut Out<'_>, report: &Report, plan: Option<&Plan>, detail: Detail) -> io::Result<()> {
    groups(out, report, SkipReason::is_policy, |out, reason, count, keys| {
        writeln!(out, "left out: {} because {reason}", size::counted(count, "key"))?;
        if detail == Detail::Verbose { each(out, keys, detail) } else { Ok(()) }
    })?;
    match plan {
        Some(plan) => {
            planned(out, plan)?;
            withheld(out, report)?;
        }
        None if report.stopped.is_some() && report.copied == 0 => {
            deleted(out, report)?;
            withheld(out, report)?;
        }
        None => done(out, report)?,
    }
    // A run that was stopped while it listed may not have counted the unchanged files.
    if report.stopped.is_none() || report.tally.unchanged > 0 {
        row(out, "unchanged", &size::count(report.tally.unchanged))?;
    }
    if report.tally.extra > 0 {
        let extra = size::counted(report.tally.extra, "file");
        row(out, "extra", &format!("{extra} only in the target, kept (--delete removes them)"))?;
    }
    if !report.skipped.is_empty() {
        row(out, "skipped", &size::count(report.skipped.len()))?;
    }
    if !report.failed.is_empty() {
        row(out, "failed", &size::count(report.failed.len()))?;
    }
    match report.not_begun {
        NotBegun::Nothing | NotBegun::AtLeast(0) => {}
        NotBegun::Copies(count) => row(out, "not begun", &size::counted(count, "file"))?,
        NotBegun::AtLeast(count) => row(out, "not begun", &format!("at least {}", size::counted(count, "file")))?,
    }
    if report.usage.total() > 0 {
        row(out, "requests", &report.usage.to_string())?;
    }
    row(out, "time", &time(report))
}

fn planned(out: &mut Out<'_>, plan: &Plan) -> io::Result<()> {
    let counts = plan.counts();
    let files = size::counted(counts.copies + counts.replacements, "file");
    row(out, "to copy", &format!("{files}, {}", size::bytes(counts.bytes)))?;
    if counts.deletes > 0 {
        row(out, "to delete", &size::counted(counts.deletes, "file"))?;
    }
    Ok(())
}

fn done(out: &mut Out<'_>, report: &Report) -> io::Result<()> {
    row(out, "copied", &format!("{}, {}", size::counted(report.copied, "file"), size::bytes(report.copied_bytes)))?;
    if report.unverified > 0 {
        let unverified = size::counted(report.unverified, "file");
        row(
            out,
            "unverified",
            &format!(
                "{unverified}: only the length was checked, because there is no checksum and no usual part size to compare by"
            ),
        )?;
    }
    deleted(out, report)?;
    withheld(out, report)
}

fn deleted(out: &mut Out<'_>, report: &Report) -> io::Result<()> {
    if report.deleted == 0 { Ok(()) } else { row(out, "deleted", &size::counted(report.deleted, "file")) }
}

fn withheld(out: &mut Out<'_>, report: &Report) -> io::Result<()> {
    if report.withheld == 0 {
        return Ok(());
    }
    let why = match &report.stopped {
        Some(_) => ", because the run did not come to its end",
        None if report.failed.of(FailedAction::Copy) > 0 => ", because not everything was copied",
        None if report.skipped.any(lacks_copy) => ", because not everything can be copied, see above",
        // A warning or an error names the reason.
        None => ", see above",
    };
    row(out, "withheld", &format!("{}{why}", size::counted(report.withheld, "delete")))
}

/// Returns true if a key that is skipped for this reason withholds the deletes.
fn lacks_copy(why: &SkipReason) -> bool {
    why.effect() == SkipEffect::WithholdsDeletes
}

/// Writes the skipped keys whose reasons are wanted, grouped by reason. `write` gets a reason, the number of its keys, and the
/// keys.
fn groups(
    out: &mut Out<'_>,
    report: &Report,
    is_wanted: impl Fn(&SkipReason) -> bool,
    mut write: impl FnMut(&mut Out<'_>, &str, u64, &mut dyn Iterator<Item = Key>) -> io::Result<()>,
) -> io::Result<()> {
    if !report.skipped.any(&is_wanted) {
        return Ok(());
    }
    let rows = match by_reason(report, &is_wanted) {
        Ok(rows) => rows,
        Err(error) => return cut(out, &error),
    };
    // One iterator counts the keys of a reason before the other one shows them.
    let (mut ahead, mut keys) = (rows.iter().peekable(), rows.iter());
    loop {
        let (reason, mut count): (String, u64) = match ahead.next() {
            Some(Ok((reason, ..))) => (reason, 1),
            Some(Err(error)) => return cut(out, &error),
            None => return Ok(()),
        };
        while ahead.next_if(|row| row.as_ref().is_ok_and(|(other, ..)| *other == reason)).is_some() {
            count += 1;
        }
        let mut left = count;
        let mut keys = std::iter::from_fn(|| {
            left = left.checked_sub(1)?;
            keys.next()?.ok().map(|(.., key)| key)
        });
        write(out, &reason, count, &mut keys)?;
        keys.for_each(drop);
    }
}

fn by_reason(report: &Report, is_wanted: impl Fn(&SkipReason) -> bool) -> Result<Sorted<ByReason>, SpillError> {
    let mut rows = Sorter::new();
    for (number, row) in (0..).zip(report.skipped.iter()) {
        let (key, why) = row?;
        if is_wanted(&why) {
            rows.push((why.to_string(), number, key))?;
        }
    }
    rows.finish()
}

/// Warns that not everything could be shown.
fn cut(out: &mut Out<'_>, error: &SpillError) -> io::Result<()> {
    writeln!(out, "warning: not everything can be shown: {}", one_line(error))
}

fn each(out: &mut Out<'_>, keys: &mut dyn Iterator<Item = Key>, detail: Detail) -> io::Result<()> {
    keys.take(shown(detail)).try_for_each(|key| writeln!(out, "  {key}"))
}

fn shown(detail: Detail) -> usize {
    if detail == Detail::Verbose { usize::MAX } else { SHOWN as usize }
}

fn more(out: &mut Out<'_>, indent: &str, count: u64, detail: Detail) -> io::Result<()> {
    if detail == Detail::Verbose || count <= SHOWN {
        return Ok(());
    }
    writeln!(out, "{indent}and {} more (-v shows all)", size::count(count - SHOWN))
}

fn time(report: &Report) -> String {
    let elapsed = size::time(report.elapsed);
    match size::rate(report.copied_bytes, report.elapsed).filter(|_| report.copied_bytes > 0) {
        Some(rate) => format!("{elapsed}, {rate}"),
        None => elapsed,
    }
}

fn row(out: &mut Out<'_>, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "{name:<10} {value}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pos3::{ErrorKind, FailureKind, Operation, Protection, StoreError};

    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.copied = 12_345;
        report.copied_bytes = 3 << 20;
        report.elapsed = Duration::from_secs(2);
        report.tally.unchanged = 1000;
        report.tally.extra = 1;
        report.usage = [("PutObject", 12_345), ("ListObjectsV2", 2)].into_iter().collect();
        report
    }

    fn lines() -> Lines {
        Lines::new(&"here".parse().unwrap(), &"s3://b".parse().unwrap())
    }

    fn told_problems(report: &Report, detail: Detail) -> String {
        let mut out = Vec::new();
        problems(&mut Out::for_messages(&mut out), report, &lines(), detail).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn told_account(report: &Report) -> String {
        let mut out = Vec::new();
        account(&mut Out::for_messages(&mut out), report, None, Detail::Usual).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_good_run_is_told_in_a_few_lines() {
        assert_eq!(told_problems(&report(), Detail::Usual), "");
        assert_eq!(
            told_account(&report()),
            "\
copied     12,345 files, 3.0 MiB
unchanged  1,000
extra      1 file only in the target, kept (--delete removes them)
requests   2 ListObjectsV2, 12345 PutObject
time       2.0 s, 1.5 MiB/s
"
        );
    }

    #[test]
    fn a_run_that_ended_early_says_what_it_deleted_and_what_was_equal() {
        let mut report = report();
        (report.copied, report.copied_bytes, report.deleted) = (0, 0, 7);
        report.stopped = Some(Stop::Cancelled);
        let account = told_account(&report);
        assert!(account.starts_with("deleted    7 files\nunchanged  1,000\n"), "{account}");
    }

    #[test]
    fn withheld_deletes_have_the_reason_that_is_known() {
        let told = |change: fn(&mut Report)| {
            let mut report = Report::default();
            report.withheld = 2;
            change(&mut report);
            let account = told_account(&report);
            account.lines().find_map(|line| line.strip_prefix("withheld   2 deletes")).unwrap().to_owned()
        };
        // Another session may still write there; a warning says so.
        assert_eq!(told(|_| {}), ", see above");
        assert_eq!(told(|report| report.stopped = Some(Stop::Cancelled)), ", because the run did not come to its end");
        let skip = |report: &mut Report| report.skipped.push((Key::from("a"), SkipReason::Conflict));
        assert_eq!(told(skip), ", because not everything can be copied, see above");
    }

    #[test]
    fn every_problem_has_its_key_and_cause() {
        let mut report = report();
        let error = StoreError::new(ErrorKind::Denied, Operation::Write).with_key(&Key::from("d/x"));
        report.failed.push(Failure {
            key: Key::from("d/x"),
            action: FailedAction::Copy,
            kind: FailureKind::Error,
            error,
        });
        report.withheld = 2;
        report.skipped.push((Key::from("link"), SkipReason::Source(Protection::Symlink)));
        for index in 0..22 {
            report.skipped.push((Key::from(format!("gone{index}")), SkipReason::Vanished));
        }
        let usual = told_problems(&report, Detail::Usual);
        assert!(
            usual.starts_with(
                "\
error: cannot upload here/d/x to s3://b/d/x: access denied
skipped: 22 keys because it vanished while the sync ran:
  gone0
"
            ),
            "{usual}"
        );
        assert!(usual.ends_with("  gone19\n  and 2 more (-v shows all)\n"), "{usual}");
        assert!(told_problems(&report, Detail::Verbose).ends_with("  gone21\n"));
        let account = told_account(&report);
        assert!(account.starts_with("left out: 1 key because it is a symbolic link\n"), "{account}");
        assert!(account.contains("withheld   2 deletes, because not everything was copied\n"), "{account}");
        assert!(account.contains("skipped    23\nfailed     1\n"), "{account}");
    }
}
