//! A local directory as a store: [`LocalStore`].
//!
//! A directory is not an object store: its names are unordered, symbolic links lead out of it, readers can see
//! half-written files, and an unreadable directory looks empty. This crate hides these differences. So the engine sees
//! ordered, exact and atomic objects, and never treats an unreadable file as absent.
//!
//! The crate supports Unix. It uses `openat2`, `renameat2` and the kernel's copy functions of Linux. If the kernel or
//! the file system does not support them, it uses slower functions that are equally safe.

#[cfg(not(unix))]
compile_error!("pos3-local needs a Unix system: it resolves names relative to open directories");

mod attributes;
mod blocking;
mod delete;
mod directory;
mod error;
mod facts;
mod head;
mod leftover;
mod list;
mod mounts;
mod moved;
mod options;
mod own_files;
mod path;
mod read;
mod rename;
mod root;
mod stage;
mod store;
mod sweep;
mod take_out;
mod tick;
mod unfinished;
mod write;

pub use attributes::{APPEND_ONLY, IMMUTABLE};
pub use facts::{last_change, last_modification, length, with_tag};
pub use mounts::{FileSystem, FileSystems, MountPoint, Mounted, Mounts, Watching, kept_number};
pub use options::{LocalOptions, MissingRoot, RootPath, Symlinks};
pub use own_files::OwnFiles;
pub use root::in_the_way;
pub use store::LocalStore;
