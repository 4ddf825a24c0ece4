//! TLS for a server, with its own certificate authority that no system trusts.
//!
//! Only such a certificate shows whether a client really verifies the server.

use std::{
    io,
    net::{SocketAddr, TcpStream as BlockingTcpStream},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, ServerConnection, StreamOwned,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
    server::TlsStream,
};
use tokio_util::either::Either;

/// A connection, encrypted or not.
pub(super) type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// A server's certificate and the authority that signed it.
#[derive(Clone)]
pub(crate) struct Identity {
    acceptor: TlsAcceptor,
    authority: String,
}

impl Identity {
    /// Creates an authority, and a certificate for `localhost` and the IP address of `address`.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let names = vec!["localhost".to_owned(), address.ip().to_string()];
        let (authority, certificate, key) = certificates(names).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)
            })
            .map_err(io::Error::other)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority: authority.pem() })
    }

    /// Returns the certificate of the authority as PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns an encrypted connection for a server without a runtime. The first read performs the handshake.
    pub(crate) fn accept_blocking(
        &self,
        stream: BlockingTcpStream,
    ) -> io::Result<StreamOwned<ServerConnection, BlockingTcpStream>> {
        let connection = ServerConnection::new(Arc::clone(self.acceptor.config())).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        self.acceptor.accept(stream).await.map(Either::Right)
    }
}

/// Returns an authority, a certificate signed by it for these names, and the certificate's key.
fn certificates(names: Vec<String>) -> Result<(rcgen::Certificate, rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.signed_by(&key, &Issuer::new(params, authority_key))?;
    Ok((authority, certificate, key))
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Returns the socket under the encryption.
pub(super) fn socket(stream: &Stream) -> &TcpStream {
    match stream {
        Either::Left(socket) => socket,
        Either::Right(encrypted) => encrypted.get_ref().0,
    }
}
