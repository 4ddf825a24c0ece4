//! A minimal S3 client that sends a signed request and returns the raw response. It shares no code with the client
//! under test.

use std::{fmt::Write as _, net::SocketAddr, time::SystemTime};

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use pos3_tests::server::S3Server;
use s3s::dto::{Timestamp, TimestampFormat};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

/// The characters SigV4 leaves as they are, and in paths the slash.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A request to be signed and sent.
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Bytes,
    host: Option<String>,
    secret_key: Option<String>,
}

impl Call {
    /// Returns a request to a path-style address such as `bucket/key`, written plainly.
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let path = format!("/{}", utf8_percent_encode(path, PATH));
        Self { method, path, query: Vec::new(), headers: Vec::new(), body: Bytes::new(), host: None, secret_key: None }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((utf8_percent_encode(name, QUERY).to_string(), utf8_percent_encode(value, QUERY).to_string()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Names another host than the address connected to.
    pub(crate) fn host(mut self, host: String) -> Self {
        self.host = Some(host);
        self
    }

    /// Signs with another secret than the server's.
    pub(crate) fn secret_key(mut self, secret_key: &str) -> Self {
        self.secret_key = Some(secret_key.to_owned());
        self
    }

    /// Sends the request and returns the whole answer.
    pub(crate) async fn send(self, server: &S3Server) -> Result<Reply, Failure> {
        let (head, body) = self.open(server).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    /// Sends the request and returns the answer as soon as its headers are there.
    pub(crate) async fn open(self, server: &S3Server) -> Result<Response<Incoming>, Failure> {
        let request = self.signed(server)?;
        transmit(server.address(), request).await
    }

    fn signed(mut self, server: &S3Server) -> Result<Request<Full<Bytes>>, Failure> {
        let time = basic_time()?;
        let digest = hexadecimal(&Sha256::digest(&self.body));
        let host = self.host.clone().unwrap_or_else(|| server.address().to_string());
        self.headers.push(("host".to_owned(), host));
        self.headers.push(("x-amz-date".to_owned(), time.clone()));
        if !self.headers.iter().any(|(name, _)| name == "x-amz-content-sha256") {
            self.headers.push(("x-amz-content-sha256".to_owned(), digest));
        }
        self.headers.sort();
        self.query.sort();
        let secret_key = self.secret_key.as_deref().unwrap_or(server.secret_key());
        let authorization = self.authorization(&time, server.access_key(), secret_key);

        let query: Vec<_> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let uri = format!("{}?{}", self.path, query.join("&"));
        let mut request = Request::builder().method(self.method).uri(uri).header("authorization", authorization);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(self.body))?)
    }

    /// Returns the `Authorization` header of Signature Version 4.
    fn authorization(&self, time: &str, access_key: &str, secret_key: &str) -> String {
        let header = |name: &str| self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let query: Vec<_> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut canonical = format!("{}\n{}\n{}\n", self.method, self.path, query.join("&"));
        for (name, value) in &self.headers {
            writeln!(canonical, "{name}:{}", value.trim()).unwrap();
        }
        write!(canonical, "\n{}\n{}", names.join(";"), header("x-amz-content-sha256").unwrap()).unwrap();

        let date = &time[..8];
        let scope = format!("{date}/us-east-1/s3/aws4_request");
        let digest = hexadecimal(&Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let key = [date, "us-east-1", "s3", "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret_key}").into_bytes(), |key, part| mac(&key, part));
        let signature = hexadecimal(&mac(&key, &to_sign));
        let names = names.join(";");
        format!("AWS4-HMAC-SHA256 Credential={access_key}/{scope},SignedHeaders={names},Signature={signature}")
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the current time as `20260131T235959Z`.
fn basic_time() -> Result<String, Failure> {
    let mut text = Vec::new();
    Timestamp::from(SystemTime::now()).format(TimestampFormat::DateTime, &mut text)?;
    let text: String = String::from_utf8(text)?.chars().filter(|character| !"-:".contains(*character)).collect();
    Ok(format!("{}Z", &text[..15]))
}

/// Sends a request as it is over a connection of its own.
pub(crate) async fn transmit(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns the status and the S3 error code, which is empty on success.
    pub(crate) fn outcome(&self) -> (u16, String) {
        let code = self.elements("Code").pop().unwrap_or_default();
        (self.status.as_u16(), code)
    }

    /// Returns the text of every element of this name.
    pub(crate) fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let rest = self.text().split(&open).skip(1);
        rest.map(|rest| rest.split(&close).next().unwrap().to_owned()).collect()
    }

    /// Returns the keys of a listing that was asked for with `encoding-type=url`.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.elements("Key").iter().map(|key| form_decoded(key)).collect()
    }
}

/// Decodes a name of a listing: percent-encoded, a space as `+`.
pub(crate) fn form_decoded(name: &str) -> String {
    percent_decode_str(&name.replace('+', " ")).decode_utf8().unwrap().into_owned()
}

/// Sends a request and returns its outcome: the status and the S3 error code.
pub(crate) async fn outcome(server: &S3Server, call: Call) -> (u16, String) {
    call.send(server).await.unwrap().outcome()
}

/// Returns the outcome of a request that succeeded.
pub(crate) fn success() -> (u16, String) {
    (200, String::new())
}

/// Returns the outcome of a request that was refused.
pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

pub(crate) fn get(path: &str) -> Call {
    Call::new(Method::GET, path)
}

pub(crate) fn head(path: &str) -> Call {
    Call::new(Method::HEAD, path)
}

pub(crate) fn put(path: &str, body: impl Into<Bytes>) -> Call {
    Call::new(Method::PUT, path).body(body)
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Call {
    Call::new(Method::POST, path).body(body)
}

pub(crate) fn delete(path: &str) -> Call {
    Call::new(Method::DELETE, path)
}
