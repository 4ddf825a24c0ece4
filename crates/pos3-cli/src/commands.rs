//! The commands: options, one call of the library, output.

mod ls;
mod sync;

use pos3::{FileProvider, Registry, S3Provider, S3SettingsError, Symlinks};

use crate::args::{Cli, Command, S3Args};
use crate::exit::Exit;

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> Exit {
    match cli.command {
        Command::Sync(args) => sync::run(&args).await,
        Command::Ls(args) => ls::run(&args).await,
    }
}

/// Returns the schemes of this program.
fn registry(s3: &S3Args, symlinks: Symlinks) -> Result<Registry, S3SettingsError> {
    let files = FileProvider::default().with_symlinks(symlinks);
    Ok(Registry::default().with("file", files).with("s3", S3Provider::new(s3.settings()?)))
}
