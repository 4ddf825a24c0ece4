//! Decides whether two files with the same key are equal, with the cheapest sufficient evidence.
//!
//! Sizes and times alone miss an edit that preserves the size, so changes would be lost. Digests alone would require
//! reading all content. So evidence is used in steps, and this module decides when more is needed.

mod contents;

use crate::entry::{Digest, Entry};
use crate::evidence::{Change, Proof};
use crate::manifest::Row;
use crate::store::{Capabilities, Reads};

pub(crate) use contents::{Compared, Reading, Sameness, Unread, same_content};

/// How two entries with the same key are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compare {
    /// Uses the cheapest sufficient evidence. A different size is a change. If the manifest has both fingerprints as an
    /// equal pair, the files are the same. Otherwise digests decide; for a local file, pos3 computes one if needed.
    /// Equal times are evidence only if one side preserves the times it is given, and only in two cases: if there is no
    /// manifest, or if the manifest does not contain the key and digests cannot decide. If nothing decides, the file is
    /// treated as changed.
    #[default]
    Auto,
    /// Treats only a different size as a change.
    SizeOnly,
    /// Follows the rule of `aws s3 sync`: a file has changed if its size differs or if the source is newer than the
    /// target. For a download, it has changed if the local file is newer than the object.
    Mtime,
    /// Like `Mtime`, but if the target preserves times, any difference in time is a change.
    ExactTimestamps,
    /// Compares sizes and digests and ignores times.
    Digest,
    /// Compares sizes, then reads and compares the content of both sides.
    Content,
    /// Treats every file as changed.
    Always,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The contents are the same.
    Same(Proof),
    /// The contents differ, or cannot be verified to be the same.
    Changed(Change),
    /// The local content must be read. If its digest does not match, the facts that the other store returns for this
    /// one object decide.
    NeedsDigest,
    /// The facts that both stores return for the one object must decide.
    NeedsChecksum,
    /// Both contents must be read.
    NeedsContent,
}

/// The data that the manifest has about a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<'a> {
    /// There is no manifest.
    NoManifest,
    /// There is a manifest, but it does not contain this key.
    Unknown,
    /// The fingerprints of both sides when they were last equal.
    Row(&'a Row),
}

/// One side of a comparison: the entry and the capabilities of its store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) store: &'a Capabilities,
}

impl Compare {
    /// Returns the result that is possible without reading content.
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
        // One side is unchanged, so its content still has the recorded digest.
        from = from.or(row.digest.filter(|_| source_is_known));
        to = to.or(row.digest.filter(|_| target_is_known));
    }
    if matches!(known, Known::NoManifest) && times_prove_equality(source, target) {
        return Verdict::Same(Proof::Time);
    }
    match by_digest(source, target, (from, to)) {
        // The digest of the file is known from the manifest, so the file need not be read to see that the object
        // differs.
        Verdict::NeedsDigest if matches!((from, to), (Some(Digest::Md5(_)), Some(Digest::Md5(_)))) => {
            Verdict::Changed(Change::Content)
        }
        verdict => verdict,
    }
}

/// Returns true if equal times decide when there is no digest or checksum to compare the contents by.
pub(crate) fn times_decide(compare: Compare, source: Subject<'_>, target: Subject<'_>, known: Known<'_>) -> bool {
    compare == Compare::Auto && matches!(known, Known::Unknown) && times_prove_equality(source, target)
}

/// Returns true if equal times are evidence of equal content. That requires a store that preserves the time it is
/// given, because then an earlier copy set it. Two objects can easily be stored in the same second by chance.
fn times_prove_equality(source: Subject<'_>, target: Subject<'_>) -> bool {
    let kept = source.store.keeps_modified || target.store.keeps_modified;
    kept && source.entry.modified.is_some() && source.entry.modified == target.entry.modified
}

/// Equal digests decide. Different digests do not: a value that looks like a digest in a listing may not be one, and a
/// store may know more about one object than it lists.
fn by_digest(source: Subject<'_>, target: Subject<'_>, digests: (Option<Digest>, Option<Digest>)) -> Verdict {
    match digests {
        (Some(a), Some(b)) if a == b => Verdict::Same(Proof::Digest),
        _ if [source, target].iter().any(|side| side.store.reads == Reads::Local) => Verdict::NeedsDigest,
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
        let disk = Capabilities::new().with_keeps_modified(true).with_reads(Reads::Local);
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
        let disk = Capabilities::new().with_keeps_modified(true).with_reads(Reads::Local);
        let s3 = Capabilities::new();
        let row = |digest| Row { key: "k".into(), source: "f".into(), target: "e".into(), digest };
        let (known, opaque) = (row(Some(A)), row(None));
        let (file, edited) = (print(entry(1, 5, None), "f"), print(entry(1, 5, None), "g"));
        let object = |token, digest| print(entry(1, 5, digest), token);
        let table = [
            // Neither side changed, so no comparable digest is needed.
            (&file, object("e", None), Known::Row(&opaque), same(Proof::Manifest)),
            // The file was edited or replaced with the same size and time.
            (&edited, object("e", Some(A)), Known::Row(&known), NeedsDigest),
            (&edited, object("e", None), Known::Row(&opaque), NeedsDigest),
            // The object was replaced; the digest of the file is known from the manifest.
            (&file, object("x", Some(B)), Known::Row(&known), Changed(Content)),
            (&file, object("x", Some(A)), Known::Row(&known), same(Proof::Digest)),
            (&file, object("x", None), Known::Row(&opaque), NeedsDigest),
            // The manifest does not contain the key: if a digest can decide, times do not.
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
