//! Entries that only the target has: which of them stay, and which prevent others from being downloaded.

use super::Planner;
use crate::action::{Action, SkipReason};
use crate::entry::Entry;
use crate::manifest::Row;
use crate::options::Deletion;
use crate::plan::decide::Decision;
use crate::side::Side;
use crate::spill::SpillError;

impl Planner {
    /// Reports an entry that only the target has, if the source's entries cannot be downloaded together with it.
    pub(super) fn report_other_shape(
        &mut self,
        entry: Option<&Entry>,
        only_target: bool,
        decision: &Decision,
    ) -> Result<(), SpillError> {
        let Some(entry) = entry else { return Ok(()) };
        let side = if only_target { Side::Target } else { Side::Source };
        let will_be_there = match decision {
            Decision::Extra(_) => self.deletion == Deletion::Keep,
            // One action per key is enough, even if there are two reasons to skip it.
            Decision::Act(Action::Skip { .. }) => false,
            Decision::Nothing => only_target,
            _ => true,
        };
        let found = if will_be_there { self.shapes.meet(entry, side) } else { None };
        found.map_or(Ok(()), |action| self.queue(action))
    }

    /// Decides whether an entry that only the target has stays, although others are deleted.
    pub(super) fn unless_kept(&mut self, entry: Entry, row: Option<&Row>) -> Decision {
        let is_allowed = self.deletable.allows(&entry, row);
        let would_go = is_allowed && self.deletion == Deletion::Extra;
        let hidden = if would_go { self.deletable.hidden(&entry.key) } else { None };
        let impossible = if would_go { self.policy.source.namespace.check(&entry).err() } else { None };
        if is_allowed && hidden.is_none() && impossible.is_none() {
            return Decision::Extra(entry);
        }
        self.names.note_kept(&entry.key);
        self.room.note_kept(&entry.key);
        if let Some(why) = impossible {
            return Decision::Act(Action::Skip { key: entry.key, why: SkipReason::NotInSource(why) });
        }
        let files = u64::from(entry.has_content());
        match hidden {
            Some(why) if entry.has_content() => {
                self.tally.withheld += files;
                Decision::Act(Action::Skip { key: entry.key, why: SkipReason::Source(why) })
            }
            Some(_) => Decision::Nothing,
            None => {
                let is_extra_file = entry.has_content() && self.deletion == Deletion::Extra;
                match if is_extra_file { self.deletable.reason(&entry, row) } else { None } {
                    Some(why) => Decision::Act(Action::Skip { key: entry.key, why }),
                    None => {
                        self.tally.extra += files;
                        Decision::Nothing
                    }
                }
            }
        }
    }
}
