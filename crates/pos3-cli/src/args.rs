//! The command line: its syntax, its help texts and its parser.
//!
//! Parsing checks every value that can be checked without looking at files or servers.

mod apply;
mod check;
mod cleanup;
mod concurrency;
mod duration;
mod explain;
mod filter;
mod job;
mod ls;
mod manifest;
mod path;
mod plan;
mod run;
mod s3;
mod session;
mod show;
mod sync;
mod transfer;
mod workspace;

use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser};
use pos3::Location;

pub(crate) use apply::ApplyArgs;
pub(crate) use check::CheckArgs;
pub(crate) use cleanup::CleanupArgs;
pub(crate) use concurrency::ConcurrencyArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use filter::FilterArgsError;
pub(crate) use job::JobArgs;
pub(crate) use ls::LsArgs;
pub(crate) use manifest::{LockArgs, ManifestArgs, ManifestCommand, ManifestForgetArgs, ManifestShowArgs, PairArgs};
pub(crate) use plan::PlanArgs;
pub(crate) use run::{Place, RunArgs, Use};
pub(crate) use s3::S3Args;
pub(crate) use session::SessionArgs;
pub(crate) use show::{Detail, Show, ShowArgs};
pub(crate) use sync::{SafetyArgs, SyncArgs, SyncManifestArgs};
pub(crate) use transfer::{DownloadArgs, TransferArgs, UploadArgs};
pub(crate) use workspace::{
    DirectoryArgs, FetchArgs, IgnoreArgs, PullArgs, PushArgs, StatusArgs, StoreArgs, WorkspaceArgs, WorkspaceCommand,
    WorkspaceRunArgs,
};

/// Returns a parser of locations. An invalid location is a usage error.
fn location() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().try_map(|text: OsString| Location::from_os_str(&text))
}

/// Like [`location`], but rejects locations in memory, whose content does not outlive the process.
fn lasting_location() -> impl TypedValueParser<Value = Location> {
    location().try_map(|location| match &location {
        Location::Remote(remote) if remote.scheme() == "memory" => {
            Err(format!("'{location}' is gone when the program ends: name a directory or a bucket"))
        }
        Location::Remote(_) | Location::Local(_) => Ok(location),
    })
}
