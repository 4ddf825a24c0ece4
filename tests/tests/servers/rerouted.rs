//! A transport that connects to one address whatever host a request names.
//!
//! Not every system resolves `data.localhost`. This transport also shows that an embedder can use its own.

use std::net::SocketAddr;

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pos3_s3::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService};
use tokio::net::TcpStream;

/// Sends every request over a connection of its own to one address.
#[derive(Debug)]
pub(super) struct Rerouted(SocketAddr);

impl Rerouted {
    /// Returns the transport that always connects to `address`.
    pub(super) fn to(address: SocketAddr) -> HttpClient {
        HttpClient::new(Self(address))
    }
}

#[async_trait]
impl HttpService for Rerouted {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().authority().unwrap().to_string();
        assert!(host.ends_with(&format!(".localhost:{}", self.0.port())), "the bucket is not in the host: {host}");
        request.headers_mut().insert("host", host.parse().unwrap());
        // A request to an origin names only the path.
        *request.uri_mut() = request.uri().path_and_query().unwrap().as_str().parse().unwrap();

        let connect = |error| HttpError::new(HttpErrorKind::Connect, error);
        let socket = TcpStream::connect(self.0).await.map_err(connect)?;
        socket.set_nodelay(true).map_err(connect)?;
        let failed = |error| HttpError::new(HttpErrorKind::Request, error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(failed)?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(failed)?;
        Ok(response
            .map(|body| HttpResponseBody::new(body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)))))
    }
}
