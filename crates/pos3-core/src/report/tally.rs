//! The counts of a plan.

use serde::{Deserialize, Serialize};

/// The counts from planning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Entries in the source listing, after the filter.
    pub source: u64,
    /// Files and objects in the target listing, after the filter.
    pub target: u64,
    /// Files that are equal on both sides.
    pub unchanged: u64,
    /// Files that only the target has and that stay, because the options do not delete them.
    pub extra: u64,
    /// Files that would be deleted or replaced if every copy could be made. The plan does not contain them.
    pub withheld: u64,
}
