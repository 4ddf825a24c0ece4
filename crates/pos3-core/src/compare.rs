//! Whether two files of one name are the same, by the cheapest evidence that settles it.
//!
//! Sizes and clocks alone miss an edit that keeps the size, which is how peers lose changes; digests alone would read
//! everything. So evidence comes in steps, and this module says when it is not enough yet.

mod hash;

use serde::{Deserialize, Serialize};

use crate::entry::{Digest, Entry};
use crate::manifest::Row;
use crate::store::Capabilities;

pub(crate) use hash::{Reading, Sameness, Unread, same_content};

/// How two entries of one key are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compare {
    /// The cheapest evidence that settles it. Another size is a change; two fingerprints that the manifest knows as
    /// equal are the same. Otherwise digests decide, made from a local file where needed. Exactly equal times, where
    /// one side keeps the times it is given, count only where there is no manifest, or where it does not know the key
    /// and digests cannot decide. What nothing settles has changed.
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
    /// Sizes, and the content itself, read from both sides.
    Content,
    /// Everything is taken for changed.
    Always,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The contents are the same.
    Same(Proof),
    /// The contents differ, or cannot be shown to be the same.
    Changed(Change),
    /// Reading the local content must decide, and, where its digest does not match, what the other store tells of the one
    /// object.
    NeedsDigest,
    /// What both stores tell of the one object must decide.
    NeedsChecksum,
    /// Reading both contents must decide.
    NeedsContent,
}

/// Why two things are taken for equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Proof {
    /// Both are directories.
    Kind,
    /// The sizes are equal, and nothing else was asked for.
    Size,
    /// The times agree, by the rule in force.
    Time,
    /// Both fingerprints are those of the last time they were equal.
    Manifest,
    /// The digests are equal.
    Digest,
    /// The checksums are equal.
    Checksum,
    /// The contents are equal, byte by byte.
    Content,
}

impl Proof {
    /// Returns the reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "both are directories",
            Self::Size => "sizes are equal",
            Self::Time => "sizes are equal and times agree",
            Self::Manifest => "neither side changed since they were equal",
            Self::Digest => "digests are equal",
            Self::Checksum => "checksums are equal",
            Self::Content => "contents are equal",
        }
    }
}

/// What is remembered of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<'a> {
    /// Nothing is remembered of any key.
    NoManifest,
    /// There is a manifest, and this key is not in it.
    Unknown,
    /// What both sides looked like when they were last equal.
    Row(&'a Row),
}

/// Why something is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    pub(crate) fn verdict(self, source: Subject<'_>, target: Subject<'_>, known: Known<'_>) -> Verdict {
        let size_differs = source.entry.size != target.entry.size;
        match self {
            Self::Always => Verdict::Changed(Change::Always),
            _ if size_differs => Verdict::Changed(Change::Size),
            Self::SizeOnly => Verdict::Same(Proof::Size),
            Self::Mtime | Self::ExactTimestamps => by_time(self, source, target),
            Self::Auto => by_evidence(source, target, known),
            Self::Digest => by_digest(source, target, (source.entry.digest, target.entry.digest)),
            Self::Content => Verdict::NeedsContent,
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
    if same { Verdict::Same(Proof::Time) } else { Verdict::Changed(Change::Modified) }
}

fn by_evidence(source: Subject<'_>, target: Subject<'_>, known: Known<'_>) -> Verdict {
    let (mut from, mut to) = (source.entry.digest, target.entry.digest);
    if let Known::Row(row) = known {
        let source_is_known = source.entry.fingerprint.as_ref() == Some(&row.source);
        let target_is_known = target.entry.fingerprint.as_ref() == Some(&row.target);
        if source_is_known && target_is_known {
            return Verdict::Same(Proof::Manifest);
        }
        // One side is as it was, so its content has the digest that was noted then.
        from = from.or(row.digest.filter(|_| source_is_known));
        to = to.or(row.digest.filter(|_| target_is_known));
    }
    if matches!(known, Known::NoManifest) && times_prove_equality(source, target) {
        return Verdict::Same(Proof::Time);
    }
    match by_digest(source, target, (from, to)) {
        // The file has the digest that was noted: its content need not be read to see that the object is another.
        Verdict::NeedsDigest if matches!((from, to), (Some(Digest::Md5(_)), Some(Digest::Md5(_)))) => {
            Verdict::Changed(Change::Content)
        }
        verdict => verdict,
    }
}

/// Returns true if equal times decide where contents turn out to have nothing in common that they can be compared by.
pub(crate) fn times_decide(compare: Compare, source: Subject<'_>, target: Subject<'_>, known: Known<'_>) -> bool {
    compare == Compare::Auto && matches!(known, Known::Unknown) && times_prove_equality(source, target)
}

/// Equal times are evidence only where a store keeps the time it was given: then we set it. Two objects may well have
/// been stored in the same second.
fn times_prove_equality(source: Subject<'_>, target: Subject<'_>) -> bool {
    let kept = source.store.keeps_modified || target.store.keeps_modified;
    kept && source.entry.modified.is_some() && source.entry.modified == target.entry.modified
}

