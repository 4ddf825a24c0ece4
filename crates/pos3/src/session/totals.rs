//! The totals of the transfers of a registration.

/// The effect of all transfers in one direction. It includes the files that a failed transfer copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// The number of copied files. Each copy of the same file counts.
    pub files: u64,
    /// The size of these copies in bytes.
    pub bytes: u64,
    /// The number of files or objects deleted in the target.
    pub deleted: u64,
}
