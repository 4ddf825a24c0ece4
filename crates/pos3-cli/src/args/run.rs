//! The arguments of `pos3-cli run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pos3::{Guards, Location, MaxDelete, Shape, Symlinks};

use super::SessionArgs;
use super::duration::seconds;
use super::job::max_delete;
use super::path::local_path;
use super::session::PATTERNS;

const EXAMPLES: &str = "\
Examples:
  pos3-cli run --download data=s3://bucket/data --sync ckpt=s3://bucket/run-7 \\
    --sync-on-error --interval 60 -- python train.py
  pos3-cli run --download in=s3://bucket/raw --upload out=s3://bucket/clean \\
    -- sh -c 'sort \"$POS3_PATH_IN/a.csv\" > \"$POS3_PATH_OUT/a.csv\"'
  pos3-cli run --upload-file model=s3://bucket/run-7/model.ckpt \\
    -- sh -c 'train > \"$POS3_PATH_MODEL\"'

Paths:
  The environment of the program contains each local path: '--download data=…'
  sets POS3_PATH_DATA. pos3 uses a local path instead of a URL in place.
  The path of --upload and --sync is a directory, which pos3 creates, unless it
  is an existing file or --sync downloads a single object. The path of
  --upload-file and --sync-file is a file, which the program creates.
  POS3_SESSION identifies the processes of the program. While one of them runs,
  its outputs stay marked as unsaved, even if pos3-cli itself was killed.

Uploads:
  pos3 uploads changed files every --interval seconds and when the program has
  ended. It skips a file that is being written and uploads it next time. It
  cannot detect a half-written file that is no longer being written. To replace
  files safely, write them under another name and rename them.
  If the program exits with 0, pos3 uploads all outputs. If the program fails,
  or after a signal, pos3 uploads outputs only with --sync-on-error, deletes
  nothing, and stops after --deadline seconds.

Deletes:
  --delete-remote deletes an object only if this machine uploaded or downloaded
  it, no other writer has changed it since then, and the program removed the
  local file. pos3 deletes only after the program has succeeded and all of its
  processes have ended (Linux; on other systems, pos3 never deletes). If
  --max-delete does not allow that many deletes, pos3 deletes nothing and exits
  with 1.
  With --allow-empty, pos3 also deletes all objects of an output directory that
  the program emptied (--delete-remote), and all local files of an empty URL
  (--sync with --delete-local). Otherwise, pos3 deletes nothing in these cases.

Signals:
  pos3 passes SIGINT, SIGTERM, SIGHUP and SIGQUIT on to the program and its
  process group, and kills them if they still run after --grace seconds. A
  second signal kills them and stops the uploads immediately. If the first
  signal arrives after the program has ended, the uploads have --deadline
  seconds, and pos3 deletes nothing more.
  These are not second signals: the same signal within a second, and SIGHUP
  after another signal. Under nohup, pos3 ignores SIGHUP.
  pos3 treats SIGALRM, SIGVTALRM, SIGPROF and SIGXCPU as SIGTERM. It passes
  SIGUSR1 and SIGUSR2 on to the program and continues. If pos3-cli is killed,
  the program receives SIGTERM (Linux).

Exit codes:
  N      the exit code of the program
  1      the program succeeded, but an upload failed or an output is missing
  126    the program cannot be executed; nothing was downloaded
  127    the program does not exist; nothing was downloaded
  128+N  signal N ended the program, or prevented uploads or deletes";

/// The arguments of `pos3-cli run`.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{PATTERNS}"))]
pub(crate) struct RunArgs {
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,

    /// Download URL before the program starts
    #[arg(long, value_name = "NAME=URL", value_parser = place, help_heading = "Inputs and outputs")]
    download: Vec<Place>,

    /// Upload a directory to URL while the program runs and when it has ended
    #[arg(long, value_name = "NAME=URL", value_parser = place, help_heading = "Inputs and outputs")]
    upload: Vec<Place>,

    /// Download URL if it exists, then upload like --upload
    #[arg(long, value_name = "NAME=URL", value_parser = place, help_heading = "Inputs and outputs")]
    sync: Vec<Place>,

    /// Upload one file, which the program creates
    #[arg(long, value_name = "NAME=URL", value_parser = file_place, help_heading = "Inputs and outputs")]
    upload_file: Vec<Place>,

    /// Download one object if it exists, then upload like --upload-file
    #[arg(long, value_name = "NAME=URL", value_parser = file_place, help_heading = "Inputs and outputs")]
    sync_file: Vec<Place>,

    /// Follow symbolic links in the outputs instead of skipping them
    #[arg(long, overrides_with = "no_follow_symlinks")]
    follow_symlinks: bool,

    /// Skip and report symbolic links in the outputs (the default)
    #[arg(long, overrides_with = "follow_symlinks")]
    no_follow_symlinks: bool,

