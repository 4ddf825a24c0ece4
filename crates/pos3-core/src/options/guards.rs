//! Limits on the deletes of a plan.

/// Limits on the deletes of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guards {
    /// The largest number of files that may be deleted.
    pub max_delete: MaxDelete,
    /// Whether a source without any files may delete everything in the target.
    pub allow_empty: bool,
    /// Whether files may be deleted from a directory whose name an exclude pattern matches, if the pattern matches no
    /// key.
    pub allow_unmatched: bool,
}

impl Guards {
    /// Sets the largest number of files that may be deleted.
    #[must_use]
    pub fn with_max_delete(mut self, max_delete: MaxDelete) -> Self {
        self.max_delete = max_delete;
        self
    }

    /// Sets whether a source without any files may delete everything in the target.
    #[must_use]
    pub fn with_allow_empty(mut self, allow_empty: bool) -> Self {
        self.allow_empty = allow_empty;
        self
    }

    /// Sets whether files may be deleted from a directory whose name an exclude pattern matches, if the pattern matches
    /// no key. By default, this is refused, because the pattern was probably meant for the contents of the directory.
    #[must_use]
    pub fn with_allow_unmatched(mut self, allow_unmatched: bool) -> Self {
        self.allow_unmatched = allow_unmatched;
        self
    }
}

/// The largest number of files that a plan may delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxDelete {
    /// Half of a target that has at least 20 files; any number in a smaller one.
    #[default]
    Usual,
    /// At most this many files.
    Count(u64),
    /// At most this percentage of the target's files; 100 removes the limit.
    Percent(u8),
}

/// The percentage that [`MaxDelete::Usual`] allows.
const USUAL_PERCENT: u8 = 50;

/// The number of files from which [`MaxDelete::Usual`] limits deletes: in a small directory, a few files are a large
/// percentage.
const USUAL_FROM: u64 = 20;

impl MaxDelete {
    /// Returns the largest number of files that may be deleted from a target with this many files.
    pub(crate) fn limit(self, files: u64) -> u64 {
        let share = |percent: u8| u64::try_from(u128::from(files) * u128::from(percent) / 100).unwrap_or(files);
        match self {
            Self::Usual if files < USUAL_FROM => files,
            Self::Usual => share(USUAL_PERCENT),
            Self::Count(count) => count,
            Self::Percent(percent) => share(percent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_a_count_or_a_share() {
        for (max_delete, files, limit) in [
            (MaxDelete::Usual, 19, 19),
            (MaxDelete::Usual, 20, 10),
            (MaxDelete::Usual, 101, 50),
            (MaxDelete::Count(3), 1000, 3),
            (MaxDelete::Percent(10), 25, 2),
            (MaxDelete::Percent(100), 25, 25),
            (MaxDelete::Percent(0), 25, 0),
        ] {
            assert_eq!(max_delete.limit(files), limit, "{max_delete:?} of {files}");
        }
    }
}
