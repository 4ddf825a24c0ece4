//! Patterns in gitignore syntax: base patterns, and the ignore files of directories.
//!
//! As in git, the patterns of an ignore file are relative to its directory, a deeper file decides before a higher one,
//! and nothing below an ignored directory can be included again.

use std::collections::BTreeMap;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};
use serde::{Deserialize, Serialize};

use super::{FilterError, gitignore, rule};

/// Decides which keys of a tree are ignored, by texts in gitignore syntax. The default ignores nothing.
///
/// Keys are relative to the root of the tree, and a key that ends in `/` is a directory. Several sets in one
/// [`Filter`](super::Filter) are independent: each of them can only exclude keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(into = "Vec<IgnoreText>", try_from = "Vec<IgnoreText>")]
pub struct IgnoreSet {
    /// By directory, with a final `/`; the root is empty. The last text of a directory decides first.
    files: BTreeMap<String, Vec<Layer>>,
    /// Every ignore file decides before them, and the last text decides first.
    base: Vec<Layer>,
}

/// One text of an [`IgnoreSet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreText {
    /// The directory of an ignore file, with a final `/`; the root is empty. `None` for base patterns.
    pub directory: Option<String>,
    /// The name of the text in messages.
    pub name: String,
    /// The lines.
    pub text: String,
}

#[derive(Clone, Debug)]
struct Layer {
    text: Arc<IgnoreText>,
    matcher: Gitignore,
}

impl IgnoreSet {
    /// Returns a set that ignores nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds base patterns, which are relative to the root of the tree. Later patterns decide before earlier ones, and
    /// all ignore files decide before base patterns. [`Filter::deciding`](super::Filter::deciding) returns `name`.
    ///
    /// # Errors
    ///
    /// Fails at the first line that cannot be parsed or cannot match anything.
    pub fn patterns(self, name: impl Into<String>, text: impl Into<String>) -> Result<Self, FilterError> {
        self.with(IgnoreText { directory: None, name: name.into(), text: text.into() })
    }

    /// Adds the ignore file of a directory, which may lack its final `/`; the root is empty. The patterns are relative
    /// to the directory. A later file of the same directory decides before an earlier one.
    ///
    /// # Errors
    ///
    /// Fails at the first line that cannot be parsed or cannot match anything.
    pub fn file(self, directory: &str, name: impl Into<String>, text: impl Into<String>) -> Result<Self, FilterError> {
        let is_closed = directory.is_empty() || directory.ends_with('/');
        let directory = if is_closed { directory.to_owned() } else { format!("{directory}/") };
        self.with(IgnoreText { directory: Some(directory), name: name.into(), text: text.into() })
    }

    /// Adds a text of another set.
    ///
    /// # Errors
    ///
    /// Fails at the first line that cannot be parsed or cannot match anything.
    pub fn with(mut self, text: IgnoreText) -> Result<Self, FilterError> {
        let layer = Layer { matcher: compiled(&text.name, &text.text)?, text: Arc::new(text) };
        match &layer.text.directory {
            Some(directory) => self.files.entry(directory.clone()).or_default().push(layer),
            None => self.base.push(layer),
        }
        Ok(self)
    }

    /// Returns the texts: first the base patterns, then the ignore files by directory.
    pub fn texts(&self) -> impl Iterator<Item = &IgnoreText> {
        self.base.iter().chain(self.files.values().flatten()).map(|layer| &*layer.text)
    }

    /// Returns true if no text was added.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty() && self.files.is_empty()
    }

    /// Returns true if the key is ignored, by its own name or because a directory above it is.
    pub fn ignores(&self, key: &str) -> bool {
        self.matched(key).is_ignore()
    }

    /// Returns the line that decides about a key.
    pub(super) fn matched(&self, key: &str) -> Match<&Glob> {
        let (path, is_directory) = match key.strip_suffix('/') {
            Some(directory) => (directory, true),
            None => (key, false),
        };
        // The root itself has no name to match.
        let directories = path.match_indices('/').map(|(end, _)| &path[..end]);
        let directories = directories.filter(|above| !above.is_empty() && !above.ends_with('/'));
        let mut included = Match::None;
        for directory in directories {
            match self.matched_alone(directory, true) {
                Match::None => {}
                ignored @ Match::Ignore(_) => return ignored,
                whitelisted @ Match::Whitelist(_) => included = whitelisted,
            }
        }
        match self.matched_alone(path, is_directory) {
            Match::None => included,
            matched => matched,
        }
    }

    /// Returns the line that decides about a path without the directories above it.
    fn matched_alone(&self, path: &str, is_directory: bool) -> Match<&Glob> {
        let above = path.match_indices('/').map(|(end, _)| end + 1).rev().chain([0]);
        let files = above.filter_map(|end| Some((self.files.get(&path[..end])?, &path[end..])));
        let layers = files.chain([(&self.base, path)]);
        let mut matched = layers.flat_map(|(layers, path)| {
            layers.iter().rev().map(move |layer| matched_by(&layer.matcher, path, is_directory))
        });
        matched.find(|matched| !matched.is_none()).unwrap_or(Match::None)
    }
}

