//! Tests of the test servers themselves, because a faulty server would make the other tests worthless.

mod client;
mod faults;
mod listing;
mod multipart;
mod null;
mod objects;
