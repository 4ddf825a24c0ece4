//! `pos3-cli run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pos3::{Guards, Location, MaxDelete, Shape, Symlinks};

use super::SessionArgs;
use super::job::max_delete;
use super::path::local_path;

const EXAMPLES: &str = "\
Examples:
  pos3-cli run --download data=s3://bucket/data --sync ckpt=s3://bucket/run-7 \\
    --sync-on-error --interval 60 -- python train.py
  pos3-cli run --download in=s3://bucket/raw --upload out=s3://bucket/clean \\
    -- sh -c 'sort \"$POS3_PATH_IN/a.csv\" > \"$POS3_PATH_OUT/a.csv\"'
  pos3-cli run --upload-file model=s3://bucket/run-7/model.ckpt -- sh -c 'train > \"$POS3_PATH_MODEL\"'

The program finds its local paths in its environment: '--download data=…' gives POS3_PATH_DATA. Its inputs are there when
it starts. Its outputs are uploaded every --interval seconds while it works; a file that is being written waits. Write
files that are replaced under another name first and rename them: then a copy of half a file can never exist.

An output is a directory, which is there when the program starts, unless its URL is that of an object that --sync fetched.
The path of --upload-file and --sync-file is left free for the file. A path instead of a URL is used where it is.

When the program ends with code 0, everything is uploaded. When it fails, or SIGINT, SIGTERM, SIGHUP or SIGQUIT comes,
only what --sync-on-error asks for is uploaded, nothing is deleted, and --deadline limits the time. These signals are
passed on to the program and its process group, which have --grace seconds to end; a second signal kills them and ends
the uploads at once. When the first signal comes after the program has ended, the uploads go on until the deadline and
nothing more is deleted. Under nohup a SIGHUP is ignored. A SIGHUP after another signal, or the same signal again within
a second, is not a second signal. SIGALRM, SIGVTALRM, SIGPROF and SIGXCPU are treated as SIGTERM. SIGUSR1 and SIGUSR2
are passed on to the program, and nothing else happens. If pos3-cli is killed, the program gets SIGTERM (Linux).

Exit code: the program's; 128 + N when signal N ended it; 1 when the program succeeded and an upload did not, or an
output is not there (after a signal 128 + N); 127 when there is no such program and 126 when it cannot be executed, before anything is fetched.";

/// Run a program with inputs from S3 and outputs to S3
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,

    /// Fetch this before the program starts
    #[arg(long, value_name = "NAME=URL", value_parser = place, help_heading = "Places")]
    download: Vec<Place>,

    /// Upload this while the program works and when it has ended
    #[arg(long, value_name = "NAME=URL", value_parser = place, help_heading = "Places")]
    upload: Vec<Place>,

    /// Both: fetch what is there already (nothing is fine), then upload
    #[arg(long, value_name = "NAME=URL", value_parser = place, help_heading = "Places")]
    sync: Vec<Place>,

    /// Upload one file; the program makes it at its path
    #[arg(long, value_name = "NAME=URL", value_parser = file_place, help_heading = "Places")]
    upload_file: Vec<Place>,

    /// Fetch one file if it is there already, then upload it; the program writes it at its path
    #[arg(long, value_name = "NAME=URL", value_parser = file_place, help_heading = "Places")]
    sync_file: Vec<Place>,

    /// Upload what symbolic links in the outputs lead to, instead of leaving them out
    #[arg(long, overrides_with = "no_follow_symlinks")]
    follow_symlinks: bool,

    /// Leave symbolic links in the outputs out and report them (the default)
    #[arg(long, overrides_with = "follow_symlinks")]
    no_follow_symlinks: bool,

    /// Upload what has changed every so many seconds; 'none' uploads at the end only
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = interval)]
    pub(crate) interval: Interval,

    /// Upload also when the program fails or a signal comes
    #[arg(long)]
    pub(crate) sync_on_error: bool,

    /// Delete local files that the place does not have (--download, --sync), before the program starts
    #[arg(long, help_heading = "What to delete")]
    pub(crate) delete_local: bool,

    /// Delete remotely what this machine stored or fetched there and the program removed: when it succeeds, and while it
    /// works what is absent at two consecutive uploads; what others stored stays
    #[arg(long, help_heading = "What to delete")]
    pub(crate) delete_remote: bool,

    /// Delete not more than N files of a place, or P% of them (default: 50% of 20 or more)
    #[arg(long, value_name = "N|P%", value_parser = max_delete, help_heading = "What to delete")]
    max_delete: Option<MaxDelete>,

    /// Let a directory that the program emptied empty its place (--delete-remote), and an empty place its directory (--sync
    /// with --delete-local)
    #[arg(long, help_heading = "What to delete")]
    allow_empty: bool,

    /// How long the program, and what it started, may take to end after a signal before they are killed, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) grace: Duration,

    /// How long the uploads may take when the program failed or a signal came, in seconds; what is in flight then has ten
    /// more
    #[arg(long, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    pub(crate) deadline: Duration,

    /// Write what became of the program and of every upload to this file, as one JSON object
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    pub(crate) json_report: Option<PathBuf>,

    /// Show errors only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

