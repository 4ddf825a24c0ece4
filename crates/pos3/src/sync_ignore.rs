//! The ignore rules of a workspace: built-in defaults, then patterns of options, then ignore files.

use pos3_core::{Filter, FilterError, IgnoreSet};

/// Decides which paths of a workspace are ignored, with the semantics of gitignore.
///
/// ```
/// # fn main() -> Result<(), pos3::FilterError> {
/// let ignore = pos3::SyncIgnoreFilter::builder().pattern("*.bin")?.file("", "!keep.bin\nraw/\n")?.build();
/// assert!(ignore.ignores("a.bin") && !ignore.ignores("keep.bin"));
/// assert!(ignore.ignores("raw/a.txt") && ignore.ignores("node_modules/x.js"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncIgnoreFilter {
    set: IgnoreSet,
}

/// Collects the rules of a [`SyncIgnoreFilter`]. Later patterns decide before earlier ones, and files before patterns,
/// in whatever order they are added.
#[derive(Clone, Debug)]
pub struct SyncIgnoreBuilder {
    has_defaults: bool,
    ignores_own_file: bool,
    patterns: IgnoreSet,
    files: IgnoreSet,
}

/// The name of the default patterns in messages.
const DEFAULTS_NAME: &str = "default ignore patterns";

/// The name of the patterns of options in messages.
const PATTERNS_NAME: &str = "ignore patterns";

impl SyncIgnoreFilter {
    /// The name of the ignore files of a workspace.
    pub const FILE: &'static str = ".syncignore";

    /// The default patterns. [`FILE`](Self::FILE) has no effect unless
    /// [asked for](SyncIgnoreBuilder::ignore_own_file): an ignore file is synced, so that a new machine gets it.
    pub const DEFAULTS: [&'static str; 21] = [
        ".DS_Store",
        "Thumbs.db",
        "*.swp",
        "*.swo",
        "*~",
        "node_modules/",
        "__pycache__/",
        "*.pyc",
        ".gradle/",
        "build/",
        "dist/",
        "target/",
        ".idea/",
        ".vscode/",
        "*.iml",
        "*.log",
        "logs/",
        "*.tmp",
        "*.temp",
        ".cache/",
        Self::FILE,
    ];

    /// Returns a builder with the default patterns.
    pub fn builder() -> SyncIgnoreBuilder {
        SyncIgnoreBuilder {
            has_defaults: true,
            ignores_own_file: false,
            patterns: IgnoreSet::new(),
            files: IgnoreSet::new(),
        }
    }

    /// Returns true if a path is ignored, relative to the workspace. A path that ends in `/` is a directory. A backslash
    /// is treated as a `/`.
    pub fn ignores(&self, path: &str) -> bool {
        self.set.ignores(&path.replace('\\', "/"))
    }

    /// Returns the rules as a set, for [`FilterBuilder::ignore_set`](pos3_core::FilterBuilder::ignore_set).
    pub fn set(&self) -> &IgnoreSet {
        &self.set
    }

    /// Returns the filter that excludes what is ignored.
    ///
    /// # Errors
    ///
    /// Currently always succeeds. The rules were checked when they were added.
    pub fn filter(&self) -> Result<Filter, FilterError> {
        Filter::builder().ignore_set(self.set.clone()).build()
    }
}

impl SyncIgnoreBuilder {
    /// Sets whether the default patterns apply. Default: true.
    #[must_use]
    pub fn defaults(mut self, apply: bool) -> Self {
        self.has_defaults = apply;
        self
    }

    /// Sets whether ignore files are ignored, so that they are not synced. Default: false.
    #[must_use]
    pub fn ignore_own_file(mut self, ignored: bool) -> Self {
        self.ignores_own_file = ignored;
        self
    }

    /// Adds a pattern, which decides before the default patterns.
    ///
    /// # Errors
    ///
    /// Fails if the pattern cannot be parsed or cannot match anything.
    pub fn pattern(mut self, pattern: &str) -> Result<Self, FilterError> {
        self.patterns = self.patterns.patterns(PATTERNS_NAME, pattern)?;
        Ok(self)
    }

    /// Adds patterns in the given order.
    ///
    /// # Errors
    ///
    /// Fails at the first pattern that cannot be parsed or cannot match anything.
    pub fn patterns<P: AsRef<str>>(self, patterns: impl IntoIterator<Item = P>) -> Result<Self, FilterError> {
        patterns.into_iter().try_fold(self, |builder, pattern| builder.pattern(pattern.as_ref()))
    }

    /// Adds the text of the ignore file in a directory; the directory of the workspace is empty.
    ///
    /// # Errors
    ///
    /// Fails at the first line that cannot be parsed or cannot match anything.
    pub fn file(mut self, directory: &str, text: &str) -> Result<Self, FilterError> {
        let directory = directory.replace('\\', "/");
        let between = if directory.is_empty() || directory.ends_with('/') { "" } else { "/" };
        let name = format!("{directory}{between}{}", SyncIgnoreFilter::FILE);
        self.files = self.files.file(&directory, name, text)?;
        Ok(self)
    }

