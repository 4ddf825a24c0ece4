//! `pos3-cli manifest`: shows or removes the sync state of two locations.

mod show;

use pos3::{Key, State, StateHome, Symlinks};
use serde::Serialize;

use super::explain::meant;
use super::{registry, state};
use crate::args::{ManifestArgs, ManifestCommand, ManifestForgetArgs, PairArgs, Show};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::output;

impl Execute for ManifestArgs {
    fn name(&self) -> &'static str {
        match self.command {
            ManifestCommand::Show(_) => "manifest show",
            ManifestCommand::Forget(_) => "manifest forget",
        }
    }

    fn show(&self) -> Show {
        let json = matches!(&self.command, ManifestCommand::Show(args) if args.json);
        Show::without_progress(json, false)
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        match &self.command {
            ManifestCommand::Show(args) => show::show(args, invocation).await?,
            ManifestCommand::Forget(args) => {
                let forgotten = forget(args, invocation).await?;
                output::note(&format!("forgot {}", counted(forgotten, "file", "files")));
            }
        }
        Ok(Exit::Done)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        show::Fields::of_no_state(self.pair())
    }
}

/// Returns the number of files whose rows were removed. A path for which nothing is recorded is an error: it is
/// probably misspelt.
async fn forget(args: &ManifestForgetArgs, invocation: &Invocation) -> Result<u64, CommandError> {
    let sides = [&args.pair.from, &args.pair.to];
    let meant = |path: &String| meant::keys(path, sides, &args.pair.s3).map(|keys| (path.clone(), keys));
    let paths = args.paths.iter().map(meant).collect::<Result<Vec<_>, _>>().map_err(CommandError::failed)?;
    let state = open(&args.pair, invocation).await?;
    if args.all {
        return match state {
            Some(state) => Ok(state.forget_all().await?),
            None => Ok(0),
        };
    }
    let (mut forgotten, mut unknown) = (0, Vec::new());
    for (path, keys) in paths {
        match forget_first(state.as_ref(), &keys).await? {
            Some(files) => forgotten += files,
            None => unknown.push(format!("'{path}'")),
        }
    }
    if unknown.is_empty() {
        return Ok(forgotten);
    }
    let others =
        if forgotten > 0 { format!("; forgot {}", counted(forgotten, "file", "files")) } else { String::new() };
    Err(CommandError::failed(format!("nothing is recorded of {}{others}", unknown.join(" and "))))
}

/// Removes the row of the first of these keys that has one.
async fn forget_first(state: Option<&State>, keys: &[Key]) -> Result<Option<u64>, CommandError> {
    let Some(state) = state else { return Ok(None) };
    for key in keys {
        if let Some(files) = state.forget(key.as_str()).await? {
            return Ok(Some(files));
        }
    }
    Ok(None)
}

/// Opens the sync state, if there is one.
async fn open(args: &PairArgs, invocation: &Invocation) -> Result<Option<State>, CommandError> {
    let registry = registry(&args.s3, &invocation.warnings, Symlinks::Skip, &[&args.from, &args.to])?;
    let (locations, wait) = ((&args.from, &args.to), args.lock.wait());
    let waiting = state::note_wait(wait, &args.to);
    let state = StateHome::Environment.open_existing(&registry, locations, wait, waiting).await;
    Ok(state.into_open()?)
}

/// Returns a number with its noun.
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
