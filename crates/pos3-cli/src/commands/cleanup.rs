//! `pos3-cli cleanup`: shows what killed runs left, and aborts, removes or restores it if requested.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use pos3::{Error, Key, Location, MovedFile, Role, StoreError, Symlinks, Tree, Unfinished, moved_files};
use serde::Serialize;

use super::registry;
use crate::args::{CleanupArgs, Show};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::warnings::Warnings;
use crate::{output, size};

/// The JSON fields of the command.
#[derive(Serialize)]
struct Fields {
    location: String,
    unfinished: Vec<UploadJson>,
    younger: usize,
    given_up: usize,
    /// Files that killed runs moved away.
    moved: Vec<MovedJson>,
}

#[derive(Serialize)]
struct MovedJson {
    key: String,
    why: String,
    restored: bool,
}

#[derive(Serialize)]
struct UploadJson {
    key: String,
    id: String,
    since: Option<String>,
    given_up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

/// An unfinished upload.
struct Upload {
    key: Key,
    put: Unfinished,
    /// The result of the request to abort it, if it was to be aborted.
    aborted: Option<Result<(), StoreError>>,
}

/// All unfinished uploads at the location.
#[derive(Default)]
struct Found {
    /// Those that are old enough.
    old: Vec<Upload>,
    /// The number of the others.
    younger: usize,
    /// Files that killed runs moved away, whatever their age.
    moved: Vec<MovedFile>,
}

impl Execute for CleanupArgs {
    fn name(&self) -> &'static str {
        "cleanup"
    }

    fn show(&self) -> Show {
        Show::without_progress(self.json, false)
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let found = perform(self, &invocation.warnings).await;
        let found = found.map_err(|error| CommandError::from(error).of_read_only())?;
        let mut exit = Exit::Done;
        for Upload { key, aborted, .. } in &found.old {
            if let Some(Err(error)) = aborted {
                exit = Exit::Failed;
                let what = if is_local(self) { "remove the unfinished file" } else { "abort the upload of" };
                output::error(&format!("cannot {what} '{key}': {}", error.cause()), None);
            }
        }
        for file in found.moved.iter().filter(|file| self.abort && !file.is_restored) {
            exit = Exit::Failed;
            output::error(&format!("cannot give '{}' its name back: {}", file.key, file.why), None);
        }
        if self.json {
            output::data(|out| invocation.envelope(exit, None, Fields::new(self, &found)).write(out));
        } else {
            write_lines(self, &found);
            output::note(&summary(self, &found));
            if !found.moved.is_empty() {
                output::note(&summary_of_moved(self, &found));
            }
        }
        Ok(exit)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        Fields::new(self, &Found::default())
    }
}

async fn perform(args: &CleanupArgs, warnings: &Warnings) -> Result<Found, Error> {
    let registry = registry(&args.s3, warnings, Symlinks::Skip, &[&args.location])?;
    let tree = registry.open(&args.location, Role::Source).await?.directory().map_err(|error| match error {
        Error::SourceMissing { location } => Error::NotFound { location },
        error => error,
    })?;
    let failed = |source| Error::Store { location: args.location.to_string(), source };
    let puts = unfinished(args, &tree).await.map_err(failed)?;
    let now = SystemTime::now();
    let (old, young): (Vec<_>, Vec<_>) = puts.into_iter().partition(|(_, put)| is_old(put, args.older_than, now));
    let results = if args.abort { abort(&tree, &old).await } else { old.iter().map(|_| None).collect() };
    let old = old.into_iter().zip(results).map(|((key, put), aborted)| Upload { key, put, aborted });
    let moved = moved_files(&tree, args.abort).await.map_err(failed)?;
    Ok(Found { old: old.collect(), younger: young.len(), moved })
}

/// Returns the unfinished uploads at the location: below the prefix and, if the location does not end in `/`, also at
/// exactly this key.
async fn unfinished(args: &CleanupArgs, tree: &Tree) -> Result<Vec<(Key, Unfinished)>, StoreError> {
    let prefix = tree.prefix();
    let key = match prefix.strip_suffix('/') {
        Some(key) if !args.location.to_string().ends_with('/') => key,
        _ => return tree.store().unfinished(prefix).await,
    };
    let mut puts = tree.store().unfinished(key).await?;
    puts.retain(|(found, _)| found.as_str() == key || found.as_str().starts_with(prefix));
    Ok(puts)
}