    /// Upload changes every SECONDS; 'none' uploads only at the end
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = interval)]
    pub(crate) interval: Interval,

    /// Upload the outputs even if the program fails or a signal arrives
    #[arg(long)]
    pub(crate) sync_on_error: bool,

    /// Delete local files of --download and --sync that do not exist remotely, before the program starts
    #[arg(long, help_heading = "What to delete")]
    pub(crate) delete_local: bool,

    /// Delete objects whose local files the program removed, after it has succeeded
    #[arg(long, help_heading = "What to delete")]
    pub(crate) delete_remote: bool,

    /// Refuse to delete more than N files of a location, or P% of them [default: 50% if it has 20 files or more]
    #[arg(long, value_name = "N|P%", value_parser = max_delete, help_heading = "What to delete")]
    max_delete: Option<MaxDelete>,

    /// Allow --delete-local and --delete-remote to delete everything if the other side is empty
    #[arg(long, help_heading = "What to delete")]
    allow_empty: bool,

    /// Kill the program and its processes SECONDS after a signal
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) grace: Duration,

    /// Stop the uploads SECONDS after a failure or a signal; files in flight get 10 seconds more
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    pub(crate) deadline: Duration,

    /// Write the result of the program and of every upload to FILE as one JSON object
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    pub(crate) json_report: Option<PathBuf>,

    /// Print errors only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

/// A named input or output.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) location: Location,
    pub(crate) shape: Shape,
}

/// Whether a place is downloaded, uploaded or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Download,
    Upload,
    Sync,
}

/// The time between two background uploads, or `None` to upload only at the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval(pub(crate) Option<Duration>);

impl Place {
    /// Returns the location as a session accepts it.
    pub(crate) fn url(&self) -> String {
        self.location.to_string()
    }

    /// Returns false for a local path, which is used in place.
    pub(crate) fn is_remote(&self) -> bool {
        self.location.path().is_none()
    }

    /// Returns the environment variable that contains the local path.
    pub(crate) fn variable(&self) -> String {
        format!("POS3_PATH_{}", self.name.to_ascii_uppercase())
    }
}

impl RunArgs {
    /// Returns the limits on deletes.
    pub(crate) fn guards(&self) -> Guards {
        Guards::default().with_allow_empty(self.allow_empty).with_max_delete(self.max_delete.unwrap_or_default())
    }

    /// Returns how symbolic links in the outputs are treated.
    pub(crate) fn symlinks(&self) -> Symlinks {
        if self.follow_symlinks { Symlinks::Follow } else { Symlinks::Skip }
    }

    /// Returns every place, in the order of the help.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Use, &Place)> {
        let download = self.download.iter().map(|place| (Use::Download, place));
        let upload = self.upload.iter().map(|place| (Use::Upload, place));
        let upload = upload.chain(self.upload_file.iter().map(|place| (Use::Upload, place)));
        let sync = self.sync.iter().chain(&self.sync_file).map(|place| (Use::Sync, place));
        download.chain(upload).chain(sync)
    }

    /// Adds the profile of `--profile` to the locations.
    pub(crate) fn add_profile(&mut self) {
        let outputs = self.upload.iter_mut().chain(&mut self.sync);
        let files = self.upload_file.iter_mut().chain(&mut self.sync_file);
        let places = self.download.iter_mut().chain(outputs).chain(files);
        self.session.s3.add_profile(places.map(|place| &mut place.location));
    }

    /// Returns two places that would have the same environment variable.
    pub(crate) fn same_variable(&self) -> Option<(&Place, &Place)> {
        let mut seen = std::collections::HashMap::new();
        self.places().find_map(|(_, place)| seen.insert(place.variable(), place).map(|first| (first, place)))
    }
}

fn place(text: &str) -> Result<Place, String> {
    let (name, url) = text.split_once('=').ok_or("write NAME=URL, such as data=s3://bucket/data")?;
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Err(format!("the name '{name}' must consist of letters, digits and '_', and not begin with a digit"));
    }
    let location = url.parse().map_err(|error: pos3::LocationError| error.to_string())?;
    Ok(Place { name: name.to_owned(), location, shape: Shape::Auto })
}

fn file_place(text: &str) -> Result<Place, String> {
    let place = place(text)?;
    if text.ends_with('/') || matches!(&place.location, Location::Remote(remote) if remote.key().is_empty()) {
        return Err("the URL of a file must end with its name, such as model=s3://bucket/run/model.ckpt".to_owned());
    }
    Ok(Place { shape: Shape::File, ..place })
}

fn interval(text: &str) -> Result<Interval, String> {
    if text == "none" {
        return Ok(Interval(None));
    }
    let interval = seconds(text)?;
    if interval.is_zero() {
        return Err("the interval must be greater than zero; 'none' uploads only at the end".to_owned());
    }
    Ok(Interval(Some(interval)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_name_that_a_variable_can_have() {
        assert_eq!(place("data=s3://b/k=v").unwrap().variable(), "POS3_PATH_DATA");
        assert_eq!(place("_a1=./here").unwrap().variable(), "POS3_PATH__A1");
        assert_eq!(file_place("m=s3://b/m.ckpt").unwrap().shape, Shape::File);
        for bad in ["m=s3://b/m/", "m=s3://b", "m"] {
            assert!(file_place(bad).is_err(), "{bad}");
        }
        for bad in ["data", "=s3://b", "1a=s3://b", "a-b=s3://b", "ä=s3://b", "a=", "a=S3://b"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(interval("0.5").unwrap().0, Some(Duration::from_millis(500)));
        assert_eq!(interval("none").unwrap().0, None);
        for bad in ["0", "-1", "nan", "soon", "1e300", ""] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }
}