/// A named place.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) location: Location,
    pub(crate) shape: Shape,
}

/// What a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Download,
    Upload,
    Sync,
}

/// How often outputs are uploaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval(pub(crate) Option<Duration>);

impl Place {
    /// Returns the place as the session takes it.
    pub(crate) fn url(&self) -> String {
        self.location.to_string()
    }

    /// Returns false for a path, which is used where it is.
    pub(crate) fn is_remote(&self) -> bool {
        self.location.path().is_none()
    }

    /// Returns the variable that tells the program where it is.
    pub(crate) fn variable(&self) -> String {
        format!("POS3_PATH_{}", self.name.to_ascii_uppercase())
    }
}

impl RunArgs {
    /// Returns how much may be deleted.
    pub(crate) fn guards(&self) -> Guards {
        Guards::default().with_allow_empty(self.allow_empty).with_max_delete(self.max_delete.unwrap_or_default())
    }

    /// Returns what becomes of symbolic links in the outputs.
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

    /// Gives the profile of `--profile` to the places that could have one and name none.
    pub(super) fn locate(&mut self) {
        let outputs = self.upload.iter_mut().chain(&mut self.sync);
        let files = self.upload_file.iter_mut().chain(&mut self.sync_file);
        for place in self.download.iter_mut().chain(outputs).chain(files) {
            self.session.s3.locate(&mut place.location);
        }
    }

    /// Returns a name that two places have, as the variables of the program see them.
    pub(crate) fn duplicate(&self) -> Option<&str> {
        let mut seen = std::collections::HashSet::new();
        self.places().find(|(_, place)| !seen.insert(place.variable())).map(|(_, place)| place.name.as_str())
    }
}

fn place(text: &str) -> Result<Place, String> {
    let (name, url) = text.split_once('=').ok_or("write NAME=URL, such as data=s3://bucket/data")?;
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Err(format!("the name '{name}' must be letters, digits and '_', and not begin with a digit"));
    }
    let location = url.parse().map_err(|error: pos3::LocationError| error.to_string())?;
    Ok(Place { name: name.to_owned(), location, shape: Shape::Auto })
}

fn file_place(text: &str) -> Result<Place, String> {
    let place = place(text)?;
    if text.ends_with('/') || matches!(&place.location, Location::Remote(remote) if remote.key().is_empty()) {
        return Err("the URL of one file has a name at its end, such as model=s3://bucket/run/model.ckpt".to_owned());
    }
    Ok(Place { shape: Shape::File, ..place })
}

fn interval(text: &str) -> Result<Interval, String> {
    if text == "none" {
        return Ok(Interval(None));
    }
    let interval = seconds(text)?;
    if interval.is_zero() {
        return Err("an interval must be longer than nothing; 'none' uploads at the end only".to_owned());
    }
    Ok(Interval(Some(interval)))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().map_err(|_| "give a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "give a number of seconds that is not negative".to_owned())
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
