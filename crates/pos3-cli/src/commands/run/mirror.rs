//! Creates the session of a run and downloads its inputs.

use pos3::{DownloadOptions, Mirror, RemoteDelete, SessionBuilder, SessionError, SyncBothOptions, UploadOptions};

use super::LocalPlace;
use super::stage::Audience;
use crate::args::{Place, RunArgs, Use};
use crate::commands::session::Sessions;
use crate::commands::state_files;
use crate::warnings::Warnings;

/// Registers every input and output, and downloads the inputs.
pub(super) async fn enter(args: &RunArgs, warnings: &Warnings, audience: &Audience) -> Result<Mirror, SessionError> {
    let locations: Vec<_> = args.places().map(|(_, place)| &place.location).collect();
    let own = state_files();
    if let Some(report) = &args.json_report {
        own.add(report);
    }
    let sessions = Sessions::new(&args.session, warnings, &locations)?.with_own_files(own);
    let builder = sessions.builder().deadline(args.deadline).session_observer(audience.clone());
    declare(args, builder).await
}

/// Returns every input and output with its local path.
pub(super) fn paths<'a>(args: &'a RunArgs, mirror: &Mirror) -> Result<Vec<LocalPlace<'a>>, SessionError> {
    args.places().map(|(kind, place)| Ok((kind, place, mirror.path(&place.name)?.to_owned()))).collect()
}

async fn declare(args: &RunArgs, builder: SessionBuilder) -> Result<Mirror, SessionError> {
    let exclude = &args.session.exclude;
    let upload = UploadOptions::default()
        .with_interval(args.interval.0)
        .with_sync_on_error(args.sync_on_error)
        .with_delete(if args.delete_remote { RemoteDelete::Seen } else { RemoteDelete::Never })
        .with_guards(args.guards())
        .with_symlinks(args.symlinks())
        .with_exclude(exclude)
        .with_ignore_files(&args.session.ignore_file);
    let download = DownloadOptions::default()
        .with_delete(args.delete_local)
        .with_guards(args.guards())
        .with_exclude(exclude)
        .with_ignore_files(&args.session.ignore_file);
    let upload = |place: &Place| upload.clone().with_shape(place.shape);
    let sync = |place: &Place| SyncBothOptions::from(upload(place)).with_delete_local(args.delete_local);
    let declared = args.places().fold(Mirror::builder(builder), |mirror, (kind, place)| match kind {
        Use::Download => mirror.download(&place.name, place.url(), download.clone()),
        Use::Upload => mirror.upload(&place.name, place.url(), upload(place)),
        Use::Sync => mirror.sync(&place.name, place.url(), sync(place)),
    });
    declared.enter().await
}
