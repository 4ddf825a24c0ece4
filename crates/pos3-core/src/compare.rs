//! Whether two files of one name are the same, by the cheapest evidence that settles it.
//!
//! Sizes and clocks alone miss an edit that keeps the size, which is how peers lose changes; digests alone would read
//! everything. So evidence comes in steps, and this module says when it is not enough yet.

mod hash;

use crate::entry::{Digest, Entry};
use crate::store::Capabilities;

pub(crate) use hash::{Unread, same_content};

/// How two entries of one key are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compare {
    /// Another size is a change. Equal sizes and exactly equal times, where one side keeps the times it is given, are
    /// the same. Otherwise digests decide, made from a local file where needed; what has no comparable digest changed.
    #[default]
    Auto,
    /// Only another size is a change.
    SizeOnly,
    /// The rule of `aws s3 sync`: another size, or the source newer than the target (downloading: the local file newer
    /// than the object).
    Mtime,
    /// Like `Mtime`, but where the target keeps times, any difference of times is a change.
    ExactTimestamps,
    /// Sizes and digests, whatever the times say.
    Digest,
    /// Everything is taken for changed.
    Always,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The contents are the same.
    Same,
    /// The contents differ, or cannot be shown to be the same.
    Changed(Change),
    /// Reading the local content must decide.
    NeedsDigest,
}

/// Why something is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// The target does not have it.
    New,
    /// The sizes differ.
    Size,
    /// The times differ, by the rule in force.
    Modified,
    /// The digests differ.
    Content,
    /// There is no digest that both sides can be compared by.
    Incomparable,
    /// Copying everything was asked for.
    Always,
}

impl Change {
    /// Returns the reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Size => "size differs",
            Self::Modified => "time differs",
            Self::Content => "content differs",
            Self::Incomparable => "cannot be compared",
            Self::Always => "always copied",
        }
    }
}

/// One side of a comparison: the entry and what its store can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) store: &'a Capabilities,
}

impl Compare {
    /// Returns what can be said of two entries without reading content.
    pub(crate) fn verdict(self, source: Subject<'_>, target: Subject<'_>) -> Verdict {
        let size_differs = source.entry.size != target.entry.size;
        match self {
            Self::Always => Verdict::Changed(Change::Always),
            _ if size_differs => Verdict::Changed(Change::Size),
            Self::SizeOnly => Verdict::Same,
            Self::Mtime | Self::ExactTimestamps => by_time(self, source, target),
            Self::Auto if times_prove_equality(source, target) => Verdict::Same,
            Self::Auto | Self::Digest => by_digest(source, target),
        }
    }
}

fn by_time(mode: Compare, source: Subject<'_>, target: Subject<'_>) -> Verdict {
    let (Some(from), Some(to)) = (source.entry.modified, target.entry.modified) else {
        return Verdict::Changed(Change::Modified);
    };
    let same = match (mode, target.store.keeps_modified) {
        (Compare::ExactTimestamps, true) => from == to,
        (_, true) if !source.store.keeps_modified => to <= from,
        _ => to >= from,
    };
    if same { Verdict::Same } else { Verdict::Changed(Change::Modified) }
}

/// Equal times are evidence only where a store keeps the time it was given: then we set it. Two objects may well have
/// been stored in the same second.
fn times_prove_equality(source: Subject<'_>, target: Subject<'_>) -> bool {
    let kept = source.store.keeps_modified || target.store.keeps_modified;
    kept && source.entry.modified.is_some() && source.entry.modified == target.entry.modified
}

fn by_digest(source: Subject<'_>, target: Subject<'_>) -> Verdict {
    match (source.entry.digest, target.entry.digest) {
        (Some(a), Some(b)) if a == b => Verdict::Same,
        (Some(Digest::Md5(_)), Some(Digest::Md5(_))) => Verdict::Changed(Change::Content),
        (Some(_), _) if target.store.local_reads => Verdict::NeedsDigest,
        (_, Some(_)) if source.store.local_reads => Verdict::NeedsDigest,
        (None, None) if source.store.local_reads && target.store.local_reads => Verdict::NeedsDigest,
        _ => Verdict::Changed(Change::Incomparable),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    const A: Digest = Digest::Md5([1; 16]);
    const B: Digest = Digest::Md5([2; 16]);
    const PARTS: Digest = Digest::Md5OfParts { digest: [3; 16], parts: 2 };

    fn entry(size: u64, second: u64, digest: Option<Digest>) -> Entry {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        Entry { digest, ..Entry::file("k", size).with_modified(modified) }
    }

    #[test]
    fn the_cheapest_evidence_decides() {
        use Change::{Always, Content, Incomparable, Modified, Size};
        use Verdict::{Changed, NeedsDigest, Same};
        let disk = Capabilities::new().with_keeps_modified(true).with_local_reads(true);
        let s3 = Capabilities::new();
        let (up, down, across) = ((&disk, &s3), (&s3, &disk), (&s3, &s3));
        let table = [
            (Compare::Auto, up, entry(1, 5, None), entry(2, 5, Some(A)), Changed(Size)),
            (Compare::Auto, up, entry(1, 5, None), entry(1, 5, Some(A)), Same),
            (Compare::Auto, up, entry(1, 4, None), entry(1, 5, Some(A)), NeedsDigest),
            (Compare::Auto, up, entry(1, 4, None), entry(1, 5, Some(PARTS)), NeedsDigest),
            (Compare::Auto, up, entry(1, 4, None), entry(1, 5, None), Changed(Incomparable)),
            (Compare::Auto, down, entry(1, 5, Some(A)), entry(1, 5, None), Same),
            (Compare::Auto, down, entry(1, 5, Some(A)), entry(1, 6, None), NeedsDigest),
            (Compare::Auto, across, entry(1, 5, Some(A)), entry(1, 5, Some(A)), Same),
            (Compare::Auto, across, entry(1, 5, Some(A)), entry(1, 5, Some(B)), Changed(Content)),
            (Compare::Auto, across, entry(1, 5, Some(A)), entry(1, 5, Some(PARTS)), Changed(Incomparable)),
            (Compare::Auto, (&disk, &disk), entry(1, 4, None), entry(1, 5, None), NeedsDigest),
            (Compare::SizeOnly, up, entry(1, 9, None), entry(1, 5, Some(A)), Same),
            (Compare::Mtime, up, entry(1, 5, None), entry(1, 9, Some(A)), Same),
            (Compare::Mtime, up, entry(1, 9, None), entry(1, 5, Some(A)), Changed(Modified)),
            (Compare::Mtime, down, entry(1, 9, None), entry(1, 5, None), Same),
            (Compare::Mtime, down, entry(1, 5, None), entry(1, 9, None), Changed(Modified)),
            (Compare::ExactTimestamps, down, entry(1, 9, None), entry(1, 5, None), Changed(Modified)),
            (Compare::ExactTimestamps, down, entry(1, 9, None), entry(1, 9, None), Same),
            (Compare::ExactTimestamps, up, entry(1, 5, None), entry(1, 9, None), Same),
            (Compare::Digest, up, entry(1, 5, None), entry(1, 5, Some(A)), NeedsDigest),
            (Compare::Digest, across, entry(1, 5, None), entry(1, 5, None), Changed(Incomparable)),
            (Compare::Always, up, entry(1, 5, None), entry(1, 5, Some(A)), Changed(Always)),
        ];
        for (compare, (from, to), source, target, expected) in table {
            let verdict =
                compare.verdict(Subject { entry: &source, store: from }, Subject { entry: &target, store: to });
            assert_eq!(verdict, expected, "{compare:?} {source:?} {target:?}");
        }
    }
}
