//! `pos3-cli explain`: what a sync would do with one path, and why.

mod fields;
mod lines;
pub(super) mod meant;
mod words;

use pos3::{Error, Explanation, Key, Outcome, PreparedSync, Stop, SyncOptions};
use serde::Serialize;

use super::{limited_registry, state};
use crate::args::{ExplainArgs, Show};
use crate::command_error::{CommandError, Purpose};
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::warnings::Warnings;
use crate::{name, output};
use fields::Fields;
use words::Words;

impl Execute for ExplainArgs {
    fn name(&self) -> &'static str {
        "explain"
    }

    fn show(&self) -> Show {
        Show::without_progress(self.json, false)
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let options = self.job.options()?;
        let keys =
            meant::keys(&self.path, [&self.job.from, &self.job.to], &self.job.s3).map_err(CommandError::usage)?;
        let deletion = options.deletion;
        let explanation = perform(self, options, &keys, &invocation.warnings).await?;
        let explanation = explanation.map_err(|stop| stopped(self, &stop))?;
        let words = Words::new(self, &explanation, deletion);
        if explanation.key.as_str() != self.path.strip_prefix("./").unwrap_or(&self.path) {
            output::note(&format!("'{}' is treated as the path '{}' below both locations", self.path, explanation.key));
        }
        output::data(|out| {
            if self.json {
                let fields = Fields::new(self, &explanation, &words);
                invocation.envelope(Exit::Done, None, fields).write(out)
            } else {
                lines::write(out, self, &explanation, &words)
            }
        });
        if is_nowhere(&explanation) {
            output::note(&hint(self));
        }
        Ok(Exit::Done)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        Fields::of_no_explanation(self)
    }
}

/// Explains the first of these keys that exists on either side; if none exists, the first key.
async fn perform(
    args: &ExplainArgs,
    options: SyncOptions,
    keys: &[Key],
    warnings: &Warnings,
) -> Result<Result<Explanation, Stop>, Error> {
    let (from, to) = (&args.job.from, &args.job.to);
    let registry = limited_registry(&args.job.s3, warnings, args.job.symlinks(), &[from, to], args.job.concurrency)?;
    let sync = PreparedSync::open(&registry, from, to, options).await?;
    let sync = sync.with_ignore_files(args.job.ignore_files()).await?;
    let state = state::for_reading(args.manifest, &registry, (from, to), warnings).await;
    let sync = sync.with_state(state);
    let mut first = None;
    for key in keys {
        match sync.explain(key).await? {
            Ok(explanation) if is_nowhere(&explanation) => {
                first.get_or_insert(explanation);
            }
            // Only keys below it exist, so it is a directory.
            Ok(Explanation { outcome: Outcome::Absent, .. }) if !key.is_marker() => {
                return sync.explain(&Key::from(format!("{}/", key.as_str()))).await;
            }
            explained => return Ok(explained),
        }
    }
    first.map_or_else(|| Err(Error::NotFound { location: args.path.clone() }), |explanation| Ok(Ok(explanation)))
}

/// Returns true if the path exists on neither side, not even as a directory.
fn is_nowhere(explanation: &Explanation) -> bool {
    matches!(explanation.outcome, Outcome::Absent) && explanation.inside.is_none()
}

/// Returns the error of a sync that would end before it reaches the path.
fn stopped(args: &ExplainArgs, stop: &Stop) -> CommandError {
    CommandError::of_stop(stop, Purpose::Plan, (&args.job.from, &args.job.to), 0, None)
}

fn hint(args: &ExplainArgs) -> String {
    let (program, from) = (name::name(), &args.job.from);
    format!(
        "hint: PATH is relative to both locations, such as 'reports/2024.csv'; '{program} ls -r {from}' shows what is there"
    )
}
