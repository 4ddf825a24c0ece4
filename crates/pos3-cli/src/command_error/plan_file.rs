//! The errors of plan files.

use std::path::Path;

use pos3::{PlanFileError, one_line};

use super::CommandError;
use crate::exit::Exit;
use crate::hints;

impl CommandError {
    /// Returns the error of a plan that `apply` does not execute.
    pub(crate) fn of_rejected_plan(plan: &Path, error: &PlanFileError) -> Self {
        let plan = plan.display();
        match error {
            PlanFileError::Io(error) => Self::failed(format!("cannot read the plan '{plan}': {error}")),
            PlanFileError::Spill(error) => Self::failed(format!("cannot check the plan '{plan}': {}", one_line(error)))
                .with_hint(Some(hints::for_spill(error))),
            _ => {
                let hint = match error {
                    PlanFileError::Version(_) => Some("make the plan again with this program"),
                    PlanFileError::Line { .. } | PlanFileError::Cut { .. } | PlanFileError::Edited => {
                        Some("make a new plan")
                    }
                    _ => None,
                };
                Self::new(Exit::Refused, format!("refused, nothing was changed: the plan '{plan}': {error}"))
                    .with_hint(hint.map(str::to_owned))
            }
        }
    }

    /// Returns the error of a plan that could not be written to a file, or to stdout if there is none.
    pub(crate) fn of_unwritten_plan(file: Option<&Path>, error: &PlanFileError) -> Self {
        let place = file.map_or("stdout".into(), |path| format!("'{}'", path.display()));
        Self::failed(format!("cannot write the plan to {place}: {}", one_line(error)))
    }
}
