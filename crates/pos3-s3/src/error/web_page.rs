//! Recognizes a web page in place of a response of S3: from a proxy, the login page of a network, or a wrong endpoint.

/// The code of the error for a web page in place of a response of S3.
pub const WEB_PAGE: &str = "WebPage";

/// The message for a web page.
pub(super) const MESSAGE: &str = "the server returned a web page instead of an S3 response: a proxy, the login page of a \
                                  network, or a wrong endpoint";

/// The beginnings of web pages. The names of the elements in S3's documents begin with an upper-case letter, and none of
/// them is one of these.
const BEGINNINGS: [&str; 7] = ["<!doctype html", "<html", "<head", "<body", "<title", "<meta", "<script"];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns true if a document is a web page. Some S3 servers send their XML with the media type of a web page, so this
/// type alone is no evidence.
pub(crate) fn is_web_page(media_type: &str, document: &[u8]) -> bool {
    let content = without_prolog(document);
    let begins_with =
        |tag: &&str| content.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag.as_bytes()));
    let is_like_s3 = matches!(content, [] | [b'<', b'A'..=b'Z', ..]);
    BEGINNINGS.iter().any(begins_with) || (is_html(media_type) && !is_like_s3)
}

/// Returns true if this is the media type of a web page.
pub(crate) fn is_html(media_type: &str) -> bool {
    let (kind, _) = media_type.split_once(';').unwrap_or((media_type, ""));
    ["text/html", "application/xhtml+xml"].iter().any(|html| kind.trim().eq_ignore_ascii_case(html))
}

/// Returns a document without its byte order mark, and without the space, comments and processing instructions at its
/// beginning.
fn without_prolog(document: &[u8]) -> &[u8] {
    let mut rest = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
    loop {
        rest = rest.trim_ascii_start();
        match after(rest, b"<!--", b"-->").or_else(|| after(rest, b"<?", b"?>")) {
            Some(later) => rest = later,
            None => return rest,
        }
    }
}

/// Returns what follows a construct that begins and ends with these marks, if the document begins with it.
fn after<'d>(document: &'d [u8], begin: &[u8], end: &[u8]) -> Option<&'d [u8]> {
    let inside = document.strip_prefix(begin)?;
    let at = inside.windows(end.len()).position(|window| window == end)?;
    Some(&inside[at + end.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_web_page_is_recognized() {
        for (media_type, document, expected) in [
            ("", "<html><body>x", true),
            ("", "\n <!DOCTYPE HTML><p>x", true),
            ("", "<!-- a proxy --> <!-- b -->\n<html>", true),
            ("", "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0\"><html/>", true),
            ("", "\u{feff}<HTML>", true),
            ("", "<head><title>x", true),
            ("", "please sign in", false),
            ("text/html", "please sign in", true),
            ("Text/HTML; charset=utf-8", "<p>please sign in", true),
            ("application/xhtml+xml", "<p/>", true),
            ("application/json", "{\"error\": \"sign in\"}", false),
            ("", "", false),
            ("text/html", "", false),
            ("text/html", "<?xml version=\"1.0\"?><CopyObjectResult><ETag>", false),
            ("text/html", "<Error><Code>", false),
            ("", "<!-- never ends", false),
            ("", "<?xml", false),
        ] {
            assert_eq!(is_web_page(media_type, document.as_bytes()), expected, "{media_type} {document}");
        }
    }
}
