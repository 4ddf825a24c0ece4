//! Checks the parts of a response that repeat its request.
//!
//! A cache or a gateway that confuses responses sends a complete, well-formed listing of something else. It can only be
//! recognised by the values in the response: the bucket, the prefix and the start of the page.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use pos3_core::printable;

use crate::error::Failure;
use crate::uri::decode_listed;

/// Returns true if the repeated text can be the text that was sent, either plain or in one of the encodings that
/// servers use. A text with control characters is not compared, because XML cannot represent them.
fn is_same(echoed: &str, sent: &str) -> bool {
    echoed.trim() == sent.trim()
        || sent.contains(char::is_control)
        || decode_listed(echoed).is_some_and(|decoded| decoded == sent)
        || percent_decode_str(echoed).decode_utf8().is_ok_and(|decoded| decoded == sent)
}

/// Stores a text that a response may contain only once. Returns true if another text was already stored.
pub(crate) fn told_twice<'x>(kept: &mut Cow<'x, str>, text: &mut Cow<'x, str>) -> bool {
    let is_other = !kept.is_empty() && kept.trim() != text.trim();
    *kept = std::mem::take(text);
    is_other
}

/// Checks a text that a response may repeat. If the response does not repeat it, the check passes.
///
/// # Errors
///
/// Returns a contradiction that names both texts.
pub(crate) fn check(what: &str, echoed: Option<&str>, sent: &str) -> Result<(), Failure> {
    match echoed {
        Some(echoed) if !is_same(echoed, sent) => Err(Failure::Contradictory(format!(
            "the response has the {what} '{}' instead of '{}'",
            printable(echoed),
            printable(sent)
        ))),
        _ => Ok(()),
    }
}

/// Like [`check`], but an empty text also passes.
pub(crate) fn check_filled(what: &str, echoed: Option<&str>, sent: &str) -> Result<(), Failure> {
    check(what, echoed.filter(|echoed| !echoed.trim().is_empty()), sent)
}

/// Checks the name of the bucket. Access points and buckets of another tenant are not checked, because their responses
/// contain the name of the underlying bucket.
pub(crate) fn check_bucket(echoed: Option<&str>, sent: &str) -> Result<(), Failure> {
    const ALIASES: [&str; 4] = ["-s3alias", "--ol-s3", "--xa-s3", ".mrap"];
    let is_alias = sent.contains(':') || ALIASES.iter().any(|ending| sent.ends_with(ending));
    if is_alias { Ok(()) } else { check_filled("bucket", echoed, sent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_may_be_plain_or_encoded_in_any_way_that_servers_use() {
        for (echoed, sent) in [
            ("a b+c/", "a b+c/"),
            ("a+b%2Bc/", "a b+c/"),
            ("a%20b+c/", "a b+c/"),
            ("a%2Fb", "a/b"),
            ("caf%C3%A9/", "caf\u{e9}/"),
            ("a%20b", "a%20b"),
            ("line?break", "line\nbreak"),
            ("\n  p/\n", "p/"),
        ] {
            assert!(check("prefix", Some(echoed), sent).is_ok(), "{echoed:?} {sent:?}");
        }
        assert!(check("prefix", None, "p/").is_ok());
        assert!(check_filled("prefix", Some(""), "p/").is_ok());
    }

    #[test]
    fn another_text_is_a_contradiction() {
        for (echoed, sent) in [("", "p/"), ("q/", "p/"), ("p", "p/"), ("p/", ""), ("%FF", "p")] {
            let Err(Failure::Contradictory(why)) = check("prefix", Some(echoed), sent) else { panic!("{echoed:?}") };
            assert!(why.contains("prefix") && why.contains(sent), "{why}");
        }
    }

    #[test]
    fn the_bucket_behind_an_alias_has_another_name() {
        assert!(check_bucket(Some("other"), "data").is_err());
        for alias in ["point-abc-s3alias", "tenant:data", "arn:aws:s3:us-east-1:1:accesspoint/p"] {
            assert!(check_bucket(Some("other"), alias).is_ok(), "{alias}");
        }
    }
}
