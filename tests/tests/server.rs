//! The test servers keep their promises: what a client is tested against must itself be right.

mod client;
mod faults;
mod listing;
mod multipart;
mod null;
mod objects;
