//! Checks a path that a user or a program proposes for storage: [`validate_storage_path`].
//!
//! Transfers do not need this: they refuse each key that would leave its directory. It is for programs that accept paths
//! from users or agents and want to refuse unusual ones before they use them.

use pos3_core::printable;

/// The most names of a path.
const DEEPEST: usize = 50;

/// The most bytes of a path with the Unicode rules, which is also the longest key of S3.
const LONGEST: usize = 1024;

/// The characters besides letters and digits that the strict rules allow.
const PUNCTUATION: [char; 4] = ['-', '_', '/', '.'];

/// Which paths are valid. No valid path contains `..` or has more than 50 names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoragePathRules {
    /// Only ASCII letters, digits and `-`, `_`, `/`, `.`; no `//` at the start. Empty paths are valid.
    #[default]
    Strict,
    /// All characters except control characters and backslashes; no `//`, and at most 1024 bytes of UTF-8.
    Unicode,
}

/// A path is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the storage path '{}' is not valid: {}", printable(.path), .rule)]
pub struct PathValidationError {
    path: String,
    rule: BrokenRule,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum BrokenRule {
    #[error("it contains '..'; remove the '..', and name the file or directory itself")]
    Parent,
    #[error("it contains '{}'; replace that character, {hint}", .found.escape_default())]
    Character { found: char, hint: &'static str },
    #[error("it begins with '//'; remove one of the slashes")]
    SlashesAtStart,
    #[error("it contains '//'; remove one of the slashes")]
    Slashes,
    #[error("it has {0} bytes; shorten it to at most {LONGEST}")]
    TooLong(usize),
    #[error("it has {0} names; use at most {DEEPEST}")]
    TooDeep(usize),
}

impl PathValidationError {
    /// Returns the code of this kind of error, `PATH_VALIDATION_ERROR`.
    pub fn code(&self) -> &'static str {
        "PATH_VALIDATION_ERROR"
    }

    /// Returns the path.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Checks a path with [`StoragePathRules::Strict`].
///
/// ```
/// use pos3::validate_storage_path;
///
/// assert!(validate_storage_path("reports/2026-11.md").is_ok());
/// let error = validate_storage_path("../etc/passwd").unwrap_err();
/// assert_eq!(error.code(), "PATH_VALIDATION_ERROR");
/// ```
///
/// # Errors
///
/// Returns an error that names the path and the rule that it breaks.
pub fn validate_storage_path(path: &str) -> Result<(), PathValidationError> {
    StoragePathRules::Strict.validate(path)
}

impl StoragePathRules {
    /// Checks a path.
    ///
    /// # Errors
    ///
    /// Returns an error that names the path and the rule that it breaks.
    pub fn validate(self, path: &str) -> Result<(), PathValidationError> {
        self.broken(path).map_or(Ok(()), |rule| Err(PathValidationError { path: path.to_owned(), rule }))
    }

    /// Returns the first rule that a path breaks.
    fn broken(self, path: &str) -> Option<BrokenRule> {
        if path.contains("..") {
            return Some(BrokenRule::Parent);
        }
        let names = path.split('/').filter(|name| !name.is_empty()).count();
        self.broken_here(path).or_else(|| (names > DEEPEST).then_some(BrokenRule::TooDeep(names)))
    }

    fn broken_here(self, path: &str) -> Option<BrokenRule> {
        match self {
            Self::Strict => {
                let is_allowed = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(&c);
                let hint = "for example by '_': letters, digits and '-', '_', '/', '.' are allowed";
                let character = path.chars().find(|c| !is_allowed(*c));
                character
                    .map(|found| BrokenRule::Character { found, hint })
                    .or_else(|| path.starts_with("//").then_some(BrokenRule::SlashesAtStart))
            }
            Self::Unicode => {
                let hint = "for example by '_': control characters and backslashes are not allowed";
                let character = path.chars().find(|c| c.is_control() || *c == '\\');
                character
                    .map(|found| BrokenRule::Character { found, hint })
                    .or_else(|| path.contains("//").then_some(BrokenRule::Slashes))
                    .or_else(|| (path.len() > LONGEST).then_some(BrokenRule::TooLong(path.len())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep(names: usize) -> String {
        vec!["a"; names].join("/")
    }

    /// Checks a table of paths, whether the strict rules allow them, and whether the Unicode rules do.
    fn assert_valid(cases: &[(&str, bool, bool)]) {
        for (path, strict, unicode) in cases {
            let found = [StoragePathRules::Strict, StoragePathRules::Unicode].map(|rules| rules.validate(path).is_ok());
            assert_eq!(found, [*strict, *unicode], "{path:?}");
            assert_eq!(validate_storage_path(path).is_ok(), *strict, "{path:?}");
        }
    }

    #[test]
    fn ordinary_paths_are_valid() {
        assert_valid(&[
            ("valid/path", true, true),
            ("a", true, true),
            ("a/b-c_d/e.f.txt", true, true),
            ("/a/b", true, true),
            ("a/b/", true, true),
            ("", true, true),
            ("/", true, true),
            (".", true, true),
            ("./a", true, true),
            (".env", true, true),
            ("-rf", true, true),
            (&"x".repeat(1024), true, true),
            (&"x".repeat(1025), true, false),
        ]);
    }

    #[test]
    fn two_dots_are_invalid_anywhere() {
        for path in ["..", "../etc/passwd", "a/../b", "a/..", "/..", "a..b", "a...", "é/.."] {
            assert_valid(&[(path, false, false)]);
        }
    }

    #[test]
    fn only_the_unicode_rules_allow_other_characters() {
        assert_valid(&[
            ("a b", false, true),
            ("bücher/日本語.md", false, true),
            ("a+b@c:d?e#f%20", false, true),
            ("a*b", false, true),
            ("a\0b", false, false),
            ("a\nb", false, false),
            ("a\u{7f}", false, false),
            ("a\u{85}b", false, false),
            ("a\\b", false, false),
            ("..\\b", false, false),
            (&"é".repeat(512), false, true),
            (&"é".repeat(513), false, false),
        ]);
    }

    #[test]
    fn two_slashes_are_invalid_at_the_start_or_anywhere() {
        assert_valid(&[("//a", false, false), ("//", false, false), ("a//b", true, false), ("a//", true, false)]);
    }

    #[test]
    fn fifty_names_are_the_most_and_empty_ones_do_not_count() {
        assert_valid(&[
            (&deep(50), true, true),
            (&deep(51), false, false),
            (&format!("/{}/", deep(50)), true, true),
            (&deep(50).replacen('/', "//", 1), true, false),
        ]);
    }

    #[test]
    fn an_error_names_the_path_the_rule_and_the_remedy() {
        let message = |rules: StoragePathRules, path: &str| {
            let error = rules.validate(path).unwrap_err();
            assert_eq!((error.code(), error.path()), ("PATH_VALIDATION_ERROR", path));
            error.to_string()
        };
        for (rules, path, expected) in [
            (
                StoragePathRules::Strict,
                "a/../b",
                "the storage path 'a/../b' is not valid: it contains '..'; remove the '..', and name the file or directory itself",
            ),
            (
                StoragePathRules::Strict,
                "a\nb",
                r"the storage path 'a\nb' is not valid: it contains '\n'; replace that character, for example by '_': letters, digits and '-', '_', '/', '.' are allowed",
            ),
            (
                StoragePathRules::Unicode,
                "a//b",
                "the storage path 'a//b' is not valid: it contains '//'; remove one of the slashes",
            ),
        ] {
            assert_eq!(message(rules, path), expected);
        }
        assert!(
            message(StoragePathRules::Unicode, &"x".repeat(2000))
                .ends_with("it has 2000 bytes; shorten it to at most 1024")
        );
        assert!(message(StoragePathRules::Strict, &deep(60)).ends_with("it has 60 names; use at most 50"));
    }
}