async fn abort(tree: &Tree, puts: &[(Key, Unfinished)]) -> Vec<Option<Result<(), StoreError>>> {
    tree.store().abandon(puts).await.into_iter().map(Some).collect()
}

/// Returns true if an upload is at least as old as the limit. An upload of unknown age is old only if the limit is zero.
fn is_old(put: &Unfinished, limit: Duration, now: SystemTime) -> bool {
    limit.is_zero() || age(put, now).is_some_and(|age| age >= limit)
}

fn age(put: &Unfinished, now: SystemTime) -> Option<Duration> {
    put.since.and_then(|since| now.duration_since(since).ok())
}

fn write_lines(args: &CleanupArgs, found: &Found) {
    let now = SystemTime::now();
    output::data(|out| {
        found.old.iter().try_for_each(|upload| {
            let age = age(&upload.put, now).map_or("unknown".to_owned(), words_of_age);
            match is_local(args) {
                // The ID of an unfinished file is its name.
                true => writeln!(out, "{age:>12} {}", upload.key),
                false => writeln!(out, "{age:>12} {} {}", upload.key, upload.put.id),
            }
        })?;
        found.moved.iter().try_for_each(|file| writeln!(out, "{:>12} {}", "moved", file.key))
    });
}

fn words_of_age(age: Duration) -> String {
    let days = age.as_secs() / (24 * 60 * 60);
    if days >= 2 { format!("{days} days") } else { size::time(age) }
}

fn summary(args: &CleanupArgs, found: &Found) -> String {
    let (thing, abort, aborted) = if is_local(args) {
        ("unfinished file", "remove", "removed")
    } else {
        ("unfinished upload", "abort", "aborted")
    };
    let counted = |count: usize| size::counted(count as u64, thing);
    let mut text = if args.abort {
        format!("{} {aborted}", counted(found.aborted()))
    } else if found.old.is_empty() {
        format!("no {thing}s at '{}'", args.location)
    } else {
        format!("{}; {abort} them with --abort", counted(found.old.len()))
    };
    if found.younger > 0 {
        let younger = size::count(found.younger as u64);
        text.push_str(&format!(", {younger} younger skipped (--older-than 0s includes all)"));
    }
    text
}

fn summary_of_moved(args: &CleanupArgs, found: &Found) -> String {
    let restored = found.moved.iter().filter(|file| file.is_restored).count();
    let counted = |count: usize| size::counted(count as u64, "moved file");
    if args.abort {
        format!("{} restored", counted(restored))
    } else {
        format!("{}; restore their names with --abort", counted(found.moved.len()))
    }
}

fn is_local(args: &CleanupArgs) -> bool {
    matches!(args.location, Location::Local(_))
}

impl Found {
    fn aborted(&self) -> usize {
        self.old.iter().filter(|upload| upload.is_aborted()).count()
    }
}

impl Upload {
    fn is_aborted(&self) -> bool {
        matches!(self.aborted, Some(Ok(())))
    }
}

impl Fields {
    fn new(args: &CleanupArgs, found: &Found) -> Self {
        Self {
            location: args.location.to_string(),
            unfinished: found.old.iter().map(UploadJson::from).collect(),
            younger: found.younger,
            given_up: found.aborted(),
            moved: found.moved.iter().map(MovedJson::from).collect(),
        }
    }
}

impl From<&MovedFile> for MovedJson {
    fn from(file: &MovedFile) -> Self {
        Self { key: file.key.as_str().to_owned(), why: file.why.clone(), restored: file.is_restored }
    }
}

impl From<&Upload> for UploadJson {
    fn from(upload: &Upload) -> Self {
        let since = upload.put.since.and_then(|since| Timestamp::try_from(since).ok());
        Self {
            key: upload.key.as_str().to_owned(),
            id: upload.put.id.clone(),
            since: since.map(|since| since.to_string()),
            given_up: upload.is_aborted(),
            cause: upload.aborted.as_ref().and_then(|result| result.as_ref().err()).map(StoreError::cause),
        }
    }
}
