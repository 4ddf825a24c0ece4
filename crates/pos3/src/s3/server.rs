//! Compares the servers of endpoints.
//!
//! There are two questions, and each has its own type:
//!
//! * [`PossibleServer`]: may two servers be the same? Where equality forbids something, as in the check for overlaps.
//! * [`CertainServer`]: are two servers certainly the same? Where equality permits something, such as the use of local
//!   copies, of a plan, of sync state or of a local name.
//!
//! So in doubt, two endpoints are one server for the first question, and two servers for the second.

mod certain;
mod possible;

pub(crate) use certain::CertainServer;
pub(crate) use possible::{PossibleServer, of_requests};
