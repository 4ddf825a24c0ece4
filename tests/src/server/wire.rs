//! The layer between the socket and the protocol: it counts, delays and damages requests and responses.
//!
//! Faults are below the code that implements S3, so that they damage responses as networks and overloaded servers do.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::TcpListener as StdTcpListener,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::BytesMut;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use tokio::{net::TcpStream, sync::oneshot};
use tokio_util::either::Either;

use super::{
    backend::{IgnoreRange, ShiftRange},
    body::{Damage, WireBody},
    clock,
    fault::{Answer, AnsweredEtag, FaultTable},
    habits,
    operation::{self, Operation, Target},
    record::{InFlight, Record},
    region::{self, Elsewhere},
    settings::{CopyEtag, Overloaded, Settings, SharedSettings},
    state::{Properties, State, StoredObject},
    tls::{self, Identity, Stream},
};

/// An ETag that belongs to no content.
const WRONG_ETAG: HeaderValue = HeaderValue::from_static("\"00000000000000000000000000000bad\"");

const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-crc64nvme");
const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");

/// The ETag of a response that is not from S3.
const FOREIGN_ETAG: HeaderValue = HeaderValue::from_static("\"5f3c-62a\"");

/// Marks a request in which one byte arrives inverted.
#[derive(Debug, Clone, Copy)]
struct FlipSentByte(usize);

/// The data that every connection needs.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) protocol: S3Service,
    pub(super) settings: Arc<SharedSettings>,
    pub(super) record: Arc<Record>,
    pub(super) faults: Arc<FaultTable>,
    pub(super) identity: Option<Identity>,
    pub(super) state: Arc<State>,
}

