//! What a run left alone: counts in memory, rows in a spilled sequence.

use std::mem::{Discriminant, discriminant};

use crate::entry::Protection;
use crate::key::Key;
use crate::plan::SkipReason;
use crate::spill::{Spill, SpillError};

/// The keys that were left alone, each with its reason.
///
/// There can be millions, so most are in a temporary file. If that cannot be used, the counts are still right, and
/// [`iter`](Self::iter) ends with the error.
#[derive(Clone, Debug, Default)]
pub struct Skips {
    rows: Spill<(Key, SkipReason)>,
    /// One reason of each kind, and how many there are.
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

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns how many there are.
    pub fn len(&self) -> u64 {
        self.kinds.iter().map(|(_, count)| count).sum()
    }

    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Returns how many have a reason of which `is` is true. It sees one reason of each kind, and so must not depend on
    /// keys or texts in it.
    pub fn count(&self, is: impl Fn(&SkipReason) -> bool) -> u64 {
        self.kinds.iter().filter(|(why, _)| is(why)).map(|(_, count)| count).sum()
    }

    /// Returns true if there is one of whose reason `is` is true, by the rule of [`count`](Self::count).
    pub fn any(&self, is: impl Fn(&SkipReason) -> bool) -> bool {
        self.kinds.iter().any(|(why, _)| is(why))
    }

    /// Returns the keys and reasons in the order in which they were added. An error of the temporary file is the last item.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Key, SkipReason), SpillError>> + Send + use<> {
        self.rows.iter().chain(self.lost.clone().map(Err))
    }

    /// Returns all of a report that is known to be short.
    ///
    /// # Errors
    ///
    /// A temporary file that cannot be read, or could not be written.
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

/// What tells reasons apart, without the keys and texts in them.
fn kind(why: &SkipReason) -> (Discriminant<SkipReason>, Option<Discriminant<Protection>>) {
    let protection = match why {
        SkipReason::Source(why)
        | SkipReason::Target(why)
        | SkipReason::TargetOnly(why)
        | SkipReason::Shielded { why, .. } => Some(discriminant(why)),
        _ => None,
    };
    (discriminant(why), protection)
}
