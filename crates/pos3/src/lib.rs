#![doc = include_str!("guide.md")]

/// Compiles the Rust examples of the README with the documentation tests.
#[cfg(all(doctest, feature = "s3"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(feature = "blocking")]
pub mod blocking;
mod error;
mod file_hash;
mod hidden;
#[cfg(feature = "progress")]
pub mod human;
mod ignore_files;
#[cfg(feature = "s3")]
mod ini;
mod json;
mod local_path;
mod location;
mod ls;
mod moved;
mod place;
mod plan_file;
mod policy;
mod processes;
#[cfg(feature = "s3")]
mod profile;
#[cfg(feature = "progress")]
mod progress;
mod registry;
mod resolve;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
mod s3_provider;
mod seen_file;
mod session;
mod signal;
mod small_file;
mod state;
mod storage_path;
mod sync;
mod sync_ignore;
mod threads;
mod transfer;
mod workspace;

pub use error::{Error, IgnoreFileError, StateError};
pub use file_hash::{FileHash, file_hash};
pub use ignore_files::check_ignore_file_name;
pub use json::write_json;
pub use location::{Location, LocationError, RemoteLocation};
pub use ls::{Depth, Found, Listed, ls};
pub use moved::{MovedFile, moved_files};
pub use place::Place;
pub use plan_file::{PlanFileError, PlanHeader, PlanReader, Shard, ShardError, save_plan, write_plan};
pub use policy::{Conflict, Policy};
pub use processes::{SystemProcess, Visible};
#[cfg(feature = "s3")]
pub use profile::{Profile, ProfileError, Profiles};
#[cfg(feature = "progress")]
pub use progress::{Progress, ProgressCounts, ProgressObserver};
pub use registry::{FileProvider, MemoryProvider, Provider, Registry, Role};
pub use resolve::{OpenLocation, Resolved};
#[cfg(feature = "s3")]
pub use s3::{CREDENTIAL_PROCESS, CredentialsFailure, Looked, S3Settings, S3SettingsError};
#[cfg(feature = "s3")]
pub use s3_provider::S3Provider;
pub use seen_file::{Replaced, SeenFile};
pub use session::{
    ConflictingPair, DownloadOptions, Ended, Ending, LeftOut, Link, Mirror, MirrorBuilder, PathChange, Registered,
    RegistrationKind, RemoteDelete, ScopeError, Session, SessionBuilder, SessionError, SessionObserver, Shape, Status,
    SyncBothOptions, Totals, TransferPlan, UploadOptions, Urgency,
};
pub use signal::{Signal, on_each_signal};
pub use small_file::{read_small, read_small_text};
pub use state::{Patience, State, StateDirectory, StateHome, SyncState, Wait};
pub use storage_path::{PathValidationError, StoragePathRules, validate_storage_path};
pub use sync::{PreparedSync, sync};
pub use sync_ignore::{SyncIgnoreBuilder, SyncIgnoreFilter};
pub use threads::startable_threads;
pub use workspace::{
    ConflictCopy, PathStatus, Phase, SetAside, Workspace, WorkspaceBuilder, WorkspaceError, WorkspaceProgress,
    WorkspaceReport, WorkspaceStatus,
};

pub use pos3_core::{
    Action, Archived, Availability, BEHIND_LINK, Budget, CONTRADICTED, CancellationToken, Capabilities, Change,
    Checksum, Compare, ContentTypeResolver, Deletion, Digest, Doubts, Effect, EmptyDirectories, Entry, ErrorKind,
    Event, Explanation, FailedAction, Failure, FailureKind, Failures, Filter, FilterBuilder, FilterError, FilterLine,
    FilterPart, FilterRule, Fingerprint, Guards, HiddenEntries, IgnoreSet, IgnoreText, Incomplete, Journal, Key, Kind,
    Manifest, ManifestError, MaxDelete, MemoryJournal, MemoryManifest, Namespace, NotBegun, OTHER_DIGEST,
    OTHER_SPELLING, Observer, Operation, OtherShapes, Outcome, Plan, PlanCounts, Preconditions, Proof, Protection,
    Refusal, RemoteStore, Report, Row, RowChange, ServerPause, Side, SkipEffect, SkipReason, Skips, Sorted, Sorter,
    Spill, SpillError, Stop, StoreError, SyncOptions, Tally, Tree, Unfinished, Url, Usage, Verify, WithheldDeletes,
    guess_content_type, is_deceptive, one_line, printable, redacted, without_userinfo,
};
pub use pos3_local::{APPEND_ONLY, IMMUTABLE, OwnFiles, Symlinks};
#[cfg(feature = "s3")]
pub use pos3_s3::{
    Addressing, Credentials, Refusal as S3Refusal, S3ConfigError, TransportError, TransportErrorKind, WEB_PAGE,
};