impl Wire {
    /// Accepts connections until the sender of `stop` is dropped.
    pub(super) async fn accept(self, listener: StdTcpListener, stop: oneshot::Receiver<Infallible>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let accept_all = async {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    self.record.connection();
                    tokio::spawn(self.clone().serve(stream));
                }
            }
        };
        tokio::select! {
            () = accept_all => {}
            _ = stop => {}
        }
        Ok(())
    }

    async fn serve(self, stream: TcpStream) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        // If a client rejects the certificate, it reports the error itself.
        let Ok(stream) = self.encrypted(stream).await else { return };
        let reset = Arc::new(AtomicBool::new(false));
        let service = service_fn(|request| {
            let (wire, reset) = (self.clone(), Arc::clone(&reset));
            Box::pin(async move { wire.answer(request, &reset).await })
        });
        let mut connection =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        // The requests of a broken connection have already been counted and answered. Only the end of the connection
        // matters.
        let _ = std::future::poll_fn(|context| connection.poll_without_shutdown(context)).await;
        let stream = connection.into_parts().io.into_inner();
        if reset.load(Ordering::Relaxed) {
            // If this fails, the client sees an orderly end before any response, which it also treats as a broken
            // connection.
            let _ = tls::socket(&stream).set_zero_linger();
        }
    }

    async fn encrypted(&self, stream: TcpStream) -> io::Result<Stream> {
        match &self.identity {
            None => Ok(Either::Left(stream)),
            Some(identity) => identity.accept(stream).await,
        }
    }

    async fn answer(self, request: Request<Incoming>, reset: &AtomicBool) -> io::Result<Response<WireBody>> {
        let settings = self.settings.get();
        let mut response = self.answer_as_it_is(request, reset, &settings).await?;
        if settings.clock_ahead != 0 {
            response.headers_mut().extend(clock::date(settings.clock_ahead).map(|date| (header::DATE, date)));
        }
        Ok(response)
    }

    async fn answer_as_it_is(
        self,
        mut request: Request<Incoming>,
        reset: &AtomicBool,
        settings: &Settings,
    ) -> io::Result<Response<WireBody>> {
        let target = Target::of(request.method(), request.uri(), request.headers());
        let in_flight = self.record.arrival(&target);
        let fault = self.faults.answer(&target);
        if let Some(overload) = settings.overload.filter(|overload| in_flight.position() > overload.above) {
            let (status, code) = match overload.refusal {
                Overloaded::SlowDown => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
                Overloaded::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
                Overloaded::TooMany => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
                Overloaded::Reset => return break_connection(reset),
            };
            return refuse(request, status, code, in_flight).await;
        }
        tokio::time::sleep(settings.latency).await;
        if let Some((status, code)) = habits::refusal(request.method(), request.headers(), settings) {
            return refuse(request, status, code, in_flight).await;
        }
        if let Some(elsewhere) = region::refusal(request.method(), request.uri(), request.headers(), settings) {
            let Elsewhere { status, code, details, header } = elsewhere;
            let mut response = refuse_with(request, status, code, MESSAGE, &details, in_flight).await?;
            response.headers_mut().extend(header);
            return Ok(response);
        }
        let damage = match fault {
            None => Damage::None,
            Some(Answer::Delay(duration)) => {
                tokio::time::sleep(duration).await;
                Damage::None
            }
            Some(Answer::RetryAfter { seconds, code }) => {
                let mut response = refuse(request, StatusCode::SERVICE_UNAVAILABLE, code, in_flight).await?;
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                return Ok(response);
            }
            Some(Answer::Error { status, code }) => return refuse(request, status, code, in_flight).await,
            Some(Answer::ErrorWithMessage { status, code, message }) => {
                return refuse_with(request, status, code, message, "", in_flight).await;
            }
            Some(Answer::ErrorInOk { code }) => return refuse(request, StatusCode::OK, code, in_flight).await,
            Some(Answer::WebPage) => {
                request.into_body().collect().await.map_err(io::Error::other)?;
                let page = "<!DOCTYPE html>\n<html><body><p>Please sign in<br></body></html>\n".to_owned();
                return Ok(Response::new(WireBody::new(page.into(), Damage::None, in_flight)));
            }
            Some(Answer::Page { status, body }) => {
                request.into_body().collect().await.map_err(io::Error::other)?;
                let mut response = Response::new(WireBody::new(body.to_owned().into(), Damage::None, in_flight));
                *response.status_mut() = status;
                return Ok(response);
            }
            Some(Answer::Foreign { status, media_type, body, performs }) => {
                if performs {
                    self.perform(request, &target).await?;
                } else {
                    request.into_body().collect().await.map_err(io::Error::other)?;
                }
                let mut response = Response::new(WireBody::new(body.to_owned().into(), Damage::None, in_flight));
                *response.status_mut() = status;
                response.headers_mut().insert(header::ETAG, FOREIGN_ETAG);
                if !media_type.is_empty() {
                    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
                }
                return Ok(response);
            }
            Some(Answer::Reset) => return break_connection(reset),
            Some(Answer::ResetAfterPerforming) => {
                self.perform(request, &target).await?;
                return break_connection(reset);
            }
            Some(Answer::SilenceAfterPerforming) => {
                self.perform(request, &target).await?;
                return std::future::pending().await;
            }
            Some(Answer::CutBody { after }) => Damage::CutAfter(after),
            Some(Answer::StallBody { after }) => Damage::StallAfter(after),
            Some(Answer::FlipByte { at }) => Damage::FlipAt(at),
            Some(Answer::FlipSentByte { at }) => {
                request.extensions_mut().insert(FlipSentByte(at));
                Damage::None
            }
            Some(Answer::IgnoreRange) => {
                request.extensions_mut().insert(IgnoreRange);
                let response = self.perform(request, &target).await?;
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::WrongEtag) => {
                let response = with_wrong_etag(self.perform(request, &target).await?).await?;
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::NoEtag) => {
                let mut response = self.perform(request, &target).await?;
                response.headers_mut().remove(header::ETAG);
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::Checksum(checksum)) => {
                let mut response = self.perform(request, &target).await?;
                for name in [CHECKSUM, CHECKSUM_ALGORITHM] {
                    response.headers_mut().remove(name);
                }
                response.headers_mut().extend(checksum.map(|sum| (CHECKSUM, HeaderValue::from_static(sum))));
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::Empty) => {
                self.perform(request, &target).await?;
                return Ok(Response::new(WireBody::new(s3s::Body::empty(), Damage::None, in_flight)));
            }
            Some(Answer::Forget) => {
                let bucket = operation::bucket_of(request.uri(), request.headers());
                let response = with_wrong_etag(self.perform(request, &target).await?).await?;
                if let Some(bucket) = self.state.write().buckets.get_mut(&bucket) {
                    bucket.objects.remove(&target.key);
                }
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::Overtaken { key, content }) => {
                let bucket = operation::bucket_of(request.uri(), request.headers());
                let object = StoredObject::new(content.into(), Properties::default());
                if let Some(bucket) = self.state.write().buckets.get_mut(&bucket) {
                    bucket.objects.insert(key.to_owned(), Arc::new(object));
                }
                Damage::None
            }
            Some(Answer::Restored { meanwhile, keeps_time }) => {
                let bucket = operation::bucket_of(request.uri(), request.headers());
                let other = meanwhile.map(|content| StoredObject::new(content.into(), Properties::default()));
                let earlier = self.exchange_object(&bucket, &target.key, other);
                let response = self.perform(request, &target).await?;
                let restored = earlier.map(|object| StoredObject {
                    modified: if keeps_time { object.modified } else { SystemTime::now() },
                    ..object
                });
                self.exchange_object(&bucket, &target.key, restored);
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::Overwritten { content, answered }) => {
                let bucket = operation::bucket_of(request.uri(), request.headers());
                let response = self.perform(request, &target).await?;
                let object = StoredObject::new(content.into(), Properties::default());
                let etag = format!("\"{}\"", object.etag);
                if let Some(bucket) = self.state.write().buckets.get_mut(&bucket) {
                    bucket.objects.insert(target.key.clone(), Arc::new(object));
                }
                let response = match answered {
                    AnsweredEtag::Reset => return break_connection(reset),
                    AnsweredEtag::Failed => {
                        let mut failed = Response::new(s3s::Body::empty());
                        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                        failed
                    }
                    AnsweredEtag::Missing => Response::new(s3s::Body::empty()),
                    AnsweredEtag::Current => {
                        with_etag(response, &HeaderValue::from_str(&etag).map_err(io::Error::other)?).await?
                    }
                };
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::ReplacedBehind { content }) => {
                let bucket = operation::bucket_of(request.uri(), request.headers());
                if let Some(object) =
                    self.state.write().buckets.get_mut(&bucket).and_then(|bucket| bucket.objects.get_mut(&target.key))
                {
                    *object = Arc::new(StoredObject {
                        bytes: content,
                        modified: object.modified + Duration::from_secs(60),
                        checksums: BTreeMap::new(),
                        ..object.as_ref().clone()
                    });
                }
                Damage::None
            }
            Some(Answer::Shortened { to }) => {
                let (mut parts, body) = self.perform(request, &target).await?.into_parts();
                let bytes = Pin::from(Box::new(body)).collect().await.map_err(io::Error::other)?.to_bytes();
                let bytes = bytes.slice(..to.min(bytes.len()));
                parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
                let response = Response::from_parts(parts, s3s::Body::from(bytes));
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::ShiftRange { by }) => {
                request.extensions_mut().insert(ShiftRange(by));
                let mut response = self.perform(request, &target).await?;
                response.headers_mut().remove(header::ETAG);
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::OtherRange { by }) => {
                let range = request.headers_mut().get_mut(header::RANGE);
                if let Some(range) = range {
                    *range = shifted(range, by)?;
                }
                let mut response = self.perform(request, &target).await?;
                response.headers_mut().remove(header::ETAG);
                return Ok(response.map(|body| WireBody::new(body, Damage::None, in_flight)));
            }
            Some(Answer::Trickle { piece, pause }) => Damage::Trickle { piece, pause },
            Some(Answer::TrickledError { status, code, pause }) => {
                let response = refuse(request, status, code, in_flight).await?;
                return Ok(response.map(|body| body.damaged_by(Damage::Trickle { piece: 1, pause })));
            }
        };
        let response = self.perform(request, &target).await?;
        Ok(response.map(|body| WireBody::new(body, damage, in_flight)))
    }

    /// Stores or removes an object without a request, and returns the earlier one.
    fn exchange_object(&self, bucket: &str, key: &str, object: Option<StoredObject>) -> Option<StoredObject> {
        let mut world = self.state.write();
        let objects = &mut world.buckets.get_mut(bucket)?.objects;
        let earlier = match object {
            Some(object) => objects.insert(key.to_owned(), Arc::new(object)),
            None => objects.remove(key),
        };
        earlier.map(|object| object.as_ref().clone())
    }

    /// Returns the normal response of this server.
    ///
    /// The request body is read first. If the response came earlier, hyper would close the connection while the client
    /// is still sending, and the client would see either the response or a reset, depending on the timing.
    async fn perform(&self, request: Request<Incoming>, target: &Target) -> io::Result<Response<s3s::Body>> {
        let (head, body) = request.into_parts();
        let mut body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        if let Some(FlipSentByte(at)) = head.extensions.get() {
            let mut flipped = BytesMut::from(body);
            flipped[*at] ^= 0xff;
            body = flipped.freeze();
        }
        let response = self.protocol.call(Request::from_parts(head, body.into())).await;
        let response = response.map_err(|error| io::Error::other(format!("{error:?}")))?;
        let copies = matches!(target.operation, Operation::CopyObject | Operation::UploadPartCopy);
        if copies && self.settings.get().copy_etag == CopyEtag::Unquoted {
            return without_etag_quotes(response).await;
        }
        Ok(response)
    }
}

