//! What a person reads when a sync has ended.

use std::fmt::Write;

use pos3::{Action, Plan, Report, SkipReason};

use crate::args::Detail;
use crate::lines::Lines;
use crate::size;

/// Keys shown per reason, unless everything is asked for.
const SHOWN: usize = 20;

/// Returns the failures, one line each, and the skips that are no policy: what must be said even when nothing else is.
pub(crate) fn problems(report: &Report, lines: &Lines, detail: Detail) -> String {
    let mut text = String::new();
    for failure in shown(&report.failed, detail) {
        line(&mut text, &format!("error: {}", lines.failure(failure)));
    }
    more(&mut text, "", report.failed.len(), detail);
    let bad: Vec<_> = report.skipped.iter().filter(|(_, why)| !why.is_policy()).collect();
    for (reason, keys) in by_reason(bad.iter().copied()) {
        line(&mut text, &format!("skipped: {} because {reason}:", size::counted(keys.len() as u64, "key")));
        for key in shown(&keys, detail) {
            line(&mut text, &format!("  {key}"));
        }
        more(&mut text, "  ", keys.len(), detail);
    }
    text
}

/// Returns the whole account of a run, or of a plan that nobody executed.
pub(crate) fn account(report: &Report, plan: Option<&Plan>, detail: Detail) -> String {
    let mut text = String::new();
    for warning in &report.warnings {
        line(&mut text, &format!("warning: {warning}"));
    }
    text.push_str(&policy_skips(report, detail));
    match plan {
        Some(plan) => planned(&mut text, plan),
        None if report.stopped.is_some() && report.copied == 0 => withheld(&mut text, report),
        None => done(&mut text, report),
    }
    // A run that was stopped while it listed has not counted them.
    if report.stopped.is_none() {
        row(&mut text, "unchanged", &size::count(report.tally.unchanged));
    }
    if report.tally.extra > 0 {
        let extra = size::counted(report.tally.extra, "file");
        row(&mut text, "extra", &format!("{extra} only in the target, kept (--delete removes them)"));
    }
    if !report.skipped.is_empty() {
        row(&mut text, "skipped", &size::count(report.skipped.len() as u64));
    }
    if !report.failed.is_empty() {
        row(&mut text, "failed", &size::count(report.failed.len() as u64));
    }
    if report.usage.total() > 0 {
        row(&mut text, "requests", &report.usage.to_string());
    }
    row(&mut text, "time", &time(report));
    text
}

fn planned(text: &mut String, plan: &Plan) {
    let (mut files, mut bytes, mut deletes) = (0, 0, 0);
    for action in &plan.actions {
        match action {
            Action::Copy { source, .. } | Action::Replace { source, .. } => {
                files += 1;
                bytes += source.size;
            }
            Action::Delete { target } => deletes += u64::from(target.has_content()),
            Action::Skip { .. } => {}
        }
    }
    row(text, "to copy", &format!("{}, {}", size::counted(files, "file"), size::bytes(bytes)));
    if deletes > 0 {
        row(text, "to delete", &size::counted(deletes, "file"));
    }
}

fn done(text: &mut String, report: &Report) {
    row(text, "copied", &format!("{}, {}", size::counted(report.copied, "file"), size::bytes(report.copied_bytes)));
    if report.unverified > 0 {
        let unverified = size::counted(report.unverified, "file");
        row(
            text,
            "unverified",
            &format!("{unverified}: only the length is known to be right, no store has a checksum"),
        );
    }
    if report.deleted > 0 {
        row(text, "deleted", &size::counted(report.deleted, "file"));
    }
    withheld(text, report);
}

fn withheld(text: &mut String, report: &Report) {
    if report.withheld > 0 {
        let why = match &report.stopped {
            Some(_) => "the run did not come to its end",
            None if report.failed.is_empty() => "names clash, see above",
            None => "not everything was copied",
        };
        row(text, "withheld", &format!("{}, because {why}", size::counted(report.withheld, "delete")));
    }
}

fn policy_skips(report: &Report, detail: Detail) -> String {
    let mut text = String::new();
    for (reason, keys) in by_reason(report.skipped.iter().filter(|(_, why)| why.is_policy())) {
        line(&mut text, &format!("left out: {} because {reason}", size::counted(keys.len() as u64, "key")));
        if detail == Detail::Verbose {
            keys.iter().for_each(|key| line(&mut text, &format!("  {key}")));
        }
    }
    text
}

/// Groups skipped keys by their reasons, in the order in which the reasons first came.
fn by_reason<'a>(skipped: impl Iterator<Item = &'a (pos3::Key, SkipReason)>) -> Vec<(String, Vec<&'a pos3::Key>)> {
    let mut groups: Vec<(String, Vec<&pos3::Key>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (key, why) in skipped {
        let reason = why.to_string();
        let place = *places.entry(reason.clone()).or_insert_with(|| {
            groups.push((reason, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(key);
    }
    groups
}

fn shown<T>(items: &[T], detail: Detail) -> &[T] {
    if detail == Detail::Verbose { items } else { &items[..items.len().min(SHOWN)] }
}

fn more(text: &mut String, indent: &str, count: usize, detail: Detail) {
    if detail != Detail::Verbose && count > SHOWN {
        line(text, &format!("{indent}and {} more (-v shows all)", size::count((count - SHOWN) as u64)));
    }
}

fn time(report: &Report) -> String {
    let elapsed = size::time(report.elapsed);
    match size::rate(report.copied_bytes, report.elapsed).filter(|_| report.copied_bytes > 0) {
        Some(rate) => format!("{elapsed}, {rate}"),
        None => elapsed,
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    line(text, &format!("{name:<10} {value}"));
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pos3::{ErrorKind, FailedAction, Failure, FailureKind, Key, Protection, StoreError};

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

    #[test]
    fn a_good_run_is_told_in_a_few_lines() {
        assert_eq!(problems(&report(), &lines(), Detail::Usual), "");
        assert_eq!(
            account(&report(), None, Detail::Usual),
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
    fn every_problem_has_its_key_and_cause() {
        let mut report = report();
        let error = StoreError::new(ErrorKind::Denied, "write").with_key(&Key::from("d/x"));
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
        let usual = problems(&report, &lines(), Detail::Usual);
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
        assert!(problems(&report, &lines(), Detail::Verbose).ends_with("  gone21\n"));
        let account = account(&report, None, Detail::Usual);
        assert!(account.starts_with("left out: 1 key because it is a symbolic link\n"), "{account}");
        assert!(account.contains("withheld   2 deletes, because not everything was copied\n"), "{account}");
        assert!(account.contains("skipped    23\nfailed     1\n"), "{account}");
    }
}
