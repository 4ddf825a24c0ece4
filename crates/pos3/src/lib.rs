//! S3 as simple as local files: one sync between any two places that hold files.
//!
//! A [`Location`] is what a person types, a [`Registry`] says who opens it, and [`Sync`] mirrors one location into
//! another with the engine of [`pos3_core`], whose words are passed on here.
//!
//! ```
//! use pos3::{Location, Registry, SyncOptions};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! std::fs::write(directory.path().join("a.txt"), "hello")?;
//!
//! let from = Location::Local(directory.path().to_owned());
//! let to = "memory://example/backup".parse()?;
//! let report = pos3::sync(&Registry::default(), &from, &to, SyncOptions::default()).await?.into_result()?;
//!
//! assert_eq!(report.copied, 1);
//! # Ok(()) }
//! ```

mod error;
mod location;
mod ls;
mod registry;
#[cfg(feature = "s3")]
mod s3;
mod state;
mod sync;

pub use error::Error;
pub use location::{Location, LocationError, RemoteLocation};
pub use ls::{Depth, Found, ls};
pub use registry::{FileProvider, MemoryProvider, Provider, Registry, Role};
#[cfg(feature = "s3")]
pub use s3::{S3Provider, S3Settings, S3SettingsError};
pub use state::{State, StateDirectory, StateError, Wait};
pub use sync::{Sync, sync};

pub use pos3_core::{
    Action, Budget, CancellationToken, Change, Checksum, Compare, Deletion, Digest, Entry, ErrorKind, Event,
    FailedAction, Failure, FailureKind, Filter, FilterBuilder, FilterError, Fingerprint, Guards, Incomplete, Journal,
    Key, Kind, Manifest, ManifestError, MaxDelete, MemoryJournal, MemoryManifest, Observer, Plan, Preconditions, Proof,
    Protection, Refusal, RemoteStore, Report, Row, RowChange, Side, SkipReason, Stop, StoreError, SyncOptions, Tally,
    Tree, Unfinished, Usage, Verify,
};
pub use pos3_local::Symlinks;
#[cfg(feature = "s3")]
pub use pos3_s3::{Addressing, Credentials, S3ConfigError};
