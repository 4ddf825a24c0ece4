//! The commands. Each file implements [`Execute`](crate::invocation::Execute) for the arguments of one command.

mod account;
mod apply;
mod check;
mod cleanup;
mod download;
mod explain;
mod ls;
mod manifest;
mod plan;
mod run;
mod session;
mod state;
mod sync;
mod transfer;
mod upload;
mod workspace;

use pos3::{
    FileProvider, Location, OwnFiles, Registry, S3Provider, S3Settings, S3SettingsError, StateDirectory, Symlinks,
};

use crate::args::{ConcurrencyArgs, S3Args};
use crate::output;
use crate::progress::watch_registry;
use crate::warnings::Warnings;

const S3: &str = "s3";

/// Returns the registry of locations, for a command without the option `--concurrency`.
fn registry(
    s3: &S3Args,
    warnings: &Warnings,
    symlinks: Symlinks,
    locations: &[&Location],
) -> Result<Registry, S3SettingsError> {
    limited_registry(s3, warnings, symlinks, locations, ConcurrencyArgs::default())
}

/// Returns the registry of locations. The S3 settings of the environment are read only if a location uses S3, so an invalid
/// setting does not stop a sync between two disks.
fn limited_registry(
    s3: &S3Args,
    warnings: &Warnings,
    symlinks: Symlinks,
    locations: &[&Location],
    concurrency: ConcurrencyArgs,
) -> Result<Registry, S3SettingsError> {
    let uses_s3 = locations.iter().any(|location| location.scheme() == S3);
    let provider = if uses_s3 {
        let warnings = warnings.clone();
        s3.provider()?.with_warnings(move |warning| warnings.warn(warning))
    } else {
        S3Provider::new(S3Settings::default())
    };
    let provider = provider.with_concurrency(concurrency.budget().concurrency());
    let files = FileProvider::default().with_symlinks(symlinks);
    let registry = Registry::default().with("file", files).with(S3, provider).with_own_files(own_files());
    watch_registry(&registry);
    Ok(registry)
}

/// Returns the files that a command itself writes: those that its output was redirected to, and the sync state.
fn own_files() -> OwnFiles {
    let own = state_files();
    output::add_own_files(&own);
    own
}

/// Returns the directory of the sync state. It is left out whether or not this run uses it.
fn state_files() -> OwnFiles {
    let own = OwnFiles::default();
    if let Some(directory) = StateDirectory::from_env() {
        own.add_directory(directory.path());
    }
    own
}
