//! Responses: documents, errors and bodies of zeros, and the encodings of names in them.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub(super) type Answer = Response<NullBody>;

/// The ETag of every object.
pub(super) const ETAG: &str = "\"00000000000000000000000000000000\"";
const HTTP_DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];

/// Returns a response with the headers of an object.
pub(super) fn answer(status: StatusCode, body: NullBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static(ETAG));
    headers.insert(header::LAST_MODIFIED, HeaderValue::from_static(HTTP_DATE));
    answer
}

pub(super) fn empty(status: StatusCode) -> Answer {
    answer(status, NullBody::Zeros(0))
}

pub(super) fn xml(document: &str) -> Answer {
    text("application/xml", format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{document}"))
}

pub(super) fn error(status: StatusCode, code: &str) -> Answer {
    let mut answer = xml(&format!("<Error><Code>{code}</Code></Error>"));
    *answer.status_mut() = status;
    answer
}

pub(super) fn text(content_type: &'static str, text: String) -> Answer {
    let mut answer = Response::new(NullBody::Text(text.into()));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Escapes a name for XML. Carriage returns and newlines are escaped too, because a parser would normalise them.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            control if control.is_control() => escaped.push_str(&format!("&#{};", u32::from(control))),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Decodes XML text: the five named entities and numeric ones.
pub(super) fn unescaped(text: &str) -> String {
    let mut pieces = text.split('&');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (entity, rest) = piece.split_once(';').unwrap_or((piece, ""));
        plain.extend(character(entity));
        plain.push_str(rest);
    }
    plain
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        numeric => {
            let number = numeric.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// A body of text, or of zeros that are never allocated.
pub(super) enum NullBody {
    Text(Bytes),
    Zeros(u64),
}

impl Body for NullBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let data = match &mut *self {
            Self::Text(text) => std::mem::take(text),
            Self::Zeros(left) => {
                let zeros = &ZEROS[..ZEROS.len().min(usize::try_from(*left).unwrap_or(ZEROS.len()))];
                *left -= zeros.len() as u64;
                Bytes::from_static(zeros)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Text(text) => text.len() as u64,
            Self::Zeros(left) => *left,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }
}
