//! `pos3-cli manifest`: shows or forgets the sync state of two locations.

mod show;

use pos3::{Error, Registry, State, StateDirectory, Symlinks, Wait};
use serde::Serialize;

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

/// Returns the number of files that were forgotten.
async fn forget(args: &ManifestForgetArgs, invocation: &Invocation) -> Result<u64, CommandError> {
    let Some(state) = open(&args.pair, invocation).await? else { return Ok(0) };
    if args.all {
        return Ok(state.forget_all().await?);
    }
    let mut forgotten = 0;
    for path in &args.paths {
        forgotten += state.forget(path).await?;
    }
    Ok(forgotten)
}

/// Opens the sync state, if there is one.
async fn open(args: &PairArgs, invocation: &Invocation) -> Result<Option<State>, CommandError> {
    let directory = state::directory().map_err(CommandError::failed)?;
    let registry = registry(&args.s3, &invocation.warnings, Symlinks::Skip, &[&args.from, &args.to])?;
    Ok(find(args, &directory, &registry).await?)
}

async fn find(args: &PairArgs, directory: &StateDirectory, registry: &Registry) -> Result<Option<State>, Error> {
    let open = async |wait: Wait| State::open_existing(directory, registry, &args.from, &args.to, wait).await;
    state::patiently(args.lock.wait(), open).await
}

/// Returns a number with its noun.
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
