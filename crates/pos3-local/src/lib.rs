//! A local directory as a store: [`LocalStore`].
//!
//! A directory is not an object store: its names come in no order, symbolic links lead out of it, a reader can see a
//! half-written file, and a directory that cannot be read looks empty. This crate is the one place that knows this, so
//! that the engine sees ordered, exact, atomic objects, and never takes what could not be read for absent.
//!
//! It is made for Unix. Where Linux offers more (`openat2`, `renameat2`, the kernel's copy) it is used, and where the
//! kernel or the file system lacks it, a slower way of the same safety is taken.

#[cfg(not(unix))]
compile_error!("pos3-local needs a Unix system: it resolves names relative to open directories");

mod blocking;
mod delete;
mod error;
mod facts;
mod head;
mod leftover;
mod list;
mod mounts;
mod options;
mod path;
mod read;
mod root;
mod store;
mod tick;
mod write;

pub use facts::{last_change, length};
pub use mounts::{FileSystems, Mounts};
pub use options::{LocalOptions, MissingRoot, RootPath, Symlinks};
pub use root::in_the_way;
pub use store::LocalStore;
