//! The keys that a run skipped: counts in memory, rows in a spill.

use std::mem::{Discriminant, discriminant};

use crate::action::SkipReason;
use crate::entry::Protection;
use crate::key::Key;
use crate::spill::{Spill, SpillError};

/// The skipped keys, each with its reason.
///
/// There can be millions, so most of them are stored in a temporary file. If it cannot be used, the counts are still
/// correct, and [`iter`](Self::iter) ends with the error.
#[derive(Clone, Debug, Default)]
pub struct Skips {
    rows: Spill<(Key, SkipReason)>,
    /// One reason of each kind, with the number of keys.
    kinds: Vec<(SkipReason, u64)>,
    lost: Option<SpillError>,
}

impl Skips {
    /// Adds a key.
    pub fn push(&mut self, (key, why): (Key, SkipReason)) {
        match self.kinds.iter_mut().find(|(known, _)| kind(known) == kind(&why)) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((why.clone(), 1)),
        }
        if self.lost.is_none() {
            self.lost = self.rows.push(&(key, why)).err();
        }
    }

    /// Writes rows to the temporary file before [`push`](Self::push) has to.
    pub(super) async fn relieve(&mut self) {
        if self.lost.is_none() {
            self.lost = self.rows.relieve().await.err();
        }
    }

    /// Removes all keys.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the number of keys.
    pub fn len(&self) -> u64 {
        self.kinds.iter().map(|(_, count)| count).sum()
    }

    /// Returns true if there are no keys.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Returns the number of keys whose reason matches `is`. `is` sees one reason of each kind, so it must not depend
    /// on the keys or texts in a reason.
    pub fn count(&self, is: impl Fn(&SkipReason) -> bool) -> u64 {
        self.kinds.iter().filter(|(why, _)| is(why)).map(|(_, count)| count).sum()
    }

    /// Returns true if the reason of any key matches `is`. The rule of [`count`](Self::count) applies.
    pub fn any(&self, is: impl Fn(&SkipReason) -> bool) -> bool {
        self.kinds.iter().any(|(why, _)| is(why))
    }

    /// Returns the keys and reasons in the order in which they were added. If the temporary file fails, its error is
    /// the last item.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Key, SkipReason), SpillError>> + Send + use<> {
        self.rows.iter().chain(self.lost.clone().map(Err))
    }

    /// Returns all keys and reasons. Use it only for a report that is known to be short.
    ///
    /// # Errors
    ///
    /// Fails if the temporary file cannot be read or could not be written.
    pub fn to_vec(&self) -> Result<Vec<(Key, SkipReason)>, SpillError> {
        self.iter().collect()
    }
}

impl FromIterator<(Key, SkipReason)> for Skips {
    fn from_iter<I: IntoIterator<Item = (Key, SkipReason)>>(skips: I) -> Self {
        let mut all = Self::default();
        skips.into_iter().for_each(|skip| all.push(skip));
        all
    }
}

/// Returns the kind of a reason, without the keys and texts in it.
fn kind(why: &SkipReason) -> (Discriminant<SkipReason>, Option<Discriminant<Protection>>) {
    let protection = match why {
        SkipReason::Source(why)
        | SkipReason::Target(why)
        | SkipReason::TargetOnly(why)
        | SkipReason::Hidden { why, .. }
        | SkipReason::Shielded { why, .. } => Some(discriminant(why)),
        _ => None,
    };
    (discriminant(why), protection)
}