    /// Returns the filter.
    pub fn build(self) -> SyncIgnoreFilter {
        let own_file = self.ignores_own_file.then_some(SyncIgnoreFilter::FILE);
        let defaults = SyncIgnoreFilter::DEFAULTS.iter().copied().filter(|line| *line != SyncIgnoreFilter::FILE);
        let lines: Vec<_> = defaults.filter(|_| self.has_defaults).chain(own_file).collect();
        let with_all = |set: IgnoreSet, other: &IgnoreSet| other.texts().cloned().try_fold(set, IgnoreSet::with);
        let set = match lines.is_empty() {
            true => Ok(IgnoreSet::new()),
            false => IgnoreSet::new().patterns(DEFAULTS_NAME, lines.join("\n")),
        };
        let set = set.and_then(|set| with_all(set, &self.patterns)).and_then(|set| with_all(set, &self.files));
        SyncIgnoreFilter { set: set.unwrap_or_else(|error| unreachable!("the rules were checked: {error}")) }
    }
}

impl Default for SyncIgnoreBuilder {
    fn default() -> Self {
        SyncIgnoreFilter::builder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cases_of_the_original_workspace() {
        type Case<'a> = (&'a [&'a str], &'a str, &'a [(&'a str, bool)]);
        let table: &[Case<'_>] = &[
            // The defaults.
            (&[], "", &[(".DS_Store", true), ("a/Thumbs.db", true), ("x.swp", true), ("x.swo", true), ("x~", true)]),
            (
                &[],
                "",
                &[("node_modules/a/b.js", true), ("a/__pycache__/x", true), ("m.pyc", true), (".gradle/x", true)],
            ),
            (
                &[],
                "",
                &[("build/x", true), ("target/x", true), (".idea/x", true), (".vscode/x", true), ("x.iml", true)],
            ),
            (&[], "", &[("a.log", true), ("logs/x", true), ("x.tmp", true), ("x.temp", true), (".cache/x", true)]),
            (&[], "", &[("a.txt", false), ("src/main.rs", false), ("logs", false), ("builder/x", false)]),
            // A pattern of a directory.
            (&[], "", &[("dist/x", true), ("a/dist/x", true), ("dist", false), ("dist/", true), ("distx/y", false)]),
            // Options, then the file.
            (&["*.bin"], "", &[("a.bin", true), ("a/b.bin", true), ("a.log", true), ("a.binx", false)]),
            (&["!keep.log"], "", &[("keep.log", false), ("a/keep.log", false), ("other.log", true)]),
            (&["secret/"], "!secret/\n", &[("secret/x", false)]),
            (&[], "data/\n\n# note\n*.csv\n", &[("data/x", true), ("x.csv", true), ("# note", false)]),
            (&[], "!keep.log\n", &[("keep.log", false), ("other.log", true)]),
            (&["*.csv"], "!keep.csv\n", &[("keep.csv", false), ("other.csv", true)]),
            // Nothing in an ignored directory is included again.
            (&[], "!logs/keep.log\n!keep.log\n", &[("logs/keep.log", true), ("keep.log", false)]),
            (&["/top.txt", "a/**/z"], "", &[("top.txt", true), ("a/top.txt", false), ("a/b/c/z", true), ("a/z", true)]),
            // Backslashes.
            (&[], "", &[("a\\dist\\x", true), ("node_modules\\x", true), ("src\\main.rs", false)]),
            // Differences from the original: names are compared exactly, spaces before a line are a part of it, and
            // the file itself is not ignored.
            (&["*.bin"], " lead\n", &[("A.BIN", false), ("lead", false), (" lead", true), (".syncignore", false)]),
        ];
        for (patterns, file, paths) in table {
            let builder = SyncIgnoreFilter::builder().patterns(*patterns).unwrap();
            let ignore = builder.file("", file).unwrap().build();
            for (path, is_ignored) in *paths {
                assert_eq!(ignore.ignores(path), *is_ignored, "{patterns:?} {file:?} {path:?}");
            }
        }
    }

    #[test]
    fn defaults_can_be_switched_off_and_the_file_itself_ignored() {
        let none = SyncIgnoreFilter::builder().defaults(false).build();
        assert!(!none.ignores("a.log") && none.set().is_empty());
        assert_eq!(none.filter().unwrap(), Filter::default());
        let own = SyncIgnoreFilter::builder().ignore_own_file(true).build();
        assert!(own.ignores(".syncignore") && own.ignores("d/.syncignore") && own.ignores("a.log"));
        assert_eq!(SyncIgnoreFilter::default(), none);
    }

    #[test]
    fn files_decide_before_patterns_in_whatever_order_they_are_added() {
        let builder = SyncIgnoreFilter::builder().file("d", "!*.bin\n").unwrap();
        let ignore = builder.pattern("*.bin").unwrap().build();
        assert!(ignore.ignores("x.bin") && !ignore.ignores("d/x.bin"));
        assert!(!ignore.filter().unwrap().admits("x.bin"));
        let error = SyncIgnoreFilter::builder().file("d", "ok\n./bad\n").unwrap_err().to_string();
        assert!(error.starts_with("line 2: the pattern './bad'"), "{error}");
    }
}
