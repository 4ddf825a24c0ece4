//! An S3 bucket as a [`pos3_core::RemoteStore`].
//!
//! This is a thin client that implements the S3 protocol itself, because the engine needs exact behaviour. Every key is
//! sent, listed and deleted byte for byte. A listing either completes or fails. An operation has succeeded only if the
//! server's result says so. The client uses the credential providers and the transport interface of `object_store`, so
//! an embedder can supply its own.
//!
//! ```no_run
//! use pos3_core::{Key, RemoteStoreExt};
//! use pos3_s3::{Credentials, S3Client, S3Config};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = S3Config::new()
//!     .with_endpoint("http://127.0.0.1:9000")
//!     .with_credentials(Credentials::fixed("key id", "secret key", None));
//! let bucket = S3Client::new(config)?.bucket("photos")?;
//! bucket.write(&Key::from("2026/note.txt"), "hello".into()).await?;
//! assert_eq!(bucket.read(&Key::from("2026/note.txt")).await?, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! | file | contents |
//! | --- | --- |
//! | `client` | configuration, signing, sending, retrying; shared by all buckets of a server |
//! | `bucket` | one bucket's requests |
//! | `list`, `read`, `write`, `copy`, `delete` | the operations of the store |
//! | `unfinished` | abandoned uploads |
//! | `error` | the reasons why requests fail, and their meaning |

mod archive;
mod bucket;
mod checksum;
mod client;
mod copy;
mod copy_source;
mod crosscheck;
mod delete;
mod error;
mod etag;
mod headers;
mod list;
mod operation;
mod put;
mod read;
mod settings;
mod store;
mod time;
mod unfinished;
mod uri;
mod write;
mod xml;

pub use client::config::{Credentials, RenewableCredentials, S3Config};
pub use client::{RequestLimit, S3Client};
pub use error::{Refusal, TransportError, TransportErrorKind, WEB_PAGE};
pub use object_store::aws::AwsCredential;
pub use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
pub use object_store::{ClientOptions, CredentialProvider, StaticCredentialProvider};
pub use settings::{Addressing, Checksums, ConditionalWrites, Etags, PayloadSigning, S3ConfigError};
pub use store::S3Store;
