//! `pos3-cli download`: a local copy, and where it is.

use pos3::{DownloadOptions, Session, SessionError};

use super::transfer::{Transfer, Way};
use crate::args::DownloadArgs;
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &DownloadArgs) -> Exit {
    match Transfer::new(Way::Down, &args.transfer) {
        Ok(transfer) => perform(&transfer).await,
        Err(not_begun) => not_begun.tell(Way::Down, &args.transfer),
    }
}

async fn perform(transfer: &Transfer<'_>) -> Exit {
    let args = transfer.args;
    let options = DownloadOptions::default()
        .with_local(args.local.clone())
        .with_delete(args.delete)
        .with_guards(args.guards())
        .with_allow_missing(args.delete && args.allow_empty)
        .with_exclude(args.session.exclude.clone());
    if args.dry_run {
        return transfer.show_plan(async |session| session.plan_download(&transfer.url(), options).await).await;
    }
    let download = async |session: &Session| {
        let path = session.download(&transfer.url(), options).await?;
        let report = session.status().into_iter().find_map(|status| status.last_report);
        Ok::<_, SessionError>((path, report))
    };
    match transfer.with_session(download).await {
        Ok((path, report)) => transfer.done(report.as_deref(), Some(&path), Exit::Done),
        Err(error) => transfer.failed(&error),
    }
}
