//! The parts of a filter as they were written: a plan file contains them, so that `apply` selects the same keys.

use serde::{Deserialize, Serialize};

use super::{Filter, FilterBuilder, FilterError};

/// One part of a filter, as it was given to the [`FilterBuilder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterPart {
    /// A pattern of [`FilterBuilder::exclude`].
    Exclude(String),
    /// A pattern of [`FilterBuilder::include`].
    Include(String),
    /// A pattern of [`FilterBuilder::exclude_matching`].
    ExcludeMatching(String),
    /// A text of [`FilterBuilder::ignore_file`].
    IgnoreFile {
        /// The given name of the text.
        name: String,
        /// The text.
        text: String,
    },
}

impl Filter {
    /// Returns the parts of this filter in the order in which they were given.
    pub fn parts(&self) -> &[FilterPart] {
        self.rules.as_ref().map_or(&[], |rules| &rules.parts)
    }

    /// Returns the filter with these parts.
    ///
    /// # Errors
    ///
    /// Fails at the first part that cannot be parsed or cannot match anything.
    pub fn of_parts(parts: &[FilterPart]) -> Result<Self, FilterError> {
        parts.iter().try_fold(Self::builder(), FilterBuilder::part)?.build()
    }
}

impl FilterBuilder {
    fn part(self, part: &FilterPart) -> Result<Self, FilterError> {
        match part {
            FilterPart::Exclude(pattern) => self.exclude(pattern),
            FilterPart::Include(pattern) => self.include(pattern),
            FilterPart::ExcludeMatching(pattern) => self.exclude_matching(pattern),
            FilterPart::IgnoreFile { name, text } => self.ignore_file(name, text),
        }
    }
}

/// Filters are equal if they have the same parts in the same order.
impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Filter {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_rebuilt_from_its_parts() {
        let filter = Filter::builder()
            .exclude("*")
            .and_then(|builder| builder.include("d/*"))
            .and_then(|builder| builder.ignore_file("list", "*.log\n"))
            .and_then(|builder| builder.exclude_matching("old"))
            .and_then(FilterBuilder::build)
            .unwrap();
        let rebuilt = Filter::of_parts(filter.parts()).unwrap();
        assert_eq!(rebuilt, filter);
        for key in ["x", "d/x", "d/x.log", "d/old/x"] {
            assert_eq!(rebuilt.deciding(key), filter.deciding(key), "{key}");
        }
        assert_eq!(Filter::of_parts(&[]).unwrap(), Filter::default());
        assert!(Filter::of_parts(&[FilterPart::Exclude(String::new())]).is_err());
    }
}