fn matched_by<'m>(matcher: &'m Gitignore, path: &str, is_directory: bool) -> Match<&'m Glob> {
    // The matcher panics on a path with a root, but a leading '/' is a part of the key.
    let path = path.trim_start_matches('/');
    if path.is_empty() { Match::None } else { matcher.matched(path, is_directory) }
}

fn compiled(name: &str, text: &str) -> Result<Gitignore, FilterError> {
    let mut builder = GitignoreBuilder::new("");
    builder.allow_unclosed_class(false);
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let (number, line) = (index + 1, gitignore::trim(line));
        if line.contains('\0') {
            let why = "it has a NUL character, so the file is not in UTF-8: it is probably in UTF-16";
            return Err(FilterError::new(&line.replace('\0', ""), &why).at_line(number));
        }
        let translated = gitignore::translate(line).map_err(|why| FilterError::new(line, &why).at_line(number))?;
        let origin = rule::Origin { name, number, text: line }.encoded();
        let added = builder.add_line(Some(origin.into()), &translated);
        added.map_err(|error| FilterError::new(line, &error).at_line(number))?;
    }
    builder.build().map_err(|error| FilterError::new("", &error))
}

/// Sets are equal if they have the same texts in the same order.
impl PartialEq for IgnoreSet {
    fn eq(&self, other: &Self) -> bool {
        self.texts().eq(other.texts())
    }
}

impl Eq for IgnoreSet {}

impl From<IgnoreSet> for Vec<IgnoreText> {
    fn from(set: IgnoreSet) -> Self {
        set.texts().cloned().collect()
    }
}

impl TryFrom<Vec<IgnoreText>> for IgnoreSet {
    type Error = FilterError;

    fn try_from(texts: Vec<IgnoreText>) -> Result<Self, FilterError> {
        texts.into_iter().try_fold(Self::new(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(base: &str, files: &[(&str, &str)]) -> IgnoreSet {
        let set = IgnoreSet::new().patterns("base", base).unwrap();
        files.iter().fold(set, |set, (directory, text)| set.file(directory, format!("{directory}i"), *text).unwrap())
    }

    #[test]
    fn a_deeper_file_decides_first_and_its_patterns_are_relative_to_its_directory() {
        let set = set(
            "*.log\nbuild/\n",
            &[("", "!a.log\n/top\n"), ("d/", "a.log\n/x\ny/z\n!*.keep\n"), ("d/e", "!x\n!a.log\n"), ("build/", "!x")],
        );
        for (key, is_ignored) in [
            ("b.log", true),
            ("a.log", false),
            ("d/a.log", true),
            ("d/e/a.log", false),
            ("d/e/b.log", true),
            ("top", true),
            ("d/top", false),
            ("x", false),
            ("d/x", true),
            ("d/x/", true),
            ("d/x/deep", true),
            ("d/e/x", false),
            ("d/y/z", true),
            ("y/z", false),
            ("d/e/y/z", false),
            // Nothing below an ignored directory can be included again.
            ("build/", true),
            ("build/x", true),
            ("build", false),
            // Keys that are no paths.
            ("", false),
            ("/", false),
            ("//b.log", true),
            ("d//x", true),
            ("d//a.log", true),
        ] {
            assert_eq!(set.ignores(key), is_ignored, "{key:?}");
        }
    }

    #[test]
    fn a_later_file_of_a_directory_decides_before_an_earlier_one() {
        let set = set("", &[("d/", "*.a\n*.b\n"), ("d/", "!*.a\n*.c\n")]);
        assert!(!set.ignores("d/x.a") && set.ignores("d/x.b") && set.ignores("d/x.c") && !set.ignores("x.b"));
    }

    #[test]
    fn a_set_is_rebuilt_from_its_texts() {
        let set = set("*.log\n", &[("d/", "x\n"), ("", "y\n"), ("d/", "!x\n")]);
        let texts = Vec::from(set.clone());
        assert_eq!(texts.len(), 4);
        let rebuilt = IgnoreSet::try_from(texts).unwrap();
        assert_eq!(rebuilt, set);
        assert!(!rebuilt.ignores("d/x") && rebuilt.ignores("d/y") && rebuilt.ignores("a.log"));
        assert!(IgnoreSet::new().is_empty() && !set.is_empty());
    }
}
