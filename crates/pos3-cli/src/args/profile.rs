//! Applies `--profile` to the locations of a command.
//!
//! The profile becomes part of the locations right after parsing. So every saved plan and every message names the server.

use pos3::Location;

use super::{Cli, Command, JobArgs, ManifestCommand, PairArgs, S3Args};

impl Cli {
    /// Returns the command line with the profile added to every `s3://` location that names none.
    pub(crate) fn located(mut self) -> Self {
        match &mut self.command {
            Command::Sync(args) => {
                args.job.locate();
                let args = &mut **args;
                locate(&args.job.s3, args.safety.backup_dir.as_mut());
            }
            Command::Plan(args) => args.job.locate(),
            Command::Explain(args) => args.job.locate(),
            // The plan file contains its locations with their profiles.
            Command::Apply(args) => {
                let args = &mut **args;
                locate(&args.s3, args.safety.backup_dir.as_mut());
            }
            Command::Check(args) => {
                let args = &mut **args;
                locate(&args.s3, [&mut args.from, &mut args.to]);
            }
            // These commands parse their URL when they start.
            Command::Download(_) | Command::Upload(_) => {}
            Command::Run(args) => args.locate(),
            Command::Ls(args) => locate(&args.s3, [&mut args.location]),
            Command::Cleanup(args) => locate(&args.s3, [&mut args.location]),
            Command::Manifest(args) => match &mut args.command {
                ManifestCommand::Show(args) => args.pair.locate(),
                ManifestCommand::Forget(args) => args.pair.locate(),
            },
        }
        self
    }
}

impl JobArgs {
    fn locate(&mut self) {
        locate(&self.s3, [&mut self.from, &mut self.to]);
    }
}

impl PairArgs {
    fn locate(&mut self) {
        locate(&self.s3, [&mut self.from, &mut self.to]);
    }
}

fn locate<'a>(s3: &S3Args, locations: impl IntoIterator<Item = &'a mut Location>) {
    locations.into_iter().for_each(|location| s3.locate(location));
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_profile_is_for_the_locations_of_s3_that_name_none() {
        let line = "pos3-cli check s3://b/k s3://own@b --profile lab";
        let Command::Check(args) = Cli::try_parse_from(line.split(' ')).unwrap().located().command else { panic!() };
        assert_eq!((args.from.to_string(), args.to.to_string()), ("s3://lab@b/k".into(), "s3://own@b".into()));

        let line = "pos3-cli sync . memory://m --backup-dir s3://old --profile lab";
        let Command::Sync(args) = Cli::try_parse_from(line.split(' ')).unwrap().located().command else { panic!() };
        assert_eq!((args.job.from.to_string(), args.job.to.to_string()), (".".into(), "memory://m".into()));
        assert_eq!(args.safety.backup_dir.unwrap().to_string(), "s3://lab@old");
    }

    #[test]
    fn a_profile_says_everything_about_its_server() {
        for option in ["--endpoint-url http://h", "--region r", "--no-sign-request"] {
            let line = format!("pos3-cli ls s3://b --profile lab {option}");
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{option}");
        }
    }
}
