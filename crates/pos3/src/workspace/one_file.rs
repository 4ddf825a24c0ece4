//! One file of a workspace, without waiting for the others: [`open`] and [`fetch`].

use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use pos3_core::{Key, Report, StoreError, Tree, one_line, run_blocking};
use pos3_local::LocalStore;

use super::background::Background;
use super::error::WorkspaceError;
use super::inner::{Inner, Sides};
use super::report::Way;
use super::rules::PullRules;
use super::scope::{RECORDS, Scope};
use super::watch::Watch;

/// Opens a file of the directory. If a pull is running, it is fetched first; if it is missing, too.
pub(super) async fn open(inner: &Inner, background: &Background, path: &str) -> Result<File, WorkspaceError> {
    let failed = |why: String| WorkspaceError::File { path: path.to_owned(), why };
    let key = Key::from(path.trim_start_matches("./"));
    key.check_path().map_err(|rule| failed(rule.to_string()))?;
    if key.is_marker() || key.as_str().split('/').next() == Some(RECORDS) {
        return Err(failed("it is no file of the workspace".to_owned()));
    }
    let local = inner.directory.join(key.as_str());
    let sides = tokio::select! {
        biased;
        sides = inner.shared() => Some(sides),
        _ended = background.ended() => None,
    };
    match sides {
        Some(sides) => {
            let fetched = fetch(inner, &sides, &key, sides.record.written()).await;
            drop(sides);
            if let Err(why) = fetched {
                // The pull itself may still make room for the file. Without it, the file here is an earlier version.
                if !matches!(background.ended().await, Some(Ok(report)) if report.success) {
                    return Err(failed(why));
                }
            }
        }
        None if !is_there(&local).await => {
            let _alone = inner.running.lock().await;
            let sides = inner.sides(Way::Down).await?;
            let _fetched = fetch(inner, &sides, &key, None).await.map_err(failed)?;
        }
        None => {}
    }
    let directory = inner.directory.clone();
    run_blocking(move || open_in(&directory, &key)).await.map_err(|error| failed(error.cause()))
}

/// Opens a file of the directory. A link in it could lead to a file of another user.
fn open_in(directory: &Path, key: &Key) -> Result<File, StoreError> {
    LocalStore::new(directory)?.open_file(key)
}

async fn is_there(local: &Path) -> bool {
    let local = local.to_owned();
    run_blocking(move || local.symlink_metadata().is_ok()).await
}

/// Fetches the file with this key if it is missing, or stored here and changed at the location. `began` is when the
/// pull began that this belongs to.
///
/// # Errors
///
/// Returns why it was not fetched, as one line.
pub(super) async fn fetch(
    inner: &Inner,
    sides: &Sides,
    key: &Key,
    began: Option<SystemTime>,
) -> Result<Report, String> {
    // The filter keeps the rows of all other files.
    let filter = Scope::of_file(key).filter().map_err(|error| one_line(&error))?;
    let options = inner.options(Way::Down, filter, Watch::new(inner.observer(), None));
    let options = options.with_overwritable(PullRules { began, largest: None }.overwritable());
    let one = |tree: &Tree| Tree::object(tree.store().clone(), tree.key(key), key.clone());
    let trees = (&one(&sides.remote), &one(&sides.local));
    let report = sides.transfer_between(Way::Down, trees, options).run(None).await;
    if report.is_clean() {
        return Ok(report);
    }
    let skipped = report.skipped.iter().find_map(|row| row.ok().map(|(_, why)| why.to_string()));
    let incomplete = report.into_result().err().map(|error| one_line(&error));
    Err(skipped.or(incomplete).unwrap_or_default())
}
