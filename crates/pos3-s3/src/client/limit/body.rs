//! A response body that counts as a request in flight until it has been received.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpResponseBody};

use super::Slot;
use crate::error::Failure;

/// A response body and the slot of its request.
pub(super) struct CountedBody {
    body: HttpResponseBody,
    slot: Option<Slot>,
    /// The bytes that were sent, and received so far.
    bytes: u64,
}

impl Slot {
    /// Returns the same body. It holds the slot until it has been received or is dropped. `sent` is the number of bytes
    /// in the request.
    pub(crate) fn until_received(self, body: HttpResponseBody, sent: u64) -> HttpResponseBody {
        if body.is_end_stream() {
            self.responded(sent);
            return body;
        }
        // Until the caller reads the body, the caller is the slow side.
        self.activity().waits_for_program();
        HttpResponseBody::new(CountedBody { body, slot: Some(self), bytes: sent })
    }
}

impl CountedBody {
    fn end(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.responded(self.bytes);
        }
    }
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Some(slot) = &self.slot {
            slot.activity().waits_for_server();
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.body.is_end_stream() {
                    self.end();
                } else if let Some(slot) = &self.slot {
                    slot.activity().waits_for_program();
                }
            }
            Some(Err(error)) => {
                if let Some(slot) = self.slot.take()
                    && Failure::is_cut(error)
                {
                    slot.overloaded();
                }
            }
            None => self.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
