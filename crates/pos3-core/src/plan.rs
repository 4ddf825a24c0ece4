//! A plan: the actions of a sync, as data.
//!
//! Making a plan changes nothing; a dry run is a plan that is not executed. The [`Planner`] makes a plan as a stream,
//! so that copies can start while the listings are still being read. [`Plan`] is the same, collected: a small plan is
//! in memory, and the rest of a larger one in temporary files.

mod decide;
mod guard;
mod names;
mod permission;
mod planner;
mod room;
mod shapes;
mod whole;

pub use decide::Policy;
pub(crate) use permission::{Permission, Permit};
pub use planner::{PlanError, Planner};
pub use whole::{Plan, PlanCounts};
