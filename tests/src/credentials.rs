//! Services that provide credentials: the token service, the instance's metadata, a container's endpoint, single
//! sign-on.
//!
//! All of them return the same keys, so that a test can use the credentials on a server afterwards. They also count the
//! requests, because the real services throttle a client that asks too often.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use s3s::dto::{Timestamp, TimestampFormat};

use crate::server::tls::Identity;

/// The lifetime of credentials, unless a test sets another.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The services on one free port of the loopback interface. They stop when this is dropped.
#[derive(Debug)]
pub struct CredentialServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    access_key: String,
    secret_key: String,
    identity: Option<Identity>,
    stopped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: BTreeMap<&'static str, usize>,
    requests: Vec<String>,
    lifetimes: VecDeque<Duration>,
    /// The number of credentials after which all requests are refused, and the code of the refusal.
    refusal: Option<(usize, String)>,
}

impl CredentialServer {
    /// Starts the services, which return these keys.
    ///
    /// # Errors
    ///
    /// Returns the error of the socket that could not be created.
    pub fn start(access_key: &str, secret_key: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Self::serve(listener, access_key, secret_key, None)
    }

    /// Starts the services with TLS only, under a certificate authority of their own that no system trusts.
    ///
    /// # Errors
    ///
    /// Returns the error of the socket or certificate that could not be created.
    pub fn start_tls(access_key: &str, secret_key: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let identity = Identity::new(listener.local_addr()?)?;
        Self::serve(listener, access_key, secret_key, Some(identity))
    }

    fn serve(
        listener: TcpListener,
        access_key: &str,
        secret_key: &str,
        identity: Option<Identity>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            identity,
            stopped: AtomicBool::new(false),
            state: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let serving = Arc::clone(&serving);
                // If a client breaks the connection, it reports the error itself.
                std::thread::spawn(move || serving.answer(stream).ok());
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Returns the address, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.shared.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate of the authority as PEM, or `None` without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.shared.identity.as_ref().map(Identity::authority)
    }

    /// Refuses all requests after credentials have been returned this many times, as the token service does. The
    /// refusal has this code and a message.
    pub fn refuse_after(&self, given: usize, code: &str) {
        self.shared.state().refusal = Some((given, code.to_owned()));
    }

    /// Sets the lifetime of the next credentials. Later ones are valid for an hour again.
    pub fn next_lifetime(&self, lifetime: Duration) {
        self.shared.state().lifetimes.push_back(lifetime);
    }

    /// Returns how often a service has returned credentials. The services are `AssumeRole`,
    /// `AssumeRoleWithWebIdentity`, `instance`, `container` and `sso`; for `sso-oidc`, it is the number of new tokens.
    #[must_use]
    pub fn given(&self, service: &str) -> usize {
        self.shared.state().asked.get(service).copied().unwrap_or_default()
    }

    /// Returns the requests with their heads and bodies.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }
}

impl Drop for CredentialServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // The connection wakes the thread up. If it fails, the thread no longer listens.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, stream: TcpStream) -> io::Result<()> {
        match &self.identity {
            None => self.exchange(stream),
            Some(identity) => self.exchange(identity.accept_blocking(stream)?),
        }
    }

    fn exchange(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while reader.read_line(&mut head)? > 2 {}
        let length = head.to_ascii_lowercase();
        let length =
            length.split_once("content-length:").and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let refusal = {
            let mut state = self.state();
            state.requests.push(format!("{head}{body}"));
            let given: usize = state.asked.values().sum();
            state.refusal.clone().filter(|(after, _)| given >= *after)
        };
        let (status, answer) = match refusal {
            Some((_, code)) => ("403 Forbidden", refused(&code)),
            None => match self.service(&head, &body) {
                Some(answer) => ("200 OK", answer),
                None => ("404 Not Found", String::new()),
            },
        };
        let kind = if answer.starts_with('<') { "text/xml" } else { "application/json" };
        let stream = reader.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nx-aws-ec2-metadata-token-ttl-seconds: \
             600\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        )?;
        stream.flush()
    }

    fn service(&self, head: &str, body: &str) -> Option<String> {
        let mut words = head.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let instance = target.strip_prefix("/latest/meta-data/iam/security-credentials");
        Some(match (method, target.split('?').next()?, instance) {
            ("PUT", "/latest/api/token", _) => "a-session".to_owned(),
            ("GET", _, Some("/role")) => self.json("instance"),
            ("GET", _, Some(_)) => "role".to_owned(),
            ("GET", "/container", _) => self.json("container"),
            ("GET", "/federation/credentials", _) => self.sso(),
            ("POST", "/token", _) => {
                self.end("sso-oidc");
                r#"{"accessToken":"signed-in-again","expiresIn":3600,"tokenType":"Bearer"}"#.to_owned()
            }
            ("POST", "/", _) if body.contains("Action=AssumeRoleWithWebIdentity&") => {
                self.xml("AssumeRoleWithWebIdentity")
            }
            ("POST", "/", _) if body.contains("Action=AssumeRole&") => self.xml("AssumeRole"),
            _ => return None,
        })
    }

    /// Counts a request and returns the expiry of the credentials.
    fn end(&self, service: &'static str) -> SystemTime {
        let mut state = self.state();
        *state.asked.entry(service).or_default() += 1;
        SystemTime::now() + state.lifetimes.pop_front().unwrap_or(LIFETIME)
    }

    /// Returns a new token.
    fn token(&self) -> String {
        format!("a-token-{}", self.state().asked.values().sum::<usize>())
    }

    fn json(&self, service: &'static str) -> String {
        let (end, token) = (timestamp(self.end(service)), self.token());
        let Self { access_key, secret_key, .. } = self;
        format!(
            "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"{access_key}\",\"SecretAccessKey\":\
             \"{secret_key}\",\"Token\":\"{token}\",\"Expiration\":\"{end}\",\"LastUpdated\":\"2020-01-01T00:00:00Z\"}}"
        )
    }

    fn sso(&self) -> String {
        let end = self.end("sso").duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let token = self.token();
        let Self { access_key, secret_key, .. } = self;
        format!(
            "{{\"roleCredentials\":{{\"accessKeyId\":\"{access_key}\",\"secretAccessKey\":\"{secret_key}\",\
             \"sessionToken\":\"{token}\",\"expiration\":{end}}}}}"
        )
    }

    fn xml(&self, action: &'static str) -> String {
        let (end, token) = (timestamp(self.end(action)), self.token());
        let Self { access_key, secret_key, .. } = self;
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/role/session</Arn>\
             <AssumedRoleId>AROA:session</AssumedRoleId></AssumedRoleUser>\
             <Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{secret_key}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials></{action}Result>\
             <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
        )
    }
}

/// Returns a refusal in the format of the token service.
fn refused(code: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>not for you</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
}

/// Returns a time as `2030-01-31T23:59:59Z`.
fn timestamp(time: SystemTime) -> String {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = Timestamp::from(time).format(TimestampFormat::DateTime, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
