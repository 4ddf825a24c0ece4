//! One line per action, in the words of `aws s3 sync`, which scripts and people know.

use pos3::{Action, Location};

/// Puts actions between two locations into words.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    from: Location,
    to: Location,
}

impl Lines {
    /// Returns the words for a sync between two locations.
    pub(crate) fn new(from: &Location, to: &Location) -> Self {
        Self { from: from.clone(), to: to.clone() }
    }

    /// Returns `upload: ./a to s3://bucket/a`, `download: …`, `copy: …` or `delete: s3://bucket/a`; nothing for what
    /// is left alone.
    pub(crate) fn line(&self, action: &Action) -> Option<String> {
        match action {
            Action::Copy { source, .. } => {
                let (from, to) = (self.from.child(&source.key), self.to.child(&source.key));
                Some(format!("{}: {from} to {to}", self.verb()))
            }
            Action::Delete { target } => Some(format!("delete: {}", self.to.child(&target.key))),
            Action::Skip { .. } => None,
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
    use pos3::{Change, Entry, Key, SkipReason};

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
}