/// The message of an error for which a test does not set one.
const MESSAGE: &str = "a fault of the test";

/// Reads the request to its end and responds with an S3 error.
async fn refuse(
    request: Request<Incoming>,
    status: StatusCode,
    code: &str,
    in_flight: InFlight,
) -> io::Result<Response<WireBody>> {
    refuse_with(request, status, code, MESSAGE, "", in_flight).await
}

async fn refuse_with(
    request: Request<Incoming>,
    status: StatusCode,
    code: &str,
    message: &str,
    details: &str,
    in_flight: InFlight,
) -> io::Result<Response<WireBody>> {
    request.into_body().collect().await.map_err(io::Error::other)?;
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{details}</Error>"
    );
    let mut response = Response::new(WireBody::new(document.into(), Damage::None, in_flight));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    Ok(response)
}

fn break_connection<T>(reset: &AtomicBool) -> io::Result<T> {
    reset.store(true, Ordering::Relaxed);
    Err(io::ErrorKind::ConnectionReset.into())
}

/// Returns the range of a request, moved by this many bytes.
fn shifted(range: &HeaderValue, by: usize) -> io::Result<HeaderValue> {
    let text = range.to_str().map_err(io::Error::other)?;
    let bounds = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let (first, last) = bounds.ok_or_else(|| io::Error::other("this is no range"))?;
    let [first, last]: [usize; 2] = [first.parse().map_err(io::Error::other)?, last.parse().map_err(io::Error::other)?];
    HeaderValue::try_from(format!("bytes={}-{}", first + by, last + by)).map_err(io::Error::other)
}

