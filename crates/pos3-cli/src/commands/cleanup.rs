//! `pos3-cli cleanup`: uploads that were begun and never finished.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use pos3::{Error, Key, Role, StoreError, Symlinks, Tree, Unfinished, one_line};
use serde::Serialize;

use super::registry;
use crate::args::{CleanupArgs, Detail};
use crate::exit::Exit;
use crate::json::{self, ErrorJson};
use crate::warnings::Warnings;
use crate::{hints, output, size};

/// What `cleanup --json` writes.
#[derive(Serialize)]
struct CleanupJson {
    version: u32,
    command: &'static str,
    location: String,
    exit_code: u8,
    error: Option<ErrorJson>,
    #[serde(serialize_with = "json::messages")]
    warnings: Vec<String>,
    unfinished: Vec<LeftoverJson>,
    younger: usize,
    given_up: usize,
}

#[derive(Serialize)]
struct LeftoverJson {
    key: String,
    id: String,
    since: Option<String>,
    given_up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

/// One unfinished upload, and what became of it.
struct Leftover {
    key: Key,
    put: Unfinished,
    given_up: Option<Result<(), StoreError>>,
}

/// What was found.
#[derive(Default)]
struct Found {
    old: Vec<Leftover>,
    younger: usize,
}

/// Runs the command.
pub(crate) async fn run(args: &CleanupArgs) -> Exit {
    let warnings = Warnings::new(Detail::Usual);
    match perform(args, &warnings).await {
        Ok(found) => tell(args, &warnings, &found),
        Err(error) => {
            // Nothing is refused for safety: what cannot be opened cannot be cleaned.
            let exit = if Exit::of_error(&error) == Exit::Usage { Exit::Usage } else { Exit::Failed };
            let error = ErrorJson { message: one_line(&error), hint: hints::for_error(&error) };
            output::error(&error.message, error.hint.as_deref());
            if args.json { write(args, &warnings, &Found::default(), Some(error), exit) } else { exit }
        }
    }
}

async fn perform(args: &CleanupArgs, warnings: &Warnings) -> Result<Found, Error> {
    let registry = registry(&args.s3, warnings, Symlinks::Skip, &[&args.location])?;
    let tree = registry.open(&args.location, Role::Source).await.map_err(|error| match error {
        Error::SourceMissing { location } => Error::NotFound { location },
        error => error,
    })?;
    let puts = tree.store().unfinished(tree.prefix()).await;
    let puts = puts.map_err(|source| Error::Store { location: args.location.to_string(), source })?;
    let now = SystemTime::now();
    let (old, young): (Vec<_>, Vec<_>) = puts.into_iter().partition(|(_, put)| is_old(put, args.older_than, now));
    let answers = if args.abort { give_up(&tree, &old).await } else { old.iter().map(|_| None).collect() };
    let old = old.into_iter().zip(answers).map(|((key, put), given_up)| Leftover { key, put, given_up });
    Ok(Found { old: old.collect(), younger: young.len() })
}

async fn give_up(tree: &Tree, puts: &[(Key, Unfinished)]) -> Vec<Option<Result<(), StoreError>>> {
    tree.store().abandon(puts).await.into_iter().map(Some).collect()
}

/// Of what no age is known only a limit of nothing makes it old.
fn is_old(put: &Unfinished, limit: Duration, now: SystemTime) -> bool {
    limit.is_zero() || put.since.and_then(|since| now.duration_since(since).ok()).is_some_and(|age| age >= limit)
}

fn tell(args: &CleanupArgs, warnings: &Warnings, found: &Found) -> Exit {
    let failed = found.old.iter().filter(|leftover| matches!(leftover.given_up, Some(Err(_)))).count();
    let exit = if failed == 0 { Exit::Done } else { Exit::Failed };
    for Leftover { key, given_up, .. } in &found.old {
        if let Some(Err(error)) = given_up {
            output::error(&format!("cannot give up '{key}': {}", error.cause()), None);
        }
    }
    if args.json {
        return write(args, warnings, found, None, exit);
    }
    let now = SystemTime::now();
    output::data(|out| {
        found.old.iter().try_for_each(|leftover| {
            let age = leftover.put.since.and_then(|since| now.duration_since(since).ok());
            let age = age.map_or("unknown".to_owned(), age_of);
            writeln!(out, "{age:>12} {} {}", leftover.key, leftover.put.id)
        })
    });
    output::note(&summary(args, found, failed));
    exit
}

fn summary(args: &CleanupArgs, found: &Found, failed: usize) -> String {
    let counted = |count: usize| size::counted(count as u64, "unfinished upload");
    let mut text = if args.abort {
        format!("{} given up", counted(found.old.len() - failed))
    } else if found.old.is_empty() {
        format!("no unfinished uploads at '{}'", args.location)
    } else {
        format!("{}; --abort gives them up", counted(found.old.len()))
    };
    if found.younger > 0 {
        text.push_str(&format!(
            ", {} younger left alone (--older-than 0s means all)",
            size::count(found.younger as u64)
        ));
    }
    text
}

fn age_of(age: Duration) -> String {
    let days = age.as_secs() / (24 * 60 * 60);
    if days >= 2 { format!("{days} days") } else { size::time(age) }
}

fn write(args: &CleanupArgs, warnings: &Warnings, found: &Found, error: Option<ErrorJson>, exit: Exit) -> Exit {
    let is_given_up = |leftover: &&Leftover| matches!(leftover.given_up, Some(Ok(())));
    let object = CleanupJson {
        version: json::VERSION,
        command: "cleanup",
        location: args.location.to_string(),
        exit_code: exit.code(),
        error,
        warnings: warnings.told(),
        unfinished: found.old.iter().map(LeftoverJson::from).collect(),
        younger: found.younger,
        given_up: found.old.iter().filter(is_given_up).count(),
    };
    output::data(|out| json::write(out, &object));
    exit
}

impl From<&Leftover> for LeftoverJson {
    fn from(leftover: &Leftover) -> Self {
        let since = leftover.put.since.and_then(|since| Timestamp::try_from(since).ok());
        Self {
            key: leftover.key.as_str().to_owned(),
            id: leftover.put.id.clone(),
            since: since.map(|since| since.to_string()),
            given_up: matches!(leftover.given_up, Some(Ok(()))),
            cause: leftover.given_up.as_ref().and_then(|answer| answer.as_ref().err()).map(StoreError::cause),
        }
    }
}
