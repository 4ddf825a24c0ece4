//! `pos3-cli manifest`: what is remembered of two locations, shown or forgotten.

mod show;

use pos3::{Error, Registry, State, StateDirectory, Symlinks, Wait, one_line};

use super::{registry, state};
use crate::args::{Detail, ManifestArgs, ManifestCommand, ManifestForgetArgs, PairArgs};
use crate::exit::Exit;
use crate::json::ErrorJson;
use crate::warnings::Warnings;
use crate::{hints, output};

/// Why nothing was shown or forgotten, and the exit code of it.
struct Failed {
    exit: Exit,
    error: ErrorJson,
}

/// Runs the command.
pub(crate) async fn run(args: &ManifestArgs) -> Exit {
    match &args.command {
        ManifestCommand::Show(args) => show::run(args).await,
        ManifestCommand::Forget(args) => match forget(args).await {
            Ok(forgotten) => {
                output::note(&format!("forgot {}", counted(forgotten, "file", "files")));
                Exit::Done
            }
            Err(failed) => failed.tell(),
        },
    }
}

/// Returns how many files were forgotten.
async fn forget(args: &ManifestForgetArgs) -> Result<u64, Failed> {
    let Some(state) = open(&args.pair).await? else { return Ok(0) };
    if args.all {
        return Ok(state.forget_all().await?);
    }
    let mut forgotten = 0;
    for path in &args.paths {
        forgotten += state.forget(path).await?;
    }
    Ok(forgotten)
}

/// Opens what is remembered, if anything is.
async fn open(args: &PairArgs) -> Result<Option<State>, Failed> {
    let directory = state::directory().map_err(|why| Failed::new(why.to_owned()))?;
    let registry = registry(&args.s3, &Warnings::new(Detail::Usual), Symlinks::Skip, &[&args.from, &args.to])
        .map_err(Error::from)?;
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

impl Failed {
    fn new(message: String) -> Self {
        Self { exit: Exit::Failed, error: ErrorJson { message, hint: None } }
    }

    fn tell(&self) -> Exit {
        output::error(&self.error.message, self.error.hint.as_deref());
        self.exit
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let exit = Exit::of_error(&error);
        Self { exit, error: ErrorJson { message: one_line(&error), hint: hints::for_error(&error) } }
    }
}

impl From<pos3::ManifestError> for Failed {
    fn from(error: pos3::ManifestError) -> Self {
        Self::new(error.to_string())
    }
}
