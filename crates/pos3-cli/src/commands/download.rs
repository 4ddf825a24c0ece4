//! `pos3-cli download`: makes a local copy and prints its path.

use pos3::{DownloadOptions, Session, SessionError};
use serde::Serialize;

use super::transfer::Transfer;
use crate::args::{DownloadArgs, Show};
use crate::command_error::{CommandError, Direction, ErrorPrefix};
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::json::SyncFields;

impl Execute for DownloadArgs {
    const ERROR_PREFIX: ErrorPrefix = ErrorPrefix::Command("download");

    fn name(&self) -> &'static str {
        "download"
    }

    fn show(&self) -> Show {
        self.transfer.show.show()
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let transfer = Transfer::new(Direction::Download, &self.transfer, invocation)?;
        Ok(perform(&transfer).await)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        SyncFields::without_locations(self.transfer.dry_run)
    }
}

async fn perform(transfer: &Transfer<'_>) -> Exit {
    let args = transfer.args;
    let mut options = DownloadOptions::default()
        .with_delete(args.delete)
        .with_guards(args.guards())
        .with_allow_missing(args.delete && args.allow_empty)
        .with_exclude(&args.session.exclude)
        .with_ignore_files(&args.session.ignore_file);
    options.local.clone_from(&args.local);
    if args.dry_run {
        return transfer.show_plan(async |session| session.plan_download(&transfer.url(), options).await).await;
    }
    let download = async |session: &Session| {
        let path = session.download(&transfer.url(), options).await?;
        let report = session.status().into_iter().find_map(|status| status.last_report);
        Ok::<_, SessionError>((path, report))
    };
    match transfer.with_session(download).await {
        Ok((path, report)) => transfer.done(report.as_deref(), Some(&path), None),
        Err(error) => transfer.failed(&error),
    }
}
