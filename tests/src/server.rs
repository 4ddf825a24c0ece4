//! An S3 server in the test process: real HTTP, real signatures, objects in memory.
//!
//! ```
//! use pos3_tests::server::{Operation, S3Server};
//!
//! let server = S3Server::builder().bucket("data").start()?;
//! server.put("data", "a//b", "content");
//! // … point a client at server.endpoint() with server.access_key() and server.secret_key() …
//! assert_eq!(server.requests().of(Operation::PutObject), 0);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The server runs on its own threads, so tests may be blocking or asynchronous. It stops when it is dropped.
//! [`Settings`] change the behaviour of the whole server, and a [`Fault`] changes single requests.
//! [`S3Server::requests`] and [`S3Server::log`] report the requests that have arrived.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::SystemTime,
};

use bytes::Bytes;
use s3s::{
    auth::SimpleAuth,
    config::{S3Config, StaticConfigProvider},
    host::SingleDomain,
    service::S3ServiceBuilder,
};
use tokio::sync::oneshot;

mod backend;
mod body;
mod clock;
mod fault;
mod habits;
mod name;
mod operation;
mod record;
mod region;
mod settings;
mod state;
pub(crate) mod tls;
mod wire;

use self::{
    backend::Backend,
    fault::FaultTable,
    record::Record,
    settings::SharedSettings,
    state::{Bucket, State},
    tls::Identity,
    wire::Wire,
};
pub use self::{
    fault::{Answer, AnsweredEtag, Fault, FaultPattern},
    name::{BucketNameError, check_bucket_name},
    operation::{Operation, Target},
    record::RequestCounts,
    region::WrongRegion,
    settings::{
        Checksums, ConditionalDeletes, ConditionalWrites, CopyEtag, Etags, ListingFault, ListingOrder, Overload,
        Overloaded, Settings, Tagging,
    },
    state::{Properties, Storage, StoredObject},
};

/// A running S3 server. It stops when it is dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    access_key: String,
    secret_key: String,
    state: Arc<State>,
    settings: Arc<SharedSettings>,
    record: Arc<Record>,
    faults: Arc<FaultTable>,
    identity: Option<Identity>,
    running: Option<(oneshot::Sender<Infallible>, JoinHandle<io::Result<()>>)>,
}

impl S3Server {
    /// Starts a server without buckets on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// Returns the error of the socket or thread that could not be created.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder for a server with buckets, settings or another address.
    #[must_use]
    pub fn builder() -> S3ServerBuilder {
        S3ServerBuilder {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            access_key: "test-access-key".to_owned(),
            secret_key: "test-secret-key".to_owned(),
            buckets: Vec::new(),
            settings: Settings::default(),
            encryption: Encryption::None,
        }
    }

