//! Builds sessions from the options of the command line.

use pos3::{Error, Location, OwnFiles, Registry, Session, SessionBuilder, SessionError, StateDirectory, Symlinks};

use super::{limited_registry, state};
use crate::args::SessionArgs;
use crate::warnings::Warnings;

/// The parts that all sessions of one command line share.
pub(super) struct Sessions<'a> {
    args: &'a SessionArgs,
    registry: Registry,
    state: Option<StateDirectory>,
}

impl<'a> Sessions<'a> {
    /// Reads the environment variables that the locations need.
    pub(super) fn new(
        args: &'a SessionArgs,
        warnings: &Warnings,
        locations: &[&Location],
    ) -> Result<Self, SessionError> {
        let registry =
            limited_registry(&args.s3, warnings, Symlinks::Skip, locations, args.concurrency).map_err(Error::from)?;
        let state = match StateDirectory::required_from_env() {
            Ok(directory) => Some(directory),
            Err(_) if args.no_manifest => None,
            Err(why) => {
                warnings.warn(&state::unusable(&why.to_string()));
                None
            }
        };
        Ok(Self { args, registry, state })
    }

    /// Sets the files that the command itself writes. The output of `run` is that of its program, so it is not one of them.
    pub(super) fn with_own_files(mut self, own: OwnFiles) -> Self {
        self.registry = self.registry.with_own_files(own);
        self
    }

    /// Returns a builder of a session.
    pub(super) fn builder(&self) -> SessionBuilder {
        let builder = Session::builder();
        let builder = match self.args.no_manifest {
            true => builder.only_marks(self.state.clone()),
            false => builder.state(self.state.clone()),
        };
        builder
            .registry(self.registry.clone())
            .cache_root(&self.args.cache_root)
            .concurrency(self.args.concurrency.requests())
            .upload_limit(self.args.limit)
            .download_limit(self.args.limit)
    }
}
