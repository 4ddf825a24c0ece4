//! From options to a session, and from its errors to exit codes and advice.

use pos3::{
    Error, Location, OwnFiles, Registry, Session, SessionBuilder, SessionError, StateDirectory, Stop, Symlinks,
    one_line,
};

use super::{registry, state};
use crate::args::SessionArgs;
use crate::exit::Exit;
use crate::hints;
use crate::output::Text;
use crate::warnings::Warnings;

/// What sessions of one command line have in common.
pub(super) struct Sessions<'a> {
    args: &'a SessionArgs,
    registry: Registry,
    state: Option<StateDirectory>,
}

impl<'a> Sessions<'a> {
    /// Reads the environment, as far as the locations need it.
    pub(super) fn new(
        args: &'a SessionArgs,
        warnings: &Warnings,
        locations: &[&Location],
    ) -> Result<Self, SessionError> {
        let registry = registry(&args.s3, warnings, Symlinks::Skip, locations).map_err(Error::from)?;
        let state = match state::directory() {
            _ if args.no_manifest => None,
            Ok(directory) => Some(directory),
            Err(why) => {
                warnings.tell(&state::no_memory(why));
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

    /// Returns a session's builder.
    pub(super) fn builder(&self) -> SessionBuilder {
        Session::builder()
            .registry(self.registry.clone())
            .cache_root(&self.args.cache_root)
            .state(self.state.clone())
            .concurrency(self.args.concurrency.requests())
            .upload_limit(self.args.limit)
            .download_limit(self.args.limit)
    }
}

/// Returns the exit code of an error. `signal` is the code of the signal that ended the run, if one did.
pub(super) fn exit(error: &SessionError, signal: Option<Exit>) -> Exit {
    match error {
        // A location with nothing in it is a failure of these commands.
        SessionError::Open(error) if matches!(**error, Error::SourceIsFile { .. }) => Exit::Failed,
        SessionError::Open(error) => Exit::of_error(error),
        SessionError::Transfer { report, .. } => match &report.0.stopped {
            // A place that is not there is a failure of these commands, whether it is the prefix or the bucket.
            Some(Stop::Listing { .. }) => Exit::Failed,
            _ => Exit::of_report(&report.0, signal),
        },
        SessionError::Several(errors) => match errors.as_slice() {
            [only] => exit(only, signal),
            _ => signal.unwrap_or(Exit::Failed),
        },
        SessionError::Different { .. }
        | SessionError::RemoteConflict { .. }
        | SessionError::LocalConflict { .. }
        | SessionError::Conflicts(_)
        | SessionError::NameTaken(_)
        | SessionError::NoInterval { .. }
        | SessionError::BadPattern { .. }
        | SessionError::BadRate(_) => Exit::Usage,
        SessionError::Waiting { .. } => signal.unwrap_or(Exit::Failed),
        _ => Exit::Failed,
    }
}

/// Returns an error in one line.
pub(super) fn message(error: &SessionError) -> String {
    match error {
        SessionError::Open(error) => one_line(&**error),
        SessionError::Several(errors) if errors.len() == 1 => errors.iter().map(message).collect(),
        other => one_line(other),
    }
}

/// Names the pairs in conflict, one line for each, where the error names only the first.
pub(super) fn conflicts(error: &SessionError) -> Text {
    let mut text = Text::default();
    pairs(error, &mut text);
    text
}

fn pairs(error: &SessionError, text: &mut Text) {
    match error {
        SessionError::Transfer { conflicts, .. } if conflicts.len() > 1 => {
            conflicts.iter().for_each(|pair| text.line(format!("conflict: '{}' and '{}'", pair.local, pair.remote)));
        }
        SessionError::Several(errors) => errors.iter().for_each(|error| pairs(error, text)),
        _ => {}
    }
}

/// Returns what to do about an error.
pub(super) fn hint(error: &SessionError) -> Option<String> {
    match error {
        SessionError::Open(error) => hints::for_error(error),
        SessionError::Transfer { report, .. } => match &report.0.stopped {
            Some(stop) => hints::for_stop(stop),
            None => hints::for_report(&report.0, hints::EXCLUDE),
        },
        SessionError::Several(errors) => errors.iter().find_map(hint),
        SessionError::Missing { location } => Some(hints::for_nothing(location)),
        _ => None,
    }
}