    /// Returns the address for path-style requests, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme(), self.address)
    }

    /// Returns the address for virtual-hosted-style requests to one bucket, such as `http://data.localhost:41234`.
    #[must_use]
    pub fn virtual_hosted_endpoint(&self, bucket: &str) -> String {
        format!("{}://{bucket}.localhost:{}", self.scheme(), self.address.port())
    }

    fn scheme(&self) -> &'static str {
        if self.identity.is_some() { "https" } else { "http" }
    }

    /// Returns the certificate of the authority that signed this server's certificate as PEM, or `None` without
    /// [`tls`](S3ServerBuilder::tls).
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.identity.as_ref().map(Identity::authority)
    }

    /// Returns the address the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the access key id that requests must be signed with.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Returns the secret access key that requests must be signed with.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Returns the number of requests of each operation since the start or the last reset, including failed ones.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        self.record.counts()
    }

    /// Returns the requests in the order of their arrival. Only the last 65,536 are kept.
    #[must_use]
    pub fn log(&self) -> Vec<Target> {
        self.record.log()
    }

    /// Returns the number of requests that are in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.record.in_flight()
    }

    /// Returns the maximum number of requests that were in flight at the same time since the start or the last reset. A
    /// request is in flight from its arrival until its response has been sent completely.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.record.most_in_flight()
    }

    /// Returns the number of connections that were accepted since the start, including those that failed in the TLS
    /// handshake.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.record.connections()
    }

    /// Clears the counts and the log of requests.
    pub fn reset_requests(&self) {
        self.record.reset();
    }

    /// Adds a fault. If several hit the same request, the one that was added first decides the response.
    pub fn fault(&self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// Returns the number of faults that have not hit a request. If it is zero, all faults of a test have happened.
    #[must_use]
    pub fn faults_waiting(&self) -> usize {
        self.faults.waiting()
    }

    /// Changes the settings from the next request on.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.settings.change(change);
    }

    /// Creates a bucket unless it exists. The name is not checked.
    pub fn create_bucket(&self, bucket: &str) {
        self.state.write().buckets.entry(bucket.to_owned()).or_insert_with(Bucket::new);
    }

    /// Stores an object without a request. Creates the bucket if it is missing.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        self.put_object(bucket, key, StoredObject::new(bytes.into(), Properties::default()));
    }

    /// Stores an object with all its properties without a request. Creates the bucket if it is missing.
    pub fn put_object(&self, bucket: &str, key: &str, object: StoredObject) {
        let mut world = self.state.write();
        let bucket = world.buckets.entry(bucket.to_owned()).or_insert_with(Bucket::new);
        bucket.objects.insert(key.to_owned(), Arc::new(object));
    }

    /// Sets the modification time of an object, if it exists. S3 has a resolution of whole seconds.
    pub fn set_modified(&self, bucket: &str, key: &str, modified: SystemTime) {
        if let Some(object) = self.object(bucket, key) {
            self.put_object(bucket, key, StoredObject { modified, ..object });
        }
    }

    /// Moves the content of an object, if it exists, into or out of an archive.
    pub fn set_storage(&self, bucket: &str, key: &str, storage: Storage) {
        if let Some(object) = self.object(bucket, key) {
            self.put_object(bucket, key, StoredObject { storage, ..object });
        }
    }

    /// From now on, a cache in front of the server answers each HEAD and GET of an object of the bucket with the present
    /// state. Everything else reaches the server, such as listings and writes.
    pub fn cache_reads(&self, bucket: &str) {
        if let Some(bucket) = self.state.write().buckets.get_mut(bucket) {
            bucket.cached = Some(bucket.objects.clone());
        }
    }

    /// Removes an object without a request.
    pub fn remove(&self, bucket: &str, key: &str) {
        if let Some(bucket) = self.state.write().buckets.get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    /// Returns an object as it is stored.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        let world = self.state.read();
        world.buckets.get(bucket)?.objects.get(key).map(|object| object.as_ref().clone())
    }

    /// Returns the keys of a bucket in byte order. The result is empty if the bucket does not exist.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let world = self.state.read();
        world.buckets.get(bucket).map(|bucket| bucket.objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// Creates a multipart upload without a request. Creates the bucket if it is missing.
    pub fn create_upload(&self, bucket: &str, key: &str) {
        let mut world = self.state.write();
        world.uploads_created += 1;
        let id = format!("upload-{:08}", world.uploads_created);
        let bucket = world.buckets.entry(bucket.to_owned()).or_insert_with(Bucket::new);
        bucket.uploads.insert(id, state::Upload::of(key.to_owned()));
    }

    /// Returns the number of parts that have arrived for each key with an open multipart upload in a bucket. If a key
    /// has several uploads, it is the largest number.
    #[must_use]
    pub fn uploaded_parts(&self, bucket: &str) -> BTreeMap<String, usize> {
        let world = self.state.read();
        let mut parts = BTreeMap::new();
        for upload in world.buckets.get(bucket).into_iter().flat_map(|bucket| bucket.uploads.values()) {
            let most: &mut usize = parts.entry(upload.key.clone()).or_default();
            *most = upload.parts.len().max(*most);
        }
        parts
    }

    /// Returns the keys of the open multipart uploads in a bucket, which were neither completed nor aborted.
    #[must_use]
    pub fn open_uploads(&self, bucket: &str) -> Vec<String> {
        let world = self.state.read();
        let uploads = world.buckets.get(bucket).map(|bucket| bucket.uploads.values());
        uploads.into_iter().flatten().map(|upload| upload.key.clone()).collect()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // A server that failed has already failed its client. A second panic here would hide the first.
            let _ = thread.join();
        }
    }
}

