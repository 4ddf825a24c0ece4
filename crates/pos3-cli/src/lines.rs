//! One line per action, in the words of `aws s3 sync`, which scripts and users know.

use std::sync::{Arc, OnceLock};

use pos3::{Action, FailedAction, Failure, Key, Location, Tree};

/// Returns lines about actions between two locations.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    from: Location,
    to: Location,
    /// The names of the two sides, once it is known that each is one file. All clones share them.
    one: Arc<OnceLock<One>>,
}

/// The names of one file and one object, as their trees have them.
#[derive(Debug)]
struct One {
    from: String,
    to: String,
}

impl Lines {
    /// Returns the lines for a sync between two locations.
    pub(crate) fn new(from: &Location, to: &Location) -> Self {
        Self { from: from.clone(), to: to.clone(), one: Arc::default() }
    }

    /// Takes note of the trees of a run. If they are one file each, a relative key adds nothing to their names.
    pub(crate) fn note(&self, from: &Tree, to: &Tree) {
        if from.is_object() {
            self.one.get_or_init(|| One { from: from.to_string(), to: to.to_string() });
        }
    }

    /// Returns `upload: ./a to s3://bucket/a`, `download: …`, `copy: …` or `delete: s3://bucket/a`; nothing for a skipped
    /// key.
    pub(crate) fn line(&self, action: &Action) -> Option<String> {
        match action {
            Action::Copy { source, .. } | Action::Replace { source, .. } => {
                Some(format!("{}: {}", self.verb(), self.way(&source.key)))
            }
            Action::Delete { target } => Some(format!("delete: {}", self.target(&target.key))),
            Action::Skip { .. } => None,
        }
    }

    /// Returns `cannot upload ./a to s3://bucket/a: access denied`, or a similar line about a delete.
    pub(crate) fn failure(&self, failure: &Failure) -> String {
        let what = match failure.action {
            FailedAction::Copy => format!("{} {}", self.verb(), self.way(&failure.key)),
            FailedAction::Delete => format!("delete {}", self.target(&failure.key)),
        };
        format!("cannot {what}: {}", failure.cause())
    }

    fn way(&self, key: &Key) -> String {
        format!("{} to {}", named(&self.from, self.one.get().map(|one| &*one.from), key), self.target(key))
    }

    fn target(&self, key: &Key) -> String {
        named(&self.to, self.one.get().map(|one| &*one.to), key)
    }

    fn verb(&self) -> &'static str {
        match (&self.from, &self.to) {
            (Location::Local(_), Location::Remote(_)) => "upload",
            (Location::Remote(_), Location::Local(_)) => "download",
            _ => "copy",
        }
    }
}

/// Returns the name of a key at a location, which is that of one file if there is only `one`.
fn named(location: &Location, one: Option<&str>, key: &Key) -> String {
    match (location, one) {
        (_, None) => location.child(key),
        (Location::Local(_), Some(one)) => one.to_owned(),
        (Location::Remote(remote), Some(_)) if remote.key().is_empty() || remote.key().ends_with('/') => {
            location.child(key)
        }
        (Location::Remote(_), Some(_)) => location.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use pos3::{Change, Entry, ErrorKind, FailureKind, Operation, SkipReason, StoreError};

    use super::*;

    fn line(from: &str, to: &str, action: &Action) -> Option<String> {
        Lines::new(&from.parse().unwrap(), &to.parse().unwrap()).line(action)
    }

    #[test]
    fn actions_are_told_as_aws_tells_them() {
        let copy = Action::Copy { source: Entry::file("a/b", 1), target: None, why: Change::New };
        let delete = Action::Delete { target: Entry::file("x", 1) };
        let skip = Action::Skip { key: Key::from("x"), why: SkipReason::Vanished };
        for (from, to, action, expected) in [
            (".", "s3://b", &copy, Some("upload: ./a/b to s3://b/a/b")),
            ("s3://b/d", "out", &copy, Some("download: s3://b/d/a/b to out/a/b")),
            ("s3://b", "s3://c/d/", &copy, Some("copy: s3://b/a/b to s3://c/d/a/b")),
            ("here", "there", &copy, Some("copy: here/a/b to there/a/b")),
            (".", "s3://b/d", &delete, Some("delete: s3://b/d/x")),
            (".", "s3://b/d", &skip, None),
        ] {
            assert_eq!(line(from, to, action).as_deref(), expected);
        }
    }

    #[test]
    fn failures_are_told_in_the_same_words() {
        let lines = Lines::new(&".".parse().unwrap(), &"s3://b/d".parse().unwrap());
        let failure = |action| {
            let error = StoreError::new(ErrorKind::Denied, Operation::Write);
            lines.failure(&Failure { key: Key::from("a"), action, kind: FailureKind::Error, error })
        };
        assert_eq!(failure(FailedAction::Copy), "cannot upload ./a to s3://b/d/a: access denied");
        assert_eq!(failure(FailedAction::Delete), "cannot delete s3://b/d/a: access denied");
    }
}