async fn with_wrong_etag(response: Response<s3s::Body>) -> io::Result<Response<s3s::Body>> {
    with_etag(response, &WRONG_ETAG).await
}

async fn with_etag(response: Response<s3s::Body>, etag: &HeaderValue) -> io::Result<Response<s3s::Body>> {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(header::ETAG, etag.clone());
    let bytes = Pin::from(Box::new(body)).collect().await.map_err(io::Error::other)?.to_bytes();
    let document = String::from_utf8_lossy(&bytes);
    let (Some(start), Some(end)) = (document.find("<ETag>"), document.find("</ETag>")) else {
        return Ok(Response::from_parts(parts, s3s::Body::from(bytes)));
    };
    let wrong = etag.to_str().map_err(io::Error::other)?.replace('"', "&quot;");
    let document = format!("{}<ETag>{wrong}{}", &document[..start], &document[end..]);
    parts.headers.insert(header::CONTENT_LENGTH, document.len().into());
    Ok(Response::from_parts(parts, document.into()))
}

async fn without_etag_quotes(response: Response<s3s::Body>) -> io::Result<Response<s3s::Body>> {
    let (mut parts, body) = response.into_parts();
    let bytes = Pin::from(Box::new(body)).collect().await.map_err(io::Error::other)?.to_bytes();
    let document = String::from_utf8_lossy(&bytes);
    let document = match (document.find("<ETag>"), document.find("</ETag>")) {
        (Some(start), Some(end)) => {
            let etag = document[start..end].replace("&quot;", "").replace('"', "");
            format!("{}{etag}{}", &document[..start], &document[end..])
        }
        _ => document.into_owned(),
    };
    parts.headers.insert(header::CONTENT_LENGTH, document.len().into());
    Ok(Response::from_parts(parts, document.into()))
}