/// The initial state and settings of a server.
#[derive(Debug)]
pub struct S3ServerBuilder {
    address: SocketAddr,
    access_key: String,
    secret_key: String,
    buckets: Vec<String>,
    settings: Settings,
    encryption: Encryption,
}

#[derive(Debug)]
enum Encryption {
    None,
    Tls,
}

impl S3ServerBuilder {
    /// Listens on this address instead of a free port of the loopback interface.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Accepts these credentials instead of `test-access-key` and `test-secret-key`.
    #[must_use]
    pub fn credentials(mut self, access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        self.access_key = access_key.into();
        self.secret_key = secret_key.into();
        self
    }

    /// Starts with this bucket; may be called several times.
    #[must_use]
    pub fn bucket(mut self, bucket: impl Into<String>) -> Self {
        self.buckets.push(bucket.into());
        self
    }

    /// Sets the maximum number of keys on a page of a listing, 1 to 1000.
    #[must_use]
    pub fn page_size(self, page_size: usize) -> Self {
        self.configure(|settings| settings.page_size = page_size)
    }

    /// Changes the initial settings of the server.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Uses TLS only, with a certificate for `localhost` and the address that is signed by its own authority.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.encryption = Encryption::Tls;
        self
    }

    /// Starts the server. It accepts connections when this returns.
    ///
    /// # Errors
    ///
    /// Returns an error if a bucket name is invalid, or if a socket or thread could not be created.
    pub fn start(self) -> io::Result<S3Server> {
        for bucket in &self.buckets {
            check_bucket_name(bucket).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        }
        let listener = TcpListener::bind(self.address)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {}: {error}", self.address)))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut server = S3Server {
            address,
            access_key: self.access_key,
            secret_key: self.secret_key,
            state: Arc::default(),
            settings: Arc::new(SharedSettings::new(self.settings)),
            record: Arc::default(),
            faults: Arc::default(),
            identity: match self.encryption {
                Encryption::None => None,
                Encryption::Tls => Some(Identity::new(address)?),
            },
            running: None,
        };
        for bucket in &self.buckets {
            server.create_bucket(bucket);
        }
        server.running = Some(server.spawn(listener)?);
        Ok(server)
    }
}

impl S3Server {
    /// Runs the server on its own thread until the returned sender is dropped.
    fn spawn(&self, listener: TcpListener) -> io::Result<(oneshot::Sender<Infallible>, JoinHandle<io::Result<()>>)> {
        let wire = self.wire()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let result = runtime.block_on(wire.accept(listener, stopped));
            runtime.shutdown_background();
            result
        };
        let thread = std::thread::Builder::new().name("s3-server".to_owned()).spawn(serve)?;
        Ok((stop, thread))
    }

    fn wire(&self) -> io::Result<Wire> {
        let backend = Backend { state: Arc::clone(&self.state), settings: Arc::clone(&self.settings) };
        let domain = SingleDomain::new(&format!("localhost:{}", self.address.port())).map_err(io::Error::other)?;
        let mut protocol = S3ServiceBuilder::new(backend);
        protocol.set_auth(SimpleAuth::from_single(self.access_key.clone(), self.secret_key.clone()));
        protocol.set_host(domain);
        // The server's own clock decides whether a request has expired.
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        protocol.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Ok(Wire {
            protocol: protocol.build(),
            settings: Arc::clone(&self.settings),
            record: Arc::clone(&self.record),
            faults: Arc::clone(&self.faults),
            identity: self.identity.clone(),
            state: Arc::clone(&self.state),
        })
    }
}
