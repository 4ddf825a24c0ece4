//! A complete response: [`Answer`].

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use crate::error::{Failure, Refusal, is_html, is_web_page};
use crate::headers::header;
use crate::xml::{self, Step, XmlError};

/// A complete response with a success status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Returns the texts of the given child elements of the result element `root`.
    ///
    /// S3 starts the response to a long operation before it knows the outcome, so a response with a success status may
    /// contain an `<Error>`. The operation has succeeded only if the response contains the result element.
    pub(crate) fn result<const N: usize>(&self, root: &str, names: [&str; N]) -> Result<[String; N], Failure> {
        xml::children(&self.body, root, names).map_err(|error| self.not_a_result(error))
    }

    /// Walks through the document in the response.
    pub(crate) fn walk<'x>(&'x self, visit: impl FnMut(usize, Step<'_, 'x>)) -> Result<(), Failure> {
        xml::walk(&self.body, visit).map_err(|error| self.not_a_result(error))
    }

    /// Checks the response to a request that has no result. S3 sends status 204, or 200, and no body. Anything else may
    /// come from a proxy, so it does not show that the server has executed the request.
    pub(crate) fn without_result(&self) -> Result<(), Failure> {
        let is_html = is_html(self.media_type());
        if self.is_bare()? && !is_html {
            return Ok(());
        }
        let what = match &self.body {
            body if !body.is_empty() => "a body".to_owned(),
            _ if is_html => "the media type of a web page".to_owned(),
            _ => format!("status {}", self.status.as_u16()),
        };
        Err(Failure::Garbled(format!("the response has {what}, unlike that of S3, so it may come from a proxy")))
    }

    /// Returns true if the response has no body, like that of S3 to a request without a result document.
    ///
    /// # Errors
    ///
    /// Fails if the response is a web page, or contains an `<Error>`.
    pub(crate) fn is_bare(&self) -> Result<bool, Failure> {
        let is_document = !self.body.is_empty();
        if is_document
            && let failure @ (Failure::WebPage | Failure::Refused(_)) = self.not_a_result(XmlError::Unexpected)
        {
            return Err(failure);
        }
        Ok(!is_document && matches!(self.status, StatusCode::OK | StatusCode::NO_CONTENT))
    }

    /// Returns the refusal that the response contains instead of a result, or the reason why there is no result.
    pub(crate) fn not_a_result(&self, error: XmlError) -> Failure {
        if xml::children(&self.body, "Error", []).is_ok() {
            return Failure::Refused(Box::new(Refusal::new(self.status, &self.headers, &self.body)));
        }
        if is_web_page(self.media_type(), &self.body) { Failure::WebPage } else { error.into() }
    }

    fn media_type(&self) -> &str {
        header(&self.headers, CONTENT_TYPE.as_str())
    }

    /// Returns a response with status 200 and this body.
    #[cfg(test)]
    pub(crate) fn of(body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into() }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_bare_response_shows_that_a_request_without_a_result_was_executed() {
        for (status, media_type, body, expected) in [
            (204, "", "", true),
            (200, "", "", true),
            (200, "application/xml", "", true),
            (200, "text/html", "", false),
            (202, "", "", false),
            (206, "", "", false),
            (200, "", "<html></html>", false),
            (200, "", "\n", false),
            (200, "", "{}", false),
            (200, "application/xml", "<Error><Code>AccessDenied</Code></Error>", false),
            (200, "application/xml", "<Error><Code>AccessDen", false),
        ] {
            let mut answer = Answer { status: StatusCode::from_u16(status).unwrap(), ..Answer::of(body) };
            if !media_type.is_empty() {
                answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            }
            assert_eq!(answer.without_result().is_ok(), expected, "{status} {media_type} {body}");
        }
    }
}
