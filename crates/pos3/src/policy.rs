//! Whose data wins if the two sides of a sync differ: [`Policy`] and [`Conflict`].
//!
//! `Policy::add_to` has the rules of one run between two locations. A session knows more, such as the files from before it
//! began; how it applies a policy is in `session/policy.rs`.

use pos3_core::{ByContent, Deletable, Objection, Overwritable, PendingWrite, Side, SkipReason, SyncOptions};

/// Whose data wins if the two sides of a sync differ; see
/// [`PreparedSync::with_policy`](crate::PreparedSync::with_policy) and
/// [`UploadOptions::policy`](crate::UploadOptions::policy).
///
/// A sync makes the target like the source. If the target has other writers, that could replace newer data with older data.
/// The [sync state](crate::PreparedSync::with_state) records what both sides had when they were equal, so it shows which side has
/// changed since then.
///
/// ```
/// use pos3::{Conflict, Policy, Registry, SkipReason, StateDirectory, StateHome, PreparedSync, SyncOptions, Wait};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let disk = tempfile::tempdir()?;
/// # let (mine, shared) = (disk.path().join("mine"), disk.path().join("shared"));
/// # std::fs::create_dir(&mine)?;
/// # let home = StateHome::Directory(StateDirectory::new(disk.path().join("state")));
/// # let registry = Registry::default();
/// # let (from, to) = (mine.to_str().unwrap().parse()?, shared.to_str().unwrap().parse()?);
/// let upload = async || {
///     let state = home.open(&registry, (&from, &to), Wait::Fail, |_| {}).await;
///     let sync = PreparedSync::open(&registry, &from, &to, SyncOptions::default()).await?;
///     sync.with_state(state).with_policy(Policy::UnlessTheirs(Conflict::Skip)).run().await
/// };
/// std::fs::write(mine.join("a"), "mine")?;
/// std::fs::write(mine.join("b"), "mine")?;
/// assert_eq!(upload().await?.copied, 2);
///
/// std::fs::write(shared.join("a"), "theirs")?;
/// std::fs::write(shared.join("b"), "theirs")?;
/// std::fs::write(mine.join("b"), "mine, changed")?;
/// let report = upload().await?;
///
/// assert_eq!(report.copied, 0);
/// assert_eq!(report.skipped.count(|why| *why == SkipReason::Newer), 1, "a: only the other writer changed it");
/// assert_eq!(report.skipped.count(|why| *why == SkipReason::Conflict), 1, "b: both changed it");
/// assert!(!report.is_clean(), "someone has to decide about b");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// The source wins. The target becomes like the source.
    #[default]
    SourceWins,
    /// The source wins, unless another writer has changed the target since both sides were equal. If only the target has
    /// changed, it is [skipped](SkipReason::Newer) and the run is clean. If the source has changed too, or if the sync
    /// state has no row of the key, the conflict decides.
    ///
    /// Files that another writer has stored or changed in the target are not deleted. A file that another writer has removed
    /// is written again.
    UnlessTheirs(Conflict),
}

/// How to handle a key that both sides have changed since they were equal, or that differs and has no row in the sync
/// state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// Neither side is changed. The report contains the key as a [conflict](SkipReason::is_conflict), and the run is not
    /// [clean](crate::Report::is_clean).
    #[default]
    Skip,
    /// The source wins.
    SourceWins,
}

impl Policy {
    /// Adds the rules to the options of a transfer.
    pub(crate) fn add_to(self, options: SyncOptions) -> SyncOptions {
        match self {
            Self::SourceWins => options,
            Self::UnlessTheirs(conflict) => {
                let unless_theirs = Overwritable::judged(move |write| conflict.objection(write));
                options.with_overwritable(unless_theirs).with_deletable(Deletable::known())
            }
        }
    }
}

impl Conflict {
    fn objection(self, write: &PendingWrite<'_>) -> Objection {
        let Some(target) = write.target else { return Objection::None };
        let Some(row) = write.row else { return self.reason(SkipReason::Later).into() };
        if target.fingerprint.as_ref() == Some(&row.target) {
            return Objection::None;
        }
        if write.source.fingerprint.as_ref() == Some(&row.source) {
            return Objection::Stay(SkipReason::Newer);
        }
        // A new time or mode also changes the fingerprint of a file, so its content decides.
        let both = self.reason(SkipReason::Conflict);
        let digests = row.digest.into_iter().collect();
        let (same, different) = (Some(SkipReason::Newer), both.clone());
        ByContent { side: Side::Source, digests, same, different, unknown: both }.into()
    }