/// Equal digests decide. Others do not: what looks like a digest in a listing may be none, and a store may know more of one
/// object than it lists.
fn by_digest(source: Subject<'_>, target: Subject<'_>, digests: (Option<Digest>, Option<Digest>)) -> Verdict {
    match digests {
        (Some(a), Some(b)) if a == b => Verdict::Same(Proof::Digest),
        _ if source.store.local_reads || target.store.local_reads => Verdict::NeedsDigest,
        _ => Verdict::NeedsChecksum,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::entry::Fingerprint;

    const A: Digest = Digest::Md5([1; 16]);
    const B: Digest = Digest::Md5([2; 16]);
    const PARTS: Digest = Digest::Md5OfParts { digest: [3; 16], parts: 2 };

    fn entry(size: u64, second: u64, digest: Option<Digest>) -> Entry {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        Entry { digest, ..Entry::file("k", size).with_modified(modified) }
    }

    fn print(entry: Entry, token: &str) -> Entry {
        entry.with_fingerprint(Fingerprint::from(token))
    }

    #[test]
    fn the_cheapest_evidence_decides() {
        use Change::{Always, Modified, Size};
        use Verdict::{Changed, NeedsChecksum, NeedsContent, NeedsDigest};
        let same = Verdict::Same;
        let disk = Capabilities::new().with_keeps_modified(true).with_local_reads(true);
        let s3 = Capabilities::new();
        let (up, down, across) = ((&disk, &s3), (&s3, &disk), (&s3, &s3));
        let table = [
            (Compare::Auto, up, entry(1, 5, None), entry(2, 5, Some(A)), Changed(Size)),
            (Compare::Auto, up, entry(1, 5, None), entry(1, 5, Some(A)), same(Proof::Time)),
            (Compare::Auto, up, entry(1, 4, None), entry(1, 5, Some(A)), NeedsDigest),
            (Compare::Auto, up, entry(1, 4, None), entry(1, 5, Some(PARTS)), NeedsDigest),
            (Compare::Auto, up, entry(1, 4, None), entry(1, 5, None), NeedsDigest),
            (Compare::Auto, down, entry(1, 5, Some(A)), entry(1, 5, None), same(Proof::Time)),
            (Compare::Auto, down, entry(1, 5, Some(A)), entry(1, 6, None), NeedsDigest),
            (Compare::Auto, across, entry(1, 5, Some(A)), entry(1, 5, Some(A)), same(Proof::Digest)),
            (Compare::Auto, across, entry(1, 5, Some(A)), entry(1, 5, Some(B)), NeedsChecksum),
            (Compare::Auto, across, entry(1, 5, Some(A)), entry(1, 5, Some(PARTS)), NeedsChecksum),
            (Compare::Auto, (&disk, &disk), entry(1, 4, None), entry(1, 5, None), NeedsDigest),
            (Compare::SizeOnly, up, entry(1, 9, None), entry(1, 5, Some(A)), same(Proof::Size)),
            (Compare::Mtime, up, entry(1, 5, None), entry(1, 9, Some(A)), same(Proof::Time)),
            (Compare::Mtime, up, entry(1, 9, None), entry(1, 5, Some(A)), Changed(Modified)),
            (Compare::Mtime, down, entry(1, 9, None), entry(1, 5, None), same(Proof::Time)),
            (Compare::Mtime, down, entry(1, 5, None), entry(1, 9, None), Changed(Modified)),
            (Compare::ExactTimestamps, down, entry(1, 9, None), entry(1, 5, None), Changed(Modified)),
            (Compare::ExactTimestamps, down, entry(1, 9, None), entry(1, 9, None), same(Proof::Time)),
            (Compare::ExactTimestamps, up, entry(1, 5, None), entry(1, 9, None), same(Proof::Time)),
            (Compare::Digest, up, entry(1, 5, None), entry(1, 5, Some(A)), NeedsDigest),
            (Compare::Digest, across, entry(1, 5, None), entry(1, 5, None), NeedsChecksum),
            (Compare::Content, across, entry(1, 5, Some(A)), entry(1, 5, Some(A)), NeedsContent),
            (Compare::Always, up, entry(1, 5, None), entry(1, 5, Some(A)), Changed(Always)),
        ];
        for (compare, (from, to), source, target, expected) in table {
            let (from, to) = (Subject { entry: &source, store: from }, Subject { entry: &target, store: to });
            let verdict = compare.verdict(from, to, Known::NoManifest);
            assert_eq!(verdict, expected, "{compare:?} {source:?} {target:?}");
        }
    }

    #[test]
    fn a_manifest_is_better_evidence_than_times() {
        use Change::Content;
        use Verdict::{Changed, NeedsDigest};
        let same = Verdict::Same;
        let disk = Capabilities::new().with_keeps_modified(true).with_local_reads(true);
        let s3 = Capabilities::new();
        let row = |digest| Row { key: "k".into(), source: "f".into(), target: "e".into(), digest };
        let (known, opaque) = (row(Some(A)), row(None));
        let (file, edited) = (print(entry(1, 5, None), "f"), print(entry(1, 5, None), "g"));
        let object = |token, digest| print(entry(1, 5, digest), token);
        let table = [
            // Neither changed: no need for a digest that can be compared.
            (&file, object("e", None), Known::Row(&opaque), same(Proof::Manifest)),
            // The file was edited or replaced, with size and time kept.
            (&edited, object("e", Some(A)), Known::Row(&known), NeedsDigest),
            (&edited, object("e", None), Known::Row(&opaque), NeedsDigest),
            // The object was replaced: the file's digest is known from before.
            (&file, object("x", Some(B)), Known::Row(&known), Changed(Content)),
            (&file, object("x", Some(A)), Known::Row(&known), same(Proof::Digest)),
            (&file, object("x", None), Known::Row(&opaque), NeedsDigest),
            // Nothing is remembered: times prove nothing that a digest can tell.
            (&file, object("e", Some(A)), Known::Unknown, NeedsDigest),
            (&file, object("e", None), Known::Unknown, NeedsDigest),
            (&file, object("e", Some(A)), Known::NoManifest, same(Proof::Time)),
        ];
        for (source, target, known, expected) in table {
            let (from, to) = (Subject { entry: source, store: &disk }, Subject { entry: &target, store: &s3 });
            assert_eq!(Compare::Auto.verdict(from, to, known), expected, "{source:?} {target:?} {known:?}");
        }
    }
}
