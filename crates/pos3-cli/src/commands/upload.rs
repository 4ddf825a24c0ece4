//! `pos3-cli upload`: one upload of what is there.

use pos3::{RemoteDelete, RemoteOverwrite, Session, SessionError, Symlinks, UploadOptions};

use super::transfer::{NotBegun, Transfer, Way};
use crate::args::UploadArgs;
use crate::exit::Exit;
use crate::{output, size};

/// What to do about links that lead out of the directory.
const FOLLOW: &str = "upload what they lead to with --follow-symlinks, or leave them out with --exclude";

/// Runs the command.
pub(crate) async fn run(args: &UploadArgs) -> Exit {
    match open(args) {
        Ok(transfer) => perform(&transfer, args.symlinks()).await,
        Err(not_begun) => not_begun.tell(Way::Up, &args.transfer),
    }
}

/// A session makes the directory of its outputs; here there must be something.
fn open(args: &UploadArgs) -> Result<Transfer<'_>, NotBegun> {
    let transfer = Transfer::new(Way::Up, &args.transfer)?;
    match std::fs::metadata(&transfer.path) {
        Ok(_) => Ok(transfer),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(NotBegun::failed(format!("source path does not exist: {}", transfer.path.display())))
        }
        Err(error) => Err(NotBegun::failed(format!("cannot read '{}': {error}", transfer.path.display()))),
    }
}

async fn perform(transfer: &Transfer<'_>, symlinks: Symlinks) -> Exit {
    let args = transfer.args;
    let options = UploadOptions::default()
        .with_local(args.local.clone())
        .with_interval(None)
        .with_symlinks(symlinks)
        .with_delete(if args.delete { RemoteDelete::Mirror } else { RemoteDelete::Never })
        .with_overwrite(RemoteOverwrite::Always)
        .with_guards(args.guards())
        .with_exclude(args.session.exclude.clone());
    if args.dry_run {
        return transfer.show_plan(async |session| session.plan_upload(&transfer.url(), options).await).await;
    }
    let upload = async |session: &Session| {
        session.upload(&transfer.url(), options).await?;
        let ending = session.close().await;
        let lacking = ending.uploads.iter().flat_map(|ended| &ended.left_out).filter(|left| left.lacks_content());
        let lacking = lacking.count();
        ending.into_result()?;
        let report = session.status().into_iter().find_map(|status| status.last_report);
        Ok::<_, SessionError>((report, lacking))
    };
    match transfer.with_session(upload).await {
        Ok((report, 0)) => transfer.done(report.as_deref(), None, Exit::Done),
        Ok((report, lacking)) => {
            let links = size::counted(lacking as u64, "symbolic link");
            let message = format!("the content of {links} is not in {}", transfer.url());
            output::command_error("upload", &message, Some(FOLLOW));
            transfer.done(report.as_deref(), None, Exit::Failed)
        }
        Err(error) => transfer.failed(&error),
    }
}
