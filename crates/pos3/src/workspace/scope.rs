//! Which keys a pull or a push includes.

use pos3_core::{Filter, FilterBuilder, FilterError, Key};

/// The directory of the records in the directory of a workspace. It is never synced.
pub(super) const RECORDS: &str = ".pos3";

/// The directory of the records of any workspace, in any case. Some file systems do not tell them apart.
const RECORDS_PATTERN: &str = ".[pP][oO][sS]3";

/// The paths that a pull is limited to: files, and directories with everything in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope(Vec<String>);

impl Scope {
    /// Returns the scope of these paths. None of them means everything.
    pub(super) fn of(paths: impl IntoIterator<Item = String>) -> Self {
        let normal = |path: String| path.trim_start_matches("./").trim_matches('/').to_owned();
        Self(paths.into_iter().map(normal).filter(|path| !path.is_empty() && path != ".").collect())
    }

    /// Returns the scope of exactly one file.
    pub(super) fn of_file(key: &Key) -> Self {
        Self(vec![key.as_str().to_owned()])
    }

    /// Returns true if the scope is everything.
    pub(super) fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if the key is in the scope.
    pub(super) fn has(&self, key: &str) -> bool {
        let is_in = |path: &String| {
            key.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.is_empty() || self.0.iter().any(is_in)
    }

    /// Returns the filter of what both this scope and another filter include.
    pub(super) fn within(&self, filter: &Filter) -> Result<Filter, FilterError> {
        if self.is_everything() { Ok(filter.clone()) } else { self.added_to(Filter::builder().filter(filter)?) }
    }

    /// Returns the filter of the scope. The records of the workspace are never included.
    pub(super) fn filter(&self) -> Result<Filter, FilterError> {
        self.added_to(Filter::builder())
    }

    fn added_to(&self, mut builder: FilterBuilder) -> Result<Filter, FilterError> {
        if !self.is_everything() {
            builder = builder.exclude("*")?;
            for path in &self.0 {
                let pattern = literal(path);
                builder = builder.include(&pattern)?.include(&format!("{pattern}/*"))?;
            }
        }
        for pattern in [RECORDS_PATTERN, &format!("*/{RECORDS_PATTERN}")] {
            builder = builder.exclude(pattern)?.exclude(&format!("{pattern}/"))?;
        }
        builder.build()
    }
}

/// Returns the pattern that matches exactly this text.
fn literal(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        match character {
            '*' | '?' | '[' => pattern.extend(['[', character, ']']),
            _ => pattern.push(character),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_files_and_whole_directories_and_never_the_records() {
        let scope = |paths: &[&str]| Scope::of(paths.iter().map(|&path| path.to_owned()));
        for (paths, key, expected) in [
            (&[][..], "a", true),
            (&["."], "a/b", true),
            (&["a/b"], "a/b", true),
            (&["./a/b/"], "a/b/c", true),
            (&["a/b"], "a/bc", false),
            (&["a/b"], "a", false),
            (&["x", "a[1]*?"], "a[1]*?/c", true),
            (&["a[1]*?"], "a1xy/c", false),
        ] {
            let scope = scope(paths);
            let filter = scope.filter().unwrap();
            assert_eq!((scope.has(key), filter.admits(key)), (expected, expected), "{paths:?} {key}");
            assert!(!filter.admits(".pos3") && !filter.admits(".POS3/workspace.json") && filter.prunes(".pos3/"));
        }
        assert!(scope(&["a"]).filter().unwrap().prunes("b/") && !scope(&["a/b"]).filter().unwrap().prunes("a/"));
        assert!(scope(&[]).filter().unwrap().admits(".pos3x") && !scope(&[]).filter().unwrap().admits("a/.pos3/b"));
    }
}
