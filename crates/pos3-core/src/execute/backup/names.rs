//! The names for the backup of one key.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use crate::key::{Key, LONGEST_FILE_NAME, LONGEST_PATH};
use crate::store::{Namespace, Result};
use crate::tree::Tree;

/// The longest key, in bytes, that S3 accepts.
const LONGEST_KEY: usize = 1024;

/// The names to try for a backup: first the key itself, then names with the time at which the run began.
pub(super) struct Names<'k> {
    key: &'k Key,
    stamp: String,
    namespace: Namespace,
    /// The length of the backup location in the keys of its store.
    prefix: usize,
    /// The end of the part of the key that gets the time.
    end: usize,
}

impl<'k> Names<'k> {
    pub(super) fn new(key: &'k Key, backup: &Tree, begun: SystemTime) -> Self {
        let prefix = backup.key(key).as_str().len().saturating_sub(key.as_str().len());
        let seconds = begun.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let namespace = backup.store().capabilities().namespace;
        Self { key, stamp: stamp(seconds), namespace, prefix, end: key.as_str().len() }
    }

    /// Returns the name with this number.
    pub(super) fn candidate(&self, number: u32) -> Key {
        let suffix = match number {
            0 => return self.key.clone(),
            1 => format!(".~{}~", self.stamp),
            number => format!(".~{}-{number}~", self.stamp),
        };
        let (path, below) = self.key.as_str().split_at(self.end);
        let (parent, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
        let (longest_name, longest) = match self.namespace {
            Namespace::Hierarchical => (LONGEST_FILE_NAME, LONGEST_PATH),
            Namespace::Flat => (LONGEST_KEY, LONGEST_KEY),
        };
        let room = longest_name.min(longest.saturating_sub(self.prefix + parent.len() + below.len()));
        Key::from(format!("{parent}{}{suffix}{below}", shortened(name, room.saturating_sub(suffix.len()))))
    }

    /// Looks for an older backup that is a file where this backup needs a directory. If there is one, the directory gets
    /// the time. Without this, the backup could never be made.
    pub(super) async fn avoid_files(&mut self, backup: &Tree) -> Result<()> {
        if self.namespace != Namespace::Hierarchical || self.end != self.key.as_str().len() {
            return Ok(());
        }
        for (end, _) in self.key.as_str().match_indices('/') {
            let above = backup.key(&Key::from(&self.key.as_str()[..end]));
            if super::is_taken(&**backup.store(), &above).await? {
                self.end = end;
                break;
            }
        }
        Ok(())
    }
}

/// Returns a name of at most this many bytes. The hash of the whole name keeps names apart that begin alike.
fn shortened(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let hash = format!(".{:016x}", hasher.finish());
    let end = name.floor_char_boundary(longest.saturating_sub(hash.len()));
    format!("{}{hash}", &name[..end])
}

/// Returns seconds since 1970 as a date and a time: `20261129T234507Z`.
fn stamp(seconds: u64) -> String {
    let (mut day, second) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}{month:02}{:02}T{hour:02}{minute:02}{:02}Z", day + 1, second % 60)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::store::memory::MemoryStore;

    fn names<'k>(key: &'k Key, namespace: Namespace, seconds: u64) -> Names<'k> {
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Names { namespace, ..Names::new(key, &Tree::new(Arc::new(MemoryStore::new())), begun) }
    }

    #[test]
    fn an_older_backup_makes_the_next_one_have_the_time_in_its_name() {
        let key = Key::from("a/b.txt");
        let names = names(&key, Namespace::Flat, 1_709_251_199);
        assert_eq!(
            [0, 1, 2].map(|number| names.candidate(number).as_str().to_owned()),
            ["a/b.txt", "a/b.txt.~20240229T235959Z~", "a/b.txt.~20240229T235959Z-2~"]
        );
        for (seconds, text) in
            [(0, "19700101T000000Z"), (951_782_400, "20000229T000000Z"), (1_798_761_599, "20261231T235959Z")]
        {
            assert_eq!(stamp(seconds), text);
        }
    }

    #[test]
    fn the_time_is_put_on_the_directory_that_is_in_the_way() {
        let key = Key::from("a/b/c");
        let names = Names { end: 3, ..names(&key, Namespace::Hierarchical, 0) };
        assert_eq!(names.candidate(1).as_str(), "a/b.~19700101T000000Z~/c");
        assert_eq!(names.candidate(2).as_str(), "a/b.~19700101T000000Z-2~/c");
    }

    #[test]
    fn a_name_with_a_time_is_never_too_long_and_long_names_stay_apart() {
        for (keys, longest) in [(Namespace::Hierarchical, LONGEST_FILE_NAME), (Namespace::Flat, LONGEST_KEY)] {
            for length in longest - 40..=longest {
                for letter in ["x", "ü"] {
                    let name = |last| format!("{}{last}", letter.repeat((length - 1) / letter.len()));
                    let keys_of = ["a", "b"].map(|last| Key::from(name(last)));
                    let mut seen = BTreeSet::new();
                    for key in &keys_of {
                        for number in 0..100 {
                            let candidate = names(key, keys, 0).candidate(number);
                            assert!(candidate.as_str().len() <= longest, "{length} {candidate}");
                            assert!(seen.insert(candidate.clone()), "{length} {candidate}");
                        }
                    }
                }
            }
        }
        let short = Key::from("x".repeat(LONGEST_FILE_NAME - 19));
        assert_eq!(
            names(&short, Namespace::Hierarchical, 0).candidate(1),
            Key::from(format!("{short}.~19700101T000000Z~"))
        );
    }

    #[test]
    fn a_path_with_a_time_is_never_too_long() {
        let key = Key::from(format!("{}{}", "d/".repeat(1500), "x".repeat(LONGEST_PATH - 3000)));
        assert_eq!(key.check_path(), Ok(()));
        assert_eq!(names(&key, Namespace::Hierarchical, 0).candidate(99).check_path(), Ok(()));
    }
}
