//! Runs a `credential_process` and reads the credentials that it prints.
//!
//! The process is configured by the user, but what it prints may come from anywhere. A process that prints without end
//! must not fill the memory, and no part of its stdout may appear in a message, because it may be a secret.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::{Instant, sleep_until, timeout};

use crate::s3::CREDENTIAL_PROCESS;
use crate::s3::shared_config::processes::CredentialProcess;

/// The most bytes of output that are read. Credentials are a few hundred bytes.
const LONGEST: usize = 64 << 10;

/// How long a process may take. It may ask the user for a code.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the output of a process that has ended may stay open without its content. A process that it started, such as
/// an agent, may have inherited the output, and keep it open.
const GRACE: Duration = Duration::from_millis(500);

impl ProvideCredentials for CredentialProcess {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl CredentialProcess {
    async fn credentials(&self) -> provider::Result {
        let output = timeout(PATIENCE, self.run()).await;
        let late = |_| format!("it did not end within {} seconds", PATIENCE.as_secs());
        let read = output.map_err(late).and_then(|output| read(&output?));
        read.map_err(|why| {
            let (program, profile) = (self.program(), &self.profile);
            CredentialsError::provider_error(format!(
                "the credential process '{program}' of the profile '{profile}': {why}"
            ))
        })
    }

    /// Returns the first word of the command line. The others may be secrets.
    fn program(&self) -> &str {
        self.command.split_whitespace().next().unwrap_or_default()
    }

    /// Returns the output of the process. If the future is dropped, the process is killed.
    async fn run(&self) -> Result<Vec<u8>, String> {
        let mut command = shell(&self.command);
        command.env(CREDENTIAL_PROCESS, "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err("it has no output".to_owned());
        };
        let (mut output, mut complaint) = (Printed::new(stdout, Rest::Refused), Printed::new(stderr, Rest::Discarded));
        let mut ended: Option<(ExitStatus, Instant)> = None;
        while ended.is_none() || output.is_open() || complaint.is_open() {
            let is_enough = ended.is_some_and(|(status, _)| !status.success() || output.is_complete());
            let end_of_grace = ended.map_or_else(Instant::now, |(_, end)| end + GRACE);
            tokio::select! {
                read = output.read(), if output.is_open() => read?,
                read = complaint.read(), if complaint.is_open() => read?,
                status = child.wait(), if ended.is_none() => {
                    let status = status.map_err(|error| format!("its end is unknown: {error}"))?;
                    ended = Some((status, Instant::now()));
                }
                () = sleep_until(end_of_grace), if is_enough => break,
            }
        }
        match ended {
            Some((status, _)) if !status.success() => {
                Err(format!("it failed with {status}. Stderr: {}", String::from_utf8_lossy(&complaint.first)))
            }
            _ => Ok(output.first),
        }
    }
}

#[cfg(not(windows))]
fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

/// `cmd.exe` removes one pair of quotes around the whole line, and does not understand the usual escapes.
#[cfg(windows)]
fn shell(line: &str) -> Command {
    let mut command = Command::new("cmd.exe");
    command.arg("/C").raw_arg(format!("\"{line}\""));
    command
}

/// How output beyond the limit is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Refused,
    Discarded,
}

/// The output of a process, as far as it was read.
struct Printed<R> {
    /// `None` after its end.
    stream: Option<R>,
    first: Vec<u8>,
    rest: Rest,
}

impl<R: AsyncRead + Unpin> Printed<R> {
    fn new(stream: R, rest: Rest) -> Self {
        Self { stream: Some(stream), first: Vec::new(), rest }
    }

    fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Returns true if nothing is missing: the output has ended, or it is a whole JSON object.
    fn is_complete(&self) -> bool {
        !self.is_open() || serde_json::from_slice::<Map<String, Value>>(&self.first).is_ok()
    }

    /// Reads a part. A call that is cancelled has read nothing.
    async fn read(&mut self) -> Result<(), String> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.map_err(|error| format!("its output cannot be read: {error}"))?;
        let kept = read.min(LONGEST - self.first.len());
        self.first.extend_from_slice(&part[..kept]);
        if read == 0 {
            self.stream = None;
        } else if kept < read && self.rest == Rest::Refused {
            return Err(format!("it printed more than {} KiB", LONGEST >> 10));
        }
        Ok(())
    }
}

