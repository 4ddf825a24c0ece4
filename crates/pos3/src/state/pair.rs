//! Two places, in an order that does not depend on the direction of the sync.

use pos3_core::{Fingerprint, Side};
use pos3_local::with_tag;
use sha2::{Digest, Sha256};

/// The prefix of the names of local places.
pub(super) const LOCAL: &str = "file://";

/// The maximum number of characters of a place's name in a file name.
const NAME: usize = 40;

/// Two places. `left` is the one whose text sorts first. A sync runs from left to right or from right to left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    left: String,
    right: String,
    direction: Direction,
}

/// The direction of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    LeftToRight,
    RightToLeft,
}

/// One of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Left,
    Right,
}

impl Direction {
    /// Returns the place that is this side of the sync.
    pub(super) fn place(self, side: Side) -> Place {
        match (self, side) {
            (Self::LeftToRight, Side::Source) | (Self::RightToLeft, Side::Target) => Place::Left,
            (Self::LeftToRight, Side::Target) | (Self::RightToLeft, Side::Source) => Place::Right,
        }
    }
}

impl Pair {
    /// Returns the pair of a sync's two places. The texts are those of
    /// [`Place::identity`](crate::Place::identity).
    pub(super) fn new(source: String, target: String) -> Self {
        if source <= target {
            Self { left: source, right: target, direction: Direction::LeftToRight }
        } else {
            Self { left: target, right: source, direction: Direction::RightToLeft }
        }
    }

    /// Returns the pair of a sync in the opposite direction.
    pub(super) fn reversed(self) -> Self {
        let direction = match self.direction {
            Direction::LeftToRight => Direction::RightToLeft,
            Direction::RightToLeft => Direction::LeftToRight,
        };
        Self { direction, ..self }
    }

    pub(super) fn left(&self) -> &str {
        &self.left
    }

    pub(super) fn right(&self) -> &str {
        &self.right
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns a fingerprint of this side as this version writes it. Earlier versions wrote those of local files without a
    /// tag.
    pub(super) fn current(&self, side: Side, fingerprint: Fingerprint) -> Fingerprint {
        let place = match self.direction.place(side) {
            Place::Left => &self.left,
            Place::Right => &self.right,
        };
        if place.starts_with(LOCAL) { with_tag(fingerprint) } else { fingerprint }
    }

    /// Returns the name of the pair's files without an extension. It has the last segments of both places, for users,
    /// and a hash of both places.
    pub(super) fn file_stem(&self) -> String {
        let mut hash = Sha256::new();
        // The length separates pairs whose concatenated texts are equal.
        hash.update((self.left.len() as u64).to_le_bytes());
        hash.update(&self.left);
        hash.update(&self.right);
        let hash: String = hash.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect();
        format!("{}--{}.{hash}", name(&self.left), name(&self.right))
    }
}

/// Returns the last segment of a place, with characters that are safe in a file name.
fn name(place: &str) -> String {
    let last = place.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let fit = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = last.trim_start_matches('.').chars().take(NAME).map(fit).collect();
    if name.is_empty() { "root".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, target: &str) -> Pair {
        Pair::new(source.to_owned(), target.to_owned())
    }

    #[test]
    fn both_directions_have_one_file_and_every_pair_its_own() {
        let (up, down) = (pair("file:///d/", "s3:/b/d/"), pair("s3:/b/d/", "file:///d/"));
        assert_eq!(up.file_stem(), down.file_stem());
        assert_eq!(
            (up.direction().place(Side::Target), down.direction().place(Side::Target)),
            (Place::Right, Place::Left)
        );
        for (source, target) in [("file:///d/", "s3:/b/d/x/"), ("file:///d", "/s3:/b/d/"), ("file:///e/d/", "s3:/b/d/")]
        {
            assert_ne!(pair(source, target).file_stem(), up.file_stem(), "{source} {target}");
        }
    }

    #[test]
    fn only_fingerprints_of_a_local_side_get_the_tag_that_earlier_versions_did_not_write() {
        let token = || Fingerprint::from("0123456789abcdef0123456789abcdef");
        let tagged = Fingerprint::tagged(0xff, token().as_bytes());
        for (one, other, local) in [
            ("file:///d/", "s3:/b/d/", [true, false]),
            ("s3:/b/file:/", "file:///d/", [false, true]),
            ("file:///d/", "file:///e/", [true, true]),
            ("files://d/", "http://127.0.0.1:9000/file:/", [false, false]),
        ] {
            let pair = pair(one, other);
            let found = [Side::Source, Side::Target].map(|side| pair.current(side, token()));
            assert_eq!(found, local.map(|is_local| if is_local { tagged.clone() } else { token() }), "{one} {other}");
        }
    }

    /// If the name changed with a version, all sync state would be lost without a message.
    #[test]
    fn the_name_of_a_file_tells_people_which_it_is_and_never_changes() {
        let stem = |source, target| pair(source, target).file_stem();
        assert_eq!(stem("file:///home/a b/data/", "s3:/bucket/x/"), "data--x.efdc662b3d9a7d98e022");
        assert!(stem("file:///", "http://127.0.0.1:9000/b/é/").starts_with("file_--_."));
    }
}
