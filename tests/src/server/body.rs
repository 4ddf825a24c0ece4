//! The body of a response, damaged if a fault requires it.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::record::InFlight;

/// The time between cutting a body and breaking the connection, so that the bytes before the cut are sent.
const LAST_BYTES_LEAVE: Duration = Duration::from_millis(50);

/// The reason why a body could not be sent.
type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The damage to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    None,
    CutAfter(usize),
    StallAfter(usize),
    FlipAt(usize),
    Trickle { piece: usize, pause: Duration },
}

/// The body of a response. Its request is in flight until the body is dropped.
#[derive(Debug)]
pub(super) struct WireBody {
    inner: s3s::Body,
    damage: Damage,
    sent: usize,
    breaking: Option<Pin<Box<Sleep>>>,
    /// Bytes that have been read and not yet sent.
    held: Bytes,
    _in_flight: InFlight,
}

impl WireBody {
    pub(super) fn new(inner: s3s::Body, damage: Damage, in_flight: InFlight) -> Self {
        Self { inner, damage, sent: 0, breaking: None, held: Bytes::new(), _in_flight: in_flight }
    }

    /// Returns the same body with this damage.
    pub(super) fn damaged_by(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }

    /// Returns the next piece of a body that is sent slowly.
    fn poll_trickle(
        &mut self,
        context: &mut Context<'_>,
        piece: usize,
        pause: Duration,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while self.held.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)?).map(Frame::into_data) {
                Some(Ok(bytes)) => self.held = bytes,
                Some(Err(_trailers)) => {}
                None => return Poll::Ready(None),
            }
        }
        let waiting = self.breaking.get_or_insert_with(|| Box::pin(sleep(pause)));
        ready!(waiting.as_mut().poll(context));
        self.breaking = None;
        let next = self.held.split_to(piece.min(self.held.len()));
        Poll::Ready(Some(Ok(Frame::data(next))))
    }

    /// Returns the bytes of the next frame after the damage.
    fn damaged(&self, bytes: Bytes) -> Bytes {
        match self.damage {
            Damage::None => bytes,
            Damage::CutAfter(limit) | Damage::StallAfter(limit) => bytes.slice(..bytes.len().min(limit - self.sent)),
            Damage::FlipAt(position) if (self.sent..self.sent + bytes.len()).contains(&position) => {
                let mut flipped = BytesMut::from(bytes);
                flipped[position - self.sent] ^= 0xff;
                flipped.freeze()
            }
            Damage::FlipAt(_) | Damage::Trickle { .. } => bytes,
        }
    }
}

impl Body for WireBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.damage {
            Damage::CutAfter(limit) if self.sent == limit => {
                let breaking = self.breaking.get_or_insert_with(|| Box::pin(sleep(LAST_BYTES_LEAVE)));
                ready!(breaking.as_mut().poll(context));
                return Poll::Ready(Some(Err(io::Error::other("the body is cut here").into())));
            }
            Damage::StallAfter(limit) if self.sent == limit => return Poll::Pending,
            Damage::Trickle { piece, pause } => return self.poll_trickle(context, piece, pause),
            Damage::None | Damage::CutAfter(_) | Damage::StallAfter(_) | Damage::FlipAt(_) => {}
        }
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(context)?) else {
            return Poll::Ready(None);
        };
        let frame = match frame.into_data() {
            Ok(bytes) => {
                let bytes = self.damaged(bytes);
                self.sent += bytes.len();
                Frame::data(bytes)
            }
            Err(trailers) => trailers,
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && matches!(self.damage, Damage::None) && self.inner.is_end_stream()
    }
}
