//! The parts of a filter as they were written: a plan file contains them, so that `apply` selects the same keys.

use serde::{Deserialize, Serialize};

use super::{Filter, FilterBuilder, FilterError, IgnoreSet};

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
    /// A set of [`FilterBuilder::ignore_set`].
    IgnoreSet(IgnoreSet),
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
    pub(super) fn part(self, part: &FilterPart) -> Result<Self, FilterError> {
        match part {
            FilterPart::Exclude(pattern) => self.exclude(pattern),
            FilterPart::Include(pattern) => self.include(pattern),
            FilterPart::ExcludeMatching(pattern) => self.exclude_matching(pattern),
            FilterPart::IgnoreFile { name, text } => self.ignore_file(name, text),
            FilterPart::IgnoreSet(set) => Ok(self.ignore_set(set.clone())),
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

    fn set(text: &str) -> IgnoreSet {
        IgnoreSet::new().file("d/", "d/i", text).unwrap()
    }

    #[test]
    fn every_ignore_set_must_admit_a_key_whatever_the_patterns_include() {
        let builder = Filter::builder().exclude("*").and_then(|builder| builder.include("d/*")).unwrap();
        let filter = builder.ignore_set(set("x\n!y\nb/")).ignore_set(set("!x\ny")).build().unwrap();
        for (key, admitted) in [("d/x", false), ("d/y", false), ("d/z", true), ("z", false), ("d/b/z", false)] {
            assert_eq!(filter.admits(key), admitted, "{key}");
        }
        assert!(filter.prunes("d/b/") && !filter.prunes("d/"));
        let line = filter.deciding("d/y").and_then(|rule| rule.line).unwrap();
        assert_eq!((line.name.as_str(), line.number), ("d/i", 2));
    }

    #[test]
    fn a_filter_is_rebuilt_from_its_parts() {
        let filter = Filter::builder()
            .exclude("*")
            .and_then(|builder| builder.include("d/*"))
            .and_then(|builder| builder.ignore_file("list", "*.log\n"))
            .and_then(|builder| builder.exclude_matching("old"))
            .map(|builder| builder.ignore_set(set("*.tmp")).ignore_set(set("!*.tmp\n*.bak")))
            .and_then(FilterBuilder::build)
            .unwrap();
        let rebuilt = Filter::of_parts(filter.parts()).unwrap();
        assert_eq!(rebuilt, filter);
        for key in ["x", "d/x", "d/x.log", "d/old/x", "d/x.tmp", "d/x.bak"] {
            assert_eq!(rebuilt.deciding(key), filter.deciding(key), "{key}");
        }
        let written = serde_json::to_string(filter.parts()).unwrap();
        assert_eq!(serde_json::from_str::<Vec<FilterPart>>(&written).unwrap(), filter.parts());
        assert_eq!(Filter::of_parts(&[]).unwrap(), Filter::default());
        assert!(Filter::of_parts(&[FilterPart::Exclude(String::new())]).is_err());
    }
}