    /// Returns why a key in conflict is not written, or `None` if the source wins.
    pub(crate) fn reason(self, why: SkipReason) -> Option<SkipReason> {
        match self {
            Self::Skip => Some(why),
            Self::SourceWins => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pos3_core::{Deletion, Digest, Entry, Fingerprint, Guards, Key, Row};

    use super::*;
    use crate::{Location, PreparedSync, Registry, StateDirectory, StateHome, Wait};

    #[test]
    fn only_the_data_of_other_writers_stays() {
        use SkipReason::{Conflict as Both, Later, Newer};
        let entry = |token: &str| Entry::file("k", 1).with_fingerprint(Fingerprint::from(token));
        let digest = Digest::Md5([1; 16]);
        let row = |digest| Row { key: Key::from("k"), source: "s1".into(), target: "t1".into(), digest };
        // The answers of `Skip` if the content of the source is the same, is different, and cannot be determined.
        for (what, source, target, row, expected) in [
            ("the target has nothing", "s1", None, Some(row(None)), [None, None, None]),
            ("nothing is known", "s1", Some("t1"), None, [Some(Later), Some(Later), Some(Later)]),
            ("neither changed", "s1", Some("t1"), Some(row(None)), [None, None, None]),
            ("the source changed", "s2", Some("t1"), Some(row(None)), [None, None, None]),
            ("the target changed", "s1", Some("t2"), Some(row(None)), [Some(Newer), Some(Newer), Some(Newer)]),
            ("both changed", "s2", Some("t2"), Some(row(None)), [Some(Both), Some(Both), Some(Both)]),
            ("perhaps both", "s2", Some("t2"), Some(row(Some(digest))), [Some(Newer), Some(Both), Some(Both)]),
        ] {
            let target = target.map(entry);
            let answers = |conflict| {
                let options = Policy::UnlessTheirs(conflict).add_to(SyncOptions::default());
                match options.overwritable.objection(&entry(source), target.as_ref(), row.as_ref()) {
                    Objection::ByContent(question) => [question.same, question.different, question.unknown],
                    Objection::Stay(why) => [Some(why.clone()), Some(why.clone()), Some(why)],
                    _ => [None, None, None],
                }
            };
            assert_eq!(answers(Conflict::Skip), expected, "{what}");
            let certain = expected.map(|why| why.filter(|why| *why == Newer));
            assert_eq!(answers(Conflict::SourceWins), certain, "{what}");
        }
    }

    #[tokio::test]
    async fn a_sync_that_keeps_the_data_of_others_deletes_only_its_own() {
        let disk = tempfile::tempdir().unwrap();
        let (mine, shared) = (disk.path().join("mine"), disk.path().join("shared"));
        fs::create_dir(&mine).unwrap();
        for name in ["kept", "gone", "gone-and-changed"] {
            fs::write(mine.join(name), "mine").unwrap();
        }
        let home = StateHome::Directory(StateDirectory::new(disk.path().join("state")));
        let (from, to) = (Location::Local(mine.clone()), Location::Local(shared.clone()));
        let registry = Registry::default();
        let run = async || {
            let guards = Guards::default().with_allow_empty(true);
            let options = SyncOptions::default().with_deletion(Deletion::Extra).with_guards(guards);
            let state = home.open(&registry, (&from, &to), Wait::Fail, |_| {}).await;
            let sync = PreparedSync::open(&registry, &from, &to, options).await.unwrap();
            sync.with_state(state).with_policy(Policy::UnlessTheirs(Conflict::Skip)).run().await.unwrap()
        };
        assert_eq!(run().await.copied, 3);

        fs::remove_file(mine.join("gone")).unwrap();
        fs::remove_file(mine.join("gone-and-changed")).unwrap();
        fs::write(shared.join("gone-and-changed"), "theirs").unwrap();
        fs::write(shared.join("new"), "theirs").unwrap();
        let report = run().await;

        assert_eq!((report.copied, report.deleted), (0, 1), "{report:?}");
        let mut left: Vec<_> = fs::read_dir(&shared).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["gone-and-changed", "kept", "new"]);
    }
}
