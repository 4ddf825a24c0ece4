//! One line per action, in the words of `aws s3 sync`, which scripts and people know.

use pos3::{Action, FailedAction, Failure, Key, Location};

/// Puts actions between two locations into words.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    from: Location,
    to: Location,
    extent: Extent,
}

/// What lies at the two locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Whatever is below them.
    Below,
    /// One file each, which a relative key adds nothing to.
    One,
}

impl Lines {
    /// Returns the words for a sync between two locations.
    pub(crate) fn new(from: &Location, to: &Location) -> Self {
        Self { from: from.clone(), to: to.clone(), extent: Extent::Below }
    }

    /// Returns the words for a copy of one file.
    pub(crate) fn of_one(self) -> Self {
        Self { extent: Extent::One, ..self }
    }

    /// Returns `upload: ./a to s3://bucket/a`, `download: …`, `copy: …` or `delete: s3://bucket/a`; nothing for what
    /// is left alone.
    pub(crate) fn line(&self, action: &Action) -> Option<String> {
        match action {
            Action::Copy { source, .. } | Action::Replace { source, .. } => {
                Some(format!("{}: {}", self.verb(), self.way(&source.key)))
            }
            Action::Delete { target } => Some(format!("delete: {}", self.to.child(&target.key))),
            Action::Skip { .. } => None,
        }
    }

    /// Returns `cannot upload ./a to s3://bucket/a: access denied`, or the like of a delete.
    pub(crate) fn failure(&self, failure: &Failure) -> String {
        let what = match failure.action {
            FailedAction::Copy => format!("{} {}", self.verb(), self.way(&failure.key)),
            FailedAction::Delete => format!("delete {}", self.to.child(&failure.key)),
        };
        format!("cannot {what}: {}", failure.cause())
    }

    fn way(&self, key: &Key) -> String {
        match self.extent {
            Extent::Below => format!("{} to {}", self.from.child(key), self.to.child(key)),
            Extent::One => format!("{} to {}", self.from, self.to),
        }
    }

    fn verb(&self) -> &'static str {
        match (&self.from, &self.to) {
            (Location::Local(_), Location::Remote(_)) => "upload",
            (Location::Remote(_), Location::Local(_)) => "download",
            _ => "copy",
        }
    }
}

#[cfg(test)]
mod tests {
    use pos3::{Change, Entry, ErrorKind, FailureKind, SkipReason, StoreError};

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
            let error = StoreError::new(ErrorKind::Denied, "write");
            lines.failure(&Failure { key: Key::from("a"), action, kind: FailureKind::Error, error })
        };
        assert_eq!(failure(FailedAction::Copy), "cannot upload ./a to s3://b/d/a: access denied");
        assert_eq!(failure(FailedAction::Delete), "cannot delete s3://b/d/a: access denied");
    }
}
