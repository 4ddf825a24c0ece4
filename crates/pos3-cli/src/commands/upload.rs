//! `pos3-cli upload`: uploads a directory or a file once.

use std::io;

use pos3::{Policy, RemoteDelete, Session, SessionError, Symlinks, UploadOptions};
use serde::Serialize;

use super::transfer::Transfer;
use crate::args::{Show, UploadArgs};
use crate::command_error::{CommandError, Direction, ErrorPrefix};
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::json::SyncFields;
use crate::size;

/// The hint about links that lead out of the directory.
const FOLLOW: &str = "upload what they lead to with --follow-symlinks, or leave them out with --exclude";

impl Execute for UploadArgs {
    const ERROR_PREFIX: ErrorPrefix = ErrorPrefix::Command("upload");

    fn name(&self) -> &'static str {
        "upload"
    }

    fn show(&self) -> Show {
        self.transfer.show.show()
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let transfer = Transfer::new(Direction::Upload, &self.transfer, invocation)?;
        // A session would create the directory.
        std::fs::metadata(&transfer.path).map_err(|error| unreadable(&transfer, &error))?;
        Ok(perform(&transfer, self.symlinks()).await)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        SyncFields::without_locations(self.transfer.dry_run)
    }
}

fn unreadable(transfer: &Transfer<'_>, error: &io::Error) -> CommandError {
    let path = transfer.path.display();
    CommandError::failed(match error.kind() {
        io::ErrorKind::NotFound => format!("source path does not exist: {path}"),
        _ => format!("cannot read '{path}': {error}"),
    })
}

async fn perform(transfer: &Transfer<'_>, symlinks: Symlinks) -> Exit {
    let args = transfer.args;
    let mut options = UploadOptions::default()
        .with_interval(None)
        .with_symlinks(symlinks)
        .with_delete(if args.delete { RemoteDelete::Extra } else { RemoteDelete::Never })
        .with_policy(Policy::SourceWins)
        .with_guards(args.guards())
        .with_exclude(&args.session.exclude)
        .with_ignore_files(&args.session.ignore_file);
    options.local.clone_from(&args.local);
    if args.dry_run {
        return transfer.show_plan(async |session| session.plan_upload(&transfer.url(), options).await).await;
    }
    let upload = async |session: &Session| {
        session.check_upload(&transfer.url(), &options).await?;
        session.upload(&transfer.url(), options).await?;
        let ending = session.close().await;
        let lacking = ending.uploads.iter().flat_map(|ended| &ended.left_out).filter(|left| left.lacks_content());
        let lacking = lacking.count();
        let withheld_by_others = ending.uploads.iter().find_map(|ended| ended.withheld_by_others.clone());
        ending.into_result()?;
        let report = session.status().into_iter().find_map(|status| status.last_report);
        Ok::<_, SessionError>((report, lacking, withheld_by_others))
    };
    match transfer.with_session(upload).await {
        Ok((report, 0, None)) => transfer.done(report.as_deref(), None, None),
        Ok((report, 0, Some(why))) => {
            let withheld = report.as_ref().map_or(0, |report| report.withheld);
            let message = format!("{} not deleted, because {why}", size::counted(withheld, "file"));
            transfer.done(report.as_deref(), None, Some(&CommandError::failed(message)))
        }
        Ok((report, lacking, _)) => {
            let links = size::counted(lacking as u64, "symbolic link");
            let message = format!("the content of {links} is not in {}", transfer.url());
            let error = CommandError::failed(message).with_hint(Some(FOLLOW.to_owned()));
            transfer.done(report.as_deref(), None, Some(&error))
        }
        Err(error) => transfer.failed(&error),
    }
}