/// Returns the credentials in the output of a process.
fn read(output: &[u8]) -> Result<Credentials, String> {
    let fields: Map<String, Value> = serde_json::from_slice(output)
        .map_err(|error| format!("its output is not a JSON object (line {})", error.line()))?;
    let field = |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let text = |name: &str| {
        let text = field(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        match text {
            Some(text) if text.trim() != text || text.contains(char::is_control) => {
                Err(format!("the '{name}' in its output begins or ends with a blank, or contains a line end"))
            }
            text => Ok(text),
        }
    };
    let required = |name: &str| text(name)?.ok_or_else(|| format!("its output has no '{name}'"));
    match field("Version") {
        Some(version) if version.as_u64() == Some(1) => {}
        Some(_) => return Err("the 'Version' in its output is not 1".to_owned()),
        None => return Err("its output has no 'Version'".to_owned()),
    }
    let expiry = match field("Expiration") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let time = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            Some(SystemTime::from(time.ok_or("the 'Expiration' in its output is not a time")?))
        }
    };
    let (id, secret) = (required("AccessKeyId")?, required("SecretAccessKey")?);
    Ok(Credentials::new(id, secret, text("SessionToken")?.map(str::to_owned), expiry, "CredentialProcess"))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn process(command: &str) -> CredentialProcess {
        CredentialProcess { source: "s".to_owned(), profile: "lab".to_owned(), command: command.to_owned() }
    }

    async fn failure(command: &str) -> String {
        let error = process(command).credentials().await.unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    }

    #[tokio::test]
    async fn a_process_that_prints_without_end_is_refused_and_ends() {
        let begun = std::time::Instant::now();
        let why = failure("yes hush").await;
        assert_eq!(why, "the credential process 'yes' of the profile 'lab': it printed more than 64 KiB");
        let why = failure("yes '{}' | head -c 65537").await;
        assert!(why.ends_with("it printed more than 64 KiB"), "{why}");
        assert!(begun.elapsed() < PATIENCE / 2);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_process_that_is_not_waited_for_any_more_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let noted = directory.path().join("pid");
        let line = format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 1000", noted.display());
        let hanging = process(&line);
        let started = async {
            while !noted.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ended = hanging.credentials() => panic!("it hangs"),
            () = started => {}
        }
        let command_line = format!("/proc/{}/cmdline", std::fs::read_to_string(&noted).unwrap().trim());
        // A process that was killed has no command line, or is gone.
        while std::fs::read(&command_line).is_ok_and(|line| !line.is_empty()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_process_that_leaves_its_output_open_is_not_waited_for() {
        let answer = r#"{"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "s"}"#;
        let begun = std::time::Instant::now();
        for left in
            ["sleep 20 &", "sleep 20 >/dev/null &", "(sleep 0.1; while sleep 0.1; do echo x >&2; done) >/dev/null &"]
        {
            for line in [format!("{left} echo '{answer}'"), format!("echo '{answer}'; {left}")] {
                let credentials = process(&line).credentials().await.unwrap();
                assert_eq!(credentials.access_key_id(), "id", "{line}");
            }
            let why = failure(&format!("{left} echo broken >&2; exit 7")).await;
            assert!(why.contains("it failed with exit status: 7. Stderr: broken\n"), "{why}");
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        // A child of the process may print the rest.
        let (half, rest) = answer.split_at(20);
        let credentials = process(&format!("printf '{half}'; (sleep 1; echo '{rest}') &")).credentials().await.unwrap();
        assert_eq!(credentials.access_key_id(), "id");
    }

    #[tokio::test]
    async fn a_line_end_in_a_credential_is_refused_with_the_name_of_its_field() {
        for name in ["AccessKeyId", "SecretAccessKey", "SessionToken"] {
            for value in [r"hush\n", r"hush\r", r"hu\nsh", " hush", r"hush\t", r"hu\u0007sh"] {
                let mut fields = [("AccessKeyId", "id"), ("SecretAccessKey", "secret"), ("SessionToken", "token")];
                fields.iter_mut().filter(|(field, _)| *field == name).for_each(|(_, found)| *found = value);
                let fields: String = fields.iter().map(|(name, value)| format!(r#","{name}":"{value}""#)).collect();
                let why = failure(&format!(r#"printf '%s' '{{"Version":1{fields}}}'"#)).await;
                let expected =
                    format!("the '{name}' in its output begins or ends with a blank, or contains a line end");
                assert!(why.ends_with(&expected) && !why.contains("hush"), "{value}: {why}");
            }
        }
    }

    #[tokio::test]
    async fn however_much_a_process_complains_its_credentials_are_used() {
        let answer = r#"{"version": 1, "AccessKeyId": "id", "SecretAccessKey": "s#;k", "Other": [1]}"#;
        let noisy = format!("yes no | head -c 1000000 >&2; echo '{answer}'");
        let credentials = process(&noisy).credentials().await.unwrap();
        assert_eq!((credentials.access_key_id(), credentials.secret_access_key()), ("id", "s#;k"));
        assert_eq!((credentials.session_token(), credentials.expiry()), (None, None));
    }

    #[tokio::test]
    async fn an_expiration_is_honoured_with_any_offset() {
        let answer = |time: &str| {
            format!(
                "echo '{{\"Version\":1,\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\
                 \"Expiration\":\"{time}\"}}'"
            )
        };
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_651_516_560);
        for time in ["2022-05-02T18:36:00Z", "2022-05-02T20:36:00+02:00", "2022-05-02T18:36:00.000Z"] {
            let credentials = process(&answer(time)).credentials().await.unwrap();
            assert_eq!((credentials.expiry(), credentials.session_token()), (Some(expected), Some("t")), "{time}");
        }
        assert!(failure(&answer("hush")).await.ends_with("the 'Expiration' in its output is not a time"));
    }

    #[tokio::test]
    async fn no_failure_shows_the_output_or_an_argument() {
        for (command, why) in [
            ("echo hush", "its output is not a JSON object (line 1)"),
            ("true hush", "its output is not a JSON object (line 1)"),
            ("echo '[\"hush\"]'", "its output is not a JSON object (line 1)"),
            (r#"echo '{"SecretAccessKey":"hush"}'"#, "its output has no 'Version'"),
            (r#"echo '{"Version":2,"SecretAccessKey":"hush"}'"#, "the 'Version' in its output is not 1"),
            (r#"echo '{"Version":"1","SecretAccessKey":"hush"}'"#, "the 'Version' in its output is not 1"),
            (r#"echo '{"Version":1,"SecretAccessKey":"hush"}'"#, "its output has no 'AccessKeyId'"),
            (r#"echo '{"Version":1,"AccessKeyId":"","SecretAccessKey":"hush"}'"#, "its output has no 'AccessKeyId'"),
            ("echo hush; echo broken >&2; exit 7", "it failed with exit status: 7. Stderr: broken\n"),
        ] {
            let found = failure(command).await;
            assert!(found.ends_with(why) && !found.contains("hush"), "{command}: {found}");
        }
    }
}
